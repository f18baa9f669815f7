"""What is exported, ASE reads as it was: same axes, node 0 on the cell's corner."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io.cube import read_cube
from ase.io.xsf import read_xsf
from numpy.typing import NDArray

from ruo2_voxel import Grid, GridError, Ruo2Error, VoxelStore, build, export_grid, open_store, voxelize, write_grid
from tests.voxel.random_structures import PERPENDICULAR, SHEARED
from tests.voxel.stores import GRID, structure, write_frames

CELLS = pytest.mark.parametrize(
    "cell", [PERPENDICULAR["orthorhombic"], SHEARED["triclinic"]], ids=["perpendicular", "sheared"]
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> VoxelStore:
    folder = tmp_path_factory.mktemp("stores")
    build(write_frames(folder / "bh.extxyz", [structure(i) for i in range(6)]), folder / "bh.zarr", GRID)
    return open_store(folder / "bh.zarr")


def atoms_on(cell: NDArray[np.float64]) -> tuple[Atoms, NDArray[np.float32]]:
    """Three atoms, the first beside node (1, 2, 3), and their density."""
    atoms = Atoms("O3", positions=np.array([[0.2, 0.25, 0.25], [0.5, 0.5, 0.5], [0.9, 0.1, 0.6]]) @ cell, cell=cell)
    return atoms, voxelize(atoms, Grid(species=("O",), shape=(5, 8, 12), sigma=1.0))[0]


@CELLS
def test_a_cube_file_holds_the_grid(cell: NDArray[np.float64], tmp_path: Path) -> None:
    atoms, values = atoms_on(cell)
    write_grid(values, atoms, tmp_path / "grid.cube", comment="density of O")
    with (tmp_path / "grid.cube").open() as file:
        assert file.readline() == "density of O\n"
        file.seek(0)
        found = read_cube(file)
    np.testing.assert_allclose(found["data"], values, atol=1e-6)
    np.testing.assert_allclose(found["origin"], 0.0)
    np.testing.assert_allclose(found["spacing"], cell / np.array([[5], [8], [12]]), atol=1e-5)
    np.testing.assert_allclose(found["atoms"].positions, atoms.positions, atol=1e-5)
    np.testing.assert_allclose(found["atoms"].cell, cell, atol=1e-4)


@CELLS
def test_an_xsf_file_holds_the_grid_and_repeats_its_first_planes(cell: NDArray[np.float64], tmp_path: Path) -> None:
    atoms, values = atoms_on(cell)
    write_grid(values, atoms, tmp_path / "grid.XSF")
    with (tmp_path / "grid.XSF").open() as file:
        found, origin, vectors, structure = read_xsf(file, read_data=True)
    assert found.shape == (6, 9, 13)
    np.testing.assert_allclose(found[:-1, :-1, :-1], values, atol=1e-6)
    for axis in range(3):
        np.testing.assert_array_equal(found.take(-1, axis), found.take(0, axis))
    np.testing.assert_allclose(origin, 0.0)
    np.testing.assert_allclose(vectors, cell, atol=1e-5)
    np.testing.assert_allclose(structure.positions, atoms.positions, atol=1e-9)
    assert structure.pbc.all()


def test_values_in_a_file_stand_where_the_atoms_are(tmp_path: Path) -> None:
    """The value at each node, read back, is the Gaussian of its distance to the one atom."""
    cell = SHEARED["triclinic"] * 2
    atom = Atoms("O", positions=[np.array([0.3, 0.6, 0.45]) @ cell], cell=cell)
    values = voxelize(atom, Grid(species=("O",), shape=(16, 14, 18), sigma=1.0))[0]
    write_grid(values, atom, tmp_path / "one.cube")
    with (tmp_path / "one.cube").open() as file:
        found = read_cube(file)
    node = np.array(np.unravel_index(found["data"].argmax(), found["data"].shape))
    vector = found["origin"] + node @ found["spacing"] - found["atoms"].positions[0]
    assert found["data"].max() == pytest.approx(np.exp(-0.5 * vector @ vector), abs=1e-3)


def test_a_store_exports_a_file_for_each_channel(store: VoxelStore, tmp_path: Path) -> None:
    paths = export_grid(store, -2, tmp_path / "four.cube")
    assert [path.name for path in paths] == ["four-Ru.cube", "four-O.cube"]
    for channel, path in enumerate(paths):
        with path.open() as file:
            found = read_cube(file)
        np.testing.assert_allclose(found["data"], store.density(4)[channel], atol=1e-6)
        assert (found["atoms"].numbers == store.atoms(4).numbers).all()
    (path,) = export_grid(store, 4, tmp_path / "four.xsf", species=["O"])
    assert path.name == "four.xsf"
    with path.open() as file:
        found = read_xsf(file, read_data=True)[0]
    np.testing.assert_allclose(found[:-1, :-1, :-1], store.density(4)[1], atol=1e-6)


def test_the_catch_all_has_a_name_for_files(tmp_path: Path) -> None:
    grid = Grid(species=("Ru", "*"), shape=(8, 10, 12), sigma=0.6)
    build(write_frames(tmp_path / "bh.extxyz", [structure(0)]), tmp_path / "bh.zarr", grid)
    paths = export_grid(open_store(tmp_path / "bh.zarr"), 0, tmp_path / "zero.xsf")
    assert [path.name for path in paths] == ["zero-Ru.xsf", "zero-other.xsf"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out": "grid.vtk"}, r"grid-Ru\.vtk: the name must end in \.cube or \.xsf; found \.vtk"),
        ({"out": "grid"}, r"found no ending"),
        ({"index": 6}, r"bh\.zarr: index must lie within 6 structures; found 6"),
        ({"species": ["H"]}, r"bh\.zarr: species must be among Ru,O; found H"),
        ({"species": []}, r"bh\.zarr: species must be among Ru,O; found "),
        ({"out": "there/grid.cube"}, r"the folder .*there must exist"),
    ],
)
def test_bad_requests_are_refused(store: VoxelStore, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    out = tmp_path / changes.pop("out", "grid.cube")
    with pytest.raises(Ruo2Error, match=message):
        export_grid(store, changes.pop("index", 0), out, **changes)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_stays_unless_it_may_be_replaced(tmp_path: Path) -> None:
    atoms, values = atoms_on(PERPENDICULAR["orthorhombic"])
    out = tmp_path / "grid.cube"
    out.write_text("precious")
    with pytest.raises(Ruo2Error, match="must not exist yet"):
        write_grid(values, atoms, out)
    assert out.read_text() == "precious"
    write_grid(values, atoms, out, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.cube"]
    assert out.read_text().startswith("density\n")


def test_what_is_no_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GridError, match=r"^a grid to write must have the axes \(x, y, z\), got shape \(2, 3\)$"):
        write_grid(np.zeros((2, 3)), Atoms(cell=[4.0] * 3), tmp_path / "grid.cube")
