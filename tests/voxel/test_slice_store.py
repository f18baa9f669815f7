"""A view of slices and a store of slices read alike: the planes of the grids, each with what its structure has."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ruo2_voxel import (
    Grid,
    GridError,
    SliceChoice,
    SliceStore,
    SliceView,
    StoreError,
    VoxelStore,
    build,
    build_slices,
    open_slices,
    open_store,
    slices,
)
from ruo2_voxel.store import slice_store, slice_view
from tests.voxel.stores import write_frames

GRID = Grid(shape=(8, 8, 6), sigma=0.6)
CHOICES = {
    "even": SliceChoice(),
    "even, without empty ones": SliceChoice(drop_empty=True),
    "all": SliceChoice(positions="all"),
    "one position": SliceChoice(positions=3, drop_empty=False),
    "a list": SliceChoice(positions=(5, 0)),
    "xz": SliceChoice(planes=("xz",)),
    "yz, then xz": SliceChoice(planes=("yz", "xz"), positions="all"),
}


def row_of_atoms(index: int) -> Atoms:
    """Atoms in one corner of a cell of its own, so that some slices are empty."""
    rng = np.random.default_rng(index)
    cell = [5.0 + 0.1 * (index % 3), 6.0, 4.0 + index % 2]
    atoms = Atoms("RuO2", positions=rng.uniform(0.5, 1.5, (3, 3)), cell=cell, pbc=True)
    atoms.info = {"run": index // 4}
    atoms.calc = SinglePointCalculator(atoms, energy=-20.0 - index)
    return atoms


@pytest.fixture(scope="module")
def structures(tmp_path_factory: pytest.TempPathFactory) -> VoxelStore:
    """Twenty frames, twice each."""
    folder = tmp_path_factory.mktemp("structures")
    source = write_frames(folder / "bh.traj", [row_of_atoms(index) for index in range(20)])
    options: dict[str, Any] = {"copies": 2, "translate": True, "split_by": ("run",), "held_out": 0.3, "n_classes": 4}
    build(source, folder / "bh.zarr", GRID, chunk=4, shard=16, **options)
    return open_store(folder / "bh.zarr")


def by_hand(store: VoxelStore, choice: SliceChoice) -> dict[str, Any]:
    """What a view must hold, structure by structure."""
    rows: dict[str, list[Any]] = {name: [] for name in ("values", "lattice", "plane", "position", "structure")}
    for index in range(len(store)):
        found = slices(store.read([index])[0], store.lattice[index], choice.planes, choice.positions, choice.drop_empty)  # type: ignore[arg-type]
        for name, part in zip(rows, found, strict=False):
            rows[name].extend(part)
        rows["structure"].extend([index] * len(found.values))
    return {name: np.array(values) for name, values in rows.items()}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
@pytest.mark.parametrize("compress", [False, True], ids=["raw", "compressed"])
def test_view_and_store_are_the_slices_of_each_structure(
    choice: SliceChoice, compress: bool, structures: VoxelStore, tmp_path: Path
) -> None:
    expected = by_hand(structures, choice)
    view = SliceView(structures, choice)
    build_slices(view, tmp_path / "slices.zarr", compress=compress)
    store = open_slices(tmp_path / "slices.zarr")
    everything = np.arange(len(expected["values"]))
    of = expected["structure"]
    for found in (view, store):
        assert len(found) == len(everything)
        np.testing.assert_array_equal(found.read(everything), expected["values"], strict=True)
        np.testing.assert_allclose(found.lattice, expected["lattice"], rtol=1e-15)
        for name in ("plane", "position", "structure"):
            assert getattr(found, name).tolist() == expected[name].tolist(), name
        for name in ("energy", "label", "energy_class", "split"):
            np.testing.assert_array_equal(getattr(found, name), getattr(structures, name)[of], err_msg=name)
    for name in ("source_id", "frame_id", "copy"):
        np.testing.assert_array_equal(getattr(store, name), getattr(structures, name)[of], err_msg=name)
    n_cuts = len(choice.planes) * {"even": 4, "all": 8, 3: 1, (5, 0): 2}[choice.positions]
    assert store.attrs["slicing"]["empty"] == view.n_empty == len(structures) * n_cuts - len(everything)
    assert (view.n_empty > 0) == choice.drop_empty


@pytest.mark.parametrize("choice", [CHOICES["even"], CHOICES["yz, then xz"]], ids=["even", "all"])
def test_slices_are_read_in_any_order(choice: SliceChoice, structures: VoxelStore, tmp_path: Path) -> None:
    view = SliceView(structures, choice)
    build_slices(view, tmp_path / "slices.zarr")
    store = open_slices(tmp_path / "slices.zarr")
    every = view.read(np.arange(len(view)))
    rng = np.random.default_rng(0)
    orders = [
        rng.integers(-len(view), len(view), 300),
        [-1, 0, -len(view), len(view) - 1, 3, 3],
        [],
        np.arange(5)[::-1],
    ]
    for order in orders:
        wanted = every[np.asarray(order, dtype=int)]
        out = np.empty_like(wanted)
        for found in (view, store):
            np.testing.assert_array_equal(found.read(order), wanted, strict=True)
            assert found.read(order, out=out) is out
            np.testing.assert_array_equal(out, wanted)
            np.testing.assert_array_equal(found.densities(order), wanted.astype(np.float32) * np.float32(1 / 255))
    for found in (view, store):
        density = found.density(-2)
        assert (density.shape, density.dtype) == ((2, 8, 6), np.float32)
        np.testing.assert_array_equal(density, every[-2] * np.float32(1 / 255))


@pytest.mark.parametrize("plane", ["xz", "yz"])
def test_slices_of_an_oblong_grid_are_gathered(plane: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_frames(tmp_path / "bh.traj", [row_of_atoms(index) for index in range(7)])
    build(source, tmp_path / "bh.zarr", Grid(shape=(6, 10, 4), sigma=1.0))
    structures = open_store(tmp_path / "bh.zarr")
    choice = SliceChoice(planes=(plane,), positions="all")
    monkeypatch.setattr(slice_view, "STRUCTURES_AT_ONCE", 2)
    view = SliceView(structures, choice)
    order = np.random.default_rng(2).integers(-len(view), len(view), 100)
    wanted = by_hand(structures, choice)["values"][order]
    room = np.zeros((len(order), 2, wanted.shape[2], 8), dtype=np.uint8)[..., ::2]  # need not be contiguous
    np.testing.assert_array_equal(view.read(order, out=room), wanted, strict=True)


def test_a_view_reads_structures_block_by_block(structures: VoxelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SliceView(structures)
    monkeypatch.setattr(slice_view, "STRUCTURES_AT_ONCE", 3)
    blocks = SliceView(structures)
    assert blocks.structure.tolist() == whole.structure.tolist()
    order = np.random.default_rng(1).permutation(len(whole))
    np.testing.assert_array_equal(blocks.read(order), whole.read(order))


def test_slices_fill_several_shards(structures: VoxelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    view = SliceView(structures, SliceChoice(positions="all", drop_empty=False))
    monkeypatch.setattr(slice_store, "CHUNK", 16)
    monkeypatch.setattr(slice_store, "SHARD", 64)
    counted: list[int] = []
    build_slices(view, tmp_path / "slices.zarr", progress=counted.append)
    assert sum(counted) == len(view) == 640
    assert len(list((tmp_path / "slices.zarr/density/c").iterdir())) == 10
    store = open_slices(tmp_path / "slices.zarr")
    np.testing.assert_array_equal(store.read(np.arange(640)), view.read(np.arange(640)))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_slices_of_floats_are_floats(dtype: str, tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bh.traj", [row_of_atoms(index) for index in range(3)])
    build(source, tmp_path / "bh.zarr", GRID, dtype=dtype)
    structures = open_store(tmp_path / "bh.zarr")
    view = SliceView(structures)
    build_slices(view, tmp_path / "slices.zarr")
    store = open_slices(tmp_path / "slices.zarr")
    assert store.dtype == view.dtype == np.dtype(dtype)
    everything = np.arange(len(view))
    expected = by_hand(structures, SliceChoice())["values"]
    for found in (view, store):
        np.testing.assert_array_equal(found.read(everything), expected, strict=True)
        np.testing.assert_array_equal(found.densities(everything), expected.astype(np.float32), strict=True)


def test_a_compressed_store_is_smaller(structures: VoxelStore, tmp_path: Path) -> None:
    view = SliceView(structures)
    sizes = []
    for name, compress in (("raw", False), ("small", True)):
        build_slices(view, tmp_path / name, compress=compress)
        sizes.append(sum(path.stat().st_size for path in (tmp_path / name / "density").rglob("*") if path.is_file()))
    assert sizes[1] < 0.7 * sizes[0]


def test_other_programs_read_the_slices(structures: VoxelStore, tmp_path: Path) -> None:
    view = SliceView(structures)
    build_slices(view, tmp_path / "slices.zarr", compress=True)
    group = zarr.open_group(tmp_path / "slices.zarr", mode="r")
    np.testing.assert_array_equal(group["density"][:], view.read(np.arange(len(view))))
    assert group["density"].metadata.dimension_names == ("slice", "species", "u", "z")
    xarray = pytest.importorskip("xarray")
    with xarray.open_zarr(tmp_path / "slices.zarr", consolidated=False, mask_and_scale=True) as dataset:
        assert dataset["density"].dims == ("slice", "species", "u", "z")
        np.testing.assert_allclose(dataset["density"][:5], view.densities(range(5)), atol=1e-7)  # type: ignore[arg-type]
        held_out = dataset["density"][dataset["split"].values == 1]
        assert held_out.sizes["slice"] == np.count_nonzero(view.split)
        assert set(held_out["plane"].values.tolist()) == {0, 1}


def test_a_store_of_slices_says_what_it_is_made_of(structures: VoxelStore, tmp_path: Path) -> None:
    view = SliceView(structures, SliceChoice(positions=(5, 0)))
    attributes = build_slices(view, tmp_path / "slices.zarr", compress=True)
    store = open_slices(tmp_path / "slices.zarr")
    assert store.attrs == attributes
    slicing = {"planes": ["xz", "yz"], "positions": [0, 5], "drop_empty": False, "compress": True}
    assert slicing.items() <= attributes["slicing"].items()
    assert (attributes["slices"], attributes["structures"]) == (len(view), len(structures))
    assert attributes["shape"] == [8, 6]
    assert attributes["plane_names"] == ["xz", "yz"]
    assert attributes["classes"]["counts"] == np.bincount(view.energy_class, minlength=4).tolist()
    assert attributes["classes"]["edges"] == structures.attrs["classes"]["edges"]
    assert attributes["split"]["counts"] == np.bincount(view.split).tolist()
    for name in ("species", "sigma_angstrom", "tol", "quantisation", "sources", "options"):
        assert attributes[name] == structures.attrs[name], name
    assert re.fullmatch(r"SliceStore\('.*': \d+ slices, Ru,O on 8x6, uint8\)", repr(store))
    assert store.grid == structures.grid


@pytest.mark.parametrize("positions", [3, np.int64(3), [3], range(3, 4), np.array([3])], ids=repr)
def test_positions_of_any_kind_are_recorded_as_numbers(positions: Any, structures: VoxelStore, tmp_path: Path) -> None:
    build_slices(SliceView(structures, SliceChoice(positions=positions)), tmp_path / "slices.zarr")
    assert open_slices(tmp_path / "slices.zarr").attrs["slicing"]["positions"] == [3]


def test_a_store_without_label_has_slices(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bh.traj", [row_of_atoms(index) for index in range(3)])
    build(source, tmp_path / "bh.zarr", GRID, label="none")
    attributes = build_slices(SliceView(open_store(tmp_path / "bh.zarr")), tmp_path / "slices.zarr")
    assert attributes["classes"] is None
    assert set(open_slices(tmp_path / "slices.zarr").energy_class.tolist()) == {-1}


def test_the_wrong_kind_of_store_says_how_to_open_it(structures: VoxelStore, tmp_path: Path) -> None:
    build_slices(SliceView(structures), tmp_path / "slices.zarr")
    with pytest.raises(StoreError, match=r"a voxel store .* found schema 'ruo2-voxel-slices'.* use open_slices"):
        open_store(tmp_path / "slices.zarr")
    with pytest.raises(StoreError, match=r"must be a store of slices .* found schema 'ruo2-voxel'\. .* use open_store"):
        open_slices(structures.location)
    with pytest.raises(StoreError, match="found nothing there"):
        open_slices(tmp_path / "nothing.zarr")


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        (SliceChoice(positions=8), "positions must be different ones from 0 to 7, at least one; got [8]"),
        (SliceChoice(planes=("xy",)), "planes must be different ones of xz, yz, got xy"),  # type: ignore[arg-type]
        (SliceChoice(positions="odd"), "a position or a list of them; got 'odd'"),
    ],
)
def test_choices_that_cannot_be(choice: SliceChoice, found: str, structures: VoxelStore) -> None:
    with pytest.raises(GridError, match=re.escape(found)):
        SliceView(structures, choice)


def test_of_a_store_that_is_not_square_one_kind_of_plane_is_cut(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bh.traj", [row_of_atoms(index) for index in range(3)])
    build(source, tmp_path / "bh.zarr", Grid(shape=(8, 10, 6), sigma=0.6))
    structures = open_store(tmp_path / "bh.zarr")
    with pytest.raises(GridError, match="as many voxels along x as along y; got 8 and 10"):
        SliceView(structures)
    for plane, shape in (("xz", (2, 8, 6)), ("yz", (2, 10, 6))):
        choice = SliceChoice(planes=(plane,), positions="all")  # type: ignore[arg-type]
        build_slices(SliceView(structures, choice), tmp_path / f"{plane}.zarr")
        store = open_slices(tmp_path / f"{plane}.zarr")
        expected = by_hand(structures, choice)["values"]
        assert expected.shape[1:] == shape
        np.testing.assert_array_equal(store.read(np.arange(len(store))), expected)


def test_indices_and_outputs_that_cannot_be(structures: VoxelStore, tmp_path: Path) -> None:
    view = SliceView(structures)
    build_slices(view, tmp_path / "slices.zarr")
    n = len(view)
    for found in (view, open_slices(tmp_path / "slices.zarr")):
        for indices in ([n], [-n - 1]):
            with pytest.raises(IndexError, match=f"indices must lie within {n} slices; found {indices[0]}"):
                found.read(indices)
        with pytest.raises(StoreError, match="indices must be whole numbers in one dimension; found bool"):
            found.read(found.split == 1)
        with pytest.raises(StoreError, match="indices must be whole numbers in one dimension; found float64"):
            found.read(np.array([0.0, 1.7]))
        with pytest.raises(StoreError, match=r"out must be .*uint8 of shape"):
            found.read([0, 1], out=np.empty((2, 2, 8, 6), dtype=np.float32))


def test_at_least_one_slice_must_show_something(tmp_path: Path) -> None:
    atoms = Atoms("O", positions=[[0.0, 3.0, 3.0]], cell=[7.0, 7.0, 7.0], pbc=True)
    build(write_frames(tmp_path / "bh.traj", [atoms]), tmp_path / "bh.zarr", Grid(shape=(8, 8, 8), sigma=0.6))
    structures = open_store(tmp_path / "bh.zarr")
    with pytest.raises(StoreError, match="at least one slice must show a Gaussian; found 1 empty ones"):
        SliceView(structures, SliceChoice(planes=("yz",), positions=4, drop_empty=True))
    assert len(SliceView(structures, SliceChoice(planes=("yz",), positions=4))) == 1


def test_something_in_the_way_is_replaced_only_on_request(structures: VoxelStore, tmp_path: Path) -> None:
    view, other = SliceView(structures), SliceView(structures, SliceChoice(positions=3))
    out = tmp_path / "slices.zarr"
    build_slices(view, out)
    with pytest.raises(StoreError, match="must not exist yet; found something"):
        build_slices(other, out)
    assert len(open_slices(out)) == len(view)
    build_slices(other, out, overwrite=True)
    assert len(open_slices(out)) == len(other)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="must be a Zarr store to be replaced"):
        build_slices(view, tmp_path / "notes", overwrite=True)
    assert (tmp_path / "notes/thesis.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "slices.zarr"]


def test_a_store_is_not_replaced_by_its_own_slices(structures: VoxelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    view = SliceView(structures)
    monkeypatch.chdir(Path(structures.location).parent)
    for name in (structures.location, "bh.zarr", "./bh.zarr", f"file://{structures.location}"):
        with pytest.raises(StoreError, match="slices need a store of their own"):
            build_slices(view, name, overwrite=True)
    assert len(open_store(structures.location)) == 40


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "ended"])
@pytest.mark.parametrize("before", [False, True], ids=["new", "overwriting"])
def test_a_failed_writing_leaves_nothing_new(
    error: BaseException, before: bool, structures: VoxelStore, tmp_path: Path
) -> None:
    view = SliceView(structures, SliceChoice(positions="all", drop_empty=False))
    out = tmp_path / "slices.zarr"
    if before:
        build_slices(SliceView(structures), out)
        n_before = len(open_slices(out))

    def fail(_: int) -> None:
        raise error

    wanted = StoreError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(wanted) as caught:
        build_slices(view, out, overwrite=before, progress=fail)
    if wanted is StoreError:
        assert "found No space left on device. Make room, then cut them anew" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["slices.zarr"] * before
    if before:
        assert len(open_slices(out)) == n_before
    build_slices(view, out, overwrite=before)
    assert len(open_slices(out)) == 640


KILLED = """
import os, signal, sys
from ruo2_voxel import SliceView, build_slices, open_store
build_slices(SliceView(open_store(sys.argv[1])), sys.argv[2], progress=lambda n: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_killed_writing_leaves_nothing_that_opens(structures: VoxelStore, tmp_path: Path) -> None:
    out = tmp_path / "slices.zarr"
    process = subprocess.run([sys.executable, "-c", KILLED, structures.location, str(out)], env=os.environ, check=False)
    assert process.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["slices.zarr.building"]
    for path in (out, tmp_path / "slices.zarr.building"):
        with pytest.raises(StoreError, match=r"is not complete.*if it is to hold slices, cut them anew"):
            open_slices(path)
    view = SliceView(structures)
    build_slices(view, out)
    np.testing.assert_array_equal(open_slices(out).read(np.arange(len(view))), view.read(np.arange(len(view))))
    assert [path.name for path in tmp_path.iterdir()] == ["slices.zarr"]


def test_an_unfinished_store_of_structures_still_says_how_to_finish_it(tmp_path: Path) -> None:
    (tmp_path / "bh.zarr.building").mkdir()
    with pytest.raises(StoreError, match=r"is not complete .*Finish it with ruo2-voxel build \.\.\. --resume"):
        open_store(tmp_path / "bh.zarr")


def test_slices_may_lie_at_a_url(structures: VoxelStore) -> None:
    view = SliceView(structures)
    build_slices(view, "memory://slices.zarr")
    store = open_slices("memory://slices.zarr")
    np.testing.assert_array_equal(store.read([3, -1]), view.read([3, -1]))
    with pytest.raises(StoreError, match="must not exist yet"):
        build_slices(view, "memory://slices.zarr")


def few_atoms(index: int) -> Atoms:
    shift = (index * 0.61803399) % 1.0
    positions = [[6.0 * shift, 3.0, 2.0], [1.0, 6.0 * shift, 1.0]]
    return Atoms("RuO", positions=positions, cell=[6.0, 6.0, 4.0], pbc=True)


def thesis_store(n_frames: int, folder: Path, copies: int, shape: tuple[int, int, int]) -> VoxelStore:
    source = write_frames(folder / "frames.traj", [few_atoms(index) for index in range(n_frames)])
    grid = Grid(shape=shape, sigma=1.0)
    build(source, folder / "bh.zarr", grid, copies=copies, translate=True, rotate=True, seed=1, label="none")
    return open_store(folder / "bh.zarr")


@pytest.mark.parametrize(("n_frames", "n_slices"), [(148, 18944), (91, 11648)], ids=["GAP", "GAP, extended"])
def test_the_slices_of_the_thesis_from_surfaces(n_frames: int, n_slices: int, tmp_path: Path) -> None:
    structures = thesis_store(n_frames, tmp_path, 4, (32, 32, 4))
    view = SliceView(structures, SliceChoice(drop_empty=False))
    assert len(view) == n_slices
    attributes = build_slices(view, tmp_path / "slices.zarr")
    assert attributes["slices"] == n_slices
    store: SliceStore = open_slices(tmp_path / "slices.zarr")
    assert len(store) == n_slices
    assert np.bincount(store.plane).tolist() == [n_slices // 2] * 2
    assert np.bincount(store.frame_id).tolist() == [4 * 16 * 2] * n_frames
    assert set(store.position.tolist()) == set(range(0, 32, 2))


@pytest.mark.slow
def test_the_slices_of_the_thesis_from_basin_hopping(tmp_path: Path) -> None:
    structures = thesis_store(28903, tmp_path, 1, (12, 12, 4))
    view = SliceView(structures, SliceChoice(positions=10, drop_empty=False))
    assert build_slices(view, tmp_path / "slices.zarr")["slices"] == len(view) == 57806
    store = open_slices(tmp_path / "slices.zarr")
    assert np.bincount(store.structure).tolist() == [2] * 28903
    assert set(store.position.tolist()) == {10}
    last = store.read([-1, -2])
    np.testing.assert_array_equal(last, view.read([-1, -2]))
    np.testing.assert_array_equal(last[0], structures.read([28902])[0][:, 10])
