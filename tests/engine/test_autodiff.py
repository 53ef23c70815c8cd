"""First and second gradients against finite differences, on every backend."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("autodiff_errors.py")
TOLERANCE = 2e-3  # float32 and steps of 0.01


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_gradients_are_those_of_finite_differences(backend, on_backend):
    if backend == "tensorflow":
        errors = runpy.run_path(str(SCRIPT))["errors"]()
    else:
        output = on_backend(SCRIPT.read_text(), backend, timeout=900)
        errors = json.loads(output.splitlines()[-1])
    facts = {name: errors.pop(name) for name in list(errors) if isinstance(errors[name], bool)}
    assert facts == {"new noise each time": True, "seed moved inside": True}
    assert len(errors) == 17
    assert {name: value for name, value in errors.items() if not value < TOLERANCE} == {}
