"""Times `ruo2_voxel.decode_many` beside voxelizing the same structures, and beside a pipeline of SciPy's parts.

    python benchmarks/decode.py --out benchmarks/results/decode.json

Frames of the shipped trajectory on the default grid, all in one run, with the accuracy of each. The pipeline
(peers/decode_by_hand.py) is timed on fewer frames and stated for each frame.
"""

from pathlib import Path
from typing import Any

import click
import numpy as np
from ase.io import read

from accuracy import add_noise, score, to_uint8
from machine import describe_machine, describe_run, hold_libraries_to_one_thread, package_versions, write_record
from peers.decode_by_hand import decode_by_hand
from rounds import Timed, Times, time_in_rounds
from ruo2_voxel import Grid, decode_many, voxelize_many

TRAJECTORY = Path(__file__).resolve().parent.parent / "data" / "ruo2-bh-mini.traj"
PACKAGES = ("ruo2-voxel", "ase", "numpy", "numba", "scipy")
THREADS = 2
NOISE = 0.05

VOXELIZE, OURS, OURS_TWO, PIPELINE = "voxelize", "decode", "decode, two threads", "SciPy pipeline"
KINDS = ("float32", "uint8", f"noise of {NOISE:.0%}")


class Workplace:
    """Structures, their densities of each kind, and what each contender makes of them."""

    def __init__(self, n_frames: int, n_pipeline: int) -> None:
        self.frames = read(TRAJECTORY, ":")[:: 1509 // n_frames][:n_frames]
        self.cells = np.array([atoms.cell.array for atoms in self.frames])
        self.grid = Grid()
        exact = voxelize_many(self.frames, self.grid)
        self.out = np.zeros_like(exact)
        self.of_kind: dict[str, Any] = dict(zip(KINDS, (exact, to_uint8(exact), add_noise(NOISE)(exact)), strict=True))
        self.n_pipeline = n_pipeline

    def contenders(self, kind: str) -> dict[str, Timed]:
        n, densities = len(self.frames), self.of_kind[kind]
        return {
            VOXELIZE: Timed(lambda: voxelize_many(self.frames, self.grid, out=self.out), n),
            OURS: Timed(lambda: decode_many(densities, self.cells, self.grid), n),
            OURS_TWO: Timed(lambda: decode_many(densities, self.cells, self.grid, n_threads=THREADS), n),
            PIPELINE: Timed(lambda: self.run_pipeline(kind), self.n_pipeline),
        }

    def run_pipeline(self, kind: str) -> list[Any]:
        scale = 1.0 / 255.0 if self.of_kind[kind].dtype == np.uint8 else 1.0
        return [
            decode_by_hand(scale * density, np.diag(cell), self.grid)
            for density, cell in zip(self.of_kind[kind][: self.n_pipeline], self.cells[: self.n_pipeline], strict=True)
        ]

    def accuracy(self, kind: str) -> dict[str, Any]:
        """Of ours on all frames and on those of the pipeline, and of the pipeline."""
        ours = [decoded.atoms for decoded in decode_many(self.of_kind[kind], self.cells, self.grid)]
        n = self.n_pipeline
        return {
            OURS: score(ours, self.frames),
            f"{OURS}, frames of the pipeline": score(ours[:n], self.frames[:n]),
            PIPELINE: score(self.run_pipeline(kind), self.frames[:n]),
        }


def _ratios(times: dict[str, Times], kind: str) -> list[dict[str, Any]]:
    def judge(what: str, above: str, below: str, target: float | None) -> dict[str, Any]:
        ratio = times[above].best / times[below].best
        met = None if target is None else ratio >= target
        return {"what": what, "kind": kind, "measured": ratio, "sense": "at least", "target": target, "met": met}

    return [
        judge("SciPy pipeline over decode", PIPELINE, OURS, 20.0),
        judge("decode over voxelize", OURS, VOXELIZE, None),
        judge("one thread over two", OURS, OURS_TWO, None),
    ]


def measure(n_frames: int, n_pipeline: int, n_rounds: int) -> dict[str, Any]:
    """Everything, as a record."""
    workplace = Workplace(n_frames, n_pipeline)
    times = {kind: time_in_rounds(workplace.contenders(kind), n_rounds, kind) for kind in KINDS}
    return {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "workload": {
            "trajectory": TRAJECTORY.name,
            "frames": n_frames,
            "frames_of_the_pipeline": n_pipeline,
            "atoms_per_frame": float(np.mean([len(atoms) for atoms in workplace.frames])),
            "grid": [workplace.grid.n_species, *workplace.grid.shape],
            "sigma_angstrom": workplace.grid.sigma,
            "rounds": n_rounds,
        },
        "microseconds_per_frame": {
            kind: {name: {"best": 1e6 * each.best, "median": 1e6 * each.median} for name, each in of_kind.items()}
            for kind, of_kind in times.items()
        },
        "accuracy": {kind: workplace.accuracy(kind) for kind in KINDS},
        "ratios": [ratio for kind in KINDS for ratio in _ratios(times[kind], kind)],
    }


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
def main(out: Path, quick: bool) -> None:
    hold_libraries_to_one_thread()
    record = measure(3, 1, 1) if quick else measure(n_frames=150, n_pipeline=12, n_rounds=5)
    write_record(record, out)
    for ratio in record["ratios"]:
        target = f" (to be {ratio['sense']} {ratio['target']:g})" if ratio["target"] else ""
        click.echo(f"{ratio['what']}, {ratio['kind']}: {ratio['measured']:.3g}{target}")


if __name__ == "__main__":
    main()
