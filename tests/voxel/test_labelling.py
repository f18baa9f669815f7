"""Structures that are not in a store have the label and the class that the store would have given them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from ruo2_voxel import (
    Grid,
    GridBlock,
    Labelling,
    StoreError,
    StructureError,
    SurfaceReference,
    VoxelStore,
    build,
    classify,
    open_store,
    read_labelling,
    write_grids,
)
from tests.voxel.random_structures import LAW
from tests.voxel.stores import GRID, write_frames

REFERENCE = SurfaceReference(bulk_energy=-30.0, oxygen_energy=-5.0, delta_mu=-0.7, metal="Ti", oxygen_per_metal=1.5)
METHODS: Any = ["equal-width", "clipped-equal-width", "quantile"]


def oxide(index: int) -> Atoms:
    """Some titanium and oxygen in a cell, sheared in every third, with an energy near that of the bulk."""
    random = np.random.default_rng(index)
    n_metal, n_oxygen = 1 + index % 3, 2 + index % 4
    n_atoms = n_metal + n_oxygen
    cell = np.diag([5.0 + 0.1 * (index % 5), 6.0, 7.0])
    cell[1, 0] = 1.2 * (index % 3 == 0)
    atoms = Atoms(f"Ti{n_metal}O{n_oxygen}", positions=random.uniform(0, 5, (n_atoms, 3)), cell=cell, pbc=True)
    atoms.info["mu_O"] = float(random.normal())
    atoms.calc = SinglePointCalculator(atoms, energy=-30.0 * n_metal - 5.0 * n_oxygen + random.normal())
    return atoms


OXIDES = [oxide(index) for index in range(40)]


def built(folder: Path, label: str, **options: Any) -> VoxelStore:
    source = write_frames(folder / "bh.traj", OXIDES)
    grid = Grid(species=("Ti", "O"), shape=(8, 8, 8), sigma=1.0)
    reference = REFERENCE if label == "surface-free-energy" else None
    build(source, folder / "bh.zarr", grid, label=label, reference=reference, allow_empty_classes=True, **options)
    return open_store(folder / "bh.zarr")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("label", ["energy", "energy-per-atom", "surface-free-energy"])
def test_what_is_in_a_store_has_its_label_and_class_again(label: str, method: Any, tmp_path: Path) -> None:
    store = built(tmp_path, label, class_method=method, n_classes=4)
    labelling = read_labelling(store)
    energies = np.array([atoms.get_potential_energy() for atoms in OXIDES])
    values = labelling.values(OXIDES, energies)
    np.testing.assert_array_equal(values, store.label)
    classes, below, above = labelling.sort(values)
    np.testing.assert_array_equal(classes, store.energy_class)
    assert not below.any()
    assert not above.any()
    assert (labelling.label, labelling.units, labelling.n_classes) == (label, store.attrs["classes"]["units"], 4)


def test_surface_free_energy_by_hand(tmp_path: Path) -> None:
    # Two Ti and five O, two more than bulk, on 4 x 5 Å: (-80 + 2 * 30 + 2 * 5.7) / 20.
    labelling = read_labelling(built(tmp_path, "surface-free-energy", n_classes=3))
    slab = Atoms("Ti2O5", positions=np.zeros((7, 3)), cell=[4, 5, 30], pbc=True)
    assert labelling.values([slab], np.array([-80.0])).tolist() == pytest.approx([-8.6 / 20.0])


def test_labels_that_cannot_be_are_not_numbers(tmp_path: Path) -> None:
    labelling = read_labelling(built(tmp_path, "surface-free-energy", n_classes=3))
    flat = Atoms("TiO2", cell=[4, 0, 30], pbc=True)
    strange = [OXIDES[0], OXIDES[0], Atoms(cell=[4, 5, 30]), Atoms("RuO2", cell=[4, 5, 30]), flat]
    values = labelling.values(strange, np.array([-40.0, np.nan, -40.0, -40.0, -40.0]))
    assert np.isnan(values).tolist() == [False, True, True, True, True]
    assert labelling.sort(values).classes.tolist()[1:] == [-1] * 4


@pytest.mark.parametrize("label", ["energy", "energy-per-atom"])
def test_nothing_has_no_energy(label: str, tmp_path: Path) -> None:
    labelling = read_labelling(built(tmp_path, label, n_classes=3))
    assert np.isnan(labelling.values([Atoms(cell=[4, 5, 30])], np.array([0.0]))).all()
    assert labelling.values([], np.zeros(0)).shape == (0,)


def test_each_structure_needs_an_energy(tmp_path: Path) -> None:
    labelling = read_labelling(built(tmp_path, "energy", n_classes=3))
    with pytest.raises(StructureError, match=r"one energy for each of 2 structures; found shape \(1,\)"):
        labelling.values(OXIDES[:2], np.array([-1.0]))


@LAW
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30, unique=True),
    st.lists(st.floats(-2e3, 2e3), min_size=1, max_size=30),
)
def test_within_the_edges_classes_are_those_of_classify_and_beyond_there_are_none(
    known: list[float], new: list[float]
) -> None:
    known_classes, edges = classify(np.array(known), 3)
    labelling = Labelling("energy", edges, None, np.array(known), known_classes)
    assert labelling.sort(np.array(known)).classes.tolist() == known_classes.tolist()
    for value, found, is_below, is_above in zip(new, *labelling.sort(np.array(new)), strict=True):
        holding = [k for k in range(3) if edges[k] <= value < edges[k + 1] or (k == 2 and value == edges[3])]
        assert found == (holding[-1] if holding else -1)
        assert (is_below, is_above) == (value < min(known), value > max(known))
    classes, below, above = labelling.sort(np.array([np.nan, np.inf, -np.inf]))
    assert classes.tolist() == [-1, -1, -1]
    assert (below.tolist(), above.tolist()) == ([False, False, True], [False, True, False])


def test_a_label_that_no_energy_gives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"bh\.zarr: must have a label that energies give .*; found info:mu_O, which"):
        read_labelling(built(tmp_path, "info:mu_O", n_classes=3))


def test_a_store_without_a_label_is_refused(tmp_path: Path) -> None:
    block = GridBlock(np.zeros((2, 2, *GRID.shape)), np.full((2, 3), 5.0), np.zeros(2, dtype=int))
    write_grids(tmp_path / "fake.zarr", [block], GRID, {"by": "a test"})
    for store in (built(tmp_path, "none"), open_store(tmp_path / "fake.zarr")):
        with pytest.raises(StoreError, match=r"must have a label that energies give .*; found a store without"):
            read_labelling(store)
