"""What a reference costs and refuses."""

import tracemalloc

import numpy as np
import pytest

from facegen_keras.errors import UserError
from facegen_keras.metrics import Reference, Statistics


class Wide:
    """As much of an extractor as a reference of statistics looks at, with Inception's width."""

    dim = 2048
    protocol: dict = {"extractor": "wide", "resize": "clean"}  # noqa: RUF012


def test_protocols_are_compared_without_a_matrix():
    stats = Statistics(np.zeros(2048), np.eye(2048), 9, Wide.protocol)
    stats.protocol["fingerprint"] = "f" * 64
    tracemalloc.start()
    try:
        reference = Reference(Wide(), stats)
        assert tracemalloc.get_traced_memory()[1] < 1e6  # an identity of this width takes 34 MB
    finally:
        tracemalloc.stop()
    assert reference.statistics() is stats
    assert reference.n == 9


def test_statistics_of_another_extractor_are_refused():
    stats = Statistics(np.zeros(2048), np.eye(2048), 9, {"resize": "legacy"})
    with pytest.raises(UserError, match="resize protocol is 'legacy' in one and 'clean'"):
        Reference(Wide(), stats)
    with pytest.raises(UserError, match="statistics of 3 and of 2048 features"):
        Reference(Wide(), Statistics(np.zeros(3), np.eye(3)))
