"""Models that start from the files of others."""

import keras
import numpy as np
import pytest
from keras import ops

import facegen_keras as fg
from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator

SMALL = {"resolution": 32, "latent_dim": 6, "base_channels": 4}
Z = np.random.RandomState(0).randn(3, 6).astype("float32")


def arrays(network):
    return [ops.convert_to_numpy(v.value) for v in network.variables]


def assert_equal(network, other, equal=True):
    same = [np.array_equal(a, b) for a, b in zip(arrays(network), arrays(other), strict=True)]
    assert all(same) if equal else not any(same)


def made(family, seed, **options):
    """A model whose variables are all its own, its statistics and averages too."""
    keras.utils.set_random_seed(seed)
    model = family(**{**SMALL, **options})
    random = np.random.RandomState(seed)
    for variable in model.variables:
        if "float" in str(variable.dtype):
            variable.assign(variable + 0.01 * random.rand(*variable.shape))
    return model


@pytest.mark.parametrize(
    ("family", "name", "options"),
    [
        (fg.VAE, "vae_decoder.h5", {}),
        (fg.DCGAN, "dcgan_generator.h5", {}),
        (fg.DCGAN, "dcgan_generator.keras", {"spectral_norm": True}),
        (fg.Combined, "combined_generator.h5", {}),
    ],
)
def test_a_model_starts_from_what_its_family_exports(family, name, options, tmp_path):
    source = made(family, 1, **options)
    path = save_generator(source, tmp_path / name)
    target = made(family, 2, **options)
    assert target.start_from(path) == []
    averages = {id(network): average for average, network in source.averages()}
    for part, network in target.parts().items():
        origin = source.parts()[part]
        assert_equal(network, averages.get(id(origin), origin))
    for average, network in target.averages():
        assert_equal(average, network)
    np.testing.assert_array_equal(target(Z), source(Z))


def test_a_combined_model_starts_from_a_dcgan(tmp_path):
    source, target, untouched = made(fg.DCGAN, 1), made(fg.Combined, 2), made(fg.Combined, 2)
    path = save_generator(source, tmp_path / "faces.h5")
    assert target.start_from(path) == ["the encoder"]
    assert_equal(target.generator, source.generator_ema)
    assert_equal(target.discriminator, source.discriminator)
    assert_equal(target.encoder, untouched.encoder)
    back = made(fg.DCGAN, 3)
    assert back.start_from(save_generator(target, tmp_path / "combined_generator.h5")) == []
    np.testing.assert_array_equal(back(Z), source(Z))


def test_a_generator_that_is_to_stay_as_it_is_has_to_fit_whole(tmp_path):
    source = fg.DCGAN(resolution=32, base_channels=4, latent_dim=6)
    path = fg.save_generator(source, tmp_path / "dcgan_generator.h5")
    size = {"resolution": 32, "base_channels": 4, "latent_dim": 8}
    assert "project" in fg.Combined(**size).start_from(path)  # learns from the first step
    model = fg.Combined(**size, warm_up_images=100)
    with pytest.raises(UserError, match=r"these are not: project \(latent_dim 6 there and 8 here"):
        model.start_from(path)
    model = fg.Combined(**{**size, "latent_dim": 6}, warm_up_images=100)
    assert model.start_from(path) == ["the encoder"]


def test_a_larger_resolution_takes_the_layers_that_fit(tmp_path):
    source = made(fg.DCGAN, 1)
    path = save_generator(source, tmp_path / "dcgan_generator.h5")
    target = made(fg.DCGAN, 2, resolution=64, base_channels=2)
    kept = target.start_from(path)
    assert {"64x64_up", "to_rgb"} - set(kept) == {"64x64_up"}  # the last layer makes the image
    np.testing.assert_array_equal(
        target.generator.get_layer("8x8_up").get_weights()[0],
        source.generator_ema.get_layer("8x8_up").get_weights()[0],
    )


def test_what_does_not_fit_is_refused(tmp_path):
    path = save_generator(made(fg.DCGAN, 1), tmp_path / "dcgan_generator.h5")
    with pytest.raises(UserError, match="holds a dcgan model; expected vae"):
        made(fg.VAE, 2).start_from(path)
    with pytest.raises(UserError, match=r"do not fit this model \(base_channels 4 there and 5"):
        made(fg.DCGAN, 2, base_channels=5).start_from(path)
    with pytest.raises(UserError, match="resolution 32 there and 64 here"):
        made(fg.DCGAN, 2, resolution=64).start_from(path)  # only its to_rgb would fit
    spectral = made(fg.DCGAN, 2, spectral_norm=True)
    assert spectral.start_from(path) == ["the discriminator"]
    (tmp_path / "dcgan_discriminator.h5").unlink()
    assert spectral.start_from(path) == ["the discriminator"]
    longer = made(fg.DCGAN, 2, latent_dim=7)
    assert longer.start_from(path) == ["project", "the discriminator"]
    before = arrays(longer.generator)
    other = save_generator(made(fg.DCGAN, 3), tmp_path / "other_generator.h5")
    (tmp_path / "other_discriminator.h5").write_bytes(b"damaged")
    with pytest.raises(UserError, match="other_discriminator"):
        longer.start_from(other)
    assert all(map(np.array_equal, before, arrays(longer.generator)))  # nothing was copied
