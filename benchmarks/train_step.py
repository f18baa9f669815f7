"""Times whole training steps of ruo2-wgan: presets, precisions and batches; waiting for data; two ranks beside one.

    python benchmarks/train_step.py --out benchmarks/results/train_step.json
    python benchmarks/train_step.py --device cuda --out benchmarks/results/train_step_cuda.json

A step is one update of the generator with its updates of the critic, each on a fresh batch. Structures a second are
counted once a step, as an epoch of the thesis is: its 80 epochs of 28,903 structures in 24 h are 26.8 of them a second.
With --device cuda the three-dimensional presets are measured eager and compiled, in float32, TF32 and bfloat16, with
both memory formats, at batches from 32 to 1024, in less than ten minutes.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from machine import describe_machine, describe_run, package_versions, write_record
from ruo2_voxel import Grid, build
from slabs import rutile_slab, write_trajectory

PACKAGES = ("ruo2-wgan", "ruo2-voxel", "torch", "lightning-fabric", "numpy")
THESIS = 26.8  # structures a second on four A100s
PRESETS = ("vanilla-2d", "recommended-2d", "vanilla-3d", "recommended-3d")
CUDA_BATCHES = (32, 128, 512, 1024)
CUDA_LIMIT = 540.0  # seconds for all


def make_store(folder: Path, n_structures: int, side: int) -> str:
    """Slabs at random places on a cubic grid."""
    trajectory = write_trajectory(folder / "bh.traj", 64, rutile_slab((2, 2, 2)))
    grid = Grid(shape=(side, side, side), sigma=19.2 / side)
    build(trajectory, folder / "bh.zarr", grid, copies=n_structures // 64, translate=True, label="none")
    return str(folder / "bh.zarr")


def measure_case(store: str, case: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Throughput of one configuration, after steps that are not counted."""
    import torch

    from ruo2_wgan.config import parse_assignments, resolve_config
    from ruo2_wgan.data import Batches, open_rows
    from ruo2_wgan.networks import build_networks
    from ruo2_wgan.presets import read_preset
    from ruo2_wgan.training.chance import start_step
    from ruo2_wgan.training.launch import launch
    from ruo2_wgan.training.step import Adversaries
    from ruo2_wgan.training.supply import Supply

    layers = [("preset", read_preset(case["preset"]).tables), ("--set", parse_assignments(case["set"]))]
    config = resolve_config(layers)
    fabric = launch(case["device"], config.training)
    rows = open_rows(store, config)
    adversaries = Adversaries(fabric, *build_networks(config.model, rows.spec, 100), config)
    rank, n_ranks = fabric.global_rank, fabric.world_size
    batches = Batches(rows, config, fabric.device, seed=100, rank=rank, n_ranks=n_ranks)
    supply = Supply(batches, config, rows.spec)
    size = config.training.batch // n_ranks // config.training.accumulate

    def step(number: int) -> None:
        random = start_step(100, number, rank, fabric.device)
        for _ in range(config.loss.n_critic):
            parts = supply.for_critic(size, random)
            terms, norm = adversaries.update_critic(parts)
        adversaries.update_generator(supply.for_generator(parts, random))
        torch.stack([terms.loss, norm]).tolist()  # as training does, once a step

    for number in range(3 if config.training.compile else 2):
        step(number)
    waited, begin, n_steps = batches.seconds_waited, time.perf_counter(), 0
    while n_steps < 2 or time.perf_counter() - begin < seconds:
        step(3 + n_steps)
        n_steps += 1
        if n_steps == case.get("steps"):  # of ranks, which must stop together
            break
    took = time.perf_counter() - begin
    batches.close()
    found = {
        "structures_per_second": n_steps * config.training.batch / took,
        "seconds_per_step": took / n_steps,
        "data_wait": (batches.seconds_waited - waited) / took,
        "steps": n_steps,
    }
    if fabric.device.type == "cuda":
        found["peak_memory_GiB"] = torch.cuda.max_memory_allocated() / 2**30
        torch.cuda.reset_peak_memory_stats()
    return found


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


