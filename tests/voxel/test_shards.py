"""Our shards are Zarr's: each side reads what the other wrote, to the byte, and finds a flipped bit."""

import io
import os
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel import StoreError
from ruo2_voxel.store import schema, shard_reader
from ruo2_voxel.store.arrays import density_metadata
from ruo2_voxel.store.shard_reader import Blob, LocalBlob, RemoteBlob, ShardReader
from ruo2_voxel.store.shards import ShardWriter, index_size, parse_index
from ruo2_voxel.store.write import shard_key
from tests.voxel.random_structures import LAW
from tests.voxel.stores import flip_bit

Numbers = NDArray[Any]

ROW = (2, 3, 2, 4)
FORMS = [(dtype, compress) for dtype in schema.DTYPES for compress in (False, True)]
# structures, chunk, shard: shards and chunks full, the last chunk or the last shard partly filled, and both.
SIZES = [(16, 4, 8), (15, 4, 8), (12, 4, 8), (9, 4, 8), (3, 4, 8), (5, 1, 1), (7, 1, 4), (6, 8, 8)]


def numbers(n: int, dtype: str) -> Numbers:
    return np.random.default_rng(n).integers(0, 200, (n, *ROW)).astype(dtype)


def create(folder: Path, values: Numbers, chunk: int, shard: int, compress: bool) -> Any:
    """The empty array of a store."""
    (folder / schema.DENSITY).mkdir(exist_ok=True)
    metadata = density_metadata(len(values), ROW, str(values.dtype), chunk, shard, compress)
    (folder / schema.DENSITY / "zarr.json").write_bytes(metadata)
    return zarr.open_array(folder / schema.DENSITY, mode="r+")


