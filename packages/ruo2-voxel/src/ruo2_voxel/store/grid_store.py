"""What stores of structures and stores of slices have in common: grids read at random, and a label for each."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import zarr

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.errors import MissingExtraError, StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.shard_reader import LocalBlob, RemoteBlob, ShardReader
from ruo2_voxel.store.target import BUILDING, local_path
from ruo2_voxel.store.write import shard_key
from ruo2_voxel.typing import Array, FloatArray, IntArray


@dataclass(frozen=True)
class Layout:
    """How the grids of a store lie in it: how many, the shape of each, grids in a chunk and in a shard, compression."""

    n_grids: int
    row_shape: tuple[int, ...]
    chunk: int
    shard: int
    compress: bool


class GridStore:
    """A store of grids with labels, read-only. Safe to use from several threads.

    Small arrays are read whole when first asked for; grids are read as they are needed.
    """

    schema_name: ClassVar[str]
    noun: ClassVar[str]  # of what it holds

    def __init__(self, location: str | os.PathLike[str]) -> None:
        self.location = os.fspath(location)
        path = local_path(self.location)
        self._group, self._fs, self._root = _open_remote(self.location) if path is None else _open_local(path)
        self.attrs: dict[str, Any] = dict(self._group.attrs)
        schema.check_attributes(self.attrs, self.location, self.schema_name)
        self.grid = Grid(
            species=tuple(self.attrs["species"]),
            shape=tuple(self.attrs["options"]["shape"]),
            sigma=self.attrs["sigma_angstrom"],
            tol=self.attrs["tol"],
        )
        self.layout = self._find_layout()
        self._reader = ShardReader(
            self._open_blob,
            n_structures=self.layout.n_grids,
            row_shape=self.layout.row_shape,
            dtype=self.attrs["options"]["dtype"],
            chunk=self.layout.chunk,
            shard=self.layout.shard,
            compress=self.layout.compress,
        )

    def _find_layout(self) -> Layout:
        raise NotImplementedError

    def __len__(self) -> int:
        return self._reader.n_structures

    def __repr__(self) -> str:
        sides = "x".join(map(str, self.layout.row_shape[1:]))
        species = ",".join(self.grid.species)
        kind = type(self).__name__
        return f"{kind}({self.location!r}: {len(self)} {self.noun}, {species} on {sides}, {self.dtype})"

    @property
    def dtype(self) -> Any:
        """Of the grids as stored."""
        return self._reader.dtype

    @property
    def scale(self) -> float:
        """Density of one step of a stored grid: 1/255 for uint8, 1 otherwise."""
        return float(self.attrs["quantisation"]["scale"])

    @property
    def generated(self) -> dict[str, Any] | None:
        """What made the grids, if they were not voxelized from structures: see `write_grids`."""
        return self.attrs.get("generated")

    @property
    def sources(self) -> list[dict[str, Any]]:
        """Files that the structures come from, with their checksums."""
        return list(self.attrs["sources"])

    def density(self, index: int) -> FloatArray:
        """One grid, float32 in [0, 1]; its first axis is the species."""
        densities: FloatArray = self.densities([index])[0]
        return densities

    def densities(self, indices: Sequence[int] | IntArray) -> FloatArray:
        """Many grids, shape (len(indices), n_species, ...), float32."""
        stored = self.read(indices)
        if stored.dtype == np.uint8:
            return np.multiply(stored, np.float32(self.scale), dtype=np.float32)
        return stored.astype(np.float32)

    def read(self, indices: Sequence[int] | IntArray, out: Array | None = None) -> Array:
        """Grids as stored, in any order.

        Parameters
        ----------
        indices
            Numbers of grids, negative ones counted from the end.
        out
            Where to read into: C-contiguous, of shape (len(indices), n_species, ...) and the store's dtype.

        Raises
        ------
        IndexError
            An index beyond the store.
        StoreError
            An `out` that does not fit, a shard that is missing or cut. Checksums are left to `verify_store`.
        """
        wanted = take_indices(indices, len(self), self.noun)
        shape = (len(wanted), *self._reader.row_shape)
        if out is None:
            out = np.empty(shape, dtype=self.dtype)
        elif out.shape != shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise StoreError(
                f"out must be C-contiguous {self.dtype} of shape {shape}; found {out.dtype} of shape {out.shape}"
            )
        self._reader.gather(wanted, out)
        return out

    def read_chunk(self, chunk: int) -> Array:
        """Grids of one chunk as stored, its checksum compared; filled up with zeros at the end of the store."""
        return self._reader.read_chunk(chunk)

    @property
    def n_chunks(self) -> int:
        return -(-len(self) // self._reader.chunk)

    @cached_property
    def energy(self) -> FloatArray:
        """eV, one for each grid; NaN where there is none."""
        return self._whole("energy")

    @cached_property
    def label(self) -> FloatArray:
        """What `energy_class` sorts, one for each grid; NaN if the store has no label."""
        return self._whole("label")

    @cached_property
    def energy_class(self) -> IntArray:
        """Class of the label, one for each grid; -1 if the store has no label."""
        return self._whole("energy_class")

    @cached_property
    def lattice(self) -> FloatArray:
        """Lattice lengths of the axes of each grid, Å."""
        return self._whole("lattice")

    @cached_property
    def split(self) -> IntArray:
        """0 for training, 1 for held-out ones; names in attrs["split_names"]."""
        return self._whole("split")

    @cached_property
    def frame_id(self) -> IntArray:
        """Frame of each grid in its source file."""
        return self._whole("frame_id")

    @cached_property
    def source_id(self) -> IntArray:
        """Index into `sources` of each grid."""
        return self._whole("source_id")

    @cached_property
    def copy(self) -> IntArray:
        """Which copy of its frame each grid is of."""
        return self._whole("copy")

    def array(self, name: str) -> Any:
        """The Zarr array of that name."""
        return self._group[name]

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """All Zarr arrays, by their paths."""
        return ((path, node) for path, node in self._group.members(max_depth=None) if isinstance(node, zarr.Array))

    def _whole(self, name: str) -> Array:
        values: Array = self._group[name][:]
        values.setflags(write=False)
        return values

    def _open_blob(self, number: int) -> Any:
        path = f"{self._root}/{shard_key(number, len(self.layout.row_shape))}"
        return LocalBlob(path) if self._fs is None else RemoteBlob(self._fs, path)


def take_indices(indices: Sequence[int] | IntArray, n: int, noun: str) -> IntArray:
    """Indices of grids as numbers from 0, those from the end counted from the start."""
    wanted = np.asarray(indices)
    if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
        raise StoreError(
            f"indices must be whole numbers in one dimension; found {wanted.dtype} of shape {wanted.shape}. "
            f"Of a mask, take np.flatnonzero(mask)"
        )
    wanted = wanted.astype(np.int64)
    if wanted.size and not (-n <= wanted.min() and wanted.max() < n):
        raise IndexError(f"indices must lie within {n} {noun}; found {wanted.min()} to {wanted.max()}")
    counted: IntArray = np.where(wanted < 0, wanted + n, wanted)
    return counted


def _open_local(path: Path) -> tuple[Any, Any, str]:
    if not path.exists():
        unfinished = path.with_name(path.name + BUILDING)
        if unfinished.exists():
            raise StoreError(f"{path}: the build of this store is not complete ({unfinished}). {schema.FINISH}")
        raise StoreError(f"{path}: must be a voxel store; found nothing there")
    if path.name.endswith(BUILDING):
        raise StoreError(f"{path}: the build of this store is not complete. {schema.FINISH}")
    try:
        return zarr.open_group(path, mode="r", zarr_format=3), None, str(path)
    except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{path}: must be a voxel store, a Zarr v3 group; found: {error}") from None


def _open_remote(url: str) -> tuple[Any, Any, str]:
    try:
        import fsspec
    except ImportError:
        raise MissingExtraError("a store at a URL", "remote") from None
    try:
        fs, root = fsspec.core.url_to_fs(url)
        return zarr.open_group(url, mode="r", zarr_format=3), fs, root
    except (FileNotFoundError, ValueError, TypeError, KeyError, ImportError) as error:
        raise StoreError(f"{url}: must be a voxel store, a Zarr v3 group; found: {error}") from None
