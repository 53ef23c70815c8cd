"""Files for other runtimes: what they compute, what is in them, and what is refused."""

import json
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from facegen_keras import losses, models
from facegen_keras.errors import UserError
from facegen_keras.export.half_weights import write_halves
from facegen_keras.export.prior import write_prior
from facegen_keras.export.write import save_generator, write_model
from facegen_keras.generate.loading import load_encoder, load_generator
from facegen_keras.generate.reconstruction import reconstruct
from facegen_keras.generate.runtimes import export_model, weights_by_name
from facegen_keras.inference import latents
from facegen_keras.mixture import fit_mixture
from facegen_keras.models import stylegan2
from facegen_keras.models.stylegan2.import_nvidia import import_nvidia

REFERENCE = Path(__file__).parent.parent / "fixtures" / "stylegan2_reference.npz"
SHIPPED = Path(__file__).parent.parent.parent / "saved_models"
GRAPHS = ("onnx", "litert", "tf_saved_model")
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def styled(tmp_path_factory):
    """The file of a StyleGAN2 of 8x8 whose every weight matters."""
    model = stylegan2.build_generator(8, latent_dim=6, w_dim=5, mapping_layers=2,
                                      channels={4: 4, 8: 3}, clamp=256.0)  # fmt: skip
    random = np.random.RandomState(0)
    model.set_weights([random.standard_normal(w.shape) for w in model.get_weights()])
    path = tmp_path_factory.mktemp("styled") / "faces_generator.h5"
    write_model(model, path, {"family": "stylegan2", "part": "generator", "licence": "free"})
    return path


@pytest.fixture
def saved_vae(tmp_path, tiny_family):
    return save_generator(tiny_family("vae"), tmp_path / "vae_decoder.h5", run="first")


@pytest.mark.parametrize("format", GRAPHS)
def test_a_stylegan2_whole_and_in_parts(styled, format, run_exported, tmp_path):
    whole, mapping, synthesis = export_model(styled, tmp_path, format, parts=True)
    assert [file.stem.removesuffix("_saved_model") for file in (whole, mapping, synthesis)] == [
        "faces_generator",
        "faces_mapping",
        "faces_synthesis",
    ]
    generator = load_generator(styled)
    for count, psi in ((1, 1.0), (3, 0.6)):
        z, psi = latents(range(count), 6), np.array(psi, "float32")
        styles = run_exported(mapping, latent=z, truncation_psi=psi)["styles"]
        np.testing.assert_allclose(styles, generator.styles(generator.mapping(z), psi), **CLOSE)
        images = run_exported(whole, latent=z, truncation_psi=psi)["images"]
        assert images.dtype == "float32"
        np.testing.assert_allclose(images, generator(z, truncation_psi=psi), **CLOSE)
    styles[:, 2:] = styles[::-1, 2:]  # mixed
    images = run_exported(synthesis, styles=styles)["images"]
    np.testing.assert_allclose(images, generator.synthesis(styles), **CLOSE)


@pytest.mark.parametrize("format", GRAPHS)
def test_a_decoder_and_its_encoder(saved_vae, format, run_exported, tmp_path, made_up):
    decoder, encoder = export_model(saved_vae, tmp_path / "out", format, parts=True)
    z = latents(range(3), 6)
    images = run_exported(decoder, latent=z)["images"]
    np.testing.assert_allclose(images, load_generator(saved_vae)(z), **CLOSE)
    photos = made_up(2, 8).astype("float32") / 127.5 - 1
    found = run_exported(encoder, images=photos)
    expected = losses.posterior(load_encoder(saved_vae)(photos))
    np.testing.assert_allclose(found["mean"], expected[0], **CLOSE)
    np.testing.assert_allclose(found["log_variance"], expected[1], **CLOSE)


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_a_fitted_prior_is_part_of_the_graph(saved_vae, format, run_exported, tmp_path):
    codes = np.random.RandomState(0).standard_normal((90, 6)) * 0.3
    codes[:50] += 1.5
    write_prior(saved_vae, fit_mixture(codes, 2))
    generator = load_generator(saved_vae)
    z = latents(range(3), 6)
    assert np.abs(generator.codes(z) - z).max() > 0.5
    (file,) = export_model(saved_vae, tmp_path, format)
    images = run_exported(file, latent=z)["images"]
    np.testing.assert_allclose(images, generator(generator.codes(z)), **CLOSE)


