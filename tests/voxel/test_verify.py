"""A sound store passes; whatever is damaged in one, down to a bit, is found and named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr

from ruo2_voxel import StoreError, build, open_store, verify_store
from ruo2_voxel.store.shards import index_size, parse_index
from tests.voxel.stores import GRID, copy_of, flip_bit, replace_root, structure, write_frames

SHARD = "density/c/1/0/0/0/0"

Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has some of everything: classes, a split, frames left out, several shards."""
    structures = [structure(index) for index in range(30)]
    structures[4].cell = None
    folder = tmp_path_factory.mktemp("sound")
    source = write_frames(folder / "bh.traj", structures)
    build(source, folder / "bh.zarr", GRID, chunk=4, shard=8, split_by=("run",), held_out=0.4, on_error="skip")
    return folder / "bh.zarr"


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Path:
    return copy_of(sound, tmp_path)


def names_of(store: Path) -> list[str]:
    return sorted(name for name, _ in open_store(store).arrays() if name != "density")


def test_a_sound_store_passes(sound: Path) -> None:
    counted: list[int] = []
    report = verify_store(open_store(sound), None, progress=counted.append)
    assert report == {
        "location": str(sound),
        "structures": 29,
        "arrays": len(names_of(sound)) + 1,
        "chunks": 8,
        "generated": False,
        "voxelized_anew": 29,
        "largest_difference": 0.0,
    }
    assert sum(counted) == 8


@pytest.mark.parametrize(("n_samples", "n_checked"), [(0, 0), (5, 5), (29, 29), (1000, 29), (None, 29)])
def test_as_many_structures_are_made_again_as_asked_for(n_samples: int | None, n_checked: int, sound: Path) -> None:
    assert verify_store(open_store(sound), n_samples)["voxelized_anew"] == n_checked


@pytest.mark.parametrize("offset", [0, 500, 2000, -1])
def test_a_flipped_bit_in_a_density_is_found(offset: int, damaged: Path) -> None:
    flip_bit(damaged / SHARD, offset)
    with pytest.raises(StoreError, match=rf"{SHARD}: (chunk \d|the index) of the shard must have the checksum"):
        verify_store(open_store(damaged), 0)


def test_a_shard_that_is_cut_or_gone_is_found(damaged: Path) -> None:
    (damaged / SHARD).write_bytes((damaged / SHARD).read_bytes()[:-1000])
    with pytest.raises(StoreError, match=f"{SHARD}: "):
        verify_store(open_store(damaged), 0)
    (damaged / SHARD).unlink()
    with pytest.raises(StoreError, match=f"{SHARD}: the shard must be there"):
        verify_store(open_store(damaged), 0)


def test_every_file_of_every_array_counts(sound: Path, tmp_path: Path) -> None:
    for name in names_of(sound):
        files = [file for file in sorted((sound / name).rglob("*")) if file.is_file()]
        assert len(files) == 2, name
        for file in files:
            for change in (Path.unlink, lambda path: flip_bit(path, path.stat().st_size // 2)):
                if change is not Path.unlink and file.name == "zarr.json":
                    continue  # a flipped bit of its spaces would change nothing
                damaged = copy_of(sound, tmp_path)
                change(damaged / file.relative_to(sound))
                with pytest.raises(StoreError, match=name if not name.startswith("info/") else "info"):
                    verify_store(open_store(damaged), 0)
                shutil.rmtree(damaged)


@pytest.mark.parametrize(
    "name", ["density", "positions", "energy", "split", "x", "species", "info", "info/run", "skipped"]
)
def test_an_array_that_is_gone_is_named(name: str, damaged: Path) -> None:
    shutil.rmtree(damaged / name)
    with pytest.raises(StoreError, match=rf"(the array {name}.* must be there; found none|info must hold the keys)"):
        verify_store(open_store(damaged), 0)


def change_metadata(store: Path, name: str, **values: Any) -> None:
    path = store / name / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("energy", {"shape": [28]}, r"energy must have dimensions, type and shape .*\(28,\)"),
        ("split", {"data_type": "uint8"}, "split must have dimensions, type and shape .*uint8"),
        ("cell", {"dimension_names": ["structure", "a", "b"]}, "cell must have dimensions, type and shape .*'a', 'b'"),
        ("species", {"dimension_names": None}, "species must have dimensions, type and shape"),
        ("lattice", {"codecs": []}, "metadata of its arrays must be sound"),
        ("lattice", {"shape": None}, "metadata of its arrays must be sound"),
    ],
)
def test_altered_metadata_of_an_array_are_found(name: str, values: dict[str, Any], found: str, damaged: Path) -> None:
    change_metadata(damaged, name, **values)
    with pytest.raises(StoreError, match=found):
        verify_store(open_store(damaged), 0)


