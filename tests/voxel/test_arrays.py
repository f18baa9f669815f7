"""Small arrays are Zarr's, metadata and all: zarr-python would have written the same, and reads them back."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from zarr.codecs import BytesCodec, Crc32cCodec, ZstdCodec

from ruo2_voxel.store import schema
from ruo2_voxel.store.arrays import ColumnWriter, density_metadata, group_metadata, write_column
from ruo2_voxel.store.schema import Column
from ruo2_voxel.store.target import LocalTarget
from tests.voxel.random_structures import LAW

COLUMNS = (*schema.ATOM_COLUMNS, *schema.STRUCTURE_COLUMNS, *schema.SKIPPED_COLUMNS, schema.ATOM_OFFSET)
TEXT = ["", "Ru", "é\0ö", "x" * 5000, "日本"]


def rows_of(column: Column, n_rows: int) -> NDArray[Any]:
    rng = np.random.default_rng(n_rows)
    if column.dtype == "string":
        return rng.choice(np.array(TEXT, dtype=object), n_rows)
    return rng.integers(0, 2 if column.dtype == "bool" else 100, (n_rows, *column.tail)).astype(column.dtype)


def opened(target: LocalTarget, name: str) -> Any:
    return zarr.open_array(target.building / name, mode="r")


def assert_same_metadata(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Codecs may spell out their defaults."""
    for each in (found, expected):
        for codec in each["codecs"]:
            codec.setdefault("configuration", {})
            if codec["name"] == "bytes":
                codec["configuration"].setdefault("endian", "little")
    assert found == expected


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
@pytest.mark.parametrize("n_rows", [0, 1, 7])
def test_a_column_is_what_zarr_would_have_written(column: Column, n_rows: int, tmp_path: Path) -> None:
    rows = rows_of(column, n_rows)
    target = LocalTarget(tmp_path / "bh.zarr")
    write_column(target, column, rows)
    zarr.create_array(
        tmp_path / "zarr",
        shape=rows.shape,
        chunks=(max(1, n_rows), *column.tail),
        dtype=str if column.dtype == "string" else column.dtype,
        compressors=[ZstdCodec(level=1), Crc32cCodec()],
        fill_value="" if column.dtype == "string" else 0,
        attributes=column.attributes,
        dimension_names=column.dimensions,
        config={"write_empty_chunks": True},
    )[:] = rows
    folder = target.building / column.name
    metadata, expected = (json.loads((path / "zarr.json").read_text()) for path in (folder, tmp_path / "zarr"))
    assert_same_metadata(metadata, expected)
    files, wanted = (
        {path.relative_to(each): path.read_bytes() for path in (each / "c").rglob("*") if path.is_file()}
        for each in (folder, tmp_path / "zarr")
    )
    assert files == wanted
    assert bool(files) == (n_rows > 0)
    assert opened(target, column.name)[:].tolist() == rows.tolist()


@LAW
@given(
    column=st.sampled_from(COLUMNS),
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    chunk=st.integers(1, 12),
)
def test_lines_may_be_added_in_any_portions(
    column: Column, sizes: list[int], chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = rows_of(column, sum(sizes))
    target = LocalTarget(tmp_path_factory.mktemp("columns") / "bh.zarr")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "ROWS", chunk)
        patch.setattr(schema, "ATOM_ROWS", chunk)
        writer = ColumnWriter(target, column, len(rows), "group")
    for begin, end in pairwise(np.cumsum([0, *sizes])):
        writer.append(rows[begin:end])
    writer.close()
    array = opened(target, f"group/{column.name}")
    assert array.chunks[0] == min(chunk, max(1, len(rows)))
    assert array.nchunks_initialized == array.nchunks
    assert array[:].tolist() == rows.tolist()


@pytest.mark.parametrize("dtype", schema.DTYPES)
@pytest.mark.parametrize("compress", [False, True])
def test_the_density_is_described_as_zarr_would(dtype: str, compress: bool, tmp_path: Path) -> None:
    zarr.create_array(
        tmp_path / "zarr",
        shape=(33, 2, 4, 5, 6),
        chunks=(4, 2, 4, 5, 6),
        shards=(16, 2, 4, 5, 6),
        dtype=dtype,
        serializer=BytesCodec(),
        compressors=[ZstdCodec(level=1), Crc32cCodec()] if compress else [Crc32cCodec()],
        fill_value=0,
        attributes=schema.density_attributes(dtype, schema.COORDINATES),
        dimension_names=("structure", "species", "x", "y", "z"),
    )
    found = json.loads(density_metadata(33, (2, 4, 5, 6), dtype, 4, 16, compress))
    expected = json.loads((tmp_path / "zarr/zarr.json").read_text())
    for each in (found, expected):
        (sharding,) = each["codecs"]
        assert sharding["name"] == "sharding_indexed"
    assert_same_metadata(found["codecs"][0]["configuration"], expected["codecs"][0]["configuration"])
    assert_same_metadata(found, expected)


def test_a_group_is_described_as_zarr_would(tmp_path: Path) -> None:
    zarr.create_group(tmp_path / "zarr", attributes={"complete": True})
    assert json.loads(group_metadata({"complete": True})) == json.loads((tmp_path / "zarr/zarr.json").read_text())
