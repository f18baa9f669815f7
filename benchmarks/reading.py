"""Times reading from a store: random batches beside gathering them from memory and beside zarr's own indexing, and
blocks from a cold disk beside a plain sequential read.

    python benchmarks/reading.py --out benchmarks/results/reading.json

Cold means that the pages of the shards were dropped from the cache (posix_fadvise) before each round.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import zarr

from machine import describe_machine, describe_run, package_versions, write_record
from rounds import Timed, time_in_rounds
from ruo2_voxel import Grid, build, open_store
from slabs import rutile_slab, write_trajectory

PACKAGES = ("ruo2-voxel", "numpy", "zarr", "numcodecs")
BATCH, BLOCK = 32, 64
STORE, RAM, OINDEX = "store.read", "gather from memory", "zarr oindex"
COLD_BLOCKS, COLD_SEQUENTIAL = "store.read, cold blocks", "sequential read, cold"


class Workplace:
    """A store of many structures, and ways to read from it."""

    def __init__(self, folder: Path, n_structures: int, side: int) -> None:
        trajectory = write_trajectory(folder / "bh.traj", 256, rutile_slab((2, 2, 2)))
        grid = Grid(shape=(side, side, side), sigma=0.6)
        build(trajectory, folder / "bh.zarr", grid, copies=n_structures // 256, translate=True)
        self.store = open_store(folder / "bh.zarr")
        self.zarr = zarr.open_group(folder / "bh.zarr", mode="r")["density"]
        self.shards = sorted((folder / "bh.zarr" / "density" / "c").glob("*/0/0/0/0"))
        self.memory = self.store.read(np.arange(len(self.store)))
        self.out = np.empty((BATCH, *self.memory.shape[1:]), dtype=self.memory.dtype)
        self.block = np.empty((BLOCK, *self.memory.shape[1:]), dtype=self.memory.dtype)
        self.rng = np.random.default_rng(0)

    def warm(self, n_batches: int, n_oindex: int) -> dict[str, Timed]:
        def draw() -> Any:
            return self.rng.integers(0, len(self.store), BATCH)

        def repeat(n: int, read: Any) -> Timed:
            return Timed(lambda: [read(draw()) for _ in range(n)], n * BATCH)

        return {
            STORE: repeat(n_batches, lambda indices: self.store.read(indices, out=self.out)),
            RAM: repeat(n_batches, lambda indices: np.take(self.memory, indices, axis=0, out=self.out, mode="clip")),
            OINDEX: repeat(n_oindex, lambda indices: self.zarr.oindex[np.sort(indices)]),
        }

    def cold(self) -> dict[str, Timed]:
        n = len(self.store) // BLOCK * BLOCK
        return {COLD_BLOCKS: Timed(self.read_blocks, n), COLD_SEQUENTIAL: Timed(self.read_sequentially, n)}

    def drop_pages(self) -> None:
        for path in self.shards:
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def read_blocks(self) -> None:
        """Blocks of neighbours in an order drawn at random, as a loader reads them."""
        self.drop_pages()
        for block in self.rng.permutation(len(self.store) // BLOCK):
            self.store.read(np.arange(block * BLOCK, (block + 1) * BLOCK), out=self.block)

    def read_sequentially(self) -> None:
        self.drop_pages()
        view = memoryview(self.block).cast("B")
        for path in self.shards:
            with path.open("rb", buffering=0) as file:
                while file.readinto(view):
                    pass


def measure(folder: Path, n_structures: int, side: int, n_rounds: int, n_batches: int, n_oindex: int) -> dict[str, Any]:
    """Everything, as a record."""
    workplace = Workplace(folder, n_structures, side)
    times = time_in_rounds(workplace.warm(n_batches, n_oindex), n_rounds, "warm")
    times |= time_in_rounds(workplace.cold(), n_rounds, "cold")

    def judge(what: str, slow: str, fast: str, sense: str, target: float) -> dict[str, Any]:
        ratio = times[slow].best / times[fast].best
        met = ratio >= target if sense == "at least" else ratio <= target
        return {"what": what, "measured": ratio, "sense": sense, "target": target, "met": met}

    return {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "workload": {
            "structures": len(workplace.store),
            "structure_bytes": int(workplace.memory[0].nbytes),
            "batch": BATCH,
            "block": BLOCK,
            "rounds": n_rounds,
        },
        "structures_per_second": {
            name: {"best": 1.0 / each.best, "median": 1.0 / each.median} for name, each in times.items()
        },
        "ratios": [
            judge("rate of random batches over gathering from memory", RAM, STORE, "at least", 0.6),
            judge("rate of random batches over zarr's oindex", OINDEX, STORE, "at least", 50.0),
            judge("cold blocks over a cold sequential read, time", COLD_BLOCKS, COLD_SEQUENTIAL, "at most", 2.0),
        ],
    }


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--scratch", type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
def main(out: Path, scratch: Path | None, quick: bool) -> None:
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        record = measure(folder, 256, 8, 1, 2, 1) if quick else measure(folder, 8192, 32, 9, 100, 2)
    finally:
        shutil.rmtree(folder)
    write_record(record, out)
    for ratio in record["ratios"]:
        click.echo(f"{ratio['what']}: {ratio['measured']:.3g} (to be {ratio['sense']} {ratio['target']:g})")


if __name__ == "__main__":
    main()
