"""A fitted prior in the file of its decoder."""

import h5py
import keras
import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.export.half_weights import write_halves
from facegen_keras.export.prior import write_prior
from facegen_keras.export.write import save_generator, update_metadata
from facegen_keras.files.h5_file import seal
from facegen_keras.generate.loading import load_generator
from facegen_keras.inference import latents, to_uint8
from facegen_keras.mixture import fit_mixture


@pytest.fixture
def decoder(tiny_family):
    """A decoder of 6 numbers with a mixture far from N(0, I)."""
    model = tiny_family("vae")
    codes = np.random.default_rng(0).standard_normal((60, 6)) * [3, 1, 1, 1, 0.2, 1] + 2
    prior = fit_mixture(codes, 2)
    model.latent_prior = lambda: prior
    return model, prior


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_the_same_faces_from_a_file(decoder, tmp_path, suffix):
    model, prior = decoder
    path = save_generator(model, tmp_path / f"vae_decoder{suffix}")
    generator = load_generator(path)
    for name in ("weights", "means", "cholesky"):
        np.testing.assert_array_equal(getattr(generator.prior, name), getattr(prior, name))
    assert (generator.metadata["prior"], generator.metadata["prior_components"]) == ("mixture", 2)
    z = latents(range(20), 6)
    faces, plain = generator.sample(range(20)), to_uint8(generator(z))
    np.testing.assert_array_equal(faces, to_uint8(generator(prior.codes(z))))
    np.testing.assert_array_equal(load_generator(path).sample([7]), faces[[7]])
    assert np.abs(faces.astype(int) - plain).mean() > 1
    # Both ways to switch it off; explicit latents were never mapped.
    np.testing.assert_array_equal(load_generator(path, prior="normal").sample(range(20)), plain)
    walk, ends = generator.interpolate([3, 8], 5, loop=False), faces[[3, 8]]
    np.testing.assert_array_equal(walk[[0, -1]], ends)
    np.testing.assert_array_equal(generator.walk_between(3, 8, [0, 1]), ends)
    generator.prior = None
    np.testing.assert_array_equal(generator.sample(range(20)), plain)
    update_metadata(path, run="later")
    np.testing.assert_array_equal(load_generator(path).sample(range(20)), faces)
    network = keras.saving.load_model(path, compile=False)
    np.testing.assert_array_equal(to_uint8(network.predict(z, verbose=0)), plain)
    write_prior(path, None)
    assert load_generator(path).prior is None
    with pytest.raises(UserError, match="holds no mixture, its prior is normal"):
        load_generator(path, prior="mixture")


def test_a_file_of_halves_keeps_its_mixture_as_halves(decoder, tmp_path):
    model, _ = decoder
    codes = np.random.default_rng(1).standard_normal((600, 6)) * [3, 1, 1, 1, 0.2, 1] + 2
    prior = fit_mixture(codes, 30)
    model.latent_prior = lambda: prior
    path = save_generator(model, tmp_path / "vae_decoder.h5")
    write_halves(path, tmp_path / "half.h5")
    with h5py.File(tmp_path / "half.h5") as file:
        assert file["facegen_prior/cholesky"].dtype == np.float16
        assert file["facegen_prior/weights"].dtype == np.float32  # few numbers: nothing is saved
    kept = load_generator(tmp_path / "half.h5").prior
    np.testing.assert_allclose(kept.cholesky, prior.cholesky, rtol=1e-3, atol=1e-6)
    z = latents(range(20), 6)
    assert 0 < np.abs(kept.codes(z) - prior.codes(z)).max() < 0.02


def test_a_damaged_prior_is_one_line(decoder, tmp_path):
    model, prior = decoder
    path = save_generator(model, tmp_path / "vae_decoder.h5")
    damages = {
        "expected (2, 6)": ("means", np.zeros((2, 5))),
        "not finite": ("means", np.full((2, 6), np.nan)),
        "not positive": ("cholesky", np.zeros((2, 6, 6))),
        "0 components": ("weights", np.zeros(0)),
    }
    for reason, (name, value) in damages.items():
        write_prior(path, prior)
        with h5py.File(path, "r+") as file:
            del file["facegen_prior"][name]
            file["facegen_prior"][name] = value
            seal(file)
        with pytest.raises(UserError) as refusal:
            load_generator(path)
        assert reason in str(refusal.value)
        assert "its prior is damaged" in str(refusal.value)
        assert "\n" not in str(refusal.value)
        assert load_generator(path, prior="normal").prior is None
