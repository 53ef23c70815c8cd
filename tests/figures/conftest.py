"""What every test of figures shares: nothing that is drawn stays open."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    assert plt.get_fignums() == []
