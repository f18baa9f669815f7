"""How well structures come back from their densities, over sigma, grid and what is done to the densities.

    python benchmarks/decode_accuracy.py --out benchmarks/results/decode_accuracy.json

All frames of a trajectory on the default grid, and every so many on other grids and with other widths.
"""

import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
from ase import Atoms
from ase.io import read

from accuracy import add_noise, score, to_uint8
from machine import describe_machine, describe_run, package_versions, write_record
from ruo2_voxel import AliasingWarning, Grid, GridError, decode_many, voxelize_many

TRAJECTORY = Path(__file__).resolve().parent.parent / "data" / "ruo2-bh-mini.traj"
PACKAGES = ("ruo2-voxel", "ase", "numpy", "numba", "scipy")
THREADS = 2
BLOCK = 128  # frames at a time

KINDS: dict[str, Callable[[Any], Any]] = {
    "float32": lambda densities: densities,
    "uint8": to_uint8,
    "noise 5 %": add_noise(0.05),
    "noise 20 %": add_noise(0.20),
}
SHAPES = ((24, 24, 24), (32, 32, 32), (32, 32, 64), (48, 48, 48))
SIGMAS = (0.2, 0.25, 0.3, 0.35, 0.45, 0.6, 0.8, 1.0)  # Å
DEFAULT_KINDS = ("float32", "uint8", "noise 5 %")


def decode_frames(frames: list[Atoms], grid: Grid, make: Callable[[Any], Any]) -> dict[str, Any]:
    """Accuracy over these frames, and how many decoded structures were reported as crowded."""
    found = []
    for begin in range(0, len(frames), BLOCK):
        block = frames[begin : begin + BLOCK]
        densities = make(voxelize_many(block, grid, n_threads=THREADS))
        found += decode_many(densities, [atoms.cell.array for atoms in block], grid, n_threads=THREADS)
    crowded = sum(bool(each.crowded) for each in found)
    return {**score([each.atoms for each in found], frames), "frames_reported_as_crowded": crowded}


def row(frames: list[Atoms], grid: Grid, kinds: tuple[str, ...]) -> dict[str, Any]:
    """One grid and width, with each kind of density; or why it is refused."""
    spacing = max(grid.voxel_spacings(atoms.cell.array).max() for atoms in frames)
    found: dict[str, Any] = {
        "shape": list(grid.shape),
        "sigma_angstrom": grid.sigma,
        "sigma_in_widest_voxels": grid.sigma / spacing,
        "frames": len(frames),
    }
    try:
        return found | {"kinds": {kind: decode_frames(frames, grid, KINDS[kind]) for kind in kinds}}
    except GridError as error:
        return found | {"refused": str(error).partition(":")[2].partition(";")[0].strip()}


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option(
    "--trajectory", type=click.Path(path_type=Path), default=TRAJECTORY, help="Frames to voxelize and decode."
)
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
def main(out: Path, trajectory: Path, quick: bool) -> None:
    warnings.simplefilter("ignore", AliasingWarning)
    frames = read(trajectory, "::500" if quick else ":")
    some = frames[:: max(1, len(frames) // (1 if quick else 40))]
    shapes, sigmas = (SHAPES[1:2], SIGMAS[::4]) if quick else (SHAPES, SIGMAS)
    record: dict[str, Any] = {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "trajectory": trajectory.name,
        "default": row(frames, Grid(), DEFAULT_KINDS),
        "shortest_angstrom": float(
            min(atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)].min() for atoms in some)
        ),
        "rows": [row(some, Grid(shape=shape, sigma=sigma), tuple(KINDS)) for shape, sigma in product(shapes, sigmas)],
    }
    write_record(record, out)
    for kind, accuracy in record["default"]["kinds"].items():
        click.echo(
            f"{kind}: recall {accuracy['recall']:.6g}, precision {accuracy['precision']:.6g}, "
            f"RMS error {accuracy['rms_angstrom']:.2g} Å"
        )


if __name__ == "__main__":
    main()
