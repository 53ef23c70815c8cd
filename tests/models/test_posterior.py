"""Latents drawn from photos' Gaussians have those Gaussians' moments."""

import numpy as np

from facegen_keras.models.posterior import draw_latents


def test_drawn_latents():
    statistics = {
        "mean": np.full((20_000, 2), [3.0, -1.0]),
        "log_variance": np.full((20_000, 2), [0.0, np.log(0.25)]),
    }
    z = draw_latents(statistics, seed=1)
    np.testing.assert_allclose(z.mean(axis=0), [3, -1], atol=0.03)
    np.testing.assert_allclose(z.std(axis=0), [1, 0.5], atol=0.02)
    np.testing.assert_array_equal(z, draw_latents(statistics, seed=1))
    assert abs(np.corrcoef(z.T)[0, 1]) < 0.03
