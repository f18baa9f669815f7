"""How time and memory of a build grow with frames and with atoms; writes a record and a plot of it.

    python benchmarks/scaling.py --out benchmarks/results/scaling.json --plot docs/images/scaling.png

Every build runs in a process of its own, which reports the most memory it held. A process that has only imported and
compiled what it needs is measured as well.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from ase import Atoms

from machine import describe_machine, describe_run, package_versions, write_record
from slabs import rutile_slab, write_trajectory

PACKAGES = ("ruo2-voxel", "ase", "numpy", "numba", "zarr")
CHILD = """
import json, resource, sys, time
from ruo2_voxel import Grid, build
source, out = sys.argv[1:3]
build(source + "@:2", out + ".warm", Grid(sigma=0.6), workers=2, overwrite=True)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begin = time.perf_counter()
build(source, out, Grid(sigma=0.6), workers=2, overwrite=True)
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "before_MiB": before / 1024,
                  "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def slab_of(n_atoms: int) -> Atoms:
    """So many atoms in the cell of the 576-atom slab: the same voxels and windows, whatever the number."""
    slab = rutile_slab()
    while len(slab) < n_atoms:
        shifted = rutile_slab()
        shifted.translate(0.5)
        slab.extend(shifted)
    return slab[np.random.default_rng(0).permutation(len(slab))[:n_atoms]]


def run_build(folder: Path, n_frames: int, n_atoms: int) -> dict[str, Any]:
    """Build from so many frames of a slab; time and memory."""
    slab = slab_of(n_atoms)
    path = write_trajectory(folder / f"{n_frames}-{len(slab)}.traj", n_frames, slab)
    out = folder / f"{n_frames}-{len(slab)}.zarr"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), str(out)], capture_output=True, text=True, check=True
    )
    return {"frames": n_frames, "atoms": len(slab), **json.loads(done.stdout)}


def measure(folder: Path, frames: list[int], atoms: list[int], n_frames: int, n_runs: int) -> dict[str, Any]:
    """Everything, as a record. Each size is built `n_runs` times; the quickest counts."""

    def best(n: int, n_atoms: int) -> dict[str, Any]:
        runs = [run_build(folder, n, n_atoms) for _ in range(n_runs)]
        return min(runs, key=lambda run: run["seconds"])

    by_frames = [best(n, 576) for n in frames]
    by_atoms = [best(n_frames, n) for n in atoms]
    return {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "by_frames": by_frames,
        "by_atoms": by_atoms,
        "exponent_of_time_in_frames": _exponent(by_frames, "frames"),
        "peak_memory_of_most_over_fewest_frames": by_frames[-1]["peak_MiB"] / by_frames[0]["peak_MiB"],
        "microseconds_per_atom_and_frame": _slope(by_atoms, "atoms") / n_frames * 1e6,
        "linear_fit_in_atoms_r_squared": _r_squared(by_atoms, "atoms"),
        "linear_fit_in_frames_r_squared": _r_squared(by_frames, "frames"),
    }


def _exponent(runs: list[dict[str, Any]], key: str) -> float:
    """b of seconds ~ key^b between the smallest and the largest size."""
    first, last = runs[0], runs[-1]
    return float(np.log(last["seconds"] / first["seconds"]) / np.log(last[key] / first[key]))


def _slope(runs: list[dict[str, Any]], key: str) -> float:
    return float(np.polyfit([run[key] for run in runs], [run["seconds"] for run in runs], 1)[0])


def _r_squared(runs: list[dict[str, Any]], key: str) -> float:
    return float(np.corrcoef([run[key] for run in runs], [run["seconds"] for run in runs])[0, 1] ** 2)


def draw(record: dict[str, Any], path: Path) -> None:
    """Time and memory against frames, and time against atoms, from the record alone."""
    from ruo2_voxel.pictures import new_figure, save_figure

    figure = new_figure(10.0, 3.2)
    left, middle, right = figure.subplots(1, 3)
    frames, atoms = record["by_frames"], record["by_atoms"]
    panels = (
        (left, frames, "frames", "seconds", "build, s"),
        (middle, frames, "frames", "peak_MiB", "peak memory, MiB"),
        (right, atoms, "atoms", "seconds", f"build of {atoms[0]['frames']} frames, s"),
    )
    for axes, runs, x, y, label in panels:
        axes.plot([run[x] for run in runs], [run[y] for run in runs], "o-", color="#0072b2")
        axes.set_xlabel("frames of 576 atoms" if x == "frames" else "atoms in a frame")
        axes.set_ylabel(label)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
    figure.tight_layout()
    save_figure(figure, path)


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Picture to draw from the record.")
@click.option("--scratch", type=click.Path(path_type=Path), help="Folder for the files.")
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
def main(out: Path, plot: Path | None, scratch: Path | None, quick: bool) -> None:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        if quick:
            record = measure(Path(folder), [10, 20], [12, 24], 10, n_runs=1)
        else:
            record = measure(Path(folder), [1000, 2000, 4000, 8000], [144, 288, 576, 1152], 1000, n_runs=3)
    write_record(record, out)
    if plot is not None:
        draw(json.loads(out.read_text()), plot)
    click.echo(f"peak memory, most over fewest frames: {record['peak_memory_of_most_over_fewest_frames']:.3g}")
    click.echo(f"time ~ frames^{record['exponent_of_time_in_frames']:.3g}")


if __name__ == "__main__":
    main()
