"""Samples of any program are read, or refused with a word on what is wrong with them."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from ruo2_voxel import Grid, GridBlock, Ruo2Error, SourceError, StoreError, voxelize, write_grids
from ruo2_wgan.errors import DataError
from ruo2_wgan.verdict.atoms.sites import atoms_of
from ruo2_wgan.verdict.structure_set import StructureSet, find_dimensions, read_structures
from tests.voxel.match import assert_same_atoms
from tests.wgan.specs import make_spec
from tests.wgan.verdict.examples import random_densities, random_sites

SHAPE = (16, 16, 24)
SPEC = make_spec(SHAPE)
SLICE_SPEC = make_spec((16, 24))
LATTICE = (7.0, 8.0, 12.0)
STRUCTURES = [atoms_of(random_sites(seed, 7, lattice=LATTICE), SPEC.species) for seed in range(4)]


def write_samples(out: Path, spec: Any = SPEC, n: int = 4, **changes: Any) -> Path:
    """A store of grids."""
    grid = spec.grid
    grid = Grid(**{"species": grid.species, "shape": grid.shape, "sigma": grid.sigma, "tol": grid.tol, **changes})
    slices = spec.dimensions == 2
    shape = (grid.shape[0], grid.shape[2]) if slices else grid.shape
    lattice = np.tile(LATTICE[-len(shape) :], (n, 1)) + np.arange(n)[:, None]
    block = GridBlock(random_densities(0, n, shape, grid.n_species), lattice, np.arange(n) - 1)
    write_grids(out, [block], grid, {"model": "test"}, slices=slices)
    return out


def write_atoms(path: Path, structures: list[Atoms]) -> Path:
    write(path, structures)
    return path


@pytest.mark.parametrize("spec", [SPEC, SLICE_SPEC], ids=["structures", "slices"])
def test_a_store_of_grids(spec, tmp_path):
    found = read_structures(write_samples(tmp_path / "fake.zarr", spec), spec, 2)
    np.testing.assert_allclose(found.density, random_densities(0, 4, spec.shape), atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(found.lattice[:, -1], [12.0, 13.0, 14.0, 15.0])
    assert found.asked.tolist() == [-1, 0, 1, 2]
    assert (len(found), found.n_threads, found.spec) == (4, 2, spec)
    assert found.density.dtype == np.float32


@pytest.mark.parametrize("name", ["fake.traj", "fake.xyz", "fake.extxyz"])
def test_a_file_of_atoms(name, tmp_path):
    found = read_structures(str(write_atoms(tmp_path / name, STRUCTURES)), SPEC)
    assert found.asked.tolist() == [-1] * 4
    np.testing.assert_allclose(found.lattice, [LATTICE] * 4)
    for density, sites, atoms in zip(found.density, found.sites, STRUCTURES, strict=True):
        np.testing.assert_allclose(density, np.minimum(voxelize(atoms, SPEC.grid), 1.0), atol=1e-5)
        assert_same_atoms(atoms_of(sites, SPEC.species), atoms, 1e-4)
        assert sites.unexplained == 0.0


def test_atoms_are_taken_as_they_are_and_not_decoded(tmp_path):
    """Two atoms in one place are two: a density would show one."""
    atoms = STRUCTURES[0] + Atoms("O", positions=[STRUCTURES[0].positions[0] + 0.01])
    found = read_structures(write_atoms(tmp_path / "fake.traj", [atoms, *STRUCTURES[1:]]), SPEC)
    assert len(found.sites[0]) == len(atoms)


def test_atoms_beyond_the_cell_are_wrapped(tmp_path):
    moved = [atoms.copy() for atoms in STRUCTURES]
    for atoms in moved:
        atoms.positions += [50.0, -30.0, 12.5]
        atoms.pbc = (True, True, False)
    found = read_structures(write_atoms(tmp_path / "fake.traj", moved), SPEC)
    for sites, atoms in zip(found.sites, moved, strict=True):
        assert ((sites.scaled >= 0.0) & (sites.scaled < 1.0)).all()
        atoms.pbc = True
        assert_same_atoms(atoms_of(sites, SPEC.species), atoms, 1e-6)


def test_classes_come_from_info(tmp_path):
    for atoms, info in zip(STRUCTURES, ({"label": 2}, {"energy_class": 1}, {"label": "low"}, {}), strict=True):
        atoms.info = info
    try:
        path = write_atoms(tmp_path / "fake.traj", STRUCTURES)
    finally:
        for atoms in STRUCTURES:
            atoms.info = {}
    assert read_structures(path, SPEC).asked.tolist() == [2, 1, -1, -1]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"shape": (16, 16, 20)}, "Ru,O on 16 x 16 x 20 voxels with sigma 0.45"),
        ({"species": ("O", "Ru")}, "O,Ru on 16 x 16 x 24 voxels with sigma 0.45"),
        ({"species": ("Ru", "O", "H")}, "Ru,O,H on 16 x 16 x 24 voxels with sigma 0.45"),
        ({"sigma": 0.5}, "Ru,O on 16 x 16 x 24 voxels with sigma 0.5"),
    ],
)
def test_another_grid_is_refused(changes, found, tmp_path):
    path = write_samples(tmp_path / "fake.zarr", **changes)
    wanted = "Ru,O on 16 x 16 x 24 voxels with sigma 0.45 Å; found "
    with pytest.raises(
        DataError, match=re.escape(f"fake.zarr: samples must have the grid of the data, {wanted}{found}")
    ):
        read_structures(path, SPEC)


def test_slices_are_no_structures_and_structures_no_slices(tmp_path):
    slices = write_samples(tmp_path / "slices.zarr", SLICE_SPEC)
    structures = write_samples(tmp_path / "structures.zarr")
    atoms = write_atoms(tmp_path / "fake.traj", STRUCTURES)
    with pytest.raises(DataError, match="found Ru,O on 16 x 24 voxels"):
        read_structures(slices, SPEC)
    with pytest.raises(DataError, match="found Ru,O on 16 x 16 x 24 voxels"):
        read_structures(structures, SLICE_SPEC)
    with pytest.raises(DataError, match=r"must be a store of slices; found a file of atoms"):
        read_structures(atoms, SLICE_SPEC)
    assert [find_dimensions(path) for path in (slices, structures, atoms)] == [2, 3, 3]


def slanted(atoms: Atoms) -> None:
    atoms.cell[1, 0] = 1.0


def turned(atoms: Atoms) -> None:
    atoms.cell[:] = atoms.cell[[1, 0, 2]]


def without_volume(atoms: Atoms) -> None:
    atoms.cell[2] = 0.0


def lost(atoms: Atoms) -> None:
    atoms.positions[2, 1] = np.nan


def with_hydrogen(atoms: Atoms) -> None:
    atoms.symbols[3] = "H"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (slanted, "cell vectors must lie along x, y and z; found [[7.0, 0.0, 0.0], [1.0, 8.0, 0.0]"),
        (turned, "cell vectors must lie along x, y and z"),
        (without_volume, "positions and cell must be finite, and the cell have a volume"),
        (lost, "positions and cell must be finite"),
        (with_hydrogen, "species must be those of the data, Ru,O; found H"),
    ],
)
def test_atoms_that_cannot_be_compared_are_named(damage, words, tmp_path):
    structures = [atoms.copy() for atoms in STRUCTURES]
    damage(structures[2])
    path = write_atoms(tmp_path / "fake.traj", structures)
    with pytest.raises(DataError, match=f"frame 2.*{re.escape(words)}"):
        read_structures(path, SPEC)


def test_one_is_too_few(tmp_path):
    with pytest.raises(DataError, match=r"fake\.traj: must hold 2 or more samples to compare; found 1"):
        read_structures(write_atoms(tmp_path / "fake.traj", STRUCTURES[:1]), SPEC)
    with pytest.raises(DataError, match=r"fake\.zarr: must hold 2 or more samples to compare; found 1"):
        read_structures(write_samples(tmp_path / "fake.zarr", n=1), SPEC)


@pytest.mark.parametrize(("name", "error"), [("none.zarr", StoreError), ("none.traj", SourceError)])
def test_nothing_there(name, error, tmp_path):
    assert issubclass(error, Ruo2Error)
    with pytest.raises(error, match=re.escape(name)):
        read_structures(tmp_path / name, SPEC)


def test_some_of_a_set_keep_what_belongs_to_them():
    sites = [random_sites(seed, 3 + seed) for seed in range(4)]
    lattice = np.array(LATTICE) + np.arange(4)[:, None]
    whole = StructureSet(random_densities(0, 4, SHAPE), lattice, np.arange(4), SPEC, 3, sites)
    some = whole.select(np.array([2, 0]))
    np.testing.assert_array_equal(some.density, whole.density[[2, 0]])
    assert some.lattice[:, 0].tolist() == [9.0, 7.0]
    assert some.asked.tolist() == [2, 0]
    assert [len(each) for each in some.sites] == [5, 3]
    assert some.n_threads == 3
    assert replace(whole, known_sites=None).select(np.array([1])).known_sites is None


def test_a_set_is_decoded_once():
    density = np.minimum(np.stack([voxelize(atoms, SPEC.grid) for atoms in STRUCTURES]), 1.0).astype(np.float32)
    called: list[int] = []
    samples = StructureSet(density, np.tile(LATTICE, (4, 1)), np.full(4, -1), SPEC)
    first = samples.find_sites(called.append)
    assert samples.sites is first
    assert samples.find_sites(called.append) is first
    assert called == [4]
    for sites, atoms in zip(first, STRUCTURES, strict=True):
        assert_same_atoms(atoms_of(sites, SPEC.species), atoms, 0.02)
