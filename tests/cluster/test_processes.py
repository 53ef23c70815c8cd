"""Two processes on this machine: they train one run, and neither waits for one that has gone."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from facegen_keras.engine import checkpoint

SMALL = ["--model", "vae", "--resolution", "32", "--base_channels", "4", "--latent_dim", "6"]
SMALL += ["--batch_size", "8", "--save_interval", "1", "--validation_split", "0.25"]
LONGEST_WAIT = 30  # seconds until a process without its companion has ended
FEW, MANY = "2", "100000"
# The first process measures while the other waits.
MEASURED = ["--fid_every", "2", "--extractor", "efficientnet-lite0", "--fid_images", "8"]

pytestmark = pytest.mark.xdist_group("processes")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def start(root, environment, faces_zip):
    """`start(flags, devices=1)`: a training in a process of its own."""

    def run(*flags, devices=1, photos=faces_zip):
        places = ["--output_dir", f"{root}/output", "--saved_models_dir", f"{root}/models"]
        new = [] if "--resume" in flags else [*SMALL, "--data_path", str(photos)]
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "train.py", *new, *places, *flags],
            env=environment(devices),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


@pytest.fixture(scope="module")
def pair(start, meeting):
    """`pair(flags, photos=(...))`: process 0 and 1 of 2."""

    def run(*flags, **photos):
        address = meeting()
        return [
            start(*flags, "--cluster", f"{address},2,{k}", **{n: p[k] for n, p in photos.items()})
            for k in (0, 1)
        ]

    return run


def ended(process, within=240):
    """Exit code, stdout and the lines of stderr that are errors."""
    out, errors = process.communicate(timeout=within)
    lines = [line for line in errors.replace("\r", "\n").splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith("error:")]
    return process.returncode, out, lines[-20:] if "Traceback" in errors else wrong


def log_lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def state(folder):
    return checkpoint.latest(folder / "checkpoints")


def assert_same(one, other):
    assert one.state.step == other.state.step
    for name, value in one.values.items():
        np.testing.assert_array_equal(other.values[name], value, err_msg=name)


def wait_for_checkpoint(folder, process):
    begun = time.monotonic()
    while not checkpoint.find(folder / "checkpoints"):
        assert process.poll() is None, process.communicate()[1][-2000:]
        assert time.monotonic() - begun < 240
        time.sleep(0.2)


@pytest.fixture(scope="module")
def measured(long):
    """Flags that measure."""
    return MEASURED if long else []


@pytest.fixture(scope="module")
def whole(start, root, measured):
    """A run of two epochs on two devices of one process."""
    flags = ["--name", "whole", "--epochs", FEW, "--devices", "2", *measured]
    code, _, errors = ended(start(*flags, devices=2))
    assert code == 0, errors
    return root / "output" / "whole"


def test_two_processes_train_the_run_of_two_devices(whole, pair, root, measured):
    (code, out, errors), (other_code, other_out, other_errors) = [
        ended(p) for p in pair("--name", "pair", "--epochs", FEW, *measured)
    ]
    assert (code, other_code) == (0, 0), (errors, other_errors)
    assert "on 2 devices" in out
    assert other_out == ""
    folder = root / "output" / "pair"
    assert_same(state(whole), state(folder))
    lines = [log_lines(f) for f in (whole, folder)]
    assert [line["epoch"] for line in lines[1]] == [1, 2]
    for one, two in zip(*lines, strict=True):
        assert one["val_loss"] == pytest.approx(two["val_loss"], rel=1e-5)
        assert one.get("fd") == two.get("fd")
    assert ("fd" in lines[0][1]) == bool(measured)
    assert sorted(p.name for p in folder.iterdir()) == sorted(p.name for p in whole.iterdir())
    (session,) = json.loads((folder / "environment.json").read_text())
    assert (session["devices"], session["processes"]) == (2, 2)
    assert not (folder / "running.json").exists()


@pytest.mark.parametrize("killed", [0, 1])
def test_killed_the_other_ends_and_the_run_goes_on_elsewhere(
    only_long, killed, whole, pair, start, root
):
    """With -9; then two devices of one process end as if nothing had happened."""
    folder = root / "output" / f"killed{killed}"
    processes = pair("--name", folder.name, "--epochs", MANY)
    wait_for_checkpoint(folder, processes[0])
    processes[killed].kill()
    code, _, errors = ended(processes[1 - killed], LONGEST_WAIT)
    assert code < 0 or (code == 75 and "start all processes again" in errors[-1]), (code, errors)
    ended(processes[killed])
    epochs = state(folder).state.epoch + 1
    flags = ("--resume", str(folder), "--epochs", str(epochs), "--devices", "2")
    code, out, errors = ended(start(*flags, devices=2))
    assert code == 0, errors
    assert "resuming from" in out
    log = [line["epoch"] for line in log_lines(folder)]
    assert log == list(range(1, epochs + 1))
    if epochs == int(FEW):
        assert_same(state(whole), state(folder))


def test_sigterm_to_one_ends_both_and_both_go_on(only_long, pair, root):
    folder = root / "output" / "stopped"
    processes = pair("--name", folder.name, "--epochs", MANY)
    wait_for_checkpoint(folder, processes[0])
    processes[1].send_signal(signal.SIGTERM)
    results = [ended(process, LONGEST_WAIT) for process in processes]
    assert [code for code, _, _ in results] == [0, 0], results
    assert "stopped: SIGTERM received" in results[0][1]
    reached = state(folder).state
    epochs = str(reached.epoch + 1)
    results = [ended(p) for p in pair("--resume", str(folder), "--epochs", epochs)]
    assert [code for code, _, _ in results] == [0, 0], results
    assert f"after step {reached.step}" in results[0][1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "{k}"], "start all processes with the same flags"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_both(only_long, flags, message, start, meeting):
    address = meeting()
    processes = [
        start(*[f.format(k=k) for f in flags], "--cluster", f"{address},2,{k}") for k in (0, 1)
    ]
    for code, _, errors in [ended(process, 120) for process in processes]:
        assert code == 2
        assert len(errors) == 1
        assert message in errors[0]
