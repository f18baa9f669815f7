"""The last step gives labels, splits and provenance: what they say follows from the structures of the store."""

import datetime
import hashlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from ruo2_voxel import Ruo2Error, StoreError, StructureError, VoxelStore, build, classify, open_store, verify_store
from ruo2_voxel.store.summary import summarize
from tests.voxel.stores import GRID, N_FRAMES, structure, write_frames


@pytest.fixture(scope="module")
def store(store_path: Path) -> VoxelStore:
    return open_store(store_path)


def built(source: str, out: Path, **options: Any) -> VoxelStore:
    build(source, out, GRID, **options)
    return open_store(out)


@pytest.mark.parametrize(("label", "units"), [("auto", "eV/atom"), ("energy-per-atom", "eV/atom"), ("energy", "eV")])
@pytest.mark.parametrize("n_classes", [10, 3])
def test_classes_are_those_of_the_label(
    label: Any, units: str, n_classes: int, trajectory: str, tmp_path: Path
) -> None:
    store = built(trajectory, tmp_path / "bh.zarr", label=label, n_classes=n_classes, allow_empty_classes=True)
    values = store.energy if label == "energy" else store.energy / store.n_atoms
    assert store.label.tolist() == values.tolist()
    classes, edges = classify(values, n_classes)
    assert store.energy_class.tolist() == classes.tolist()
    assert store.attrs["classes"] == {
        "label": "energy-per-atom" if label == "auto" else label,
        "method": "equal-width",
        "units": units,
        "edges": edges.tolist(),
        "counts": np.bincount(classes, minlength=n_classes).tolist(),
    }
    verify_store(store, 0)


def test_without_a_label_there_are_no_classes(trajectory: str, tmp_path: Path) -> None:
    store = built(trajectory, tmp_path / "bh.zarr", label="none")
    assert set(store.energy_class.tolist()) == {-1}
    assert store.attrs["classes"] is None
    verify_store(store, 0)


@pytest.mark.parametrize("suffix", [".traj", ".xyz"])
@pytest.mark.parametrize("without", [range(10), [4]], ids=["no energies", "one without"])
def test_structures_without_energy_need_no_label(suffix: str, without: Any, tmp_path: Path) -> None:
    source = write_frames(
        tmp_path / f"bh{suffix}", [structure(index, energy=index not in without) for index in range(10)]
    )
    store = built(source, tmp_path / "bh.zarr")
    assert store.attrs["classes"] is None
    assert np.flatnonzero(np.isnan(store.energy)).tolist() == list(without)
    assert summarize(store)["energy_per_atom"] is None or len(without) == 1
    verify_store(store)
    with pytest.raises(
        StructureError, match=rf"frame {next(iter(without))} of .*: must have an energy for --label energy"
    ):
        build(source, tmp_path / "energy.zarr", GRID, label="energy")


def flat(path: Path) -> str:
    """Frames of one energy per atom."""
    structures = [structure(index, energy=False) for index in range(6)]
    for atoms in structures:
        atoms.calc = SinglePointCalculator(atoms, energy=-8.0 * len(atoms))
    return write_frames(path, structures)


def test_energies_that_are_all_equal_make_no_classes(tmp_path: Path) -> None:
    source = flat(tmp_path / "flat.traj")
    assert built(source, tmp_path / "auto.zarr").attrs["classes"] is None
    with pytest.raises(StoreError, match=r"label energy-per-atom: .* found 6 times -8\. Use one class"):
        build(source, tmp_path / "bh.zarr", GRID, label="energy-per-atom")
    assert built(source, tmp_path / "one.zarr", label="energy-per-atom", n_classes=1).attrs["classes"]["counts"] == [6]


def test_one_structure_makes_a_store(tmp_path: Path) -> None:
    store = built(write_frames(tmp_path / "one.traj", [structure(3)]), tmp_path / "one.zarr")
    assert len(store) == 1
    assert store.attrs["classes"] is None
    verify_store(store)


@pytest.mark.parametrize(("keys", "n_groups"), [(("run",), 5), (("facet",), 2), (("run", "facet"), 6), (("mu_O",), 4)])
def test_groups_are_held_out_whole(keys: tuple[str, ...], n_groups: int, trajectory: str, tmp_path: Path) -> None:
    store = built(trajectory, tmp_path / "bh.zarr", split_by=keys, held_out=0.3)
    groups = list(zip(*(store.info[key].tolist() for key in keys), strict=True))
    held_out = {group for group, number in zip(groups, store.split.tolist(), strict=True) if number == 1}
    train = {group for group, number in zip(groups, store.split.tolist(), strict=True) if number == 0}
    assert held_out
    assert not held_out & train
    assert len(held_out | train) == n_groups
    split = store.attrs["split"]
    assert (split["by"], split["groups"]) == (list(keys), n_groups)
    assert split["counts"] == [N_FRAMES - sum(store.split), sum(store.split)]
    assert len(split["held_out_groups"]) == len(held_out)
    verify_store(store, 0)


def test_copies_stay_with_their_frame(trajectory: str, tmp_path: Path) -> None:
    once = built(trajectory, tmp_path / "once.zarr", split_by=("run",), held_out=0.3)
    often = built(trajectory, tmp_path / "often.zarr", split_by=("run",), held_out=0.3, copies=3, translate=True)
    assert often.split.tolist() == np.repeat(once.split, 3).tolist()


