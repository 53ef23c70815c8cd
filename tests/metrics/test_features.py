"""One feature that is no number must not be counted as an image that is far from all others."""

import numpy as np
import pytest

from facegen_keras import metrics
from facegen_keras.errors import UserError

MEASURES = {
    "precision and recall": metrics.precision_recall,
    "recalled": metrics.recalled,
    "kernel distance": metrics.kernel_distance,
    "Fréchet distance": metrics.frechet_of_features,
    "Fréchet distance, fewer images than features": lambda a, b: metrics.frechet_of_features(
        a[:8], b[:8]
    ),
}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("measure", MEASURES)
def test_a_feature_that_is_not_finite_is_refused(measure, value):
    good = np.random.RandomState(0).randn(30, 16)
    bad = good.copy()
    bad[3, 5] = value
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(UserError, match="not finite; extract"):
            MEASURES[measure](*pair)
