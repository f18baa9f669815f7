"""Times `ruo2_voxel.build` beside the loops that a user would write, and beside the floors below which it cannot go.

    python benchmarks/build.py --out benchmarks/results/build.json

2,000 frames of 576 atoms to uint8 grids of 2 x 32^3, all in one run. The loops are timed on fewer frames and stated
for each frame. Files lie in a temporary folder: --scratch names the disk to use.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import zarr
from ase.io import Trajectory, read, ulm
from numcodecs.zstd import Zstd

from machine import describe_machine, describe_run, hold_libraries_to_one_thread, package_versions, write_record
from rounds import Timed, Times, time_in_rounds
from ruo2_voxel import Grid, build, open_store, voxelize_many
from ruo2_voxel.density.voxelize import make_batch, render
from slabs import rutile_slab, write_trajectory

PACKAGES = ("ruo2-voxel", "ase", "numpy", "numba", "zarr", "numcodecs")
SIGMA = 0.6  # Å: 0.63 voxel along z
THREADS = 2

OURS, OURS_ONE, OURS_ZSTD = "build", "build, one thread", "build --compress"
PLAIN, GEMM = "plain loop", "loop with a matrix product"
READ, KERNEL, WRITE, WRITE_ZSTD = "raw ulm read", "kernel alone", "raw write", "raw compressed write"
ATOMS_READ = "ASE Trajectory read"


class Workplace:
    """The trajectory, and what each contender does with it."""

    def __init__(self, folder: Path, n_frames: int, n_loop: int, side: int, slab: Any) -> None:
        self.folder, self.n_frames, self.n_loop = folder, n_frames, n_loop
        self.path = write_trajectory(folder / "bh.traj", n_frames, slab)
        self.grid = Grid(shape=(side, side, side), sigma=SIGMA)
        self.batch = self._read_batch()
        self.densities = np.zeros((n_frames, 2, side, side, side), dtype=np.uint8)

    def _read_batch(self) -> Any:
        frames = read(self.path, ":")
        return make_batch(
            positions=np.concatenate([atoms.positions for atoms in frames]),
            numbers=np.concatenate([atoms.numbers for atoms in frames]),
            counts=np.array([len(atoms) for atoms in frames]),
            cells=np.array([np.asarray(atoms.cell) for atoms in frames]),
            grid=self.grid,
            where=str,
        )

    def contenders(self) -> dict[str, Timed]:
        n, m = self.n_frames, self.n_loop
        return {
            OURS: Timed(lambda: self.build(THREADS), n),
            OURS_ONE: Timed(lambda: self.build(1), n),
            OURS_ZSTD: Timed(lambda: self.build(THREADS, compress=True), n),
            PLAIN: Timed(lambda: self.loop(_density_atom_by_atom), m),
            GEMM: Timed(lambda: self.loop(_density_by_matrix_product), m),
            ATOMS_READ: Timed(self.read_atoms, m),
            READ: Timed(self.read_raw, n),
            KERNEL: Timed(lambda: render(self.batch, self.grid, THREADS, self.densities), n),
            WRITE: Timed(self.write_raw, n),
            WRITE_ZSTD: Timed(self.write_compressed, n),
        }

    def build(self, workers: int, compress: bool = False) -> None:
        out = self.folder / "ours.zarr"
        shutil.rmtree(out, ignore_errors=True)
        build(self.path, out, self.grid, workers=workers, compress=compress)

    def loop(self, density_of: Callable[[Any, Grid], Any]) -> None:
        """What a user would write: ASE, NumPy, and a Zarr array, sixteen structures at a time."""
        out = self.folder / "loop.zarr"
        shutil.rmtree(out, ignore_errors=True)
        chunk = 16
        shape = (2, *self.grid.shape)
        group = zarr.open_group(out, mode="w")
        array = group.create_array(
            "density", shape=(self.n_loop, *shape), chunks=(chunk, *shape), dtype="uint8", compressors=None
        )
        energies = np.zeros(self.n_loop)
        block = np.zeros((chunk, *shape), dtype=np.uint8)
        trajectory = Trajectory(self.path)
        for i in range(self.n_loop):
            atoms = trajectory[i]
            density = density_of(atoms, self.grid)
            block[i % chunk] = np.clip(density, 0.0, 1.0) * 255.0 + 0.5
            energies[i] = atoms.get_potential_energy()
            if i % chunk == chunk - 1 or i == self.n_loop - 1:
                begin = i - i % chunk
                array[begin : i + 1] = block[: i % chunk + 1]
        group.create_array("energy", data=energies)

    def read_atoms(self) -> None:
        trajectory = Trajectory(self.path)
        for i in range(self.n_loop):
            atoms = trajectory[i]
            atoms.get_scaled_positions()
            atoms.get_potential_energy()

    def read_raw(self) -> None:
        with ulm.open(self.path) as reader:
            for i in range(self.n_frames):
                item = reader[i]
                _ = item.positions, item.cell, item.calculator.energy

    def write_raw(self) -> None:
        self._write(lambda file: [file.write(rows.data) for rows in self._chunks()])

    def write_compressed(self) -> None:
        codec = Zstd(level=1)
        self._write(lambda file: [file.write(codec.encode(rows)) for rows in self._chunks()])

    def _chunks(self) -> list[Any]:
        return [self.densities[i : i + 16] for i in range(0, self.n_frames, 16)]

    def _write(self, fill: Callable[[Any], object]) -> None:
        path = self.folder / "raw"
        path.unlink(missing_ok=True)
        with path.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())


def _scaled_tables(atoms: Any, grid: Grid, symbol: str) -> list[Any]:
    """One-dimensional Gaussians of the nearest image of each atom, (atoms, n) along each axis; orthorhombic cells."""
    positions = atoms.positions[atoms.symbols == symbol]
    tables = []
    for axis, (n, length) in enumerate(zip(grid.shape, atoms.cell.lengths(), strict=True)):
        d = np.arange(n) * length / n - positions[:, axis, None]
        d -= length * np.round(d / length)
        tables.append(np.exp(-grid.alpha * d**2).astype(np.float32))
    return tables


def _density_atom_by_atom(atoms: Any, grid: Grid) -> Any:
    density = np.zeros((grid.n_species, *grid.shape), dtype=np.float32)
    for s, symbol in enumerate(grid.species):
        x, y, z = _scaled_tables(atoms, grid, symbol)
        for i in range(len(x)):
            density[s] += x[i][:, None, None] * y[i][None, :, None] * z[i][None, None, :]
    return density


def _density_by_matrix_product(atoms: Any, grid: Grid) -> Any:
    nx, ny, _ = grid.shape
    density = np.zeros((grid.n_species, *grid.shape), dtype=np.float32)
    for s, symbol in enumerate(grid.species):
        x, y, z = _scaled_tables(atoms, grid, symbol)
        planes = (x[:, :, None] * y[:, None, :]).reshape(len(x), nx * ny)
        density[s] = (planes.T @ z).reshape(grid.shape)
    return density


def _check(workplace: Workplace) -> dict[str, float]:
    """Largest difference of each loop, and of the store, from the voxelizer: all make the same thing."""
    atoms = read(workplace.path, "0")
    ours = voxelize_many([atoms], workplace.grid)[0]
    store = open_store(workplace.folder / "ours.zarr")
    return {
        PLAIN: float(np.abs(_density_atom_by_atom(atoms, workplace.grid) - ours).max()),
        GEMM: float(np.abs(_density_by_matrix_product(atoms, workplace.grid) - ours).max()),
        OURS: float(np.abs(store.density(0) - np.minimum(ours, 1.0)).max()),
    }


def _ratios(times: dict[str, Times]) -> list[dict[str, Any]]:
    def judge(what: str, above: float, below: float, sense: str, target: float | None) -> dict[str, Any]:
        ratio = above / below
        met = None if target is None else ratio >= target if sense == "at least" else ratio <= target
        return {"what": what, "measured": ratio, "sense": sense, "target": target, "met": met}

    floors = times[READ].best + times[KERNEL].best
    return [
        judge("plain loop over build", times[PLAIN].best, times[OURS].best, "at least", 20.0),
        judge("loop with a matrix product over build", times[GEMM].best, times[OURS].best, "at least", None),
        judge("build over the sum of its floors", times[OURS].best, floors + times[WRITE].best, "at most", 1.5),
        judge(
            "build --compress over the sum of its floors",
            times[OURS_ZSTD].best,
            floors + times[WRITE_ZSTD].best,
            "at most",
            1.5,
        ),
        judge("one thread over two", times[OURS_ONE].best, times[OURS].best, "at least", None),
    ]


def measure(folder: Path, n_frames: int, n_loop: int, side: int, n_rounds: int, slab: Any) -> dict[str, Any]:
    """Everything, as a record."""
    workplace = Workplace(folder, n_frames, n_loop, side, slab)
    times = time_in_rounds(workplace.contenders(), n_rounds, "build")
    return {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "workload": {
            "frames": n_frames,
            "atoms": len(slab),
            "grid": [2, side, side, side],
            "sigma_angstrom": SIGMA,
            "tol": workplace.grid.tol,
            "frames_of_the_loops": n_loop,
            "threads": THREADS,
            "rounds": n_rounds,
        },
        "microseconds_per_frame": {
            name: {"best": 1e6 * each.best, "median": 1e6 * each.median} for name, each in times.items()
        },
        "ratios": _ratios(times),
        "largest_difference": _check(workplace),
    }


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--scratch", type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
def main(out: Path, scratch: Path | None, quick: bool) -> None:
    hold_libraries_to_one_thread()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        if quick:
            record = measure(Path(folder), n_frames=40, n_loop=3, side=16, n_rounds=1, slab=rutile_slab((1, 1, 2)))
        else:
            record = measure(Path(folder), n_frames=2000, n_loop=60, side=32, n_rounds=7, slab=rutile_slab())
    write_record(record, out)
    for ratio in record["ratios"]:
        target = f" (to be {ratio['sense']} {ratio['target']:g})" if ratio["target"] else ""
        click.echo(f"{ratio['what']}: {ratio['measured']:.3g}{target}")


if __name__ == "__main__":
    main()
