"""A model from its configuration."""

import numpy as np
import pytest

from facegen_keras.runs.build import _shown, build
from facegen_keras.runs.config import TrainConfig


def test_the_seed_decides_the_initial_weights():
    def weights(seed):
        config = TrainConfig(
            model="dcgan", resolution=32, base_channels=2, seed=seed, learning_rate=1e-3
        )
        return build(config)

    one, same, other = weights(1), weights(1), weights(2)
    for a, b in zip(one.variables, same.variables, strict=True):
        np.testing.assert_array_equal(np.array(a.value), np.array(b.value))
    kernels = [m.generator.get_layer("project").get_weights()[0] for m in (one, other)]
    assert np.abs(np.subtract(*kernels)).max() > 0.01
    rates = [float(o.learning_rate.value) for o in one.optimizer.optimizers]
    assert rates == pytest.approx([1e-3, 1e-3])
    assert one.training_config["beta_1"] == 0.5  # the paper's, filled in


def test_no_path_of_a_local_data_set_is_recorded(tmp_path):
    (tmp_path / "photos").mkdir()
    for source in (tmp_path / "photos", f"hf:{tmp_path}/photos", f"hf:{tmp_path}/photos:train"):
        assert _shown(str(source)) == "photos"
    assert _shown("hf:owner/name:train") == "hf:owner/name:train"
