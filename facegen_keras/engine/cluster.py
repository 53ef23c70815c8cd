"""Where the processes of a training meet, and which of them this is: as given, or as Slurm says."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from facegen_keras.errors import UserError

SLURM = "slurm"
PORTS = (61_440, 4_096)  # of coordinators under Slurm: first port, and how many


@dataclass(frozen=True)
class Member:
    """This process among those that train together.

    Attributes:
        index: Its number, from 0.
        count: Number of processes.
    """

    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class Cluster:
    """What `--cluster` says.

    Attributes:
        address: Host and port at which process 0 listens.
        me: This process.
        one_device_each: Whether processes of one machine have to share its devices.
    """

    address: str
    me: Member
    one_device_each: bool = False


def parse_cluster(text: str) -> Cluster:
    """What `cluster` means.

    Raises:
        UserError: It is neither `slurm` in a task of `srun` nor `HOST:PORT,N,K`.
    """
    if text == SLURM:
        return _slurm(os.environ)
    match = re.fullmatch(r"(\S+:(\d+)),(\d+),(\d+)", text)
    if not match or not int(match[4]) < int(match[3]) or not 0 < int(match[2]) < 65536:
        raise UserError(
            f"cluster {text!r}: expected {SLURM}, or HOST:PORT,N,K for process K of N, counted "
            "from 0, such as 10.0.0.1:9911,2,0"
        )
    return Cluster(match[1], Member(int(match[4]), int(match[3])))


def _slurm(environment: Mapping[str, str]) -> Cluster:
    """The cluster of a task, from the variables that `srun` sets.

    `sbatch` sets half of them for the script itself, so a step that is no task of `srun` is told
    apart by its name.
    """
    names = (
        "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_STEP_NODELIST", "SLURM_STEP_NUM_TASKS",
        "SLURM_STEP_NUM_NODES", "SLURM_STEP_TASKS_PER_NODE", "SLURM_PROCID", "SLURM_LOCALID",
    )  # fmt: skip
    missing = [name for name in names if not environment.get(name)]
    if missing or not environment["SLURM_STEP_ID"].isdigit():
        raise UserError(
            "cluster slurm: this process was not started by srun "
            f"({missing[0] + ' is not set' if missing else 'it is the batch script itself'}); "
            "start it with: srun python train.py ... --cluster slurm"
        )
    tasks = [int(count) for count in re.findall(r"\d+(?=\(|,|$)", environment[names[5]])]
    here = "127.0.0.1" if environment[names[4]] == "1" else first_host(environment[names[2]])
    step = int(environment["SLURM_JOB_ID"]) * 64 + int(environment["SLURM_STEP_ID"])
    port = PORTS[0] + step % PORTS[1]
    me = Member(int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"]))
    # `--gpus-per-task` shows each task its own GPU only; else the tasks of a node share them.
    visible = environment.get("CUDA_VISIBLE_DEVICES", "").split(",")
    shared = max(tasks) > 1 and len(visible) > 1
    return Cluster(f"{here}:{port}", me, one_device_each=shared)


def first_host(nodes: str) -> str:
    """The first of Slurm's list of nodes: `gpu007` of `gpu[007-009,12],login1`."""
    head, bracket, rest = nodes.partition("[")
    if not bracket or "," in head:
        return head.partition(",")[0]
    return head + re.split(r"[-,\]]", rest, maxsplit=1)[0]
