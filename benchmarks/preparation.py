"""Times what is done to structures before they are voxelized, beside reading them with ASE: cells prepared and labels
classified, structures screened, slices cut on the fly.

    python benchmarks/preparation.py --out benchmarks/results/preparation.json

The structures are those of the shipped trajectory, over and over until there are 6,035.
"""

import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
import numpy as np
from ase.io.trajectory import Trajectory

from machine import describe_machine, describe_run, package_versions, write_record
from rounds import Timed, Times, time_in_rounds
from ruo2_voxel import Grid, Preparation, SliceChoice, SliceView, build, classify, open_frames, open_store
from ruo2_voxel.structures.labels import Labelled, label_values
from ruo2_voxel.structures.preparation import Preparer
from ruo2_voxel.structures.screening import screen

PACKAGES = ("ruo2-voxel", "ase", "numpy", "numba")
DATA = Path(__file__).resolve().parent.parent / "data" / "ruo2-bh-mini.traj"
ALL_STEPS = Preparation(orthogonal=True, square=True, vacuum=12.0)
READ, OURS, PREPARE, LABEL, SCREEN = "ASE Trajectory read", "open_frames", "prepare", "label", "screen"
VIEW, STRUCTURES = "slices cut on the fly", "structures read"
BATCH = 256


class Workplace:
    """Structures in memory and on disk, and what is done to them."""

    def __init__(self, folder: Path, n_frames: int) -> None:
        self.frames = list(islice(cycle(open_frames(DATA)), n_frames))
        self.n_frames = n_frames
        self.n_in_file = len(open_frames(DATA))
        build(f"{DATA}@:{min(n_frames, 1024)}", folder / "bh.zarr", Grid(), label="none")
        self.store = open_store(folder / "bh.zarr")
        self.view = SliceView(self.store, SliceChoice())
        self.rng = np.random.default_rng(0)

    def contenders(self) -> dict[str, Timed]:
        n = self.n_frames
        return {
            READ: Timed(self.read_with_ase, n),
            OURS: Timed(self.read, n),
            PREPARE: Timed(self.prepare, n),
            LABEL: Timed(self.label, n),
            SCREEN: Timed(lambda: [screen(frame) for frame in self.frames], n),
        }

    def reading(self) -> dict[str, Timed]:
        n = len(self.store) // BATCH * BATCH
        out = np.empty((BATCH, *self.view.row_shape), dtype=self.view.dtype)
        grids = np.empty((BATCH, *self.store.layout.row_shape), dtype=self.store.dtype)

        def read_slices() -> None:
            for _ in range(n // BATCH):
                self.view.read(self.rng.integers(0, len(self.view), BATCH), out=out)

        def read_structures() -> None:
            for _ in range(n // BATCH):
                self.store.read(self.rng.integers(0, len(self.store), BATCH), out=grids)

        return {VIEW: Timed(read_slices, n), STRUCTURES: Timed(read_structures, n)}

    def read_with_ase(self) -> None:
        """Positions in the cell and the energy of each: what a plain preparation would begin with."""
        with Trajectory(DATA) as trajectory:
            for index in range(self.n_frames):
                atoms = trajectory[index % self.n_in_file]
                atoms.get_scaled_positions()
                atoms.get_potential_energy()

    def read(self) -> None:
        left = self.n_frames
        while left > 0:
            left -= sum(1 for _ in open_frames(f"{DATA}@:{left}"))

    def prepare(self) -> None:
        prepare = Preparer(ALL_STEPS).frame
        for frame in self.frames:
            prepare(frame)

    def label(self) -> None:
        of = Labelled(
            energies=np.array([frame.energy for frame in self.frames]),
            counts=np.array([len(frame.numbers) for frame in self.frames]),
            numbers=np.concatenate([frame.numbers for frame in self.frames]),
            cells=np.array([frame.cell for frame in self.frames]),
            infos=[frame.info for frame in self.frames],
        )
        for name in ("energy", "energy-per-atom", "info:mu_O"):
            classify(label_values(of, name))


def measure(folder: Path, n_frames: int, n_rounds: int) -> dict[str, Any]:
    """Everything, as a record."""
    workplace = Workplace(folder, n_frames)
    times = time_in_rounds(workplace.contenders(), n_rounds, "structures")
    reading = time_in_rounds(workplace.reading(), n_rounds, "slices")

    def judge(what: str, ours: list[Times], theirs: Times, target: float | None) -> dict[str, Any]:
        ratio = sum(each.best for each in ours) / theirs.best
        met = None if target is None else ratio <= target
        return {"what": what, "measured": ratio, "sense": "at most", "target": target, "met": met}

    return {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "workload": {"frames": n_frames, "rounds": n_rounds, "atoms": sum(len(f.numbers) for f in workplace.frames)},
        "microseconds_per_frame": {
            name: {"best": 1e6 * each.best, "median": 1e6 * each.median} for name, each in times.items()
        },
        "microseconds_per_grid": {
            name: {"best": 1e6 * each.best, "median": 1e6 * each.median} for name, each in reading.items()
        },
        "ratios": [
            judge("preparing and labelling over reading with ASE", [times[PREPARE], times[LABEL]], times[READ], 1.0),
            judge(
                "preparing, labelling and screening over reading with ASE",
                [times[PREPARE], times[LABEL], times[SCREEN]],
                times[READ],
                None,
            ),
            judge("a slice cut on the fly over reading a structure", [reading[VIEW]], reading[STRUCTURES], None),
        ],
    }


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
def main(out: Path, quick: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        record = measure(Path(folder), 256, 1) if quick else measure(Path(folder), 6035, 5)
    write_record(record, out)
    for ratio in record["ratios"]:
        goal = "" if ratio["target"] is None else f" (to be {ratio['sense']} {ratio['target']:g})"
        click.echo(f"{ratio['what']}: {ratio['measured']:.3g}{goal}")


if __name__ == "__main__":
    main()
