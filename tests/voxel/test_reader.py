"""A store gives back what was written: grids as Zarr reads them, structures as the trajectory held them."""

import json
import shutil
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ase import Atoms
from ase.io import iread
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel import StoreError, build, open_store
from ruo2_voxel.store import shard_reader
from tests.voxel.random_structures import LAW
from tests.voxel.same_as_ase import assert_identical
from tests.voxel.stores import GRID, N_FRAMES, copy_of, replace_root, structure, write_frames

DENSITY_FILE = "density/c/1/0/0/0/0"

CHOICES: dict[str, Sequence[int]] = {
    "random": [17, 3, 44, 21, 4, 9, 48, 16, 33],
    "sorted": [0, 5, 15, 16, 31, 32, 49],
    "descending": list(range(N_FRAMES - 1, -1, -1)),
    "negative": [-1, -50, -17, 3, -2],
    "repeated": [7, 7, 8, 8, 7, 49, 49],
    "one": [20],
    "empty": [],
    "everything": range(N_FRAMES),
    "across chunks": range(2, 13),
    "across shards": range(10, 40),
    "stretches": [*range(5, 20), 3, *range(14, 18), 49],
}


@pytest.fixture(scope="module")
def stores(trajectory: str, store_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same structures stored in several ways."""
    folder = tmp_path_factory.mktemp("stores")
    options = {
        "uint8, zstd": {"compress": True},
        "float16": {"dtype": "float16"},
        "float32, zstd": {"dtype": "float32", "combine": "none", "compress": True},
    }
    for number, option in enumerate(options.values()):
        build(trajectory, folder / f"{number}.zarr", GRID, shard=16, chunk=4, **option)
    return {"uint8": store_path, **{name: folder / f"{number}.zarr" for number, name in enumerate(options)}}


@pytest.mark.parametrize("form", ["uint8", "uint8, zstd", "float16", "float32, zstd"])
@pytest.mark.parametrize("choice", CHOICES)
def test_grids_are_those_that_zarr_reads(form: str, choice: str, stores: dict[str, Path]) -> None:
    store = open_store(stores[form])
    expected = zarr.open_array(stores[form] / "density", mode="r")[:]
    indices = CHOICES[choice]
    found = store.read(indices)
    np.testing.assert_array_equal(found, expected[np.array(indices, dtype=int)], strict=True)
    out = np.full_like(found, 77)
    assert store.read(np.array(indices, dtype=np.int32), out=out) is out
    np.testing.assert_array_equal(out, found)
    scale = np.float32(1 / 255 if store.dtype == np.uint8 else 1)
    np.testing.assert_array_equal(store.densities(indices), found.astype(np.float32) * scale, strict=True)


@LAW
@given(st.lists(st.integers(-N_FRAMES, N_FRAMES - 1), max_size=60))
def test_any_indices_pick_what_numpy_picks(store_path: Path, indices: list[int]) -> None:
    expected = zarr.open_array(store_path / "density", mode="r")[:]
    np.testing.assert_array_equal(open_store(store_path).read(indices), expected[np.array(indices, dtype=int)])


def test_reading_goes_on_with_more_shards_than_may_stay_open(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_reader, "MAX_OPEN_SHARDS", 2)
    store = open_store(store_path)
    expected = zarr.open_array(store_path / "density", mode="r")[:]
    for indices in ([0, 17, 33, 49, 1, 18, 34, 48], list(range(N_FRAMES))):
        np.testing.assert_array_equal(store.read(indices), expected[indices])


@pytest.mark.parametrize("form", ["uint8", "uint8, zstd"])
def test_threads_may_read_at_once(form: str, stores: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_reader, "MAX_OPEN_SHARDS", 1)
    store = open_store(stores[form])
    expected = zarr.open_array(stores[form] / "density", mode="r")[:]
    start = threading.Barrier(8)

    def read(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        start.wait()
        for _ in range(50):
            indices = rng.integers(0, N_FRAMES, 20)
            if not np.array_equal(store.read(indices), expected[indices]):
                return False
            index = int(indices[0])
            if len(store.atoms(index)) != store.n_atoms[index]:
                return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(8)))


def test_one_density_is_that_of_many(store_path: Path) -> None:
    store = open_store(store_path)
    assert store.density(-3).dtype == np.float32
    np.testing.assert_array_equal(store.density(-3), store.densities([47])[0])
    assert 0.5 < store.density(0).max() <= 1.0


def test_atoms_are_those_of_the_trajectory(store_path: Path, trajectory: str) -> None:
    store = open_store(store_path)
    expected = list(iread(trajectory))
    assert len(store) == len(expected)
    for found, atoms in zip(store.iterate_atoms(), expected, strict=True):
        assert_identical(found.numbers, atoms.numbers)
        assert_identical(found.positions, atoms.positions.astype(np.float32).astype(np.float64))
        assert_identical(found.cell.array, atoms.cell.array)
        assert_identical(found.pbc, atoms.pbc)
        assert found.get_tags().tolist() == atoms.get_tags().tolist()
        assert [each.index.tolist() for each in found.constraints] == [
            each.index.tolist() for each in atoms.constraints
        ]
        assert found.get_potential_energy() == atoms.get_potential_energy()
        assert_identical(dict(sorted(found.info.items())), dict(sorted(atoms.info.items())))


def test_negative_indices_count_from_the_end(store_path: Path) -> None:
    store = open_store(store_path)
    assert_identical(store.atoms(-1).positions, store.atoms(N_FRAMES - 1).positions)
    assert_identical(store.atoms(-N_FRAMES).positions, store.atoms(0).positions)


@pytest.mark.parametrize("index", [N_FRAMES, -N_FRAMES - 1])
def test_an_index_beyond_the_store_is_refused(index: int, store_path: Path) -> None:
    store = open_store(store_path)
    with pytest.raises(IndexError, match=f"must lie within 50 structures; found {index}"):
        store.read([index])
    with pytest.raises(IndexError, match=f"must lie within 50 structures; found {index}"):
        store.atoms(index)


@pytest.mark.parametrize(
    ("indices", "found"),
    [
        ([1.0, 2.0], "found float64"),
        (np.arange(N_FRAMES) < 3, r"found bool of shape \(50,\).*np.flatnonzero"),
        (["1"], "found <U1"),
        (3, r"of shape \(\)"),
        ([[1, 2]], r"of shape \(1, 2\)"),
    ],
)
def test_indices_are_whole_numbers(indices: Sequence[int], found: str, store_path: Path) -> None:
    with pytest.raises(StoreError, match=f"indices must be whole numbers in one dimension; .*{found}"):
        open_store(store_path).read(indices)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((3, 2, *GRID.shape), np.uint8),
        np.empty((2, 2, *GRID.shape), np.float32),
        np.empty((2, 2, *GRID.shape), np.uint8, order="F"),
        np.empty((4, 2, *GRID.shape), np.uint8)[::2],
    ],
    ids=["shape", "dtype", "order", "strides"],
)
def test_what_cannot_be_read_into_is_refused(out: NDArray[Any], store_path: Path) -> None:
    with pytest.raises(StoreError, match=r"out must be C-contiguous uint8 of shape \(2, 2, 8, 10, 12\); found"):
        open_store(store_path).read([0, 1], out=out)


def test_every_kind_of_info_comes_back(tmp_path: Path) -> None:
    structures = [structure(index) for index in range(4)]
    infos = [
        {
            "accepted": index % 2 == 0,
            "step": index,
            "id": 2**62 + index,
            "huge": 2**70 + index,
            "energy_before": -0.1 * index,
            "facet": f"r11{index} é",
            "empty": "",
            "nested": {"a": [1, {"b": None}], "c": "d"},
            "list": [index, "x"],
            "strain": np.eye(3) * index,
            "mixed": index if index % 2 else "none",
            "maybe": True if index % 2 else 3,
            "numpy_int": np.int64(index),
            "numpy_float": np.float64(index),
            "numpy_bool": np.bool_(index == 1),
            "weird key/é": index,
            "weird key_é": -index,
            "_hidden": index,
            "": "no name",
            "c": 1,
            "zarr.json": 2,
            **({"float_gap": 0.5 * index, "text_gap": "x", "bool_gap": False, "list_gap": []} if index % 2 else {}),
        }
        for index in range(4)
    ]
    for atoms, info in zip(structures, infos, strict=True):
        atoms.info = info
    source = write_frames(tmp_path / "info.traj", structures)
    build(source, tmp_path / "info.zarr", GRID)
    store = open_store(tmp_path / "info.zarr")
    for found, info in zip(store.iterate_atoms(), infos, strict=True):
        plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in info.items()}
        assert_identical(dict(sorted(found.info.items())), dict(sorted(plain.items())))
    assert store.info["accepted"].dtype == bool
    assert store.info["step"].dtype == store.info["id"].dtype == np.int64
    assert store.info["float_gap"].dtype == np.float64
    assert np.isnan(store.info["float_gap"]).tolist() == [True, False, True, False]
    assert store.info["text_gap"].tolist() == [None, "x", None, "x"]
    assert sorted(store.info) == sorted(store.attrs["info_keys"]) == sorted({key for info in infos for key in info})


def test_whole_numbers_with_gaps_are_floats(tmp_path: Path) -> None:
    structures = [structure(index) for index in range(3)]
    del structures[1].info["run"]
    build(write_frames(tmp_path / "gap.traj", structures), tmp_path / "gap.zarr", GRID)
    store = open_store(tmp_path / "gap.zarr")
    assert_identical(store.atoms(0).info["run"], 0.0)
    assert "run" not in store.atoms(1).info


def test_structures_without_atoms_or_energy_come_back(tmp_path: Path) -> None:
    nothing = Atoms(cell=[5, 5, 5])
    source = write_frames(tmp_path / "bh.traj", [nothing, structure(1, energy=False), nothing, structure(2)])
    build(source, tmp_path / "bh.zarr", GRID)
    store = open_store(tmp_path / "bh.zarr")
    assert [len(atoms) for atoms in store.iterate_atoms()] == [0, 4, 0, 5]
    assert [atoms.calc is None for atoms in store.iterate_atoms()] == [True, True, True, False]
    assert np.isnan(store.energy).tolist() == [True, True, True, False]
    assert not store.densities([0, 2]).any()


def test_small_arrays_are_read_only(store_path: Path) -> None:
    store = open_store(store_path)
    for name in ("energy", "energy_class", "lattice", "cell", "split", "n_atoms", "frame_id", "source_id", "copy"):
        assert not getattr(store, name).flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        store.energy[0] = 0.0


def test_a_store_tells_what_it_is(store_path: Path) -> None:
    store = open_store(store_path)
    assert repr(store) == f"VoxelStore({str(store_path)!r}: 50 structures, Ru,O on 8x10x12, uint8)"
    assert store.grid == GRID
    assert store.scale == 1 / 255
    assert store.n_chunks == 13


@pytest.mark.parametrize("compress", [False, True])
def test_a_missing_or_truncated_shard_is_named(compress: bool, stores: dict[str, Path], tmp_path: Path) -> None:
    path = copy_of(stores["uint8, zstd" if compress else "uint8"], tmp_path)
    (path / DENSITY_FILE).unlink()
    with pytest.raises(StoreError, match=f"copy.zarr/{DENSITY_FILE}: the shard must be there; found No such file"):
        open_store(path).read([17])
    assert open_store(path).read([0, 40]).any()
    (path / DENSITY_FILE).write_bytes((path / "density/c/0/0/0/0/0").read_bytes()[:-7])
    with pytest.raises(StoreError, match=f"copy.zarr/{DENSITY_FILE}: the index of the shard must have the checksum"):
        open_store(path).read([17])
    (path / DENSITY_FILE).write_bytes(b"")
    with pytest.raises(StoreError, match=f"{DENSITY_FILE}: the shard must end in an index of 68 bytes; found 0"):
        open_store(path).read([17])


def test_what_is_no_store_is_refused(store_path: Path, trajectory: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nothing\.zarr: must be a voxel store; found nothing there"):
        open_store(tmp_path / "nothing.zarr")
    for path in (tmp_path, Path(trajectory)):
        with pytest.raises(StoreError, match="must be a voxel store, a Zarr v3 group; found"):
            open_store(path)
    zarr.create_group(tmp_path / "other.zarr", attributes={"schema": "ome"})
    with pytest.raises(StoreError, match=r"other\.zarr: must .* \(schema 'ruo2-voxel'\); found schema 'ome'"):
        open_store(tmp_path / "other.zarr")
    zarr.create_group(tmp_path / "old.zarr", zarr_format=2)
    with pytest.raises(StoreError, match=r"old\.zarr: must be a voxel store, a Zarr v3 group; found"):
        open_store(tmp_path / "old.zarr")
    with pytest.raises(StoreError, match="must be a voxel store, a Zarr v3 group; found"):
        open_store(store_path / "density")


def test_a_store_of_another_version_is_refused(store_path: Path, tmp_path: Path) -> None:
    path = copy_of(store_path, tmp_path)
    replace_root(path, lambda attributes: attributes.update(schema_version=1))
    with pytest.raises(StoreError, match=r"must have schema version 2; found 1\. Read it with the release"):
        open_store(path)


def test_an_incomplete_store_is_refused(store_path: Path, tmp_path: Path) -> None:
    path = copy_of(store_path, tmp_path)
    replace_root(path, lambda attributes: attributes.update(complete=False))
    with pytest.raises(StoreError, match=r"the build of this store is not complete\. Finish it with .* --resume"):
        open_store(path)
    replace_root(path, lambda attributes: attributes.update(complete=True))
    building = Path(shutil.move(path, tmp_path / "bh.zarr.building"))  # as if killed before the last step, a rename
    for location in (building, tmp_path / "bh.zarr"):
        with pytest.raises(StoreError, match="the build of this store is not complete"):
            open_store(location)


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"zarr_format": 3, "node_type": "group"})])
def test_unreadable_root_metadata_is_named(text: str, store_path: Path, tmp_path: Path) -> None:
    path = copy_of(store_path, tmp_path)
    (path / "zarr.json").write_text(text)
    with pytest.raises(StoreError, match=r"copy\.zarr: must be a voxel store"):
        open_store(path)