def cuda_cases() -> Iterator[dict[str, Any]]:
    """The cheap and telling ones first: what the time limit cuts off is the last."""
    order = itertools.product((False, True), ("bf16", "tf32", "float32"), (True, False), CUDA_BATCHES)
    for compiled, precision, channels_last, batch in order:
        for preset in ("vanilla-3d", "recommended-3d"):
            assignments = [f"training.precision={precision}", f"training.batch={batch}"]
            assignments += [f"training.compile={str(compiled).lower()}"]
            assignments += [f"training.channels_last={str(channels_last).lower()}"]
            yield {"preset": preset, "device": "cuda", "set": assignments}


def measure_cuda(store: str, limit: float) -> list[dict[str, Any]]:
    """All cases that fit into the time, each noted with why it failed if it did."""
    import torch

    begin, found = time.monotonic(), []
    for case in cuda_cases():
        if time.monotonic() - begin > limit:
            break
        try:
            found.append({**case, **measure_case(store, case, 1.5)})
        except (RuntimeError, torch.OutOfMemoryError) as error:
            found.append({**case, "failed": str(error).partition("\n")[0][:200]})
        torch.cuda.empty_cache()
        torch.compiler.reset()
    return found


def describe_gpu() -> dict[str, Any]:
    """The card, its library for convolutions, and what bfloat16 makes of one of them."""
    import torch

    random = torch.Generator("cuda").manual_seed(0)
    density = torch.randn(8, 64, 16, 16, 16, device="cuda", generator=random)
    weight = torch.randn(128, 64, 4, 4, 4, device="cuda", generator=random) / 64
    exact = torch.nn.functional.conv3d(density.double(), weight.double(), stride=2)
    rough = torch.nn.functional.conv3d(density.bfloat16(), weight.bfloat16(), stride=2).double()
    return {
        "name": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "bf16_conv3d_relative_error": float((rough - exact).norm() / exact.norm()),
    }


def measure_cpu(store: str, folder: Path, quick: bool) -> dict[str, Any]:
    """Presets and batches, sources, and ranks."""
    seconds = 0.0 if quick else 8.0
    batches = (8,) if quick else (32, 128)
    small = ["model.generator_channels=[8,4]", "model.critic_channels=[4,8]"] if quick else []
    steps = []
    for preset in PRESETS:
        for batch, precision in itertools.product(batches, ("float32",) if quick else ("float32", "bf16")):
            if preset.endswith("3d") and (batch > 32 or precision == "bf16"):
                continue  # minutes a step on two cores
            case = {"preset": preset, "device": "cpu"}
            case["set"] = [f"training.batch={batch}", f"training.precision={precision}", *small]
            steps.append({**case, "batch": batch, "precision": precision, **measure_case(store, case, seconds)})
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
            "what": "largest share of time spent waiting for data",
            "sense": "at most",
            "target": 0.02,
            "measured": worst,
            "met": worst <= 0.02,
        }
    ]
    return {"steps": steps, "sources": sources, "two_ranks": ranks, "ratios": targets}


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu")
@click.option("--scratch", type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
@click.option("--worker", type=click.Path(path_type=Path), hidden=True)
@click.option("--store", hidden=True)
def main(out: Path, device: str, scratch: Path | None, quick: bool, worker: Path | None, store: str | None) -> None:
    if worker is not None and store is not None:
        found = measure_case(store, json.loads(worker.read_text()), 1e9)
        if os.environ.get("RANK", "0") == "0":
            out.write_text(json.dumps(found))
        return
    folder = Path(tempfile.mkdtemp(dir=scratch))
    record: dict[str, Any] = {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "thesis_structures_per_second": THESIS,
    }
    try:
        store = make_store(folder, 256 if quick else 2048, 8 if quick else 32)
        if device == "cuda":
            record["gpu"] = describe_gpu()
            record["cases"] = measure_cuda(store, CUDA_LIMIT)
            vanilla = [each for each in record["cases"] if each["preset"] == "vanilla-3d"]
            ratio = float(np.max([each.get("structures_per_second", 0.0) for each in vanilla])) / THESIS
            target = {"what": "fastest vanilla-3d over the thesis", "sense": "at least", "target": 50.0}
            record["ratios"] = [{**target, "measured": ratio, "met": ratio >= 50.0}]
        else:
            record |= measure_cpu(store, folder, quick)
    finally:
        shutil.rmtree(folder)
    write_record(record, out)
    for ratio in record["ratios"]:
        click.echo(f"{ratio['what']}: {ratio['measured']:.3g} (to be {ratio['sense']} {ratio['target']:g})")


if __name__ == "__main__":
    main()
