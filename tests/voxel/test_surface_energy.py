"""Surface free energies are those of the formula, and belong to the surface: not to the cell that it is drawn in."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from ruo2_voxel import (
    Frame,
    Grid,
    Preparation,
    Ruo2Error,
    StructureError,
    SurfaceReference,
    build,
    calibrate_oxygen,
    open_store,
    surface_free_energy,
)
from ruo2_voxel.structures.labels import SURFACE, UNITS, Labelled, is_label, label_values, units_of, why_without
from ruo2_voxel.structures.preparation import Preparer
from ruo2_voxel.structures.surface_energy import RUO2_FORMATION_ENTHALPY, count_elements
from ruo2_voxel.structures.surfaces import TERMINATIONS, build_surface
from tests.voxel.random_structures import LAW
from tests.voxel.stores import write_frames

REFERENCE = SurfaceReference(bulk_energy=-20.0, oxygen_energy=-5.0)
energies = st.floats(-1e3, 1e3)
counts = st.integers(0, 60)


def labelled(frames: list[Frame]) -> Labelled:
    return Labelled(
        energies=np.array([frame.energy for frame in frames]),
        counts=np.array([len(frame.numbers) for frame in frames]),
        numbers=np.concatenate([np.zeros(0, dtype=np.int64), *(frame.numbers for frame in frames)]),
        cells=np.array([frame.cell for frame in frames]),
        infos=[frame.info for frame in frames],
    )


def gamma(frame: Frame, reference: SurfaceReference = REFERENCE) -> float:
    (value,) = label_values(labelled([frame]), SURFACE, reference)
    return float(value)


def sampled(facet: str, termination: str, energy: float = -500.0) -> Atoms:
    atoms = build_surface(facet, termination)
    atoms.calc = SinglePointCalculator(atoms, energy=energy)
    return atoms


def test_a_slab_by_hand() -> None:
    # Four Ru and ten O, two more than bulk, on 3 x 6 Å: (-131 + 4 * 20 + 2 * 5.5) / 18 = -40 / 18 with dmu = -0.5.
    atoms = Atoms("Ru4O10", positions=np.zeros((14, 3)), cell=[3, 6, 20], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-131.0)
    reference = SurfaceReference(bulk_energy=-20.0, oxygen_energy=-5.0, delta_mu=-0.5)
    assert gamma(Frame.from_atoms(atoms), reference) == pytest.approx(-40.0 / 18.0)
    exact = surface_free_energy(np.array([-131.0]), np.array([4]), np.array([10]), np.array([18.0]), reference)
    assert exact.tolist() == pytest.approx([-40.0 / 18.0])


@LAW
@given(counts, st.floats(1.0, 500.0), st.floats(-3.0, 0.0), st.floats(0.5, 3.0))
def test_bulk_and_oxygen_at_its_reference_cost_nothing(n: int, area: float, mu: float, ratio: float) -> None:
    reference = SurfaceReference(-20.0, -5.0, mu, oxygen_per_metal=ratio)
    n_metal, n_oxygen = np.array([n]), np.array([2 * n + 3])
    energy = n * -20.0 + (2 * n + 3 - ratio * n) * (-5.0 + mu)
    found = surface_free_energy(np.array([energy]), n_metal, n_oxygen, np.array([area]), reference)
    assert found[0] == pytest.approx(0.0, abs=1e-9)


@LAW
@given(energies, counts, counts, st.floats(1.0, 500.0), st.floats(-3.0, 0.0), st.floats(0.01, 1.0))
def test_its_slope_in_the_chemical_potential_is_the_excess_of_oxygen(
    energy: float, n_metal: int, n_oxygen: int, area: float, mu: float, step: float
) -> None:
    low, high = (
        surface_free_energy(
            np.array([energy]),
            np.array([n_metal]),
            np.array([n_oxygen]),
            np.array([area]),
            SurfaceReference(-20.0, -5.0, each),
        )[0]
        for each in (mu, mu + step)
    )
    assert (high - low) / step == pytest.approx(-(n_oxygen - 2 * n_metal) / area, abs=1e-8)


@LAW
@given(energies, energies, st.floats(-10.0, -0.1), st.floats(0.5, 3.0))
def test_calibrated_oxygen_gives_back_the_enthalpy(bulk: float, metal: float, enthalpy: float, ratio: float) -> None:
    oxygen = calibrate_oxygen(bulk, metal, enthalpy, ratio)
    assert bulk - metal - ratio * oxygen == pytest.approx(enthalpy, abs=1e-9)


def test_oxygen_is_calibrated_with_ruo2_by_default() -> None:
    assert calibrate_oxygen(-25.0, -9.0) == pytest.approx((-25.0 + 9.0 - RUO2_FORMATION_ENTHALPY) / 2)
    assert RUO2_FORMATION_ENTHALPY == -3.16


@pytest.mark.parametrize("numbers", [(math.nan, -9.0, -3.0, 2.0), (-25.0, -9.0, -math.inf, 2.0), (-25.0, -9.0, -3, 0)])
def test_oxygen_that_cannot_be_calibrated(numbers: tuple[float, float, float, float]) -> None:
    with pytest.raises(Ruo2Error, match="three finite energies and a positive number of oxygen per metal; found"):
        calibrate_oxygen(*numbers)


@pytest.mark.parametrize(
    "options",
    [
        {"orthogonal": True},
        {"square": True},
        {"orthogonal": True, "square": True, "vacuum": 12.0},
        {"vacuum": 30.0},
        {"orthogonal": True, "max_shear": 0.8},
    ],
)
@pytest.mark.parametrize("facet", ["110", "111", "101"])
def test_preparation_does_not_change_it(options: dict[str, Any], facet: str) -> None:
    preparer = Preparer(Preparation(**options))
    for termination in TERMINATIONS[facet]:
        frame = Frame.from_atoms(sampled(facet, termination))
        prepared, _ = preparer.frame(frame)
        assert gamma(prepared) == pytest.approx(gamma(frame), rel=1e-12)
    assert gamma(frame) != pytest.approx(0.0, abs=0.1)


def test_stoichiometric_slabs_do_not_feel_oxygen() -> None:
    for facet in ("110", "001"):
        frame = Frame.from_atoms(sampled(facet, "stoichiometric"))
        one, other = (gamma(frame, SurfaceReference(-20.0, -5.0, mu)) for mu in (0.0, -2.0))
        assert one == pytest.approx(other, abs=1e-12)
    rich = Frame.from_atoms(sampled("110", "O-rich"))
    assert gamma(rich, SurfaceReference(-20.0, -5.0, -2.0)) > gamma(rich, SurfaceReference(-20.0, -5.0, 0.0))


@pytest.mark.parametrize("formula", ["RuO2H", "CO2", "TiO2", "RuTiO4", "H2"])
def test_other_elements_have_none(formula: str) -> None:
    atoms = Atoms(formula, cell=[3, 6, 20], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-50.0)
    assert math.isnan(gamma(Frame.from_atoms(atoms)))
    why = why_without(SURFACE, REFERENCE, -50.0, {})
    assert why.startswith("must hold atoms of Ru and O and no others for --label surface-free-energy")


@pytest.mark.parametrize(("formula", "n_metal", "n_oxygen"), [("Ti2O3", 2, 3), ("O3", 0, 3), ("Ti4", 4, 0)])
def test_other_oxides_are_referred_to_their_own_metal(formula: str, n_metal: int, n_oxygen: int) -> None:
    atoms = Atoms(formula, cell=[3, 6, 20], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, energy=-50.0)
    reference = SurfaceReference(-30.0, -5.0, metal="Ti", oxygen_per_metal=1.5)
    expected = (-50.0 + 30.0 * n_metal + 5.0 * (n_oxygen - 1.5 * n_metal)) / 18.0
    assert gamma(Frame.from_atoms(atoms), reference) == pytest.approx(expected)


def test_structures_without_atoms_energy_or_area_have_none() -> None:
    nothing = Atoms(cell=[3, 6, 20], pbc=True)
    nothing.calc = SinglePointCalculator(nothing, energy=0.0)
    flat = Atoms("RuO2", pbc=True)
    flat.calc = SinglePointCalculator(flat, energy=-20.0)
    without = Atoms("RuO2", cell=[3, 6, 20], pbc=True)
    frames = [Frame.from_atoms(atoms) for atoms in (nothing, flat, without, sampled("110", "O-rich"))]
    found = label_values(labelled(frames), SURFACE, REFERENCE)
    assert np.isnan(found).tolist() == [True, True, True, False]
    assert why_without(SURFACE, REFERENCE, math.nan, {}) == (
        "must have an energy for --label surface-free-energy; found nan. Use --label none"
    )


def test_a_cell_without_area_stops_a_build_with_the_reason(tmp_path: Path) -> None:
    flat = Atoms("RuO2", positions=np.eye(3), cell=[3.0, 0.0, 20.0], pbc=True)
    flat.calc = SinglePointCalculator(flat, energy=-20.0)
    source = write_frames(tmp_path / "bh.traj", [sampled("110", "O-rich"), flat])
    with pytest.raises(StructureError, match=r"frame 1 of .*cell"):
        build(source, tmp_path / "bh.zarr", Grid(shape=(8, 8, 8), sigma=2.0), label=SURFACE, reference=REFERENCE)


def test_a_store_keeps_it_whatever_preparation_did(tmp_path: Path) -> None:
    structures = [
        sampled("111", termination, energy) for termination in TERMINATIONS["111"] for energy in (-800.0, -700.0)
    ]
    source = write_frames(tmp_path / "bh.traj", structures)
    build(
        source,
        tmp_path / "bh.zarr",
        Grid(shape=(8, 8, 8), sigma=3.0),
        label=SURFACE,
        reference=REFERENCE,
        n_classes=2,
        copies=2,
        rotate=True,
        preparation=Preparation(orthogonal=True, vacuum=12.0),
    )
    store = open_store(tmp_path / "bh.zarr")
    expected = np.repeat([gamma(Frame.from_atoms(atoms)) for atoms in structures], 2)
    np.testing.assert_allclose(store.label, expected, rtol=1e-12)
    assert store.attrs["classes"]["units"] == "eV/Å^2"
    assert store.attrs["options"]["reference"]["bulk_energy"] == -20.0


@LAW
@given(st.lists(st.lists(st.sampled_from([1, 8, 44]), max_size=6), min_size=1, max_size=6))
def test_elements_are_counted_structure_by_structure(structures: list[list[int]]) -> None:
    numbers = np.array([number for each in structures for number in each], dtype=np.int64)
    found = count_elements(numbers, np.array([len(each) for each in structures]), 8)
    assert found.tolist() == [each.count(8) for each in structures]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        (-0.25, -0.25),
        (True, 1.0),
        (False, 0.0),
        (np.float32(0.5), 0.5),
        (np.float64(0.5), 0.5),
        (np.int64(-7), -7.0),
        (np.uint8(7), 7.0),
        (np.bool_(True), 1.0),
        (math.nan, None),
        (math.inf, None),
        (np.float64("nan"), None),
        (10**400, None),
        ("0.5", None),
        (None, None),
        ([0.5], None),
        (np.array(0.5), None),
        (np.array([0.5]), None),
        (1j, None),
        ({"value": 1}, None),
    ],
    ids=repr,
)
def test_a_number_in_info_is_a_label_and_nothing_else_is(value: Any, number: float | None) -> None:
    atoms = Atoms("O", cell=[3, 3, 3], info={"mu_O": value, "other": 1.0})
    (found,) = label_values(labelled([Frame.from_atoms(atoms)]), "info:mu_O")
    assert math.isnan(found) if number is None else found == number


def test_a_label_from_info_that_is_not_there_says_what_is() -> None:
    frames = [Frame.from_atoms(Atoms("O", cell=[3, 3, 3], info=info)) for info in ({"mu_O": 1}, {}, {"run": "a"})]
    assert np.isnan(label_values(labelled(frames), "info:mu_O")).tolist() == [False, True, True]
    assert why_without("info:mu_O", None, -1.0, {"run": "a", "phase": 1}).endswith("found the keys run, phase")
    assert why_without("info:mu_O", None, -1.0, {}).endswith("found the keys none")
    assert why_without("info:mu_O", None, -1.0, {"mu_O": "low"}) == (
        "info must have a finite number under the key 'mu_O' for --label info:mu_O; found 'low'"
    )


def test_energies_are_labels() -> None:
    atoms = sampled("110", "O-rich", -700.0)
    frames = [Frame.from_atoms(atoms), Frame.from_atoms(Atoms(cell=[3, 3, 3])), Frame.from_atoms(Atoms("O"))]
    of = labelled(frames)
    np.testing.assert_array_equal(label_values(of, "energy"), [-700.0, np.nan, np.nan])
    np.testing.assert_array_equal(label_values(of, "energy-per-atom"), [-700.0 / len(atoms), np.nan, np.nan])
    np.testing.assert_array_equal(label_values(of, "none"), [np.nan] * 3)


def test_labels_have_names_and_units() -> None:
    for name in ("auto", "energy", "energy-per-atom", SURFACE, "none", "info:mu_O", "info:a b"):
        assert is_label(name)
    for name in ("", "info", "info:", "gamma", "Energy"):
        assert not is_label(name)
    assert {name: units_of(name) for name in UNITS} == UNITS
    assert units_of("info:mu_O") == ""


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"bulk_energy": math.nan}, "bulk_energy of a surface reference must be a finite number; found nan"),
        ({"oxygen_energy": math.inf}, "oxygen_energy of a surface reference must be a finite number; found inf"),
        ({"delta_mu": -math.inf}, "delta_mu of a surface reference must be a finite number; found -inf"),
        ({"oxygen_per_metal": math.nan}, "oxygen_per_metal of a surface reference must be a finite number; found nan"),
        ({"metal": "O"}, "metal of a surface reference must be an element other than O; found 'O'"),
        ({"metal": "X"}, "metal of a surface reference must be an element other than O; found 'X'"),
        ({"metal": "ru"}, "metal of a surface reference must be an element other than O; found 'ru'"),
    ],
)
def test_references_that_cannot_be(options: dict[str, Any], found: str) -> None:
    with pytest.raises(Ruo2Error, match=found):
        SurfaceReference(**{"bulk_energy": -20.0, "oxygen_energy": -5.0, **options})
