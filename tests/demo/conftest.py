"""The smallest models that fill every tab of the demo, and photos to upload."""

import shutil
from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A folder with a VAE and its encoder, and a StyleGAN2; all of 8x8."""
    import keras

    from facegen_keras.export.write import write_model
    from facegen_keras.models.stylegan2.networks import build_generator
    from tests.conftest import make_encoder, make_generator

    keras.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("models")
    about = {"resolution": 8, "export": "e"}
    vae, encoder = {**about, "family": "vae"}, folder / "vae_encoder.h5"
    write_model(make_generator(), folder / "vae_decoder.h5", {**vae, "part": "decoder"})
    write_model(make_encoder(), encoder, {**vae, "part": "encoder"})
    stylegan2 = build_generator(8, 6, 6, 2, channels={4: 4, 8: 4})
    about |= {"family": "stylegan2", "part": "generator"}
    write_model(stylegan2, folder / "stylegan2_generator.h5", about)
    return folder


@pytest.fixture
def studio(models):
    from facegen_keras.demo.studio import Studio, models_in

    return Studio(models_in(models))


@pytest.fixture(scope="session")
def photos(tmp_path_factory, made_up):
    """Made-up photos of 16x16, one PNG each."""
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"photo{number:02d}.png" for number in range(22)]
    for path, image in zip(paths, made_up(22, 16), strict=True):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture
def upload(tmp_path):
    """`upload(path)`: a copy that may be deleted."""

    def copy(path: Path) -> Path:
        return Path(shutil.copy(path, tmp_path / path.name))

    return copy
