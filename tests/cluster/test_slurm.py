"""A job under a real Slurm: started, put back into the queue, resumed to its end."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.xdist_group("processes")
CONFIG = """
model: vae
resolution: 32
base_channels: 4
latent_dim: 6
batch_size: 8
epochs: 60
save_interval: 20
"""


def state_of(job, environment):
    command = ["squeue", "-h", "-o", "%T", "-j", job]
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip()


def wait_until(condition, seconds, job_log):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, job_log.read_text()[-3000:]
        time.sleep(0.5)


def test_a_requeued_job_goes_on_to_its_end(only_long, slurm, environment, faces_zip, tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG)
    run, log = tmp_path / "output" / "small", tmp_path / "job.log"
    variables = {**environment(), **slurm, "OUTPUT_DIR": str(tmp_path / "output")}
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    wishes = ["--ntasks-per-node=2", "--gpus-per-node=0", "--cpus-per-task=1", f"--output={log}"]
    flags = ["--saved_models_dir", str(tmp_path / "models")]
    sent = subprocess.run(
        ["sbatch", "--parsable", *wishes, "scripts/train.slurm", config, faces_zip, *flags],
        env=variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    job = sent.stdout.strip()
    wait_until((run / "log.jsonl").exists, 240, log)
    subprocess.run(["scontrol", "requeue", job], env=variables, check=True)
    wait_until(lambda: state_of(job, variables) == "PENDING", 40, log)
    assert list((run / "checkpoints").glob("*.h5"))
    # Slurm waits two minutes before it starts a requeued job again, unless it is told not to.
    subprocess.run(["scontrol", "update", f"job={job}", "StartTime=now"], env=variables, check=True)
    wait_until(lambda: state_of(job, variables) == "", 300, log)
    assert "start 1 of job" in log.read_text()
    assert (run / "result.json").exists()
    epochs = [json.loads(line)["epoch"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, 61))
    sessions = json.loads((run / "environment.json").read_text())
    assert [session["processes"] for session in sessions] == [2, 2]
    assert sessions[1]["from_step"] > 0
