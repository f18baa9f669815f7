"""Labels: the number of each structure that its class is made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase.data import atomic_numbers

from ruo2_voxel.structures.surface_energy import OXYGEN, SurfaceReference, count_elements, surface_free_energy
from ruo2_voxel.typing import FloatArray, IntArray

INFO: Final = "info:"
SURFACE: Final = "surface-free-energy"
LABELS: Final = ("auto", "energy-per-atom", "energy", SURFACE, "none")
UNITS: Final = {"energy-per-atom": "eV/atom", "energy": "eV", SURFACE: "eV/Å^2"}


def is_label(name: str) -> bool:
    """Whether it is a label: one of `LABELS`, or info:KEY."""
    return name in LABELS or (name.startswith(INFO) and len(name) > len(INFO))


@dataclass(frozen=True)
class Labelled:
    """What labels are made of, of structures whose atoms lie one behind the other; shapes as in a store."""

    energies: FloatArray  # (structures,), eV
    counts: IntArray  # (structures,), atoms
    numbers: IntArray  # (atoms,)
    cells: FloatArray  # (structures, 3, 3), Å
    infos: Sequence[Mapping[str, Any]]


def label_values(of: Labelled, label: str, reference: SurfaceReference | None = None) -> FloatArray:
    """The label of each structure, shape (structures,), in `units_of(label)`; NaN where it has none.

    Parameters
    ----------
    of
        The structures.
    label
        "energy" (total), "energy-per-atom", "surface-free-energy", "info:KEY" for a number in `atoms.info`, or "none".
    reference
        For "surface-free-energy": structures with other elements than its metal and oxygen, or without area, have none.
    """
    n = len(of.counts)
    if label.startswith(INFO):
        key = label.removeprefix(INFO)
        return np.array([_number(info.get(key)) for info in of.infos], dtype=np.float64)
    if label == "energy":
        return of.energies
    if label == "energy-per-atom":
        return np.where(of.counts > 0, of.energies / np.maximum(of.counts, 1), np.nan)
    if label == SURFACE and reference is not None:
        n_metal = count_elements(of.numbers, of.counts, atomic_numbers[reference.metal])
        n_oxygen = count_elements(of.numbers, of.counts, OXYGEN)
        areas = np.linalg.norm(np.cross(of.cells[:, 0], of.cells[:, 1]), axis=1)
        known = (n_metal + n_oxygen == of.counts) & (of.counts > 0) & (areas > 0.0)
        gamma = surface_free_energy(of.energies, n_metal, n_oxygen, np.where(known, areas, np.nan), reference)
        return gamma
    return np.full(n, np.nan)


def units_of(label: str) -> str:
    """Of the values that `label_values` gives; of a key of info, nobody knows here."""
    return UNITS.get(label, "")


def why_without(label: str, reference: SurfaceReference | None, energy: float, info: Mapping[str, Any]) -> str:
    """What a structure would need for a label it does not have, and what was found."""
    if label.startswith(INFO):
        key = label.removeprefix(INFO)
        found = f"{info[key]!r}" if key in info else f"the keys {', '.join(map(str, info)) or 'none'}"
        return f"info must have a finite number under the key {key!r} for --label {label}; found {found}"
    if not np.isfinite(energy):
        return f"must have an energy for --label {label}; found {energy:g}. Use --label none"
    if label == SURFACE and reference is not None:
        return (
            f"must hold atoms of {reference.metal} and O and no others for --label {label}; found other atoms, or none"
        )
    return f"must have atoms for --label {label}; found none"


def _number(value: Any) -> float:
    plain = value.item() if isinstance(value, np.generic) else value
    try:
        number = float(plain) if isinstance(plain, int | float) else math.nan
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan
