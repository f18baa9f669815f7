"""The job script for Slurm, run with stand-ins for Slurm's own commands."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ruo2_wgan.training.run_folder import RunFolder
from tests.wgan.test_cli import TINY

SCRIPT = Path(__file__).parents[2] / "packages" / "ruo2-wgan" / "slurm" / "train.sbatch"

# srun starts the command and hands signals on; scontrol tells the nodes, and notes that a job is to queue again.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
"$@" &
command=$!
trap 'kill -TERM $command' TERM
while true; do wait $command && status=0 || status=$?; kill -0 $command 2>/dev/null || break; done
exit $status
"""
SCONTROL = """#!/bin/bash
case $1 in
    show) echo localhost ;;
    requeue) echo "$2" > "$REQUEUED" ;;
esac
"""


def start_job(folder: Path, store: Path, *more: str) -> "subprocess.Popen[str]":
    commands = folder / "bin"
    commands.mkdir(exist_ok=True)
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SLURM_JOB_ID": str(1000 + os.getpid() % 9000),
        "SLURM_JOB_NODELIST": "localhost",
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_CPUS_PER_TASK": "2",
        "REQUEUED": str(folder / "requeued"),
    }
    command = ["bash", str(SCRIPT), "--data", str(store), "--preset", "lattice-3d", "--device", "cpu", *TINY]
    command += ["--set", "training.batch=8", "--set", "output.log_every=1", "--run-dir", str(folder / "run"), *more]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_a_job_whose_time_is_over_leaves_a_checkpoint_queues_again_and_goes_on(
    tiny_store: Path, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    job = start_job(tmp_path, tiny_store, "--max-steps", "100000")
    begin = time.monotonic()
    while len(folder.read_stats()) < 3 and job.poll() is None and time.monotonic() - begin < 200:
        time.sleep(0.2)
    job.send_signal(signal.SIGUSR1)
    _, stderr = job.communicate(timeout=120)
    assert job.returncode == 0, stderr[-3000:]
    assert (tmp_path / "requeued").read_text().strip().isdigit()
    steps = int(folder.find_checkpoint().stem.removeprefix("step-"))
    assert steps >= 3
    (tmp_path / "requeued").unlink()
    again = start_job(tmp_path, tiny_store, "--max-steps", str(steps + 2))
    stdout, stderr = again.communicate(timeout=200)
    assert again.returncode == 0, stderr[-3000:]
    assert f"{steps + 2} steps" in stdout
    assert not (tmp_path / "requeued").exists()


@pytest.mark.slow
def test_a_job_that_fails_says_so_and_does_not_queue_again(tmp_path: Path) -> None:
    job = start_job(tmp_path, tmp_path / "no.zarr")
    _, stderr = job.communicate(timeout=200)
    assert job.returncode != 0
    assert "no.zarr: must be a voxel store; found nothing there" in stderr
    assert not (tmp_path / "requeued").exists()
