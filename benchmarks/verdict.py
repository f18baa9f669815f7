"""Times a whole verdict on a thousand samples beside a large store, and compares the shortlist with exhaustive search.

    python benchmarks/verdict.py --out benchmarks/results/verdict.json

Structures and samples are made for it: rattled slabs on 32 x 32 x 32 voxels, as many as the thesis had, and samples
that are others of them, moved, dimmed and noisy as those of a generator are. The exhaustive search takes every
operation of every structure; it is done on small grids, where it takes minutes only.
"""

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ase.io
import click
import numpy as np
from skimage.metrics import structural_similarity

from machine import describe_machine, describe_run, package_versions, write_record
from ruo2_voxel import Grid, GridBlock, build, open_store, voxelize_many, write_grids
from ruo2_wgan.verdict.operations import apply_operation, point_operations
from ruo2_wgan.verdict.search.alignment import Aligner
from ruo2_wgan.verdict.search.features import FeatureSpace
from ruo2_wgan.verdict.search.ssim import WINDOW, similarity
from slabs import rutile_slab, write_trajectory

PACKAGES = ("ruo2-wgan", "ruo2-voxel", "torch", "numpy", "numba", "scikit-image")
TRAJECTORY = Path(__file__).resolve().parent.parent / "data" / "ruo2-bh-mini.traj"
LIMIT = 600.0  # seconds for a verdict on two cores
LENGTHS = (1, 4, 8, 16, 32)  # of shortlists; the last one is ours
SMALL = Grid(shape=(12, 12, 24), sigma=0.5)
Densities = Any


