"""What samples lose of their labels on the way from densities to energies, and how long a calculator takes for one.

    python benchmarks/label_consistency.py --out benchmarks/results/label_consistency.json

Structures of the shipped trajectory stand in for samples: their energies and classes are known. They are decoded from
exact, stored and noisy densities, or displaced, or relaxed; CHGNet, the potential that they were made with, gives the
energies. Where it is not installed nothing is measured. --quick takes another calculator, with which nothing fits.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from accuracy import add_noise, to_uint8
from machine import describe_machine, describe_run, hold_libraries_to_one_thread, package_versions, write_record
from ruo2_voxel import SurfaceReference, VoxelStore, build, decode_many, open_store, read_labelling, voxelize_many
from ruo2_wgan.errors import CalculatorError
from ruo2_wgan.verdict.energy.energies import evaluate_energies, load_calculator
from ruo2_wgan.verdict.energy.labels import judge_labels

TRAJECTORY = Path(__file__).resolve().parent.parent / "data" / "ruo2-bh-mini.traj"
PACKAGES = ("ruo2-wgan", "ruo2-voxel", "ase", "numpy", "chgnet", "torch")
CALCULATOR = "chgnet.model.dynamics:CHGNetCalculator"
REFERENCE = SurfaceReference(bulk_energy=-23.4386, oxygen_energy=-5.5689)  # as in the manifest
RELAXED = 5  # one in so many is relaxed as well
STEPS = 20

Densities = Any


def decoded(change: Callable[[Densities], Densities]) -> Callable[[VoxelStore, list[Atoms]], list[Atoms]]:
    """Structures voxelized, changed and decoded again."""

    def remake(store: VoxelStore, structures: list[Atoms]) -> list[Atoms]:
        densities = change(voxelize_many(structures, store.grid))
        cells = [atoms.cell.array for atoms in structures]
        return [each.atoms for each in decode_many(densities, cells, store.grid)]

    return remake


def left(_: VoxelStore, structures: list[Atoms]) -> list[Atoms]:
    """Structures as they are, without what holds some of their atoms: of samples nobody knows that."""
    return [Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True) for atoms in structures]


def displaced(deviation: float) -> Callable[[VoxelStore, list[Atoms]], list[Atoms]]:
    """Atoms at places that are off by so many Å (standard deviation along each axis)."""

    def remake(store: VoxelStore, structures: list[Atoms]) -> list[Atoms]:
        moved = left(store, structures)
        for index, atoms in enumerate(moved):
            atoms.rattle(deviation, seed=index)
        return moved

    return remake


CASES: dict[str, tuple[Callable[[VoxelStore, list[Atoms]], list[Atoms]], int]] = {
    "decoded from uint8": (decoded(to_uint8), 0),
    "decoded, noise 5 %": (decoded(add_noise(0.05)), 0),
    "decoded, noise 20 %": (decoded(add_noise(0.20)), 0),
    "displaced by 0.1 Å": (displaced(0.1), 0),
    f"as they are, {STEPS} steps of relaxation": (left, STEPS),
    f"displaced by 0.1 Å, {STEPS} steps of relaxation": (displaced(0.1), STEPS),
}


def measure(store: VoxelStore, rows: Any, name: str, calculator: BaseCalculator) -> dict[str, Any]:
    """Errors of the energies, the verdict on the labels, and the time of one structure."""
    remake, steps = CASES[name]
    rows = rows[::RELAXED] if steps else rows
    made = remake(store, [store.atoms(row) for row in rows])
    begin = time.perf_counter()
    energies = evaluate_energies(made, calculator, steps)
    seconds = (time.perf_counter() - begin) / len(made)
    verdict = judge_labels(store.energy_class[rows], energies, made, read_labelling(store))
    errors = (energies.values - store.energy[rows])[np.isfinite(energies.values)]
    kept = ("n", "failed", "exact", "within_one", "spearman", "below", "above", "label_w1")
    return {
        **{key: verdict[key] for key in kept},
        "mean_absolute_error_eV": float(abs(errors).mean()),
        "mean_error_eV": float(errors.mean()),
        "largest_error_eV": float(abs(errors).max()),
        "seconds_each": seconds,
    }


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--every", type=click.IntRange(min=1), default=10, help="One structure in so many.")
@click.option("--quick", is_flag=True, help="Tiny, to see that it works, with Lennard-Jones for CHGNet.")
def main(out: Path, every: int, quick: bool) -> None:
    hold_libraries_to_one_thread()
    spec, arguments = ("ase.calculators.lj:LennardJones", {}) if quick else (CALCULATOR, {"use_device": "cpu"})
    try:
        calculator = load_calculator(spec, arguments)
    except CalculatorError as error:
        click.echo(f"label_consistency is skipped: {error}", err=True)
        return
    record: dict[str, Any] = {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "calculator": spec,
        "cases": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        source, n_classes = (f"{TRAJECTORY}@::150", 3) if quick else (str(TRAJECTORY), 10)
        build(
            source,
            Path(folder, "bh.zarr"),
            label="surface-free-energy",
            reference=REFERENCE,
            n_classes=n_classes,
            class_method="quantile",
        )
        store = open_store(Path(folder, "bh.zarr"))
        rows = np.arange(0, len(store), 1 if quick else every)
        evaluate_energies([store.atoms(0)], calculator)  # whatever is slow the first time
        for name in CASES:
            record["cases"][name] = found = measure(store, rows, name, calculator)
            click.echo(f"{name}: {found['exact']:.0%} exact, error {found['mean_absolute_error_eV']:.2g} eV")
    write_record(record, out)


if __name__ == "__main__":
    main()
