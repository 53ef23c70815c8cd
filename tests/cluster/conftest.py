"""Virtual devices, processes that train together, and a Slurm of one node."""

import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
AVX2 = "--xla_cpu_max_isa=AVX2" if platform.machine() in ("x86_64", "AMD64") else ""


@pytest.fixture(scope="session")
def long(request):
    """Whether everything is to be trained: `--long`."""
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def only_long(long):
    """For tests that take minutes; of the session, so that it comes before what they prepare."""
    if not long:
        pytest.skip("takes minutes: pytest tests/cluster --long")


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """`environment(devices, flags="")`: of a process on JAX with so many virtual devices."""
    compiled = tmp_path_factory.mktemp("compiled")

    def make(devices=1, flags=""):
        return {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_NUM_CPU_DEVICES": str(devices),
            # Not quickly compiled: with --xla_backend_optimization_level=0 jaxlib 0.10.2 makes a
            # step of the combined model on two devices whose gradients are 3 % wrong. On an Intel
            # processor with AMX its AVX-512 code has the same error without that flag.
            "XLA_FLAGS": f"{AVX2} {flags}",
            # Most processes compile what another has compiled before.
            "JAX_COMPILATION_CACHE_DIR": str(compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "PYTHONPATH": str(ROOT),
        }

    return make


@pytest.fixture(scope="session")
def worker(environment):
    """`worker(*arguments, devices=1, flags="")`: start worker.py; returns the `Popen`."""

    def start(*arguments, devices=1, flags=""):
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", ROOT / "tests/cluster/worker.py", *arguments],
            env=environment(devices, flags),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture(scope="session")
def meeting():
    """`meeting()`: an address of this machine where nobody listens."""

    def choose():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{free.getsockname()[1]}"

    return choose


NEEDED = ("slurmctld", "slurmd", "srun", "sbatch", "munged")
PORTS = "SlurmctldPort=16817\nSlurmdPort=16818\nSrunPortRange=16820-16899"
CONFIGURATION = """
ClusterName=tests
SlurmctldHost={node}(127.0.0.1)
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
ReturnToService=2
KillWait=30
{ports}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus}
PartitionName=main Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="session")
def slurm():
    """The environment of Slurm's commands; the daemons end with the session."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"Slurm is not installed here ({', '.join(missing)}): apt install slurm-wlm munge"
        )
    if os.geteuid() != 0:
        pytest.skip("starting a Slurm of one's own needs root")
    folder = Path(tempfile.mkdtemp(prefix="slurm"))
    folder.chmod(0o755)  # munged refuses a socket that others could not reach
    node = socket.gethostname().partition(".")[0]
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    (folder / "slurm.conf").write_text(
        CONFIGURATION.format(node=node, folder=folder, ports=PORTS, cpus=os.cpu_count())
    )
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key"]
    munged += [f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid"]
    munged += [f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"]
    daemons = []
    try:
        for command in (munged, ["slurmctld", "-D"], ["slurmd", "-D", "-N", node]):
            daemons.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            time.sleep(1)
        for _ in range(30):
            state = subprocess.run(
                ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True
            ).stdout.split()
            if state == ["idle"]:
                break
            time.sleep(1)
        else:
            logs = "".join(path.read_text()[-500:] for path in folder.glob("*.log"))
            pytest.fail(f"Slurm did not start: {state}\n{logs}")
        yield environment
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)
