"""Where processes meet: an address, or Slurm's variables; refused before anything begins."""

import pytest

from facegen_keras.engine.cluster import Member, first_host, parse_cluster
from facegen_keras.errors import UserError

TASK = {
    "SLURM_JOB_ID": "70",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "gpu[007-009,12],login1",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2)",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "CUDA_VISIBLE_DEVICES": "0,1,2,3",
}


@pytest.fixture
def slurm_task(monkeypatch):
    """`slurm_task(NAME=value)`: the environment of a task, with changes; None takes one away."""

    def set_to(**changes):
        for name, value in {**TASK, **changes}.items():
            monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(
                name, raising=False
            )

    return set_to


def test_an_address_says_where_and_who():
    found = parse_cluster("10.0.0.1:9911,4,3")
    assert (found.address, found.me, found.one_device_each) == (
        "10.0.0.1:9911",
        Member(index=3, count=4),
        False,
    )


@pytest.mark.parametrize(
    "text",
    ["", "slrum", "10.0.0.1,2,0", "host:1,2,2", "host:1,0,0", "host:0,2,0", "host:99999,2,0"],
)
def test_another_address_is_refused(text):
    with pytest.raises(UserError, match="expected slurm, or HOST:PORT,N,K"):
        parse_cluster(text)


def test_slurm_says_it_in_variables(slurm_task):
    slurm_task()
    found = parse_cluster("slurm")
    assert (found.address, found.me) == (f"gpu007:{61_440 + 70 * 64 % 4_096}", Member(5, 8))
    assert found.one_device_each


def test_a_task_that_sees_one_gpu_or_has_its_node_alone_takes_what_it_sees(slurm_task):
    slurm_task(CUDA_VISIBLE_DEVICES="3")
    assert not parse_cluster("slurm").one_device_each
    slurm_task(SLURM_STEP_TASKS_PER_NODE="1(x8)")
    assert not parse_cluster("slurm").one_device_each


def test_on_one_node_the_processes_meet_on_it(slurm_task):
    slurm_task(SLURM_STEP_NUM_NODES="1")
    assert parse_cluster("slurm").address.startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (dict.fromkeys(TASK), "SLURM_JOB_ID is not set"),
        ({"SLURM_STEP_NODELIST": None}, "SLURM_STEP_NODELIST is not set"),
        ({"SLURM_STEP_ID": "batch"}, "it is the batch script itself"),
    ],
)
def test_without_srun_slurm_is_refused(changes, reason, slurm_task):
    slurm_task(**changes)
    with pytest.raises(UserError, match=rf"{reason}\); start it with: srun python train.py"):
        parse_cluster("slurm")


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("n1", "n1"), ("n1,n2", "n1"), ("n[01-15],m2", "n01"), ("n[3,7-15]", "n3"), ("a,n[1-2]", "a")],
)
def test_the_first_of_slurms_nodes(nodes, first):
    assert first_host(nodes) == first
