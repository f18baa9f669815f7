"""Cells of every kind, and random structures and grids to try laws on."""

import numpy as np
from ase import Atoms
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel.density.grid import Grid

# Every run tries the same examples.
LAW = settings(max_examples=30, deadline=None, derandomize=True)


def rotation(angle: float, axis: tuple[float, float, float]) -> NDArray[np.float64]:
    """Matrix that turns row vectors, r -> r @ matrix, about an axis."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    generator = np.array([[0.0, z, -y], [-z, 0.0, x], [y, -x, 0.0]])
    return np.eye(3) + np.sin(angle) * generator + (1.0 - np.cos(angle)) * generator @ generator


PERPENDICULAR = {
    "cubic": np.diag([5.0, 5.0, 5.0]),
    "orthorhombic": np.diag([4.0, 6.5, 5.3]),
    "orthorhombic, rotated": np.diag([4.0, 6.5, 5.3]) @ rotation(0.7, (1.0, 2.0, 3.0)),
    "orthorhombic, left-handed": np.diag([4.0, -6.5, 5.3]),
    "smaller than a cutoff": np.diag([1.9, 2.6, 2.2]),
}
SHEARED = {
    "hexagonal": np.array([[4.0, 0.0, 0.0], [-2.0, 12.0**0.5, 0.0], [0.0, 0.0, 6.0]]),
    "fcc, primitive": np.array([[0.0, 2.5, 2.5], [2.5, 0.0, 2.5], [2.5, 2.5, 0.0]]),
    "triclinic": np.array([[6.0, 0.0, 0.0], [2.0, 5.0, 0.0], [1.0, -1.5, 7.0]]) @ rotation(0.4, (3.0, 1.0, 2.0)),
    "triclinic, left-handed": np.array([[0.0, 6.0, 1.0], [7.0, 0.0, 0.5], [0.3, 1.0, 5.0]]),
    "triclinic, smaller than a cutoff": np.array([[1.9, 0.0, 0.0], [0.7, 2.6, 0.0], [-0.6, 0.5, 2.2]]),
}
STRONGLY_SHEARED = {
    "sheared in the plane": np.array([[5.0, 0.0, 0.0], [15.0, 5.0, 0.0], [0.0, 0.0, 5.0]]),
    "sheared out of the plane": np.array([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [10.0, 10.0, 5.0]]),
    "sheared in three planes": np.array([[5.0, 0.0, 0.0], [15.0, 5.0, 0.0], [-12.0, 10.0, 5.0]]),
}
CELLS = PERPENDICULAR | SHEARED | STRONGLY_SHEARED


@st.composite
def structures(draw: st.DrawFn, max_atoms: int = 8, perpendicular: bool = False) -> Atoms:
    """Up to eight atoms of Ru and O anywhere in and near a cell of 3 to 7 Å, of any handedness and orientation."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cell = np.diag(rng.uniform(3.0, 7.0, 3) * rng.choice([-1.0, 1.0], 3))
    if not perpendicular and draw(st.booleans()):
        cell += rng.uniform(-1.2, 1.2, (3, 3))
    n_atoms = draw(st.integers(0, max_atoms))
    scaled = rng.uniform(-0.5, 1.5, (n_atoms, 3))
    return Atoms(rng.choice(["Ru", "O"], n_atoms), positions=scaled @ cell, cell=cell, pbc=True)


@st.composite
def grids_for(draw: st.DrawFn, atoms: Atoms) -> Grid:
    """Four to twenty voxels a side, Gaussians of 0.8 to 1.6 voxels."""
    sides = st.integers(4, 20)
    shape = (draw(sides), draw(sides), draw(sides))
    widest = Grid(shape=shape).voxel_spacings(np.array(atoms.cell)).max()
    return Grid(shape=shape, sigma=draw(st.floats(0.8, 1.6)) * widest, tol=1e-5)


@st.composite
def structures_on_grids(draw: st.DrawFn, max_atoms: int = 8, perpendicular: bool = False) -> tuple[Atoms, Grid]:
    atoms = draw(structures(max_atoms, perpendicular))
    return atoms, draw(grids_for(atoms))
