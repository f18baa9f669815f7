"""Arrays and groups in the format of Zarr v3, written front to back.

A build ends with some thirty small arrays. Through a general Zarr library their creation took longer than writing a
thousand densities; the format itself is a few lines of JSON and a codec, the same whatever release reads it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import google_crc32c
import numpy as np
from numcodecs.vlen import VLenUTF8
from numcodecs.zstd import Zstd

from ruo2_voxel.store.schema import COORDINATES, DENSITY_DIMENSIONS, ZSTD_LEVEL, Column, density_attributes
from ruo2_voxel.store.shards import CHECKSUM
from ruo2_voxel.store.target import Target
from ruo2_voxel.typing import Array

_CRC32C: Final = {"name": "crc32c"}
_ZSTD: Final = {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}}


def group_metadata(attributes: Mapping[str, Any]) -> bytes:
    """What stands in zarr.json of a group."""
    return _json({"zarr_format": 3, "node_type": "group", "attributes": attributes})


def density_metadata(
    n_grids: int,
    row_shape: Sequence[int],
    dtype: str,
    chunk: int,
    shard: int,
    compress: bool,
    dimensions: Sequence[str] = DENSITY_DIMENSIONS,
    columns: Sequence[Column] = COORDINATES,
) -> bytes:
    """What stands in zarr.json of an array of grids, whose shards `shards.ShardWriter` writes."""
    inner = [_bytes_codec(dtype), *([_ZSTD] if compress else []), _CRC32C]
    sharding = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [chunk, *row_shape],
            "codecs": inner,
            "index_codecs": [_bytes_codec("uint64"), _CRC32C],
            "index_location": "end",
        },
    }
    return _array_metadata(
        shape=[n_grids, *row_shape],
        chunk_shape=[shard, *row_shape],
        dtype=dtype,
        codecs=[sharding],
        attributes=density_attributes(dtype, columns),
        dimensions=dimensions,
    )


class ColumnWriter:
    """Fills one array front to back, whole chunks at a time: compressed, with checksums.

    What it has written is durable once the target is published.
    """

    def __init__(self, target: Target, column: Column, n_rows: int, path: str = "") -> None:
        self._target, self._column = target, column
        self._key = f"{path}/{column.name}" if path else column.name
        self._chunk = min(column.rows, max(1, n_rows))
        self._waiting: list[Array] = []
        self._n_waiting = 0
        self._n_chunks = 0
        codecs = [{"name": "vlen-utf8", "configuration": {}} if self._is_text else _bytes_codec(column.dtype)]
        metadata = _array_metadata(
            shape=[n_rows, *column.tail],
            chunk_shape=[self._chunk, *column.tail],
            dtype=column.dtype,
            codecs=[*codecs, _ZSTD, _CRC32C],
            attributes=column.attributes,
            dimensions=column.dimensions,
        )
        target.put(f"{self._key}/zarr.json", metadata, durable=False)

    @property
    def _is_text(self) -> bool:
        return bool(self._column.dtype == "string")

    def append(self, rows: Array) -> None:
        """Add lines, any number of them."""
        self._waiting.append(rows)
        self._n_waiting += len(rows)
        if self._n_waiting >= self._chunk:
            whole = np.concatenate(self._waiting)
            n = self._n_waiting // self._chunk * self._chunk
            for begin in range(0, n, self._chunk):
                self._write(whole[begin : begin + self._chunk])
            self._waiting, self._n_waiting = [whole[n:]], len(whole) - n

    def close(self) -> None:
        """Write what is left; the last chunk is filled up."""
        if self._n_waiting:
            self._write(np.concatenate(self._waiting))

    def _write(self, rows: Array) -> None:
        dtype = object if self._is_text else self._column.dtype
        full = np.zeros((self._chunk, *self._column.tail), dtype=dtype)
        full[: len(rows)] = rows
        if self._is_text:
            full[len(rows) :] = ""
        data = Zstd(level=ZSTD_LEVEL).encode(VLenUTF8().encode(full) if self._is_text else full)
        checksum = google_crc32c.value(bytes(data)).to_bytes(CHECKSUM, "little")
        place = "/".join(map(str, [self._n_chunks, *(0 for _ in self._column.tail)]))
        self._target.put(f"{self._key}/c/{place}", bytes(data) + checksum, durable=False)
        self._n_chunks += 1


def write_column(target: Target, column: Column, rows: Array, path: str = "") -> None:
    """Write a whole array."""
    writer = ColumnWriter(target, column, len(rows), path)
    writer.append(rows)
    writer.close()


def _bytes_codec(dtype: str) -> dict[str, Any]:
    if np.dtype(dtype).itemsize == 1:
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}


def _array_metadata(
    shape: Sequence[int],
    chunk_shape: Sequence[int],
    dtype: str,
    codecs: Sequence[Mapping[str, Any]],
    attributes: Mapping[str, Any],
    dimensions: Sequence[str],
) -> bytes:
    fill: Any = "" if dtype == "string" else np.zeros((), dtype=dtype).item()
    return _json(
        {
            "zarr_format": 3,
            "node_type": "array",
            "shape": shape,
            "data_type": dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk_shape}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": fill,
            "codecs": codecs,
            "attributes": attributes,
            "dimension_names": dimensions,
            "storage_transformers": [],
        }
    )


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode()
