"""Classes and splits of whole stores: no near-copy on both sides, no class without structures, each change recorded."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from hypothesis import given
from hypothesis import strategies as st

from ruo2_voxel import (
    ClassBalanceWarning,
    Frame,
    Grid,
    Preparation,
    StoreError,
    VoxelStore,
    build,
    classify,
    open_store,
    verify_store,
)
from ruo2_voxel.store.sorting import Fingerprints
from ruo2_voxel.store.table import Candidate, Move, Table
from ruo2_voxel.structures.duplicates import fingerprints
from ruo2_voxel.structures.preparation import Preparer
from ruo2_voxel.structures.surfaces import build_surface
from tests.voxel.random_structures import LAW, structures
from tests.voxel.stores import write_frames

GRID = Grid(shape=(8, 8, 8), sigma=0.8)
MOVING: dict[str, Any] = {"translate": True, "rotate": True, "copies": 2}
PER_RUN = 4


def sampled(run: int, step: int, energy: float | None = None) -> Atoms:
    """Six atoms in a cell that all runs share; no two alike."""
    rng = np.random.default_rng((run, step))
    atoms = Atoms("Ru2O4", positions=rng.uniform(0.0, 5.0, (6, 3)), cell=[5.0, 5.5, 6.0], pbc=True)
    atoms.info = {"run": run, "step": step}
    atoms.calc = SinglePointCalculator(atoms, energy=-40.0 + rng.random() if energy is None else energy)
    return atoms


def near_copy(of: Atoms, run: int, rms: float = 0.002) -> Atoms:
    """The same structure as another run found it: atoms in another order, not quite relaxed to the same place."""
    rng = np.random.default_rng(run)
    atoms = of[rng.permutation(len(of))]
    atoms.positions += rng.normal(scale=rms, size=(len(of), 3))
    atoms.info = {"run": run, "step": 99}
    atoms.calc = SinglePointCalculator(atoms, energy=of.get_potential_energy() + 1e-4)
    return atoms


def runs(n: int = 6) -> list[Atoms]:
    return [sampled(run, step) for run in range(n) for step in range(PER_RUN)]


def built(structures: list[Atoms], folder: Path, name: str = "bh.zarr", **options: Any) -> VoxelStore:
    source = folder / "bh.traj"
    if not source.exists():
        write_frames(source, structures)
    build(str(source), folder / name, **{"grid": GRID, "split_by": ("run",), "held_out": 0.35, **options})
    return open_store(folder / name)


def held_out(store: VoxelStore) -> set[int]:
    sides: dict[int, set[int]] = {}
    for run, side in zip(store.info["run"].tolist(), store.split.tolist(), strict=True):
        sides.setdefault(run, set()).add(side)
    assert all(len(found) == 1 for found in sides.values())
    return {run for run, found in sides.items() if found == {1}}


@pytest.mark.parametrize("moves", [{}, MOVING], ids=["as they are", "moved copies"])
def test_groups_with_near_copies_stay_on_one_side(moves: dict[str, Any], tmp_path: Path) -> None:
    structures = [*runs(), near_copy(sampled(1, 2), run=4), near_copy(sampled(4, 0), run=5)]
    sides = [
        held_out(built(structures, tmp_path, f"{seed}.zarr", seed=seed, held_out=0.6, **moves)) for seed in range(8)
    ]
    assert all(0 < len(side) < 6 for side in sides)
    assert {frozenset(side & {1, 4, 5}) for side in sides} == {frozenset(), frozenset({1, 4, 5})}


def test_without_near_copies_the_same_groups_may_be_parted(tmp_path: Path) -> None:
    sides = [
        held_out(built(runs(), tmp_path, f"{seed}.zarr", seed=seed, held_out=0.6)) & {1, 4, 5} for seed in range(8)
    ]
    assert any(0 < len(side) < 3 for side in sides)


def test_structures_a_little_further_apart_are_no_near_copies(tmp_path: Path) -> None:
    structures = [*runs(2), near_copy(sampled(0, 0), run=1, rms=0.2)]
    assert len(held_out(built(structures, tmp_path, held_out=0.5))) == 1


def test_groups_that_all_hang_together_cannot_be_split(tmp_path: Path) -> None:
    structures = [*runs(3), near_copy(sampled(0, 0), run=1), near_copy(sampled(1, 3), run=2)]
    with pytest.raises(StoreError, match=r"two groups without near-copies .* found none among 3 by run\. Hold nothing"):
        built(structures, tmp_path)
    assert held_out(built(structures, tmp_path, held_out=0.0, resume=True)) == set()


@pytest.mark.parametrize("moves", [{}, MOVING], ids=["as they are", "moved copies"])
def test_a_leak_between_named_groups_is_an_error_that_names_both(moves: dict[str, Any], tmp_path: Path) -> None:
    structures = [*runs(), near_copy(sampled(1, 2), run=4), near_copy(sampled(1, 3), run=4)]
    n_copies = moves.get("copies", 1)
    with pytest.raises(StoreError, match="near-copy") as caught:
        built(structures, tmp_path, held_out_groups=(("1",), ("2",)), **moves)
    pattern = r"structure (\d+) of the group (.*) like structure (\d+) of the held-out group (.*), and (\d+) more"
    ((training, group, one, other, more),) = re.findall(pattern, str(caught.value))
    assert (group, other, more) == ("['4']", "['1']", "1")
    assert [int(training) // n_copies, int(one) // n_copies] in ([24, 6], [25, 7])
    assert not (tmp_path / "bh.zarr").exists()
    assert held_out(built(structures, tmp_path, "both.zarr", held_out_groups=(("1",), ("4",)), **moves)) == {1, 4}
    assert held_out(built(structures, tmp_path, "neither.zarr", held_out_groups=(("2",),), **moves)) == {2}


def test_named_groups_must_occur(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="one of the 2 groups to hold out must occur by run; found none of them"):
        built(runs(2), tmp_path, held_out_groups=(("7",), ("8",)))


@LAW
@given(st.lists(structures(max_atoms=5), min_size=1, max_size=5), st.integers(0, 2**32 - 1), st.integers(1, 3))
def test_fingerprints_of_moved_copies_are_those_of_their_frames(several: list[Atoms], seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    frames = [Frame.from_atoms(atoms) for atoms in several]
    prints = Fingerprints(GRID)
    for _ in range(2):
        copies = [(Candidate(frame), copy) for frame in frames for copy in range(n)]
        moves = [Move(rng.random(3), int(rng.integers(4))) for _ in copies]
        prints.append(Table.of([each for each, _ in copies], [0] * len(copies), [copy for _, copy in copies], moves))
    expected = fingerprints(
        np.concatenate([atoms.get_scaled_positions(wrap=False) for atoms in several]),
        np.concatenate([np.where(atoms.numbers == 44, 0, 1) for atoms in several]),
        2,
        np.array([len(atoms) for atoms in several]),
        np.array([atoms.cell.array for atoms in several]),
    )
    np.testing.assert_allclose(prints.rows, np.concatenate([expected, expected]), atol=1e-4)
    assert prints.structures.tolist() == [n * i for i in range(2 * len(several))]


def clustered() -> list[Atoms]:
    """Half of the structures in the lowest class, half in the highest."""
    return [sampled(0, step, energy=-40.0 - 10.0 * (step % 2) - 0.01 * step) for step in range(10)]


def test_a_named_label_with_empty_classes_is_refused_unless_allowed(tmp_path: Path) -> None:
    options: dict[str, Any] = {"label": "energy", "split_by": ()}
    with pytest.raises(StoreError, match=r"label energy: each of the 10 equal-width .* found none in 1, 2.*, 8\. Use"):
        built(clustered(), tmp_path, **options)
    with pytest.warns(ClassBalanceWarning, match="classes of the label energy: 8 of 10 hold none"):
        store = built(clustered(), tmp_path, "allowed.zarr", allow_empty_classes=True, **options)
    assert store.attrs["classes"]["counts"] == [5, *[0] * 8, 5]
    assert set(store.energy_class.tolist()) == {0, 9}
    quantile = built(clustered(), tmp_path, "quantile.zarr", class_method="quantile", **options)
    assert quantile.attrs["classes"]["counts"] == [1] * 10
    fewer = built(clustered(), tmp_path, "fewer.zarr", n_classes=2, **options)
    assert fewer.attrs["classes"]["counts"] == [5, 5]


def test_an_automatic_label_with_empty_classes_is_only_warned_of(tmp_path: Path) -> None:
    with pytest.warns(ClassBalanceWarning, match="classes of the label energy-per-atom: 8 of 10 hold none of 10"):
        store = built(clustered(), tmp_path, split_by=())
    assert store.attrs["classes"]["label"] == "energy-per-atom"
    assert store.attrs["classes"]["counts"] == [5, *[0] * 8, 5]


def test_one_class_that_holds_most_is_warned_of(tmp_path: Path) -> None:
    structures = [sampled(0, step, energy=-40.0 + 10.0 * (step == 0) + 0.01 * step) for step in range(10)]
    with pytest.warns(ClassBalanceWarning, match=r"holds 90% of 10 structures.*quantile classes \(50% in"):
        built(structures, tmp_path, n_classes=2, split_by=())


@pytest.mark.parametrize("method", ["equal-width", "clipped-equal-width", "quantile"])
def test_numbers_in_info_are_labels_of_any_method(method: Any, tmp_path: Path) -> None:
    structures = runs()
    for number, atoms in enumerate(structures):
        atoms.info["mu_O"] = float(number**2)
    store = built(structures, tmp_path, label="info:mu_O", class_method=method, n_classes=4, clip=(0.1, 0.9))
    values = np.arange(24.0) ** 2
    classes, edges = classify(values, 4, method, (0.1, 0.9))
    assert store.label.tolist() == values.tolist()
    assert store.energy_class.tolist() == classes.tolist()
    assert store.attrs["classes"] == {
        "label": "info:mu_O",
        "method": method,
        "units": "",
        "edges": edges.tolist(),
        "counts": np.bincount(classes).tolist(),
    }
    verify_store(store)


def slabs() -> list[Atoms]:
    """Slabs whose cells need every kind of change."""
    some = [build_surface(facet, "stoichiometric", vacuum=18.0 + i) for i, facet in enumerate(("110", "111", "001"))]
    crossing = build_surface("110", "O-rich", vacuum=20.0)
    crossing.translate([0.0, 0.0, 14.0])
    crossing.wrap()
    slanted = build_surface("100", "stoichiometric")
    slanted.cell[2, 0] = 1.3
    oblique = Atoms("RuO2", positions=[[0, 0, 5], [1, 1, 6], [2, 3, 7]], cell=[[4, 0, 0], [0.7, 5.1, 0], [0, 0, 17]])
    for number, atoms in enumerate(together := [*some, crossing, slanted, oblique]):
        atoms.pbc = True
        atoms.info = {"run": number}
    return together


@pytest.mark.parametrize("moves", [{}, MOVING], ids=["as they are", "moved copies"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vacuum": 12.0},
        {"orthogonal": True, "max_shear": 0.2},
        {"orthogonal": True, "max_shear": 0.2, "square": True, "vacuum": 12.0},
    ],
)
def test_a_store_records_what_preparation_did(options: dict[str, Any], moves: dict[str, Any], tmp_path: Path) -> None:
    preparation = Preparation(**options)
    grid = Grid(shape=(12, 12, 12), sigma=2.5)
    source = write_frames(tmp_path / "bh.traj", slabs())
    build(source, tmp_path / "bh.zarr", grid, preparation=preparation, label="none", **moves)
    store = open_store(tmp_path / "bh.zarr")
    n = moves.get("copies", 1)
    prepared = [Preparer(preparation).frame(Frame.from_atoms(atoms)) for atoms in slabs()]
    changes = [each for _, each in prepared for _ in range(n)]
    assert store.array("supercell")[:].tolist() == [[list(row) for row in each.supercell] for each in changes]
    np.testing.assert_allclose(store.array("shear")[:], [each.shear for each in changes], atol=1e-12)
    vacuums = [[each.vacuum_before, each.vacuum_after] for each in changes]
    np.testing.assert_allclose(store.array("vacuum")[:], vacuums, atol=1e-9)
    np.testing.assert_allclose(store.array("lift")[:], [each.lift for each in changes], atol=1e-9)
    for index, atoms in enumerate(store.iterate_atoms()):
        frame = prepared[index // n][0]
        assert atoms.numbers.tolist() == frame.numbers.tolist()
        assert atoms.get_volume() == pytest.approx(abs(np.linalg.det(frame.cell)))
        if not moves:
            np.testing.assert_array_equal(atoms.positions, frame.positions.astype(np.float32))
    if "vacuum" in options:
        assert np.count_nonzero(store.array("lift")[:]) >= n
    if "orthogonal" in options:
        assert np.count_nonzero(store.array("shear")[:]) == n
        assert store.array("supercell")[:][n].tolist() != [[1, 0], [0, 1]]
    verify_store(store)


def test_near_copies_are_found_after_preparation(tmp_path: Path) -> None:
    low, high = build_surface("110", "O-rich", vacuum=20.0), build_surface("110", "O-rich", vacuum=16.0)
    high.positions[:, 2] += low.positions[:, 2].min() - high.positions[:, 2].min()
    low.info, high.info = {"run": 0}, {"run": 1}
    others = [build_surface("110", "O-poor") for _ in range(2)]
    others[0].info, others[1].info = {"run": 2}, {"run": 2}
    options: dict[str, Any] = {"label": "none", "split_by": ("run",), "held_out_groups": (("0",),)}
    source = write_frames(tmp_path / "bh.traj", [low, high, *others])
    grid = Grid(shape=(12, 12, 12), sigma=2.5)
    build(source, tmp_path / "apart.zarr", grid, **options)
    with pytest.raises(StoreError, match=r"found structure 1 of the group \['1'\] like structure 0"):
        build(source, tmp_path / "bh.zarr", grid, preparation=Preparation(vacuum=14.0), **options)


def test_findings_are_kept_with_each_structure_or_drop_it(tmp_path: Path) -> None:
    slabs = [build_surface("110", "stoichiometric") for _ in range(6)]
    top, up = slabs[0].positions[-1], np.array([0.0, 0.0, 1.0])
    n = len(slabs[0])
    slabs[2] += Atoms("OO", [top + 4.0 * up, top + 5.21 * up])
    slabs[4] += Atoms("OOO", [top + 4.0 * up, top + 5.21 * up, top + 9.0 * up])
    screened: dict[str, Any] = {"split_by": (), "grid": Grid(shape=(8, 8, 24), sigma=0.8)}
    kept = built(slabs, tmp_path, screen="report", copies=2, **screened)
    texts = kept.array("findings")[:].tolist()
    found = {index: [each["kind"] for each in json.loads(text)] for index, text in enumerate(texts) if text}
    both, one = ["molecular-oxygen", "floating"], ["molecular-oxygen"]
    assert found == {4: one, 5: one, 8: both, 9: both}
    assert json.loads(texts[4])[0]["atoms"] == [n, n + 1]
    assert kept.attrs["findings_by_kind"] == {"floating": 2, "molecular-oxygen": 4}
    sound = built(slabs, tmp_path, "sound.zarr", screen="drop", **screened)
    assert len(sound) == 4
    assert sound.attrs["findings_by_kind"] == {}
    skipped = {skip["frame_id"]: skip["reason"] for skip in sound.skipped()}
    assert list(skipped) == [2, 4]
    assert re.match(rf"molecular-oxygen: O{n} and O{n + 1}, bound to no other element, are 1\.21 Å apart", skipped[2])
    assert f"; floating: O{n + 2} cut off" in skipped[4]
    off = built(slabs, tmp_path, "off.zarr", **screened)
    assert set(off.array("findings")[:].tolist()) == {""}
