"""Trainings that are killed with -9 again and again, and the question whether anything was lost.

`Killer` starts trainings and kills them at given moments; a killed one is started again with the
line that a user would type, until it ends. What it leaves must be what an unbroken training leaves,
bit for bit. `benchmarks/soak.py` does this for hours, `test_kills.py` for a minute.

Importing Keras takes longer than these trainings, so most of them are forks of one process that
has imported it and done nothing else (`serve`). Kills during the import are of fresh processes.
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = "--resolution 32 --latent_dim 6 --batch_size 8 --epochs 5 --save_interval 1 --deterministic"
CONVOLUTIONAL = f"{SMALL} --base_channels 4"
FAMILIES = {
    "vae": f"--model vae {CONVOLUTIONAL} --validation_split 0.25",
    "dcgan": f"--model dcgan {CONVOLUTIONAL} --r1_gamma 1 --r1_interval 3 --augment color",
    "combined": f"--model combined {CONVOLUTIONAL}",
    "stylegan2": f"--model stylegan2 {SMALL} --channel_base 128 --channel_max 8 --w_dim 8 "
    "--mapping_layers 1 --r1_interval 2 --path_interval 3",
}
EVERY_STEP = "--save_minutes 1e-6"
MEASURED = {"images_per_second", "peak_memory_mib", "time"}  # differ from run to run
LONGEST = 300  # seconds of one start
WRITTEN = {  # what a kill "while writing" waits for, in the run's folder
    "checkpoint": ("checkpoints", ".h5"),
    "export": ("", ".h5"),
    "picture": ("", ".png"),
}


def serve() -> None:
    """Fork a training for each line of JSON on stdin; tell its number and how it ended."""
    os.dup2(2, 1)  # answers go through their own copy of stdout
    import facegen_keras.runs.train  # noqa: F401 - imported before the forks
    from facegen_keras import cli

    answers = os.fdopen(int(sys.argv[1]), "w")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os.environ.update(request["environment"])
            if request["limit"]:
                resource.setrlimit(resource.RLIMIT_FSIZE, (request["limit"], request["limit"]))
            if request["pause"]:
                _pause_before_renaming(request["pause"])
            log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            code = 1
            try:
                code = cli.main([request["command"], *request["flags"]])
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def _pause_before_renaming(seconds: float) -> None:
    """Leave every new file half there for so long: no fast machine slips past the one who waits."""
    rename = os.replace

    def pause_and_rename(*args: Any, **kwargs: Any) -> None:
        time.sleep(seconds)
        rename(*args, **kwargs)

    os.replace = pause_and_rename


@dataclass
class Outcome:
    """One training with its kills."""

    folder: Path
    kills: list[str] = field(default_factory=list)
    starts: int = 0


class Killer:
    """Starts and kills trainings below a folder.

    Args:
        root: Where runs, models and caches go.
        faces: A zip of photos.
        pause: How many seconds a file that is to be killed in the writing waits for its new name.
        before: What comes before `python`, such as a command that takes rights away.
    """

    def __init__(
        self, root: Path, faces: Path, pause: float = 0.0, before: Sequence[str] = ()
    ) -> None:
        self.root, self.faces, self.pause = root, faces, pause
        root.mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("COV", "PYTEST"))},
            "KERAS_BACKEND": "tensorflow",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
        }
        with open(root / "server.log", "w") as log:
            self.server = subprocess.Popen(
                [*before, sys.executable, "-W", "ignore", __file__, str(writing)],
                stdin=subprocess.PIPE,
                stderr=log,
                stdout=log,
                pass_fds=(writing,),
                env=self.environment,
                cwd=ROOT,
                text=True,
            )
        os.close(writing)
        self.answers = os.fdopen(reading)

    def close(self) -> None:
        """End the server."""
        assert self.server.stdin
        self.server.stdin.close()
        self.server.wait()
        self.answers.close()

    def train(
        self,
        family: str,
        name: str,
        moments: Sequence[tuple] = (),
        cache: str = "shared",
        more: str = "",
    ) -> Outcome:
        """Train to the end, killed at each of the moments; `more` are flags of every new start.

        A moment is `("start", seconds)` in a fresh process, `("time", seconds)`, `("step", steps,
        seconds)` so long after a checkpoint so many steps further on, or `("writing", what, steps)`
        as soon as a file of `WRITTEN` is being written so many steps further on.
        """
        folder = self.root / "output" / name
        outcome = Outcome(folder)
        self.cache, self.more = self.root / "cache" / cache, more
        for moment in moments:
            told = self._start(family, folder, outcome, moment)
            outcome.kills += [told] if told else []
        self._start(family, folder, outcome, None)
        return outcome

    def _start(self, family: str, folder: Path, outcome: Outcome, moment: tuple | None) -> str:
        """One start; returns how it was killed, or nothing if it had ended before."""
        flags = self._flags(family, folder, often=moment is not None)
        log = self.root / f"{folder.name}.log"
        outcome.starts += 1
        fresh = moment is not None and moment[0] == "start"
        if fresh:
            return self._kill_fresh(flags, log, moment[1])
        child = self._fork(flags, log, pause=self.pause if moment else 0.0)
        told = self._wait(child, folder, moment) if moment else ""
        if told:
            os.kill(child, signal.SIGKILL)
        code = int(self.answers.readline())
        assert code == (-signal.SIGKILL if told else 0), log.read_text()[-3000:]
        return told

    def fill(self, family: str, name: str, limit: int, cache: str) -> tuple[int, str]:
        """Train on a disk where no file may be larger than a limit in bytes.

        Returns:
            The exit code, and what was said.
        """
        folder = self.root / "output" / name
        self.cache, self.more = self.root / "cache" / cache, ""
        log = self.root / f"{name}.{limit}.log"
        self._fork(self._flags(family, folder, often=True), log, limit)
        return int(self.answers.readline()), log.read_text()

    def say(self, name: str, words: Sequence[str], cache: str = "shared") -> tuple[int, str]:
        """Run a command line of `facegen`; returns the exit code, and what was said."""
        self.cache, log = self.root / "cache" / cache, self.root / f"{name}.log"
        self._fork(list(words[1:]), log, command=words[0])
        return int(self.answers.readline()), log.read_text()

    def _fork(
        self,
        flags: list[str],
        log: Path,
        limit: int = 0,
        pause: float = 0.0,
        command: str = "train",
    ) -> int:
        """Ask the server for a process; returns its number."""
        request = {"command": command, "flags": flags, "log": str(log)}
        request |= {"limit": limit, "pause": pause}
        request["environment"] = {"FACEGEN_CACHE": str(self.cache)}
        assert self.server.stdin
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return int(self.answers.readline())

    def _flags(self, family: str, folder: Path, often: bool) -> list[str]:
        """What a user types: the first line again until there is a run, then --resume."""
        rate = EVERY_STEP.split() if often else ["--save_minutes", "10"]
        if (folder / "config.yaml").exists():
            return ["--resume", str(folder), *rate]
        places = ["--output_dir", str(folder.parent), "--name", folder.name]
        places += ["--saved_models_dir", str(self.root / "models" / folder.name)]
        new = f"{FAMILIES[family]} {self.more}".split()
        return [*new, *rate, "--data_path", str(self.faces), *places]

    def _kill_fresh(self, flags: list[str], log: Path, seconds: float) -> str:
        with open(log, "a") as out:
            process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "train.py", *flags],
                cwd=ROOT,
                env={**self.environment, "FACEGEN_CACHE": str(self.cache)},
                stdout=out,
                stderr=out,
            )
        time.sleep(seconds)
        process.kill()
        code = process.wait()
        assert code in (-signal.SIGKILL, 0), log.read_text()[-3000:]
        return f"start-up, after {seconds:.2f} s" if code else ""

    def _wait(self, child: int, folder: Path, moment: tuple) -> str:
        """Wait for the moment; returns its name, or nothing if the training ended before."""
        kind, *rest = moment
        began, before = time.monotonic(), last_step(folder)
        while time.monotonic() - began < LONGEST:
            if _ended(child):
                return ""
            if kind == "time":
                time.sleep(min(rest[0], 0.01))
                if time.monotonic() - began >= rest[0]:
                    return f"after {rest[0]:.2f} s"
            elif kind == "step" and last_step(folder) >= before + rest[0]:
                time.sleep(rest[1])
                step = last_step(folder)
                return "" if _ended(child) else f"{rest[1] * 1000:.0f} ms later, at step {step}"
            elif kind == "writing" and last_step(folder) >= before + rest[1]:
                step = last_step(folder)
                if _is_writing(rest[0], folder, self.cache):
                    return f"while writing a {rest[0]}, step {step}"
            time.sleep(0.0002)  # a file of these is written in milliseconds
        raise AssertionError(f"{folder.name}: {moment} never came in {LONGEST} s")


def _ended(child: int) -> bool:
    """Whether a child of the server is over: it is gone, or waits to be asked."""
    try:
        stat = Path(f"/proc/{child}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def _is_writing(what: str, folder: Path, cache: Path) -> bool:
    """Whether a file of that kind is half there; of the cache, whether anything is."""
    if what == "cache":
        return cache.exists() and any(cache.iterdir())
    place, ending = WRITTEN[what]
    try:
        names = os.listdir(folder / place)
    except OSError:
        return False
    return any(name[0] == "." and ".part" in name and name.endswith(ending) for name in names)


def last_step(folder: Path) -> int:
    """The step of the newest checkpoint, 0 without one."""
    names = [path.stem for path in (folder / "checkpoints").glob("checkpoint-*.h5")]
    return max((int(name.split("-")[1]) for name in names), default=0)


def random_moments(rng: random.Random, kills: int) -> list[tuple]:
    """Moments of all kinds, in an order that a training passes through."""
    moments: list[tuple] = []
    for _ in range(kills):
        kind = rng.choice(["start", "time", "step", "step", "writing", "writing"])
        if kind == "start":
            moments.append(("start", rng.uniform(0, 4)))
        elif kind == "time":
            moments.append(("time", rng.uniform(0, 12)))
        elif kind == "step":
            moments.append(("step", rng.randrange(1, 12), rng.uniform(0, 0.3)))
        else:
            moments.append(
                ("writing", rng.choice(["checkpoint", "export", "picture"]), rng.randrange(12))
            )
    return moments


def content(path: Path) -> dict[str, np.ndarray]:
    """Every array of an HDF5 file."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def assert_nothing_lost(whole: Path, cut: Path, models: Path) -> None:
    """The exports, the log and the published models are those of the unbroken run, bit for bit."""
    # No half-written file either.
    there = [{path.name for path in folder.glob("*")} for folder in (whole, cut)]
    assert there[0] == there[1], f"{cut}: one alone has {there[0] ^ there[1]}"
    assert last_step(whole) == last_step(cut), cut
    names = sorted(path.name for path in whole.glob("*.h5"))
    assert names
    pairs = [(whole / name, cut / name) for name in names]
    # A hidden half of a file may stay where others write too.
    published, also = (
        sorted(p.name for p in (models / run.name).glob("[!.]*.h5")) for run in (whole, cut)
    )
    assert published == also, f"{cut}: published {also}, not {published}"
    pairs += [(models / whole.name / name, models / cut.name / name) for name in published]
    for one, other in pairs:
        expected, found = content(one), content(other)
        assert expected.keys() == found.keys(), other
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=f"{other} {name}")
    logs = []
    for folder in (whole, cut):
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        logs.append([{k: v for k, v in line.items() if k not in MEASURED} for line in lines])
    assert logs[0] == logs[1], f"{cut}: another log"


if __name__ == "__main__":
    serve()
