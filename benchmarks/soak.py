"""Kill trainings for hours, and say whether anything was lost.

    python benchmarks/soak.py --minutes 60 --family dcgan stylegan2

Every chain is one training that is killed with -9 at five random moments and started again each
time, until it ends; then its exports, its log and its published models are compared with those of
an unbroken run, bit for bit. The seed of a chain gives its moments, so that a failure can be seen
again. docs/reliability.md has the figures.
"""

import argparse
import collections
import random
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "faults"))

import killing  # noqa: E402 - lives with the tests, which use it too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="how long")
    parser.add_argument("--family", nargs="+", default=list(killing.FAMILIES), help="which models")
    parser.add_argument("--kills", type=int, default=5, help="kills of one training")
    parser.add_argument("--seed", type=int, default=0, help="of the first chain")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        killer = killing.Killer(Path(folder), few_faces(Path(folder) / "faces.zip"))
        whole = {f: killer.train(f, f"{f}_whole") for f in options.family}
        kinds, trainings, lost, seed = collections.Counter(), 0, [], options.seed
        while time.monotonic() < deadline:
            family = options.family[seed % len(options.family)]
            moments = killing.random_moments(random.Random(seed), options.kills)
            cut = killer.train(family, f"{family}_{seed}", moments, cache=f"{family}_{seed}")
            try:
                killing.assert_nothing_lost(
                    whole[family].folder, cut.folder, killer.root / "models"
                )
            except AssertionError as error:
                lost.append((family, seed, (str(error) or repr(error)).splitlines()[0]))
            kinds.update(kind_of(told) for told in cut.kills)
            trainings += 1
            print(
                f"{family} seed {seed}: {len(cut.kills)} kills; {sum(kinds.values())} in all",
                flush=True,
            )
            seed += 1
        killer.close()
    print(f"{trainings} trainings, {sum(kinds.values())} kills: {dict(kinds)}")
    print(f"lost: {lost or 'nothing'}")
    sys.exit(1 if lost else 0)


def few_faces(path: Path) -> Path:
    """The first 48 of the bundled faces: three epochs of them are 18 steps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sample = ROOT / "dataset/sample_faces.zip"
    with zipfile.ZipFile(sample) as all_faces, zipfile.ZipFile(path, "w") as few:
        for name in sorted(all_faces.namelist())[:48]:
            few.writestr(name, all_faces.read(name))
    return path


def kind_of(told: str) -> str:
    """The kind of a kill: `start-up`, `while writing a checkpoint`, or `training`."""
    named = told.partition(",")[0]
    return named if named.startswith(("start-up", "while")) else "training"


if __name__ == "__main__":
    main()