def test_an_onnx_file_says_what_it_is(saved, tmp_path):
    import onnx

    _, path = saved
    path.with_suffix(".md").write_text("# A card")
    (file,) = export_model(path, tmp_path / "out", "onnx")
    model = onnx.load(file)
    texts = {entry.key: entry.value for entry in model.metadata_props}
    described = load_generator(path).metadata
    assert json.loads(texts.pop("facegen_metadata")) == described
    assert texts == {
        "card": "# A card",
        "facegen_keras_version": described["versions"]["facegen_keras"],
        "family": "dcgan",
        "latent_dim": "6",
        "licence": described["licence"],
        "part": "generator",
        "resolution": "8",
    }
    shapes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"latent": ["n", 6], "images": ["n", 8, 8, 3]}
    assert not {w.data_type for w in model.graph.initializer} & {onnx.TensorProto.DOUBLE}


@pytest.mark.parametrize("format", ["litert", "tf_saved_model"])
def test_the_other_formats_carry_the_same_texts(saved, format, tmp_path):
    (file,) = export_model(saved[1], tmp_path / "out", format)
    if format == "litert":
        text = zipfile.ZipFile(file).read("facegen_metadata.json")
    else:
        text = (file / "assets.extra" / "facegen_metadata.json").read_bytes()
    assert json.loads(text)["licence"] == load_generator(saved[1]).metadata["licence"]


@pytest.mark.parametrize("format", ["onnx", "litert", "safetensors"])
def test_the_same_model_gives_the_same_bytes(saved, format, tmp_path):
    out = tmp_path / "out"
    (file,) = export_model(saved[1], out, format)
    before = file.read_bytes()
    assert export_model(saved[1], out, format) == [file]
    assert file.read_bytes() == before
    assert [*out.iterdir()] == [file]  # no second name for what has not changed


@pytest.mark.parametrize("format", ["safetensors", "tf_saved_model"])
def test_an_earlier_file_is_kept(saved, format, tmp_path, tiny_family):
    out = tmp_path / "out"
    (file,) = export_model(saved[1], out, format)
    earlier = {part.name: part.read_bytes() for part in contents(file)}
    save_generator(tiny_family(), saved[1], run="second")
    assert export_model(saved[1], out, format) == [file]
    (kept,) = set(out.iterdir()) - {file}
    names = {part.name.replace(kept.stem, file.stem): part.read_bytes() for part in contents(kept)}
    assert names == earlier
    assert {part.read_bytes() for part in contents(file)} != set(earlier.values())


def contents(path):
    return [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]


def test_weights_by_our_names(saved_vae, tmp_path):
    from safetensors import safe_open

    for file, model in zip(
        export_model(saved_vae, tmp_path / "out", "safetensors", parts=True),
        (load_generator(saved_vae).model, load_encoder(saved_vae)),
        strict=True,
    ):
        with safe_open(file, "np") as stored:
            found = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            assert stored.metadata()["family"] == "vae"
        for layer in model.layers:
            for variable in layer.variables:
                value = found.pop(f"{layer.name}/{variable.name}")
                np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(variable))
        assert not found


def test_official_weights_come_back_as_they_were(stylegan2_reference, same_images, tmp_path):
    from safetensors.numpy import load_file

    path = import_nvidia(REFERENCE, tmp_path / "faces_generator.h5")
    ours, official = export_model(path, tmp_path / "out", "safetensors")
    assert official.name == "faces_generator_official.safetensors"
    stored = load_file(official)
    theirs = {k.removeprefix("G/"): v for k, v in stylegan2_reference.items() if k[:2] == "G/"}
    assert stored.keys() == theirs.keys()
    for name, value in theirs.items():
        assert stored[name].shape == value.shape
        np.testing.assert_allclose(stored[name], value, atol=1e-7, err_msg=name)
    again = same_images(import_nvidia(official, tmp_path / "again.h5"))
    weights = load_file(ours)
    assert weights.keys() >= {"mapping/fc0/kernel", "truncation/w_avg", "synthesis/b8_conv0/kernel"}
    for name, value in weights_by_name(again.model).items():
        np.testing.assert_array_equal(value, weights[name], err_msg=name)


def test_settings_that_tensors_do_not_show_come_back_too(styled, tmp_path):
    official = export_model(styled, tmp_path, "safetensors")[1]
    model = load_generator(import_nvidia(official, tmp_path / "again.h5")).model
    assert model.get_layer("mapping").get_layer("fc0").lr_multiplier == stylegan2.MAPPING_LR
    assert model.get_layer("synthesis").get_layer("b8_conv0").clamp == 256.0


# --- what is refused: one line, and nothing is written ---


@pytest.fixture
def refused(tmp_path, capfd):
    def check(message, path, format="onnx", parts=False):
        with pytest.raises(UserError, match=message) as refusal:
            export_model(path, tmp_path / "none", format, parts)
        assert "\n" not in str(refusal.value)
        assert not [*tmp_path.glob("none/*"), *tmp_path.glob("none/.*")]
        assert "rror" not in capfd.readouterr().err  # the converters' own reports

    return check