def test_densities_in_chunks_of_another_size_are_found(damaged: Path) -> None:
    metadata = json.loads((damaged / "density/zarr.json").read_text())
    metadata["codecs"][0]["configuration"]["chunk_shape"][0] = 2
    change_metadata(damaged, "density", codecs=metadata["codecs"])
    with pytest.raises(StoreError, match=r"density must have chunks and shards of 4 and 8 .*; found 2 and 8"):
        verify_store(open_store(damaged), 0)


ALTERED: dict[str, Callable[[dict[str, Any]], object]] = {
    "species must be": lambda attributes: attributes.update(species=["O", "Ru"]),
    "shape must be": lambda attributes: attributes.update(shape=[8, 10, 14]),
    "sigma_angstrom must be": lambda attributes: attributes.update(sigma_angstrom=0.61),
    "tol must be": lambda attributes: attributes.update(tol=1e-3),
    "seed must be": lambda attributes: attributes.update(seed=1),
    "scale must be": lambda attributes: attributes["quantisation"].update(scale=1.0),
    "dtype must be": lambda attributes: attributes["quantisation"].update(dtype="float32"),
    "combine must be": lambda attributes: attributes["quantisation"].update(combine="none"),
    "options must have the checksum": lambda attributes: attributes["options"].update(copies=2),
    "must have dimensions, type and shape": lambda attributes: attributes.update(structures=28),
    "positions must have dimensions": lambda attributes: attributes.update(atoms=7),
    "skipped/source_id must have": lambda attributes: attributes.update(skipped_frames=0),
    "info must hold the keys": lambda attributes: attributes["info_keys"].append("phase"),
    "the array source_name must be": lambda attributes: attributes["sources"][0].update(path="other.traj"),
    "edges and counts of the classes": lambda attributes: attributes["classes"]["counts"].reverse(),
    "edges and counts of the": lambda attributes: attributes["classes"]["edges"].__setitem__(0, -100.0),
    "energy_class must be what the edges give": lambda attributes: attributes["classes"]["edges"].__setitem__(5, -8.9),
    "energy_class must be what": lambda attributes: attributes.update(classes=None),
    "the split must count": lambda attributes: attributes["split"].update(counts=[29, 0]),
}


@pytest.mark.parametrize("found", ALTERED)
def test_altered_attributes_are_found(found: str, damaged: Path) -> None:
    replace_root(damaged, ALTERED[found])
    with pytest.raises(StoreError, match=found):
        verify_store(open_store(damaged), 0)


def test_a_missing_attribute_is_named(sound: Path, tmp_path: Path) -> None:
    names = set(open_store(sound).attrs) - {"schema", "schema_version", "complete"}
    for name in sorted(names):
        damaged = copy_of(sound, tmp_path)
        replace_root(damaged, lambda attributes, name=name: attributes.pop(name))
        with pytest.raises(StoreError, match=f"must have the attributes {name}; found none of that name"):
            open_store(damaged)
        shutil.rmtree(damaged)


def rewrite_chunk(path: Path, chunk: int, n_chunks: int, change: Callable[[Any], object]) -> None:
    """Alter the content of an uncompressed chunk, and give it a checksum that fits."""
    data = bytearray(path.read_bytes())
    begin, size = parse_index(bytes(data[-index_size(n_chunks) :]), n_chunks, "shard")[chunk].astype(int)
    content = np.frombuffer(data, np.uint8, count=size - 4, offset=begin).copy()
    change(content.reshape(4, 2, *GRID.shape))
    data[begin : begin + size - 4] = content.tobytes()
    data[begin + size - 4 : begin + size] = google_crc32c.value(content.tobytes()).to_bytes(4, "little")
    path.write_bytes(data)


