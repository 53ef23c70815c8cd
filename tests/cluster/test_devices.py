"""One process, several devices: the same training, each device a share of the work."""

import json

import numpy as np
import pytest

from tests.conftest import QUICK_XLA

FAMILIES = ("vae", "dcgan", "combined", "stylegan2")
# XLA compiles the others for many minutes: only with `--long`.
CASES = (
    *FAMILIES,
    "vae_gaussian",
    "vae_bfloat16",
    "dcgan_bfloat16",
    "dcgan_relativistic",
    "combined_relativistic",
    "stylegan2_lazy",
    "stylegan2_accumulate",
    "stylegan2_progressive",
    "stylegan2_bfloat16",
)


def finished(process):
    out, errors = process.communicate(timeout=1200)
    assert process.returncode == 0, errors[-3000:]
    return out


def difference(one, other, case):
    """Of all weights together, relative to their norm; in float32 the largest of any variable.

    In 16 bits one weight alone may differ by its rounding.
    """
    names = [name for name in one.files if name.startswith(f"{case}/") and "samples" not in name]
    weights = [name for name in names if "/weight" in name]
    assert len(weights) > 10
    if "16" in case:
        squares = [np.sum((one[n].astype(float) - other[n]) ** 2) for n in weights]
        return np.sqrt(sum(squares) / sum(np.sum(one[n].astype(float) ** 2) for n in weights))
    return max(
        np.abs(one[n].astype(float) - other[n]).max() / max(1e-3, np.abs(one[n]).max())
        for n in names
    )


@pytest.fixture(scope="module")
def cases(long):
    """What is trained: every family, or with `--long` every case."""
    return CASES if long else FAMILIES


@pytest.fixture(scope="module")
def trained(worker, meeting, cases, long, tmp_path_factory):
    """States after six steps, by place: 1 and 4 devices; with `--long` 2, and two processes."""
    folder = tmp_path_factory.mktemp("trained")
    everything = ",".join(cases)
    for count, present in ((1, 4), (4, 4), (2, 2)) if long else ((1, 4), (4, 4)):
        place = folder / f"{count}.npz"
        flags = QUICK_XLA if count == 1 else ""  # wrong on several (see `environment`)
        finished(worker(place, everything, str(count), devices=present, flags=flags))
    if not long:
        return {path.stem: np.load(path) for path in folder.glob("*.npz")}
    address = meeting()
    pair = [worker(folder / f"process{k}.npz", everything, f"{address},2,{k}") for k in (0, 1)]
    for process in pair:
        finished(process)
    return {path.stem: np.load(path) for path in folder.glob("*.npz")}


@pytest.mark.xdist_group("devices")
def test_the_same_training_on_one_and_four_devices(trained, cases):
    for case in cases:
        assert difference(trained["1"], trained["4"], case) < 1e-3, case
        faces = [trained[place][f"{case}/samples"].astype(int) for place in ("1", "4")]
        assert np.abs(faces[0] - faces[1]).max() <= 1, case


@pytest.mark.xdist_group("devices")
def test_two_processes_are_two_devices_bit_for_bit(only_long, trained):
    for name, value in trained["2"].items():
        for place in ("process0", "process1"):
            np.testing.assert_array_equal(trained[place][name], value, err_msg=f"{place} {name}")


@pytest.mark.xdist_group("devices")
def test_two_devices_are_one_within_rounding(only_long, trained, cases):
    for case in cases:
        assert difference(trained["1"], trained["2"], case) < 1e-3, case


@pytest.mark.xdist_group("devices")
@pytest.mark.parametrize("case", FAMILIES)
def test_a_device_does_its_share_of_the_operations(case, worker, long):
    """By XLA's own count: a training that only looks distributed does all of them everywhere."""
    if case == "stylegan2" and not long:
        pytest.skip("takes minutes: pytest tests/cluster --long")
    several = (2, 4, 8)
    places = ",".join(map(str, (1, *several)))
    process = worker("--flops", places, case, devices=8, flags=QUICK_XLA)  # it only counts
    counts = json.loads(finished(process).splitlines()[-1])
    one = counts[case]["1"]
    for devices in several:
        assert counts[case][str(devices)] <= 1.04 / devices * one, (case, devices)