def test_what_cannot_be_exported(saved, saved_vae, styled, refused, tmp_path):
    refused(
        "'tflite': expected one of onnx, litert, tf_saved_model, safetensors", saved[1], "tflite"
    )
    refused("none.h5: no such file", tmp_path / "none.h5")
    refused("not a generator", saved_vae.with_stem("vae_encoder"))
    refused("a dcgan generator has none; leave it out", saved[1], parts=True)
    refused("holds mapping and synthesis already", styled, "safetensors", parts=True)
    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(saved[1].read_bytes()[:2000])
    refused("a truncated .h5 file", damaged)


def test_a_package_or_backend_that_is_missing(saved, refused, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    refused("written on TensorFlow, not on jax; set KERAS_BACKEND=tensorflow", saved[1], "litert")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    refused(r"'tf2onnx' is needed .* pip install '\.\[onnx\]'", saved[1], "onnx")


@pytest.mark.parametrize(
    ("format", "layer", "operation"),
    [
        ("onnx", keras.layers.Activation("gelu"), "Erfc"),
        ("litert", keras.layers.CategoryEncoding(6, "multi_hot"), "DenseBincount"),
    ],
)
def test_an_operation_that_a_format_lacks(
    format, layer, operation, tiny_generator, refused, tmp_path
):
    z = keras.Input((6,))
    write_model(keras.Model(z, tiny_generator()(layer(z))), tmp_path / "x.h5", {})
    refused(f"cannot hold this model .it has no operation {operation}", tmp_path / "x.h5", format)


@pytest.mark.parametrize("family", ["dcgan", "vae"])
def test_an_h5_of_half_the_size_draws_the_same_faces(family, tmp_path):
    made = {"vae": models.VAE, "dcgan": models.DCGAN}[family](
        resolution=32, latent_dim=16, base_channels=48
    )
    source = save_generator(made, tmp_path / f"{family}_{made.main_part}.h5", run="first")
    written = export_model(source, tmp_path / "halves", "h5")
    beside = {"vae": "vae_encoder.h5", "dcgan": "dcgan_discriminator.h5"}[family]
    names = [source.name, beside]
    assert [path.name for path in written] == names
    for path in written:
        assert path.stat().st_size < 0.55 * (tmp_path / path.name).stat().st_size
    before, after = load_generator(source), load_generator(written[0])
    z = latents(range(20, 84), before.latent_dim)  # not those that the export looks at
    change = np.abs(after.forward(z) - before.forward(z)).max()
    assert 0 < change * 127.5 <= 0.5
    assert after.metadata == {**before.metadata, "weights_kept_as": "float16"}
    if family == "vae":
        faces = before.sample(range(4))
        codes = [reconstruct(g, load_encoder(g.path), faces).astype(int) for g in (before, after)]
        assert np.abs(codes[0] - codes[1]).max() <= 1


def test_a_mixture_that_float16_would_move_stays_as_it_is(tmp_path):
    """Codes with large numbers, which float16 rounds by so much that faces change."""
    source = shutil.copy(SHIPPED / "combined_generator.h5", tmp_path)
    generator = load_generator(source)
    write_prior(source, fit_mixture(10 * latents(range(400), generator.latent_dim), 2))
    before = load_generator(source)
    write_halves(source, tmp_path / "half.h5")
    z = latents(range(64), before.latent_dim)
    kept, halved = before.codes(z), load_generator(tmp_path / "half.h5").codes(z)
    assert np.abs(generator(kept) - generator(halved)).max() * 127.5 > 0.5
    (path,) = export_model(source, tmp_path / "out", "h5")
    after = load_generator(path)
    np.testing.assert_array_equal(after.prior.cholesky, before.prior.cholesky)
    assert np.abs(after.sample(range(8)).astype(int) - before.sample(range(8))).max() <= 1


def test_halves_that_would_change_a_face_are_refused(tmp_path, saved_vae, tiny_family):
    with pytest.raises(UserError, match=r"by up to \d\.\d\d grey levels, and more than 0.5 is too"):
        export_model(SHIPPED / "stylegan2_generator.h5", tmp_path / "out", "h5")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UserError, match="parts: an encoder or discriminator is written beside"):
        export_model(saved_vae, tmp_path / "out", "h5", parts=True)
    with pytest.raises(UserError, match="the folder of the model itself"):
        export_model(saved_vae, saved_vae.parent, "h5")
    other = save_generator(tiny_family("dcgan"), tmp_path / "a.keras")
    with pytest.raises(UserError, match=r"a\.keras: the format h5 makes an .h5 smaller"):
        export_model(other, tmp_path / "out", "h5")
