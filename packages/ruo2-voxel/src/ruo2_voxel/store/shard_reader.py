"""Structures out of shards: each index parsed once, then one read for each structure, straight into the caller's array.

Local files are read with pread, never mapped: with a cold cache a mapping is several times slower, and a file that
shrinks under it kills the process. Remote shards are read by byte ranges.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import pairwise
from threading import Lock
from typing import Any, Final, Protocol

import numpy as np

from ruo2_voxel.errors import StoreError
from ruo2_voxel.store.shards import CHECKSUM, MISSING, check, decode_chunk, index_size, parse_index
from ruo2_voxel.typing import Array, IntArray

MAX_OPEN_SHARDS: Final = 128
VECTORS: Final = 512  # buffers that one preadv takes, well below the system's limit


class Blob(Protocol):
    """Bytes of one shard."""

    where: str
    size: int

    def read(self, offset: int, size: int) -> bytes: ...
    def read_into(self, buffers: Sequence[Any], offset: int) -> int: ...


class LocalBlob:
    """A file, opened once."""

    def __init__(self, path: str) -> None:
        self.where = path
        try:
            self._file = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise StoreError(
                f"{path}: the shard must be there; found {error.strerror}. Restore it from a copy"
            ) from None
        self.size = os.fstat(self._file).st_size

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._file, size, offset)

    def read_into(self, buffers: Sequence[Any], offset: int) -> int:
        return os.preadv(self._file, buffers, offset)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


class RemoteBlob:
    """An object behind an fsspec file system."""

    def __init__(self, fs: Any, path: str) -> None:
        self.where = path
        self._fs, self._path = fs, path
        try:
            self.size = int(fs.size(path))
        except FileNotFoundError:
            raise StoreError(f"{path}: the shard must be there; found nothing. Restore it from a copy") from None

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._fs.cat_file(self._path, start=offset, end=offset + size))

    def read_into(self, buffers: Sequence[Any], offset: int) -> int:
        views = [memoryview(buffer).cast("B") for buffer in buffers]
        data = self.read(offset, sum(view.nbytes for view in views))
        at = 0
        for view in views:
            part = data[at : at + view.nbytes]
            view[: len(part)] = part
            at += len(part)
        return at


class ShardReader:
    """The density array of a store.

    Parameters
    ----------
    open_blob
        Opens the shard of a given number.
    n_structures
        Rows of the array.
    row_shape, dtype
        Of one structure, as stored.
    chunk, shard
        Structures in a chunk, and in a shard.
    compress
        Whether chunks are compressed.
    """

    def __init__(
        self,
        open_blob: Any,
        n_structures: int,
        row_shape: tuple[int, ...],
        dtype: Any,
        chunk: int,
        shard: int,
        compress: bool,
    ) -> None:
        self._open_blob = open_blob
        self.n_structures = n_structures
        self.row_shape = row_shape
        self.dtype = np.dtype(dtype)
        self.chunk, self.shard, self.compress = chunk, shard, compress
        self.row_bytes = int(np.prod(row_shape)) * self.dtype.itemsize
        self._lock = Lock()
        self._shards: dict[int, tuple[Blob, IntArray, list[int]]] = {}
        self._decoded: tuple[int, Array] | None = None  # the chunk read last, of a compressed store

    def gather(self, indices: IntArray, out: Array) -> None:
        """Rows `indices`, in that order, into the C-contiguous out (len(indices), *row_shape)."""
        if self.compress:
            for position, index in enumerate(indices.tolist()):
                chunk, within = divmod(index, self.chunk)
                out[position] = self._chunk_rows(chunk)[within]
            return
        view = memoryview(out.data).cast("B") if out.size else memoryview(b"")
        row = self.row_bytes
        for position, first, n in _runs(indices, self.shard):
            shard, within = divmod(first, self.shard)
            blob, _, offsets = self._shards.get(shard) or self._open(shard)
            target = view[position * row : (position + n) * row]
            # The common case, one structure, goes without any further words.
            if n > 1 or blob.read_into([target], offsets[within]) != row:
                self._read_run(blob, offsets[within : within + n], target)

    def _read_run(self, blob: Blob, offsets: Sequence[int], target: memoryview) -> None:
        """Neighbouring rows: those of a chunk lie behind each other, and a chunk is followed by its checksum."""
        row = self.row_bytes
        done = 0
        while done < len(offsets):
            begin = end = offsets[done]
            buffers: list[Any] = []
            while done < len(offsets) and offsets[done] - end in (0, CHECKSUM) and len(buffers) < VECTORS:
                if offsets[done] != end:
                    buffers.append(bytearray(CHECKSUM))
                buffers.append(target[done * row : (done + 1) * row])
                end = offsets[done] + row
                done += 1
            _read_exactly(blob, buffers, begin, end - begin)

    def _chunk_rows(self, chunk: int) -> Array:
        """All rows of one chunk of a compressed store."""
        held = self._decoded
        if held is not None and held[0] == chunk:
            return held[1]
        rows = self.read_chunk(chunk, checked=False)
        self._decoded = (chunk, rows)
        return rows

    def read_chunk(self, chunk: int, checked: bool = True) -> Array:
        """Rows of one chunk, shape (chunk, *row_shape), its checksum compared if asked for."""
        shard, within = divmod(chunk, self.shard // self.chunk)
        blob, index, _ = self._shards.get(shard) or self._open(shard)
        offset, size = (int(number) for number in index[within])
        if offset == MISSING:
            raise StoreError(
                f"{blob.where}: chunk {within} must be in the shard; found none. Restore the file from a copy"
            )
        data = blob.read(offset, size)
        if checked:
            check(data, f"{blob.where}: chunk {within} of the shard")
        try:
            content = decode_chunk(data, self.compress)
        except RuntimeError as error:
            raise StoreError(
                f"{blob.where}: chunk {within} must be zstd data; found: {error}. Restore the file from a copy"
            ) from error
        if len(content) != self.chunk * self.row_bytes:
            raise StoreError(
                f"{blob.where}: chunk {within} must hold {self.chunk * self.row_bytes} bytes; found {len(content)}"
            )
        return np.frombuffer(content, dtype=self.dtype).reshape(self.chunk, *self.row_shape)

    def _open(self, number: int) -> tuple[Blob, IntArray, list[int]]:
        """A shard, its index, and, of an uncompressed one, where each of its rows begins."""
        blob = self._open_blob(number)
        n_chunks = self.shard // self.chunk
        size = index_size(n_chunks)
        index = parse_index(blob.read(max(0, blob.size - size), size), n_chunks, blob.where)
        n_used = -(-(min(self.shard, self.n_structures - number * self.shard)) // self.chunk)
        used = index[:n_used].astype(np.int64)
        if (index[:n_used, 0] == MISSING).any() or (used.sum(axis=1) > blob.size).any():
            raise StoreError(
                f"{blob.where}: {n_used} chunks must be in the shard; found fewer. Restore the file from a copy"
            )
        rows = used[:, :1] + np.arange(self.chunk) * self.row_bytes
        entry = (blob, index, rows.ravel().tolist())
        with self._lock:
            if len(self._shards) >= MAX_OPEN_SHARDS:
                self._shards.pop(next(iter(self._shards)), None)
            self._shards[number] = entry
        return entry


def _runs(indices: IntArray, shard: int) -> Iterator[tuple[int, int, int]]:
    """(position, first index, length) of each stretch of consecutive indices within one shard."""
    joined = (np.diff(indices) == 1) & (indices[1:] % shard != 0)
    if not joined.any():
        for position, index in enumerate(indices.tolist()):
            yield position, index, 1
        return
    begins = [0, *(np.flatnonzero(~joined) + 1).tolist(), len(indices)]
    for begin, end in pairwise(begins):
        yield begin, int(indices[begin]), end - begin


def _read_exactly(blob: Blob, buffers: Sequence[Any], offset: int, size: int) -> None:
    """Fill the buffers; a read may stop early (at 2 GiB, or at a signal) and is then taken up again."""
    n = blob.read_into(buffers, offset)
    while n < size:
        rest: list[Any] = []
        skip = n
        for buffer in buffers:
            view = memoryview(buffer).cast("B")
            if skip < view.nbytes:
                rest.append(view[skip:])
            skip = max(0, skip - view.nbytes)
        more = blob.read_into(rest, offset + n)
        if more == 0:
            raise StoreError(
                f"{blob.where}: must hold {offset + size} bytes; found fewer. Restore the file from a copy"
            )
        n += more
