"""Small structures to build stores of, and ways to compare, damage and copy a store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import write

from ruo2_voxel import Grid

GRID = Grid(shape=(8, 10, 12), sigma=0.6)
N_FRAMES = 50


def structure(index: int, energy: bool = True) -> Atoms:
    """Three to six atoms in a cell of its own, every fifth sheared; no two alike."""
    rng = np.random.default_rng(index)
    n_atoms = 3 + index % 4
    cell = np.diag([5.0 + 0.1 * (index % 3), 6.0, 6.5])
    if index % 5 == 4:
        cell[1, 0] = 1.5
    atoms = Atoms(rng.choice(["Ru", "O"], n_atoms), positions=rng.uniform(-2.0, 9.0, (n_atoms, 3)), cell=cell)
    atoms.pbc = (True, True, index % 2 == 0)
    atoms.set_tags(np.arange(n_atoms) % 3)
    atoms.info = {"run": index // 10, "facet": "r110" if index < 25 else "r100", "mu_O": -0.25 * (index % 4)}
    atoms.info["accepted"] = index % 3 == 0
    if index % 2:
        atoms.set_constraint(FixAtoms([0, n_atoms - 1]))
    if energy:
        atoms.calc = SinglePointCalculator(atoms, energy=-8.0 * n_atoms - rng.random())
    return atoms


def write_frames(path: Path, structures: list[Atoms]) -> str:
    """Write them in the format that the name asks for; returns the name, as a user would type it."""
    write(path, structures)
    return str(path)


def replace_root(store: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Alter the attributes of a store."""
    root = json.loads((store / "zarr.json").read_text())
    change(root["attributes"])
    (store / "zarr.json").write_text(json.dumps(root))


def flip_bit(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 4
    path.write_bytes(data)


def copy_of(store: Path, folder: Path) -> Path:
    """A store to damage."""
    return Path(shutil.copytree(store, folder / "copy.zarr"))


def arrays_of(store: Path) -> dict[str, bytes]:
    """Every file of a store but its root metadata, by its path."""
    files = {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}
    del files["zarr.json"]
    return files


def attributes_of(store: Path) -> dict[str, Any]:
    """What the root metadata says, but for the time of the build."""
    attributes: dict[str, Any] = json.loads((store / "zarr.json").read_text())["attributes"]
    del attributes["created"]
    return attributes


def assert_same_store(found: Path, expected: Path) -> None:
    """Byte for byte the same arrays, and the same root metadata but for the time."""
    files, wanted = arrays_of(found), arrays_of(expected)
    assert sorted(files) == sorted(wanted)
    assert [name for name in wanted if files[name] != wanted[name]] == []
    assert attributes_of(found) == attributes_of(expected)