def make_store(folder: Path, n_structures: int) -> Path:
    """Slabs of 144 atoms, each rattled, at random places; a tenth held out."""
    n_frames = min(n_structures, 2000)
    trajectory = write_trajectory(folder / "bh.traj", n_frames, rutile_slab((2, 3, 4)))
    grid = Grid(shape=(32, 32, 32), sigma=0.45)
    copies = -(-n_structures // n_frames)
    path = folder / "bh.zarr"
    build(str(trajectory), path, grid, copies=copies, translate=True, n_classes=4, split_by=("run",), held_out=0.1)
    return path


def make_samples(folder: Path, n: int) -> Path:
    """Other slabs of the kind, as a generator would make them."""
    grid = Grid(shape=(32, 32, 32), sigma=0.45)
    trajectory = write_trajectory(folder / "others.traj", n, rutile_slab((2, 3, 4)), seed=1)
    structures, grid, random = (
        ase.io.read(trajectory, index=":"),
        Grid(shape=(32, 32, 32), sigma=0.45),
        np.random.default_rng(0),
    )

    def blocks() -> Any:
        for begin in range(0, n, 100):
            some = structures[begin : begin + 100]
            density = spoil(np.minimum(voxelize_many(some, grid), 1.0), random)
            yield GridBlock(density, np.stack([atoms.cell.lengths() for atoms in some]), np.full(len(some), -1))

    path = folder / "fake.zarr"
    write_grids(path, blocks(), grid, {"by": "a benchmark"})
    return path


def spoil(density: Densities, random: np.random.Generator) -> Densities:
    """Rolled in the plane, every peak dimmed a little, with faint noise."""
    rolled = np.stack([np.roll(each, random.integers(0, 12, 2), (1, 2)) for each in density])
    dimmed = rolled * random.uniform(0.8, 1.0, (len(density), density.shape[1], 1, 1, 1))
    return np.clip(dimmed + random.normal(0.0, 0.01, density.shape), 0.0, 1.0).astype(np.float32)


def time_verdict(store: Path, samples: Path, out: Path, workers: int) -> dict[str, Any]:
    """The command as a user gives it: seconds, memory at the most, and what it found."""
    command = [sys.executable, "-m", "ruo2_wgan", "evaluate", "--samples", str(samples), "--data", str(store)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(workers)}
    begin = time.perf_counter()
    subprocess.run(
        [*command, "--out", str(out), "--workers", str(workers), "--no-progress"],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - begin
    verdict = json.loads(out.read_text())
    return {
        "seconds": seconds,
        "limit_seconds": LIMIT,
        "seconds_over_limit": seconds / LIMIT,
        "samples": verdict["samples"]["n"],
        "real_structures": len(open_store(store)),
        "held_out_compared": verdict["held_out"]["n"],
        "control_compared": verdict["control"]["n"],
        "workers": workers,
        "peak_memory_MiB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }


def time_similarity(n: int) -> dict[str, float]:
    """Milliseconds for one pair of structures of 2 x 32^3 voxels, and what trying everything would take."""
    random = np.random.default_rng(0)
    first, second = random.random((2, 2, 32, 32, 32), dtype=np.float32) ** 4
    margin = [(0, 0), *[(WINDOW // 2, WINDOW // 2)] * 3]

    def by_scikit_image() -> None:
        for pair in zip(np.pad(first, margin, mode="wrap"), np.pad(second, margin, mode="wrap"), strict=True):
            structural_similarity(*pair, win_size=WINDOW, data_range=1.0)

    def best(run: Callable[[], Any]) -> float:
        run()
        times = []
        for _ in range(n):
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
        return 1e3 * min(times)

    ours, theirs = best(lambda: similarity(first, second)), best(by_scikit_image)
    operations = len(point_operations((32, 32, 32))) * 32 * 32
    return {
        "ours_ms": ours,
        "scikit_image_ms": theirs,
        "ratio": theirs / ours,
        "core_years_of_everything": 1000 * 28_903 * operations * theirs / 1e3 / 3.156e7,
    }


KINDS: dict[str, Callable[[Densities, np.random.Generator], Densities]] = {
    "as they are": lambda density, random: density,
    "noise of 0.03": lambda density, random: density + random.normal(0.0, 0.03, density.shape),
    "dimmed": lambda density, random: density * random.uniform(0.6, 1.0, (*density.shape[:2], 1, 1, 1)) + 0.01,
    "half of another": lambda density, random: np.concatenate([density[..., :12], density[::-1, ..., 12:]], axis=-1),
}


def compare_searches(n_reals: int, n_samples: int, workers: int) -> list[dict[str, Any]]:
    """How much less similar than the truly most similar structure those are that shortlists find."""
    structures = ase.io.read(TRAJECTORY, index=f"::{max(1509 // (n_reals + n_samples), 1)}")
    density = np.minimum(voxelize_many(structures, SMALL), 1.0)
    order = np.random.default_rng(0).permutation(len(density))
    reals, others = density[order[n_samples:]], density[order[:n_samples]]
    space = FeatureSpace(reals)
    found = []
    with ThreadPoolExecutor(workers) as pool:
        for kind, change in KINDS.items():
            samples = np.clip(change(others, np.random.default_rng(1)), 0.0, 1.0).astype(np.float32)
            best = np.array(list(pool.map(lambda sample: search_everything(sample, reals), samples)))
            listed = np.stack([search_shortlist(sample, reals, space) for sample in samples])
            gaps = best.max(axis=1)[:, None] - listed
            found.append(
                {
                    "samples": kind,
                    "n": len(samples),
                    "reals": len(reals),
                    "best_ssim": float(best.max(axis=1).mean()),
                    "median_ssim": float(np.median(best)),  # of the best operation of any structure
                    "mean_gap": dict(zip(map(str, LENGTHS), gaps.mean(axis=0).tolist(), strict=True)),
                    "largest_gap": dict(zip(map(str, LENGTHS), gaps.max(axis=0).tolist(), strict=True)),
                }
            )
    return found


def search_everything(sample: Densities, reals: Densities) -> Densities:
    """SSIM with each structure, at the operation that is best for it."""
    best = np.full(len(reals), -1.0)
    for point in point_operations(sample.shape[1:]):
        for shifts in itertools.product(*map(range, sample.shape[1:3])):
            moved = apply_operation(sample, point._replace(shifts=shifts))
            best = np.maximum(best, [similarity(moved, real).mean() for real in reals])
    return best


def search_shortlist(sample: Densities, reals: Densities, space: FeatureSpace) -> Densities:
    """The highest SSIM that a shortlist of each of LENGTHS finds."""
    import torch

    aligner = Aligner(sample.shape[1:])
    own = space.describe(reals)
    ways = [sample[None], np.ascontiguousarray(sample[None].swapaxes(2, 3))]
    distances = torch.stack([torch.cdist(space.describe(way), own)[0] for way in ways]).amin(dim=0)
    listed = distances.argsort()[: LENGTHS[-1]].numpy()
    operations, _ = aligner.align(sample, reals[listed])
    pairs = zip(operations, reals[listed], strict=True)
    found = np.array([similarity(apply_operation(sample, operation), real).mean() for operation, real in pairs])
    return np.array([found[:length].max() for length in LENGTHS])


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where to write the record.")
@click.option("--quick", is_flag=True, help="Few and small: to see that it runs.")
@click.option("--workers", type=click.IntRange(min=1), default=2, help="Threads.")
def main(out: Path, quick: bool, workers: int) -> None:
    """Time a verdict, and see what its search for neighbours misses."""
    n_structures, n_samples = (64, 16) if quick else (28_903, 1000)
    record: dict[str, Any] = {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "similarity": time_similarity(3 if quick else 50),
        "searches": compare_searches(*((20, 2) if quick else (100, 6)), workers),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store, samples = make_store(folder, n_structures), make_samples(folder, n_samples)
        record["verdict"] = time_verdict(store, samples, folder / "verdict.json", workers)
    write_record(record, out)


if __name__ == "__main__":
    main()
