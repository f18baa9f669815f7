"""A verdict as `ruo2-wgan evaluate` writes it, small, of real structures: rattled ones stand for samples."""

from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from ruo2_voxel import Grid, decode_many, voxelize_many

TRAJECTORY = Path(__file__).parents[3] / "data" / "ruo2-bh-mini.traj"
GRID = Grid(species=("Ru", "O"), shape=(16, 16, 48), sigma=0.45)
LIMITS = {
    "unexplained": 0.4,
    "distance": {"Ru-Ru": 2.4, "Ru-O": 1.7, "O-O": 1.2},
    "link": 2.6037,
    "vacuum": 9.8124,
    "atoms": {"Ru": [14, 20], "O": [20, 35]},
    "copy_angstrom": 0.25,
}
FIGURES = (
    *("valid", "unique", "copied", "valid_unique_new", "composition_w1", "ratio_w1", "coordination_emd", "rdf_w1"),
    *("profile_w1", "lattice_w1", "lattice_mae", "decode_residual", "sliced_wasserstein", "frechet", "precision"),
    *("recall", "density", "coverage", "diversity", "stripe_index", "ssim_train", "ssim_held_out"),
    "memorisation_ratio",
)
REASONS = ("unexplained", "distance", "link", "vacuum", "atoms")
OF_SAMPLES = (
    *(0.934, 0.991, 0.012, 0.913, 1.31, 0.041, 0.087, 0.052, 0.113, 0.061, 0.072, 0.114, 0.153, 0.231),
    *(0.871, 0.792, 0.913, 0.841, 0.962, 1.12, 0.893, 0.881, 1.014),
)
OF_HELD_OUT = (
    *(0.986, 0.994, 0.007, 0.973, 0.62, 0.018, 0.024, 0.019, 0.037, 0.028, 0.033, 0.021, 0.064, 0.078),
    *(0.942, 0.928, 0.984, 0.951, 0.988, 1.01, 0.902, 0.911, 0.99),
)
OF_CONTROL = (
    *(0.213, 1.0, 0.0, 0.213, 1.48, 0.047, 0.512, 0.214, 0.452, 0.058, 0.069, 0.467, 0.582, 1.93),
    *(0.112, 0.203, 0.117, 0.154, 1.21, 1.37, 0.612, 0.609, 1.005),
)


def figures_of(values: tuple[float, ...], n: int) -> dict[str, Any]:
    """Of one of the three."""
    invalid = dict(zip(REASONS, np.round((1.0 - values[0]) * np.array([0.3, 0.4, 0.1, 0.0, 0.5]), 4), strict=True))
    invalid = {reason: float(share) for reason, share in invalid.items()}
    return {"n": n, "invalid": invalid, **dict(zip(FIGURES, values, strict=True))}


def make_verdict(dimensions: int = 3) -> dict[str, Any]:
    """A whole verdict; a new one each time, so that a test may alter it."""
    real, fake = _structures()
    samples = [_structure(index, atoms, dimensions) for index, atoms in enumerate(fake)]
    samples[1] |= {"valid": False, "why": ["distance", "unexplained"]}
    return {
        "format": 1,
        "made": {
            "samples": "run",
            "data": "bh.zarr",
            "step": 1200,
            "seed": 0,
            "checkpoint": "run/checkpoints/step-00001200.ckpt",
            "created": "2026-11-27T21:14:05+00:00",
            "seconds": 12.3,
            "versions": {"ruo2-wgan": "0.1.0", "ruo2-voxel": "0.1.0", "torch": "2.13.0"},
        },
        "data": {
            "species": ["Ru", "O"],
            "shape": [*GRID.shape] if dimensions == 3 else [GRID.shape[0], GRID.shape[2]],
            "dimensions": dimensions,
            "sigma_angstrom": GRID.sigma,
            "n_train": 1200,
            "n_reference": 1000,
            "n_held_out": 300,
            "held_out_from": "split",
        },
        "limits": {**LIMITS},
        "samples": figures_of(OF_SAMPLES, 1000),
        "held_out": figures_of(OF_HELD_OUT, 300),
        "control": figures_of(OF_CONTROL, 300),
        "labels": {
            "label": "energy-per-atom",
            "unit": "eV/atom",
            "edges": [-7.61, -7.42, -7.3, -7.04],
            "calculator": "mace.calculators:mace_mp",
            "relaxed_steps": 0,
            "samples": _labels([[21, 9, 3], [7, 20, 6], [2, 8, 22]], 0.712, 0.031),
            "held_out": _labels([[31, 2, 0], [1, 30, 2], [0, 1, 31]], 0.957, 0.008),
            "control": _labels([[12, 11, 10], [11, 12, 10], [10, 11, 11]], 0.034, 0.187),
        },
        "signs": ["The samples are less varied than the data: coverage 0.84, of held-out structures 0.95."],
        "evidence": {
            "histograms": _histograms(real, fake),
            "neighbours": [_neighbour(k, real[k], fake[k], dimensions) for k in range(4)],
            "structures": {
                "samples": samples,
                "held_out": [_structure(index, atoms, dimensions) for index, atoms in enumerate(real[-3:])],
            },
        },
    }


