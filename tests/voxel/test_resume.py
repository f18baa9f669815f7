"""A build that was stopped, wherever that was, goes on to the same bytes as one that never was."""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from ruo2_voxel import Grid, StoreError, StructureError, SurfaceReference, build, open_store, verify_store
from ruo2_voxel.store.target import LocalTarget
from ruo2_voxel.store.write import shard_key
from tests.voxel.stores import GRID, N_FRAMES, arrays_of, assert_same_store, structure, write_frames
from tests.voxel.structure_files import store as write_database

OPTIONS: dict[str, Any] = {"grid": GRID, "copies": 2, "translate": True, "chunk": 4, "shard": 12}


class StoppedError(Exception):
    """What ends a build before its time."""


def stop_after(n_structures: int) -> Callable[[int], None]:
    """A progress callback that stops a build."""
    done = 0

    def progress(n: int) -> None:
        nonlocal done
        if done >= n_structures:
            raise StoppedError
        done += n

    return progress


def build_partly(source: str, out: Path, n_structures: int = 30, **options: Any) -> Path:
    """An unfinished build; returns its folder."""
    with pytest.raises(StoppedError):
        build(source, out, **OPTIONS | options, workers=1, progress=stop_after(n_structures))
    return out.with_name(out.name + ".building")


@pytest.fixture(scope="module")
def uninterrupted(trajectory: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "bh.zarr"
    build(trajectory, path, **OPTIONS)
    return path


@pytest.mark.parametrize(("n_structures", "n_kept"), [(0, 0), (12, 12), (30, 36), (95, 96)])
def test_a_stopped_build_goes_on_to_the_same_bytes(
    n_structures: int, n_kept: int, trajectory: str, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bh.zarr"
    building = build_partly(trajectory, out, n_structures)
    with pytest.raises(StoreError, match="is not complete"):
        open_store(out)
    kept = {path: path.stat().st_mtime_ns for path in building.rglob("0") if path.is_file()}
    assert len(kept) == n_kept // 12
    counted: list[int] = []
    summary = build(trajectory, out, **OPTIONS, workers=2, resume=True, progress=counted.append)
    assert summary["resumed_structures"] == n_kept
    assert sum(counted) == summary["structures"] == 2 * N_FRAMES
    for path, written in kept.items():
        assert (out / path.relative_to(building)).stat().st_mtime_ns == written
    assert_same_store(out, uninterrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["bh.zarr"]


def test_a_build_may_be_stopped_again_and_again(trajectory: str, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "bh.zarr"
    build_partly(trajectory, out, 10)
    for _ in range(3):
        build_partly(trajectory, out, 30, resume=True)
    build(trajectory, out, **OPTIONS, resume=True)
    assert_same_store(out, uninterrupted)


def build_to_the_last_step(source: str, out: Path, n_files: int, patch: pytest.MonkeyPatch) -> Path:
    """A build stopped after it has written so many files of the small arrays."""
    put, n_put = LocalTarget.put, itertools.count()

    def put_or_stop(target: LocalTarget, key: str, data: bytes, durable: bool = True) -> None:
        if not durable and next(n_put) == n_files:
            raise StoppedError
        put(target, key, data, durable)

    patch.setattr(LocalTarget, "put", put_or_stop)
    with pytest.raises(StoppedError):
        build(source, out, **OPTIONS)
    patch.undo()
    return out.with_name(out.name + ".building")


@pytest.mark.parametrize("n_files", [0, 1, 20, 50])
def test_a_build_stopped_in_its_last_step_goes_on(
    n_files: int, trajectory: str, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building = build_to_the_last_step(trajectory, tmp_path / "bh.zarr", n_files, monkeypatch)
    assert not (building / "zarr.json").exists()
    with pytest.raises(StoreError, match="is not complete"):
        open_store(tmp_path / "bh.zarr")
    (building / "stale").mkdir()
    summary = build(trajectory, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    assert summary["resumed_structures"] == 2 * N_FRAMES
    assert_same_store(tmp_path / "bh.zarr", uninterrupted)
    assert not (tmp_path / "bh.zarr/stale").exists()


@pytest.mark.parametrize("lost", ["plan.json", "shard-0.json", "atoms-1.npz"])
def test_a_build_stopped_while_it_removes_its_state_goes_on(
    lost: str, trajectory: str, uninterrupted: Path, tmp_path: Path
) -> None:
    building = build_partly(trajectory, tmp_path / "bh.zarr", 95)
    (building / ".build" / lost).unlink()
    build(trajectory, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    assert_same_store(tmp_path / "bh.zarr", uninterrupted)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_shard_that_lost_bytes_is_made_again(
    damage: str, trajectory: str, uninterrupted: Path, tmp_path: Path
) -> None:
    file = build_partly(trajectory, tmp_path / "bh.zarr") / shard_key(1)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.unlink()
    summary = build(trajectory, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    assert summary["resumed_structures"] == 24
    assert_same_store(tmp_path / "bh.zarr", uninterrupted)


def test_leftovers_of_a_killed_write_do_no_harm(trajectory: str, uninterrupted: Path, tmp_path: Path) -> None:
    building = build_partly(trajectory, tmp_path / "bh.zarr")
    for name in ("density/c/3/0/0/0/0.partial", "density/c/0/0/0/0/0.partial", "energy/c/0.7.partial", "x.partial"):
        (building / name).parent.mkdir(parents=True, exist_ok=True)
        (building / name).write_bytes(b"half")
    build(trajectory, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    assert_same_store(tmp_path / "bh.zarr", uninterrupted)


def test_resuming_what_was_never_begun_builds_it(trajectory: str, uninterrupted: Path, tmp_path: Path) -> None:
    build(trajectory, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    assert_same_store(tmp_path / "bh.zarr", uninterrupted)


def test_a_build_that_is_run_again_finds_its_work_done(trajectory: str, tmp_path: Path) -> None:
    out = tmp_path / "bh.zarr"
    first = build(trajectory, out, **OPTIONS, split_by=("run",))
    before = arrays_of(out) | {"zarr.json": (out / "zarr.json").read_bytes()}
    again = build(trajectory, out, **OPTIONS, split_by=("run",), on_error="skip", resume=True)
    assert again["resumed_structures"] == again["structures"] == 2 * N_FRAMES
    for name in first.keys() - {"seconds", "structures_per_second", "resumed_structures"}:
        assert again[name] == first[name]
    assert arrays_of(out) | {"zarr.json": (out / "zarr.json").read_bytes()} == before


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"seed": 1}, "seed 0, not 1"),
        ({"label": "energy"}, "label 'auto', not 'energy'"),
        ({"n_classes": 3}, "n_classes 10, not 3"),
        ({"split_by": ("run",)}, r"split_by \[\], not \['run'\]"),
    ],
)
def test_a_finished_store_does_not_pass_for_another(
    changed: dict[str, Any], found: str, trajectory: str, uninterrupted: Path
) -> None:
    with pytest.raises(StoreError, match=f"to resume, files and options must be those of the earlier .* has {found}"):
        build(trajectory, uninterrupted, **OPTIONS | changed, resume=True)
    with pytest.raises(StoreError, match="it has other files or frames"):
        build(f"{trajectory}@:9", uninterrupted, **OPTIONS, resume=True)


def test_an_unfinished_build_is_neither_lost_nor_mixed_by_accident(
    trajectory: str, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bh.zarr"
    build_partly(trajectory, out)
    with pytest.raises(StoreError, match=r"unfinished build \(36 of 100 structures\)\. Go on with --resume, or begin"):
        build(trajectory, out, **OPTIONS)
    assert build(trajectory, out, **OPTIONS, resume=True)["resumed_structures"] == 36
    shutil.rmtree(out)
    build_partly(trajectory, out, seed=3)
    assert build(trajectory, out, **OPTIONS, overwrite=True)["resumed_structures"] == 0
    assert_same_store(out, uninterrupted)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"grid": replace(GRID, sigma=0.7)}, "sigma_angstrom 0.6, not 0.7"),
        ({"grid": replace(GRID, tol=1e-3)}, "tol 0.0001, not 0.001"),
        ({"grid": replace(GRID, shape=(8, 10, 14))}, r"shape \[8, 10, 12\], not \[8, 10, 14\]"),
        ({"grid": replace(GRID, species=("O", "Ru"))}, r"species \['Ru', 'O'\], not \['O', 'Ru'\]"),
        ({"copies": 3}, "copies 2, not 3"),
        ({"translate": False}, "translate True, not False"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"dtype": "float32"}, "dtype 'uint8', not 'float32'"),
        ({"chunk": 2}, "chunk 4, not 2"),
        ({"shard": 24}, "shard 12, not 24"),
        ({"compress": True}, "compress False, not True"),
    ],
)
def test_shards_of_other_options_are_not_mixed(
    changed: dict[str, Any], found: str, trajectory: str, uninterrupted: Path, tmp_path: Path
) -> None:
    build_partly(trajectory, tmp_path / "bh.zarr")
    with pytest.raises(StoreError, match=f"to resume, files and options must be those .*; it has {found}. Repeat them"):
        build(trajectory, tmp_path / "bh.zarr", **OPTIONS | changed, resume=True)
    build(trajectory, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    assert_same_store(tmp_path / "bh.zarr", uninterrupted)


def test_turns_and_clipping_count_as_well(trajectory: str, tmp_path: Path) -> None:
    square = {"grid": Grid(shape=(8, 8, 12), sigma=0.6), "dtype": "float16"}
    build_partly(trajectory, tmp_path / "bh.zarr", **square)
    for changed, found in (({"rotate": True}, "rotate False"), ({"combine": "none"}, "combine 'clip', not 'none'")):
        with pytest.raises(StoreError, match=f"it has {found}"):
            build(trajectory, tmp_path / "bh.zarr", **OPTIONS | square | changed, resume=True)


def test_shards_of_other_frames_are_not_mixed(trajectory: str, tmp_path: Path) -> None:
    source = str(shutil.copy(trajectory, tmp_path / "bh.traj"))
    build_partly(source, tmp_path / "bh.zarr")
    with pytest.raises(StoreError, match="it has other files or frames"):
        build(f"{source}@1:", tmp_path / "bh.zarr", **OPTIONS, resume=True)
    moved = str(shutil.copy(source, tmp_path / "moved.traj"))
    write_frames(Path(source), [structure(index + 1) for index in range(N_FRAMES)])
    with pytest.raises(StoreError, match="it has other files or frames"):
        build(source, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    assert build(moved, tmp_path / "bh.zarr", **OPTIONS, resume=True)["resumed_structures"] == 36


def test_rows_of_another_selection_are_not_mixed(tmp_path: Path) -> None:
    source = str(write_database(tmp_path / "bh.db", [structure(index) for index in range(40)]))
    build_partly(source, tmp_path / "bh.zarr", 12, selection="run<2")
    with pytest.raises(StoreError, match="it has other files or frames"):
        build(source, tmp_path / "bh.zarr", **OPTIONS, selection="run>1", resume=True)


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "energy", "n_classes": 2},
        {"label": "energy", "class_method": "clipped-equal-width", "clip": (0.2, 0.8), "n_classes": 3},
        {"label": "energy", "allow_empty_classes": True},
        {"label": "surface-free-energy", "reference": SurfaceReference(-24.0, -5.5), "class_method": "quantile"},
        {"label": "none"},
        {"n_classes": 4},
        {"split_by": ("run", "facet"), "held_out": 0.3},
        {"split_by": ("run",), "held_out_groups": (("1",),)},
        {"on_error": "skip"},
    ],
    ids=str,
)
def test_labels_and_splits_may_be_chosen_anew(changed: dict[str, Any], trajectory: str, tmp_path: Path) -> None:
    build_partly(trajectory, tmp_path / "bh.zarr")
    build(trajectory, tmp_path / "bh.zarr", **OPTIONS | changed, resume=True)
    build(trajectory, tmp_path / "whole.zarr", **OPTIONS | changed)
    assert_same_store(tmp_path / "bh.zarr", tmp_path / "whole.zarr")


def test_a_label_that_fails_at_the_end_can_be_mended(tmp_path: Path) -> None:
    structures = [structure(index, energy=False) for index in range(20)]
    for atoms in structures:
        atoms.calc = SinglePointCalculator(atoms, energy=-7.0)
    source = write_frames(tmp_path / "flat.traj", structures)
    with pytest.raises(StoreError, match=r"label energy: values .* must differ .* With --label none there are no"):
        build(source, tmp_path / "bh.zarr", **OPTIONS, label="energy")
    assert build(source, tmp_path / "bh.zarr", **OPTIONS, label="none", resume=True)["resumed_structures"] == 40
    verify_store(open_store(tmp_path / "bh.zarr"))


def test_a_split_that_finished_shards_cannot_follow_is_refused(tmp_path: Path) -> None:
    structures = [structure(index) for index in range(N_FRAMES)]
    del structures[3].info["run"]
    source = write_frames(tmp_path / "bh.traj", structures)
    build_partly(source, tmp_path / "bh.zarr")
    with pytest.raises(StoreError, match="info must have the key 'run' for --split-by; found a structure without it"):
        build(source, tmp_path / "bh.zarr", **OPTIONS, split_by=("run",), resume=True)
    build(source, tmp_path / "bh.zarr", **OPTIONS, split_by=("facet",), resume=True)


def test_a_label_that_finished_shards_cannot_follow_is_refused(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bh.traj", [structure(index, energy=index != 3) for index in range(N_FRAMES)])
    build_partly(source, tmp_path / "bh.zarr")
    with pytest.raises(StoreError, match="label energy: values to classify must be finite numbers; found nan"):
        build(source, tmp_path / "bh.zarr", **OPTIONS, label="energy", resume=True)


def test_what_decided_which_frames_were_left_out_stays(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bh.traj", [structure(index, energy=index != 3) for index in range(N_FRAMES)])
    skipping = {"label": "energy", "n_classes": 1, "on_error": "skip"}
    build_partly(source, tmp_path / "bh.zarr", **skipping)
    with pytest.raises(StoreError, match="it has label 'energy', not 'none'"):
        build(source, tmp_path / "bh.zarr", **OPTIONS, label="none", on_error="skip", resume=True)
    build_partly(source, tmp_path / "bh.zarr", 48, **skipping | {"n_classes": 3}, resume=True)
    with pytest.raises(StoreError, match=r"it has split_by \[\], not \['run'\]"):
        build(source, tmp_path / "bh.zarr", **OPTIONS | skipping, split_by=("run",), resume=True)
    build(source, tmp_path / "bh.zarr", **OPTIONS | skipping, resume=True)
    build(source, tmp_path / "whole.zarr", **OPTIONS | skipping)
    assert_same_store(tmp_path / "bh.zarr", tmp_path / "whole.zarr")


def test_a_resumed_build_is_resumed_by_its_own_choices(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bh.traj", [structure(index, energy=index != 12) for index in range(N_FRAMES)])
    build_partly(source, tmp_path / "bh.zarr", 12)
    skipping = {"label": "energy", "n_classes": 1, "on_error": "skip"}
    build_partly(source, tmp_path / "bh.zarr", 36, **skipping, resume=True)
    with pytest.raises(StoreError, match="it has label 'energy', not 'auto'"):
        build(source, tmp_path / "bh.zarr", **OPTIONS, resume=True)
    build(source, tmp_path / "bh.zarr", **OPTIONS | skipping, resume=True)
    build(source, tmp_path / "whole.zarr", **OPTIONS | skipping)
    assert_same_store(tmp_path / "bh.zarr", tmp_path / "whole.zarr")


def test_a_bad_frame_loses_nothing_already_written(tmp_path: Path) -> None:
    structures = [structure(index) for index in range(N_FRAMES)]
    structures[40].positions[1, 2] = np.nan
    source = write_frames(tmp_path / "bh.traj", structures)
    with pytest.raises(StructureError, match=r"frame 40 of .*bh\.traj: positions must be finite; found atom 1"):
        build(source, tmp_path / "bh.zarr", **OPTIONS)
    markers = [json.loads(path.read_text()) for path in (tmp_path / "bh.zarr.building/.build").glob("shard-*.json")]
    assert sum(marker["n_structures"] for marker in markers) == 72
    summary = build(source, tmp_path / "bh.zarr", **OPTIONS, on_error="skip", resume=True)
    assert (summary["resumed_structures"], summary["structures"]) == (72, 98)
    build(source, tmp_path / "whole.zarr", **OPTIONS, on_error="skip")
    assert_same_store(tmp_path / "bh.zarr", tmp_path / "whole.zarr")
