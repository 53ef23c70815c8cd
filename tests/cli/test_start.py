"""A command line is read and checked before anything heavy is imported."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from facegen_keras.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("keras", "tensorflow", "jax", "torch", "scipy", "matplotlib", "h5py", "pandas")
REFUSED = {
    "train": [
        ["--modle", "vae"],
        ["--model", "gan"],
        ["--model", "dcgan", "--beta", "2"],
        ["--model", "stylegan2", "--progressive", "8:1"],
        ["--model", "dcgan", "--augment", "colour"],
        ["--model", "dcgan", "--data_path", "absent"],
        ["--resume", "absent"],
    ],
    "generate": [["--modle", "vae"], ["--model", "vae", "--num_images", "0"]],
    "evaluate": [
        ["--model_pth", "x.h5"],
        ["--model_path", "x.h5", "--metrics", "fdi"],
        ["--images", "absent", "--data_path", "dataset"],
    ],
    "data": [["chek", "dataset"], ["check", "absent"], ["check"]],
    "sweep": [["configs/dcgan_64.yaml", "--epoch", "2"], ["absent.yaml"]],
    "import": [["--sorce", "x"], ["x.pkl"]],
    "export": [["--format", "onxx"], []],
    "report": [["--sources"], []],
    "demo": [["--port", "0"], ["--prot", "1"], ["--crop", "1"]],
    "push": [["x.h5"], ["x.h5", "no repository"]],
}
CODE = f"""
import json, sys
from facegen_keras.cli import main
calls = json.loads(sys.argv[1])
codes = [main(call) for call in calls]
print(json.dumps([codes, [name for name in {HEAVY!r} if name in sys.modules]]))
"""


def fresh(calls, environment):
    """Exit codes, heavy modules and stderr of calls in a fresh process, and its processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(calls)],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr
    codes, heavy = json.loads(ended.stdout.splitlines()[-1])
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return codes, heavy, ended.stderr, seconds


def test_mistakes_and_help_import_nothing_heavy(unmeasured):
    assert set(REFUSED) == set(COMMANDS)
    mistakes = [[name, *flags] for name, each in REFUSED.items() for flags in each]
    calls = [*mistakes, ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)]
    codes, heavy, errors, _ = fresh(calls, unmeasured())
    assert heavy == []
    assert codes == [2] * len(mistakes) + [0] * (2 + len(COMMANDS))
    assert errors.count("\n") == errors.count("error: ") == len(mistakes)


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_a_typo_costs_less_than_a_second(name, unmeasured):
    """Of processor time: the clock would measure what else the machine does."""
    codes, _, errors, seconds = fresh([[name, *REFUSED[name][0]]], unmeasured())
    assert codes == [2]
    assert "unknown flag; did you mean" in errors
    assert seconds < 1


def test_what_is_right_is_imported(tmp_path, capsys):
    """The other half: the command itself follows."""
    (tmp_path / "x.h5").write_text("no model")
    assert main(["evaluate", "--model_path", str(tmp_path / "x.h5"), "--metrics", "is"]) == 2
    assert "x.h5" in capsys.readouterr().err
    assert "facegen_keras.cli.evaluate" in sys.modules
    assert os.environ.get("KERAS_BACKEND", "tensorflow") in sys.modules


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_written_to_without_an_error(closed, tmp_path):
    """A progress bar writes to it; and C++ to its number, which must be no file's."""
    code = (
        "import os, sys; from facegen_keras.cli import main; main(['--version'])\n"
        "file = open('x', 'w'); assert file.fileno() > 2\n"
        "for stream in (sys.stdout, sys.stderr): stream.write('bar')\n"
        "os.write(2, b'note'); file.write('fine')"
    )
    command = f'"{sys.executable}" -c "{code}" {closed}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment).returncode == 0
    assert (tmp_path / "x").read_text() == "fine"