@cache
def _structures() -> tuple[list[Atoms], list[Atoms]]:
    """Real structures, and what is decoded from the densities of rattled ones."""
    real = ase.io.read(TRAJECTORY, index="::180")
    rattled = [atoms.copy() for atoms in real]
    for seed, atoms in enumerate(rattled):
        atoms.calc = None
        atoms.rattle(0.12, seed=seed)
    lengths = np.array([atoms.cell.lengths() for atoms in rattled])
    decoded = decode_many(np.minimum(voxelize_many(rattled, GRID), 1.0), lengths, GRID)
    return real, [each.atoms for each in decoded]


def _structure(index: int, atoms: Atoms, dimensions: int) -> dict[str, Any]:
    lattice, positions = atoms.cell.lengths(), atoms.get_positions(wrap=True)
    if dimensions == 2:
        near = np.abs(positions[:, 1] - np.median(positions[:, 1])) < 0.8
        atoms, lattice, positions = atoms[near], lattice[[0, 2]], positions[near][:, [0, 2]]
    return {
        "index": index,
        "lattice": lattice.round(4).tolist(),
        "species": atoms.get_chemical_symbols(),
        "positions": positions.round(3).tolist(),
        "label": index % 3,
        "valid": True,
        "why": [],
    }


def _neighbour(index: int, real: Atoms, fake: Atoms, dimensions: int) -> dict[str, Any]:
    density = np.minimum(voxelize_many([fake, real], GRID), 1.0)
    lengths = real.cell.lengths()
    planes = {"xz": (density.max(axis=3), lengths[[0, 2]]), "yz": (density.max(axis=2), lengths[[1, 2]])}
    views = [
        {"name": name, "lengths": sides.tolist(), "fake": _pack(pair[0]), "real": _pack(pair[1])}
        for name, (pair, sides) in list(planes.items())[: dimensions - 1]
    ]
    scores = {"Ru": 0.951 - 0.01 * index, "O": 0.912 - 0.02 * index}
    return {
        "sample": 17 + index,
        "row": 4711 + index,
        "ssim": round(sum(scores.values()) / 2, 4),
        "ssim_by_species": scores,
        "copy": index == 0,
        "views": views,
    }


def _pack(density: np.ndarray[Any, Any]) -> dict[str, Any]:
    levels = np.rint(255 * density).astype(np.uint8)
    return {"shape": list(levels.shape), "data": b64encode(levels.tobytes()).decode()}


def _labels(confusion: list[list[int]], spearman: float, distance: float) -> dict[str, Any]:
    table = np.array(confusion)
    near = sum(int(np.trace(table, offset)) for offset in (-1, 0, 1))
    return {
        "n": 100,
        "failed": 2,
        "failures": [{"sample": 5, "error": "no convergence"}, {"sample": 61, "error": "atoms too close"}],
        "exact": round(float(np.trace(table) / table.sum()), 4),
        "within_one": round(near / float(table.sum()), 4),
        "spearman": spearman,
        "confusion": confusion,
        "below": 1,
        "above": 0,
        "label_w1": distance,
    }


def _histograms(real: list[Atoms], fake: list[Atoms]) -> list[dict[str, Any]]:
    broken = [atoms.copy() for atoms in real]
    for seed, atoms in enumerate(broken):
        atoms.rattle(0.5, seed=seed)
    found = []
    for name, unit, measure, edges in (
        ("Ru-O distance", "Å", _distances, np.linspace(1.4, 5.0, 49)),
        ("Height of Ru", "Å", lambda atoms: atoms.positions[atoms.symbols == "Ru", 2], np.linspace(0.0, 21.0, 43)),
        ("Height of O", "Å", lambda atoms: atoms.positions[atoms.symbols == "O", 2], np.linspace(0.0, 21.0, 43)),
        ("Number of O", "atoms", lambda atoms: [np.sum(atoms.symbols == "O")], np.arange(17.5, 41.0)),
    ):
        histogram: dict[str, Any] = {"name": name, "unit": unit, "edges": edges.tolist()}
        for of, structures in (("samples", fake), ("held_out", real[::2]), ("control", broken), ("train", real)):
            values = np.concatenate([measure(atoms) for atoms in structures])
            counts = np.histogram(values, edges)[0]
            histogram[of] = (counts / max(float(counts @ np.diff(edges)), 1e-12)).tolist()
        found.append(histogram)
    return found


def _distances(atoms: Atoms) -> np.ndarray[Any, Any]:
    ru, o = (np.flatnonzero(atoms.symbols == symbol) for symbol in ("Ru", "O"))
    return np.concatenate([atoms.get_distances(i, o, mic=True) for i in ru])
