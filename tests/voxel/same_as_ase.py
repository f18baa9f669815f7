"""Oracle for reading: a frame, compared bit for bit with the `Atoms` object that ASE reads."""

import math
import struct
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms

from ruo2_voxel.structures.frames import Frame


def energy_of(atoms: Atoms) -> float:
    """What a user gets from ASE, or NaN if ASE has none."""
    if atoms.calc is None or "energy" not in atoms.calc.results:
        return math.nan
    return float(atoms.get_potential_energy())


def assert_identical(found: Any, expected: Any) -> None:
    """Same types, values and order, all the way down; NaN is itself."""
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        assert found.shape == expected.shape
        assert found.tobytes() == expected.tobytes()
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for (found_key, found_value), (key, value) in zip(found.items(), expected.items(), strict=True):
            assert type(found_key) is type(key)
            assert_identical(found_value, value)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_identical(one, other)
    elif isinstance(expected, float):
        assert struct.pack("d", found) == struct.pack("d", expected)
    else:
        assert found == expected


def assert_same(frame: Frame, atoms: Atoms, info: dict[str, Any] | None = None) -> None:
    """`info`, if given, is what the frame must have in place of `atoms.info`."""
    assert_identical(frame.numbers, atoms.numbers)
    assert_identical(frame.positions, atoms.positions)
    assert_identical(frame.cell, atoms.cell.array)
    assert_identical(frame.pbc, atoms.pbc)
    assert_identical(frame.energy, energy_of(atoms))
    results = {} if atoms.calc is None else atoms.calc.results
    assert_identical(frame.magnetic_moment, float(atoms.get_magnetic_moment()) if "magmom" in results else math.nan)
    assert_identical(frame.info, atoms.info if info is None else info)
    assert_identical(frame.tags, atoms.get_tags() if atoms.has("tags") else None)
    held = np.zeros(len(atoms), dtype=bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            held[constraint.index] = True
    has_fixed = any(isinstance(constraint, FixAtoms) for constraint in atoms.constraints)
    assert_identical(frame.fixed, held if has_fixed else None)
