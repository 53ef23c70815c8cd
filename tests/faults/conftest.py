"""What tests of faults share: who kills, and how much is invented (minutes with `--long`)."""

import importlib.util
import sys
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings

# The tests import it by its name, as `benchmarks/soak.py` does; its dataclass looks for itself.
SPEC = importlib.util.spec_from_file_location("killing", Path(__file__).parent / "killing.py")
sys.modules["killing"] = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(sys.modules["killing"])


def pytest_configure(config):
    settings.register_profile(
        "short",
        max_examples=60,
        deadline=timedelta(seconds=10),
        derandomize=True,  # the same everywhere; new ones are for --long
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    settings.register_profile(
        "long", settings.get_profile("short"), max_examples=3000, derandomize=False
    )
    settings.load_profile("long" if config.getoption("--long") else "short")
