"""Times whole training steps of ruo2-wgan: presets, precisions and batches; waiting for data; two ranks beside one.

    python benchmarks/train_step.py --out benchmarks/results/train_step.json
    python benchmarks/train_step.py --device cuda --out benchmarks/results/train_step_cuda.json

A step is one update of the generator with its updates of the critic, each on a fresh batch. Structures a second are
counted once a step, as an epoch of the thesis is: its 80 epochs of 28,903 structures in 24 h are 26.8 of them a second.
A processor that computes no bfloat16 is spared the cases with it.
With --device cuda the three-dimensional presets are measured plain, recorded and compiled, in bfloat16, TF32 and
float32, with both memory formats, at batches from 32 to 1024, in less than ten minutes: structures and operations a
second, the share of what the card can do at most, memory, and the kernels that take the time. Gradients are compared
between precisions, and between recorded updates and plain ones. The record is written after each case; --resume goes
on with one that is not complete.
"""

import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from ceilings import measure_ceilings
from jobs import fill_record
from machine import describe_machine, describe_run, package_versions, write_record
from ruo2_voxel import Grid, build
from ruo2_wgan.training.launch import computes_bf16
from slabs import rutile_slab, write_trajectory
from train_step_cuda import THESIS, WAITING, compare_all, cuda_jobs, cuda_targets, gpu_answers
from training_case import measure_case

PACKAGES = ("ruo2-wgan", "ruo2-voxel", "torch", "lightning-fabric", "numpy")
PRESETS = ("vanilla-2d", "recommended-2d", "vanilla-3d", "recommended-3d")
CUDA_LIMIT = 540.0  # seconds for all; a quick run has a tenth


def make_store(folder: Path, n_structures: int, side: int) -> str:
    """Slabs at random places on a cubic grid."""
    trajectory = write_trajectory(folder / "bh.traj", 64, rutile_slab((2, 2, 2)))
    grid = Grid(shape=(side, side, side), sigma=19.2 / side)
    build(trajectory, folder / "bh.zarr", grid, copies=n_structures // 64, translate=True, label="none")
    return str(folder / "bh.zarr")


def measure_two_ranks(store: str, folder: Path, case: dict[str, Any], n_steps: int) -> dict[str, Any]:
    """One process and two ranks with the same batch, each process on one thread."""
    found = {}
    for n_ranks in (1, 2):
        case_file, out = folder / "case.json", folder / f"ranks{n_ranks}.json"
        case_file.write_text(json.dumps({**case, "steps": n_steps}))
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n_ranks)]
        command += [__file__, "--worker", str(case_file), "--store", store, "--out", str(out)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found[n_ranks] = json.loads(out.read_text())
    one, two = (found[n]["structures_per_second"] for n in (1, 2))
    return {"one": found[1], "two": found[2], "speedup": two / one}


def measure_cuda(store: str, record: dict[str, Any], out: Path, limit: float) -> None:
    """Fill the record of a GPU; where that gives up, this program starts anew and goes on."""
    write = functools.partial(write_record, path=out)
    if not fill_record(record, cuda_jobs(store, record), write, limit, gpu_answers):
        sys.stdout.flush()
        os.execv(sys.executable, [*sys.orig_argv, "--resume", "--store", store])
    record |= cuda_targets(record)


def measure_cpu(store: str, folder: Path, quick: bool) -> dict[str, Any]:
    """Presets and batches, sources, and ranks."""
    seconds = 0.0 if quick else 8.0
    batches = (8,) if quick else (32, 128)
    precisions = ("float32", "bf16") if computes_bf16() and not quick else ("float32",)
    small = ["model.generator_channels=[8,4]", "model.critic_channels=[4,8]"] if quick else []
    steps = []
    for preset in PRESETS:
        for batch, precision in itertools.product(batches, precisions):
            if preset.endswith("3d") and (batch > 32 or precision == "bf16"):
                continue  # minutes a step on two cores
            case = {"preset": preset, "device": "cpu"}
            case["set"] = [f"training.batch={batch}", f"training.precision={precision}", *small]
            found = measure_case(store, case, seconds, profiled=preset.endswith("3d"))
            steps.append({**case, "batch": batch, "precision": precision, **found})
    sources = {}
    for source in ("resident", "stream", "atoms"):
        case = {"preset": "recommended-2d", "device": "cpu"}
        case["set"] = [f"data.source={source}", "training.batch=32" if not quick else "training.batch=8", *small]
        sources[source] = measure_case(store, case, seconds)
    ranks_case = {"preset": "recommended-2d", "device": "cpu", "set": ["training.batch=64", *small]}
    ranks = measure_two_ranks(store, folder, ranks_case, 2 if quick else 8)
    worst = max(each["data_wait"] for each in sources.values())
    targets = [
        {
            "what": WAITING,
            "sense": "at most",
            "target": 0.02,
            "measured": worst,
            "met": worst <= 0.02,
        }
    ]
    record = {"steps": steps, "sources": sources, "two_ranks": ranks, "ratios": targets}
    record["ceilings"] = measure_ceilings("cpu", quick)
    jobs = compare_all(store, "cpu", tuple(small), batch=8) if quick or computes_bf16() else ()  # too slow emulated
    record["comparisons"] = [{**job.entry, **job.run()} for job in jobs]
    return record


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu")
@click.option("--scratch", type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
@click.option("--resume", is_flag=True, help="On a GPU: go on with what --out holds.")
@click.option("--worker", type=click.Path(path_type=Path), hidden=True)
@click.option("--store", hidden=True)
def main(
    out: Path, device: str, scratch: Path | None, quick: bool, resume: bool, worker: Path | None, store: str | None
) -> None:
    if worker is not None and store is not None:
        found = measure_case(store, json.loads(worker.read_text()), 1e9)
        if os.environ.get("RANK", "0") == "0":
            out.write_text(json.dumps(found))
        return
    folder = Path(store).parent if store else Path(tempfile.mkdtemp(dir=scratch))
    record: dict[str, Any] = {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "thesis_structures_per_second": THESIS,
    }
    if resume and out.exists():
        record = json.loads(out.read_text())
    try:
        if device == "cuda":
            measure_cuda(store or make_store(folder, 2048, 32), record, out, CUDA_LIMIT / 10 if quick else CUDA_LIMIT)
        else:
            record |= measure_cpu(make_store(folder, 256 if quick else 2048, 8 if quick else 32), folder, quick)
    finally:
        shutil.rmtree(folder)
    write_record(record, out)
    for ratio in record["ratios"]:
        click.echo(f"{ratio['what']}: {ratio['measured']:.3g} (to be {ratio['sense']} {ratio['target']:g})")


if __name__ == "__main__":
    main()