def test_without_keys_nothing_is_held_out(store: VoxelStore) -> None:
    assert not store.split.any()
    assert store.attrs["split"] == {"by": [], "groups": 0, "held_out_groups": [], "counts": [N_FRAMES, 0]}
    assert store.attrs["split_names"] == ["train", "held_out"]


def test_groups_may_be_named(trajectory: str, tmp_path: Path) -> None:
    store = built(
        trajectory, tmp_path / "bh.zarr", split_by=("facet", "run"), held_out_groups=(("r110", "2"), ("r100", "2"))
    )
    assert np.flatnonzero(store.split).tolist() == list(range(20, 30))
    assert store.attrs["split"]["held_out_groups"] == [["r100", "2"], ["r110", "2"]]


def test_another_seed_holds_out_other_groups(trajectory: str, tmp_path: Path) -> None:
    splits = {
        tuple(built(trajectory, tmp_path / f"{seed}.zarr", split_by=("run",), held_out=0.2, seed=seed).split.tolist())
        for seed in range(6)
    }
    assert len(splits) > 1


def test_a_split_needs_its_keys_and_two_groups(trajectory: str, tmp_path: Path) -> None:
    with pytest.raises(StructureError, match=r"frame 0 of .*bh\.traj: info must have the key 'walker' for --split-by"):
        build(trajectory, tmp_path / "bh.zarr", GRID, split_by=("walker",))
    with pytest.raises(Ruo2Error, match="at least two groups of structures; found 1"):
        build(f"{trajectory}@:10", tmp_path / "bh.zarr", GRID, split_by=("run",))


def test_a_store_says_where_it_comes_from(store: VoxelStore, trajectory: str) -> None:
    (source,) = store.sources
    assert source == {
        "path": trajectory,
        "format": "traj",
        "sha256": hashlib.sha256(Path(trajectory).read_bytes()).hexdigest(),
        "frames": N_FRAMES,
        "selection": None,
        "selected": [0, N_FRAMES, 1],
    }
    versions = store.attrs["versions"]
    assert versions.pop("python") == platform.python_version()
    assert versions == {name: version(name) for name in versions}
    assert {"ruo2-voxel", "ase", "numpy", "zarr"} <= versions.keys()
    made = datetime.datetime.fromisoformat(store.attrs["created"])
    assert datetime.timedelta(0) <= datetime.datetime.now(datetime.UTC) - made < datetime.timedelta(hours=1)
    assert store.attrs["seed"] == store.attrs["options"]["seed"] == 0
    assert store.attrs["options"]["shard"] == 16


def test_a_store_says_what_it_is_made_of(store: VoxelStore) -> None:
    attributes = store.attrs
    assert (attributes["schema"], attributes["schema_version"], attributes["complete"]) == ("ruo2-voxel", 2, True)
    assert attributes["species"] == ["Ru", "O"]
    assert attributes["shape"] == [8, 10, 12]
    assert (attributes["sigma_angstrom"], attributes["tol"]) == (0.6, 1e-4)
    assert attributes["alpha_per_square_angstrom"] == pytest.approx(1 / (2 * 0.6**2))
    assert attributes["cutoff_angstrom"] == GRID.cutoff
    assert attributes["structures"] == N_FRAMES
    assert attributes["atoms"] == store.n_atoms.sum() == store.atom_offset[-1]
    assert attributes["info_keys"] == ["accepted", "facet", "mu_O", "run"]


def test_every_array_names_its_dimensions_and_units(store: VoxelStore) -> None:
    for name, array in store.arrays():
        assert len(array.metadata.dimension_names) == array.ndim, name
    units = {name: array.attrs["units"] for name, array in store.arrays() if "units" in array.attrs}
    lengths = dict.fromkeys(("positions", "lattice", "cell", "vacuum", "lift"), "angstrom")
    assert units == {**lengths, "energy": "eV", "magnetic_moment": "bohr_magneton"}
    np.testing.assert_array_equal(store.array("y")[:], np.arange(10) / 10)


def test_names_of_info_keys_are_made_fit_and_kept_apart(tmp_path: Path) -> None:
    atoms = structure(0)
    atoms.info = {"a b": 1, "a/b": 2, "a_b": 3, "_a_b": 4, "é": 5, "": 6, "../up": 7, "c": 8}
    store = built(write_frames(tmp_path / "bh.traj", [atoms]), tmp_path / "bh.zarr")
    names = [name for name, _ in store.arrays() if name.startswith("info/")]
    assert len(names) == len(set(names)) == 8
    assert all(name.removeprefix("info/").replace("_", "").isalnum() for name in names)
    assert {key: values.tolist() for key, values in store.info.items()} == {key: [n] for key, n in atoms.info.items()}


def test_a_summary_gives_the_ranges(store: VoxelStore) -> None:
    summary = summarize(store)
    per_atom = store.energy / store.n_atoms
    assert summary["energy_per_atom"] == [per_atom.min(), per_atom.max()]
    assert summary["atoms_per_structure"] == [3, 6]
    assert summary["density_bytes"] == N_FRAMES * 2 * 8 * 10 * 12
    np.testing.assert_allclose(np.array(summary["lattice_angstrom"])[2], 6.5)
