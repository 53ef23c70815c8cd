"""Trainings that are killed with -9 end as if nothing had happened: all families, all phases."""

import random
from pathlib import Path

import killing
import pytest

# 20 kills in the short version: each family in every phase, with a resume of a resume of a resume.
CHAINS = {
    "vae": [
        ("start", 0.5),
        ("writing", "cache", 0),
        ("time", 0.5),
        ("writing", "picture", 0),
        ("step", 1, 0.05),
        ("writing", "checkpoint", 2),
        ("writing", "export", 3),
    ],
    "dcgan": [
        ("step", 1, 0.0),
        ("writing", "checkpoint", 1),
        ("writing", "export", 2),
        ("step", 2, 0.1),
    ],
    "combined": [
        ("start", 2.0),
        ("time", 1.0),
        ("writing", "checkpoint", 1),
        ("step", 2, 0.02),
        ("writing", "export", 3),
    ],
    "stylegan2": [
        ("step", 1, 0.05),
        ("writing", "checkpoint", 2),
        ("start", 3.0),
        ("step", 3, 0.2),
    ],
}
KILLS = sum(len(moments) for moments in CHAINS.values())
LIMITS = (40_000, 70_000, 101_000, 110_000, 200_000)  # bytes of a file
PAUSE = 0.05  # seconds of every file: a training of 20 steps takes at least one
ONE_PHASE = " --r1_interval 1 --path_interval 1"  # four compile four times as long
LONG = 10  # chains of five kills per family: 200


@pytest.fixture(scope="module")
def killer(tmp_path_factory, faces_zip):
    killer = killing.Killer(tmp_path_factory.mktemp("kills"), faces_zip, PAUSE)
    yield killer
    killer.close()


def test_there_are_twenty_kills():
    assert KILLS == 20
    assert set(CHAINS) == set(killing.FAMILIES)


@pytest.mark.parametrize("family", CHAINS)
@pytest.mark.xdist_group("kills")
def test_nothing_is_lost(family, killer):
    more = ONE_PHASE if family == "stylegan2" else ""
    whole = killer.train(family, f"{family}_whole", more=more)
    cut = killer.train(family, f"{family}_cut", CHAINS[family], cache=family, more=more)
    assert len(cut.kills) == len(CHAINS[family]), cut.kills
    killing.assert_nothing_lost(whole.folder, cut.folder, killer.root / "models")


@pytest.mark.xdist_group("kills")
def test_a_full_disk_ends_in_one_line_and_costs_nothing(killer):
    """No file may be larger than so many bytes: each limit stops another kind of file."""
    whole = killer.train("vae", "vae_roomy")
    stopped = set()
    for limit, cache in ((1_000, "new"), *((n, "shared") for n in LIMITS)):
        code, said = killer.fill("vae", "vae_full", limit, cache)
        assert code == 2, said[-2000:]
        assert "Traceback" not in said
        (error,) = (line for line in said.splitlines() if line.startswith("error: "))
        assert "(File too large)" in error
        stopped.add(Path(error.split()[1].rstrip(":")).name[:5])
    assert len(stopped) > 2, stopped
    cut = killer.train("vae", "vae_full")
    killing.assert_nothing_lost(whole.folder, cut.folder, killer.root / "models")


@pytest.mark.parametrize("family", CHAINS)
@pytest.mark.xdist_group("kills")
def test_nothing_is_lost_at_random_moments(family, killer, request):
    if not request.config.getoption("--long"):
        pytest.skip("takes half an hour: pytest tests/faults --long")
    whole = killer.train(family, f"{family}_long")
    for seed in range(LONG):
        moments = killing.random_moments(random.Random(seed), 5)
        cut = killer.train(family, f"{family}_{seed}", moments, cache=f"{family}_{seed}")
        killing.assert_nothing_lost(whole.folder, cut.folder, killer.root / "models")
