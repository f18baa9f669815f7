"""Shards of the density array, byte by byte: inner chunks one behind the other, then an index of where each lies.

The format is Zarr's own (sharding_indexed, index at the end, checksums by crc32c), so any Zarr library reads it. We
write and read it directly: a shard is written once, front to back, a few chunks at a time; and a structure in an
uncompressed shard lies at an offset known beforehand, so that reading it is one system call.
"""

from typing import Any, BinaryIO, Final

import google_crc32c
import numpy as np
from numcodecs.zstd import Zstd

from ruo2_voxel.errors import StoreError
from ruo2_voxel.store.schema import ZSTD_LEVEL
from ruo2_voxel.typing import Array, IntArray

CHECKSUM: Final = 4  # bytes of a crc32c
MISSING: Final = 2**64 - 1  # offset and size, in an index, of a chunk that was not written


class ShardWriter:
    """Writes one shard to an open file, chunk by chunk."""

    def __init__(self, file: BinaryIO, n_chunks: int, compress: bool) -> None:
        self._file = file
        self._index = np.full((n_chunks, 2), MISSING, dtype="<u8")
        self._codec = Zstd(level=ZSTD_LEVEL) if compress else None
        self._n_written = 0
        self.size = 0

    def append(self, chunk: Array) -> None:
        """Add the next chunk: C-contiguous, of the full chunk shape."""
        data = chunk if self._codec is None else self._codec.encode(chunk)
        begin = self.size
        self._put(data)
        self._index[self._n_written] = (begin, self.size - begin)
        self._n_written += 1

    def finish(self) -> None:
        """Add the index. The caller makes the file durable."""
        self._put(self._index.tobytes())

    def _put(self, data: Any) -> None:
        for part in (data, google_crc32c.value(data).to_bytes(CHECKSUM, "little")):
            self._file.write(part)
            self.size += memoryview(part).nbytes


def index_size(n_chunks: int) -> int:
    return 16 * n_chunks + CHECKSUM


def parse_index(data: bytes, n_chunks: int, where: str) -> IntArray:
    """Offsets and sizes, shape (n_chunks, 2) uint64, from the last bytes of a shard.

    Raises
    ------
    StoreError
        Too few bytes, or a checksum that does not hold.
    """
    if len(data) != index_size(n_chunks):
        raise StoreError(f"{where}: the shard must end in an index of {index_size(n_chunks)} bytes; found {len(data)}")
    check(data, f"{where}: the index of the shard")
    return np.frombuffer(data[:-CHECKSUM], dtype="<u8").reshape(n_chunks, 2)


def check(data: bytes, what: str) -> None:
    """Refuse bytes whose last four are not the crc32c of the others."""
    stored = int.from_bytes(data[-CHECKSUM:], "little")
    found = google_crc32c.value(data[:-CHECKSUM])
    if stored != found:
        raise StoreError(
            f"{what} must have the checksum {stored:08x}; found {found:08x}. The file was damaged after it was "
            f"written: restore it from a copy, or build the store anew"
        )


def decode_chunk(data: bytes, compress: bool) -> bytes:
    """Contents of a stored chunk, its checksum taken off (and not checked)."""
    payload = data[:-CHECKSUM]
    return bytes(Zstd().decode(payload)) if compress else payload