def test_a_grid_that_is_not_what_its_atoms_give_is_found(damaged: Path) -> None:
    def swap_channels(structures: Any) -> None:
        structures[2] = structures[2, ::-1].copy()

    rewrite_chunk(damaged / SHARD, 1, 2, swap_channels)
    with pytest.raises(StoreError, match=r"the grid of structure 14 must be what its atoms give, within 0\.0059"):
        verify_store(open_store(damaged), None)
    assert verify_store(open_store(damaged), 0)["voxelized_anew"] == 0


def test_one_voxel_two_steps_off_is_found_and_one_step_is_allowed(damaged: Path) -> None:
    def brighten(structures: Any) -> None:
        structures[0, 0, 1, 2, 3] += 1 if structures[0, 0, 1, 2, 3] < 128 else -1

    for allowed in (True, False):
        before = open_store(damaged).read([8])[0, 0, 1, 2, 3]
        rewrite_chunk(damaged / SHARD, 0, 2, brighten)
        assert abs(int(open_store(damaged).read([8])[0, 0, 1, 2, 3]) - int(before)) == 1
        if allowed:
            difference = verify_store(open_store(damaged), None)["largest_difference"]
            assert difference == pytest.approx(1 / 255)
        else:
            with pytest.raises(StoreError, match="the grid of structure 8 must be what its atoms give"):
                verify_store(open_store(damaged), None)


def test_densities_beyond_the_last_structure_are_found(damaged: Path) -> None:
    def fill(structures: Any) -> None:
        assert not structures[1:].any()
        structures[3, 1] = 7

    rewrite_chunk(damaged / "density/c/3/0/0/0/0", 1, 2, fill)
    with pytest.raises(StoreError, match="chunk 7 must be zero beyond the last of 29 structures; found"):
        verify_store(open_store(damaged), 0)


@pytest.mark.parametrize(
    ("name", "index", "value", "found"),
    [
        ("positions", (3, 1), np.nan, "positions must be finite"),
        ("positions", (20, 0), 3.7, "the grid of structure"),
        ("cell", (7, 0, 0), 5.5, "the grid of structure 7 must be what its atoms give"),
        ("atom_offset", 4, 19, "atom_offset must count the atoms"),
        ("n_atoms", 4, 5, "atom_offset must count the atoms"),
        ("energy_class", 6, 8, "edges and counts of the classes"),
        ("energy", 6, -1e4, "edges and counts of the classes"),
        ("split", 6, 1, "the split must count"),
        ("species", 0, "Pt", r"the array species must be \['Ru', 'O'\]; found \['Pt', 'O'\]"),
        ("source_name", 0, "x.traj", "the array source_name must be"),
    ],
)
def test_numbers_that_contradict_others_are_found(name: str, index: Any, value: Any, found: str, damaged: Path) -> None:
    array = zarr.open_array(damaged / name, mode="r+")
    assert array[index] != value
    array[index] = value
    with pytest.raises(StoreError, match=found):
        verify_store(open_store(damaged), None)


@pytest.mark.parametrize("options", [{"compress": True}, {"dtype": "float16"}, {"dtype": "float32", "combine": "none"}])
def test_other_ways_of_storing_are_verified_alike(options: dict[str, Any], trajectory: str, tmp_path: Path) -> None:
    build(f"{trajectory}@:12", tmp_path / "bh.zarr", GRID, chunk=4, shard=8, **options)
    assert verify_store(open_store(tmp_path / "bh.zarr"), None)["largest_difference"] == 0.0
    flip_bit(tmp_path / "bh.zarr" / SHARD, 100)
    with pytest.raises(StoreError, match=f"{SHARD}: chunk 0 of the shard must have the checksum"):
        verify_store(open_store(tmp_path / "bh.zarr"), 0)