def write_ours(folder: Path, values: Numbers, chunk: int, shard: int, compress: bool) -> list[int]:
    """Shards by `ShardWriter`; returns the sizes that it reports."""
    padding = -len(values) % chunk
    padded = np.concatenate([values, np.zeros((padding, *ROW), dtype=values.dtype)])
    sizes = []
    for number in range(-(-len(values) // shard)):
        path = folder / shard_key(number)
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            writer = ShardWriter(file, shard // chunk, compress)
            for begin in range(number * shard, min((number + 1) * shard, len(padded)), chunk):
                writer.append(padded[begin : begin + chunk])
            writer.finish()
        sizes.append(writer.size)
    return sizes


def reader_of(folder: Path, values: Numbers, chunk: int, shard: int, compress: bool, **options: Any) -> ShardReader:
    open_blob = options.get("open_blob", lambda number: LocalBlob(str(folder / shard_key(number))))
    return ShardReader(open_blob, len(values), ROW, values.dtype, chunk, shard, compress)


def gathered(reader: ShardReader, indices: Sequence[int]) -> Numbers:
    out = np.empty((len(indices), *ROW), dtype=reader.dtype)
    reader.gather(np.array(indices, dtype=np.int64), out)
    return out


@pytest.mark.parametrize(("n", "chunk", "shard"), SIZES)
@pytest.mark.parametrize(("dtype", "compress"), FORMS)
def test_zarr_reads_what_we_write(n: int, chunk: int, shard: int, dtype: str, compress: bool, tmp_path: Path) -> None:
    values = numbers(n, dtype)
    array = create(tmp_path, values, chunk, shard, compress)
    sizes = write_ours(tmp_path, values, chunk, shard, compress)
    assert sizes == [(tmp_path / shard_key(number)).stat().st_size for number in range(len(sizes))]
    np.testing.assert_array_equal(array[:], values, strict=True)


@pytest.mark.parametrize(("n", "chunk", "shard"), SIZES)
@pytest.mark.parametrize(("dtype", "compress"), FORMS)
def test_we_read_what_zarr_writes(n: int, chunk: int, shard: int, dtype: str, compress: bool, tmp_path: Path) -> None:
    values = numbers(n, dtype)
    create(tmp_path, values, chunk, shard, compress)[:] = values
    reader = reader_of(tmp_path, values, chunk, shard, compress)
    np.testing.assert_array_equal(gathered(reader, range(n)), values, strict=True)
    last = -(-n // chunk) - 1
    np.testing.assert_array_equal(reader.read_chunk(last)[: n - last * chunk], values[last * chunk :], strict=True)
    assert not reader.read_chunk(last)[n - last * chunk :].any()


@st.composite
def readings(draw: st.DrawFn) -> tuple[int, int, int, list[int]]:
    """Structures, chunk, shard, and indices, some of them in stretches."""
    n, chunk = draw(st.integers(1, 40)), draw(st.integers(1, 5))
    starts = draw(st.lists(st.integers(0, n - 1), max_size=12))
    stretches = [range(start, min(n, start + draw(st.integers(1, 12)))) for start in starts]
    return n, chunk, chunk * draw(st.integers(1, 4)), [index for stretch in stretches for index in stretch]


class Halting:
    """A blob that gives no more than a few bytes at a time, as a system may."""

    def __init__(self, blob: Blob, most: int) -> None:
        self.where, self.size, self._blob, self._most = blob.where, blob.size, blob, most

    def read(self, offset: int, size: int) -> bytes:
        return self._blob.read(offset, size)

    def read_into(self, buffers: Sequence[Any], offset: int) -> int:
        view = memoryview(buffers[0]).cast("B")[: self._most]
        return self._blob.read_into([view], offset)


@pytest.mark.parametrize("kind", ["file", "halting", "remote"])
@LAW
@given(reading=readings(), compress=st.booleans(), n_open=st.integers(1, 3))
def test_rows_come_in_the_order_asked_for(
    kind: str,
    reading: tuple[int, int, int, list[int]],
    compress: bool,
    n_open: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    n, chunk, shard, indices = reading
    folder = tmp_path_factory.mktemp("shards")
    values = numbers(n, "uint8")
    write_ours(folder, values, chunk, shard, compress)
    files = fsspec.filesystem("file")
    open_blob: Callable[[int], Blob] = {
        "file": lambda number: LocalBlob(str(folder / shard_key(number))),
        "halting": lambda number: Halting(LocalBlob(str(folder / shard_key(number))), most=19),
        "remote": lambda number: RemoteBlob(files, str(folder / shard_key(number))),
    }[kind]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_reader, "MAX_OPEN_SHARDS", n_open)
        patch.setattr(shard_reader, "VECTORS", 5)
        reader = reader_of(folder, values, chunk, shard, compress, open_blob=open_blob)
        for _ in range(2):
            np.testing.assert_array_equal(gathered(reader, indices), values[indices], strict=True)


def test_stretches_may_be_longer_than_a_system_call_takes(tmp_path: Path) -> None:
    values = numbers(1500, "uint8")  # in chunks of one, rows and checksums make 3000 buffers; Linux takes 1024
    write_ours(tmp_path, values, 1, 1500, False)
    reader = reader_of(tmp_path, values, 1, 1500, False)
    np.testing.assert_array_equal(gathered(reader, range(1500)), values, strict=True)


def test_no_more_shards_stay_open_than_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = numbers(40, "uint8")
    write_ours(tmp_path, values, 2, 4, False)
    monkeypatch.setattr(shard_reader, "MAX_OPEN_SHARDS", 3)
    opened: list[weakref.ref[LocalBlob]] = []

    def open_blob(number: int) -> LocalBlob:
        blob = LocalBlob(str(tmp_path / shard_key(number)))
        opened.append(weakref.ref(blob))
        return blob

    reader = reader_of(tmp_path, values, 2, 4, False, open_blob=open_blob)
    gathered(reader, range(40))
    assert len(opened) == 10
    assert [blob() is not None for blob in opened] == [False] * 7 + [True] * 3
    del reader
    assert not any(blob() for blob in opened)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("chunk", [0, 1])
def test_a_flipped_bit_of_a_chunk_is_found_by_both(compress: bool, chunk: int, tmp_path: Path) -> None:
    values = numbers(8, "uint8")
    array = create(tmp_path, values, 4, 8, compress)
    write_ours(tmp_path, values, 4, 8, compress)
    path = tmp_path / shard_key(0)
    entry = parse_index(path.read_bytes()[-index_size(2) :], 2, "shard")[chunk].astype(int)
    for offset in (int(entry[0]), int(entry.sum()) - 1):
        flip_bit(path, offset)
        reader = reader_of(tmp_path, values, 4, 8, compress)
        with pytest.raises(StoreError, match=f"density/c/0/0/0/0/0: chunk {chunk} of the shard must have the checksum"):
            reader.read_chunk(chunk)
        with pytest.raises(ValueError, match="checksum"):
            array[:]
        flip_bit(path, offset)
    np.testing.assert_array_equal(reader.read_chunk(chunk), values[4 * chunk : 4 * chunk + 4])


def test_a_flipped_bit_of_the_index_is_found_by_both(tmp_path: Path) -> None:
    values = numbers(8, "uint8")
    array = create(tmp_path, values, 4, 8, False)
    write_ours(tmp_path, values, 4, 8, False)
    for offset in (-1, -20, -index_size(2)):
        flip_bit(tmp_path / shard_key(0), offset)
        with pytest.raises(StoreError, match="the index of the shard must have the checksum"):
            gathered(reader_of(tmp_path, values, 4, 8, False), [0])
        with pytest.raises(ValueError, match="checksum"):
            array[:]
        flip_bit(tmp_path / shard_key(0), offset)


def test_damaged_zstd_is_named(tmp_path: Path) -> None:
    values = numbers(4, "uint8")
    write_ours(tmp_path, values, 4, 4, True)
    flip_bit(tmp_path / shard_key(0), 0)
    with pytest.raises(StoreError, match="chunk 0 must be zstd data; found"):
        gathered(reader_of(tmp_path, values, 4, 4, True), [0])


@pytest.mark.parametrize(("keep", "found"), [(0, "an index of 36 bytes; found 0"), (20, "found 20"), (100, "checksum")])
def test_a_truncated_shard_is_named(keep: int, found: str, tmp_path: Path) -> None:
    values = numbers(8, "uint8")
    write_ours(tmp_path, values, 4, 8, False)
    os.truncate(tmp_path / shard_key(0), keep)
    with pytest.raises(StoreError, match=f"{shard_key(0)}: .*{found}"):
        gathered(reader_of(tmp_path, values, 4, 8, False), [0])


def test_a_shard_that_shrinks_while_it_is_open_is_named(tmp_path: Path) -> None:
    values = numbers(8, "uint8")
    write_ours(tmp_path, values, 4, 8, False)
    reader = reader_of(tmp_path, values, 4, 8, False)
    gathered(reader, [0])
    os.truncate(tmp_path / shard_key(0), 100)
    np.testing.assert_array_equal(gathered(reader, [0, 1]), values[:2])
    for indices in ([3], [1, 2, 3]):
        with pytest.raises(StoreError, match=r"must hold .* bytes; found fewer"):
            gathered(reader, indices)


def test_a_shard_of_fewer_chunks_than_structures_is_named(tmp_path: Path) -> None:
    write_ours(tmp_path, numbers(4, "uint8"), 4, 8, False)
    reader = reader_of(tmp_path, numbers(8, "uint8"), 4, 8, False)
    with pytest.raises(StoreError, match="2 chunks must be in the shard; found fewer"):
        gathered(reader, [0])
    fitting = reader_of(tmp_path, numbers(4, "uint8"), 4, 8, False)
    with pytest.raises(StoreError, match="chunk 1 must be in the shard; found none"):
        fitting.read_chunk(1)


def test_a_chunk_of_another_size_is_named(tmp_path: Path) -> None:
    path = tmp_path / shard_key(0)
    path.parent.mkdir(parents=True)
    buffer = io.BytesIO()
    writer = ShardWriter(buffer, 1, True)
    writer.append(numbers(3, "uint8"))
    writer.finish()
    path.write_bytes(buffer.getvalue())
    with pytest.raises(StoreError, match="chunk 0 must hold 192 bytes; found 144"):
        reader_of(tmp_path, numbers(4, "uint8"), 4, 4, True).read_chunk(0)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, numbers(8, "uint8"), 4, 8, False)
    with pytest.raises(StoreError, match=f"{shard_key(0)}: the shard must be there; found No such file"):
        gathered(reader, [0])
    files = fsspec.filesystem("memory")
    remote = reader_of(tmp_path, numbers(8, "uint8"), 4, 8, False, open_blob=lambda _: RemoteBlob(files, "none"))
    with pytest.raises(StoreError, match="none: the shard must be there; found nothing"):
        gathered(remote, [0])
