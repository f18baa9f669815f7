"""Open a voxel store and read from it: grids, atoms, labels, splits."""

import json
import os
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io.jsonio import object_hook

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.errors import MissingExtraError, StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.shard_reader import LocalBlob, RemoteBlob, ShardReader
from ruo2_voxel.store.target import BUILDING, local_path
from ruo2_voxel.store.write import shard_key
from ruo2_voxel.typing import Array, FloatArray, IntArray


def open_store(location: str | os.PathLike[str]) -> "VoxelStore":
    """Open a complete store at a path or fsspec URL, to read.

    Raises
    ------
    StoreError
        Nothing there, no voxel store, an unknown schema version, a build that is not complete.
    """
    return VoxelStore(location)


class VoxelStore:
    """A store of voxelized structures, read-only. Safe to use from several threads.

    Small arrays are read whole when first asked for; grids and atoms are read as they are needed.
    """

    def __init__(self, location: str | os.PathLike[str]) -> None:
        self.location = os.fspath(location)
        path = local_path(self.location)
        self._group, self._fs, root = _open_remote(self.location) if path is None else _open_local(path)
        self.attrs: dict[str, Any] = dict(self._group.attrs)
        schema.check_attributes(self.attrs, self.location)
        options = self.attrs["options"]
        self.grid = Grid(
            species=tuple(self.attrs["species"]),
            shape=tuple(self.attrs["shape"]),
            sigma=self.attrs["sigma_angstrom"],
            tol=self.attrs["tol"],
        )
        self._root = root
        self._reader = ShardReader(
            self._open_blob,
            n_structures=self.attrs["structures"],
            row_shape=(self.grid.n_species, *self.grid.shape),
            dtype=options["dtype"],
            chunk=options["chunk"],
            shard=options["shard"],
            compress=options["compress"],
        )
        self._atom_rows = lru_cache(maxsize=8)(self._read_atom_rows)

    def __len__(self) -> int:
        return self._reader.n_structures

    def __repr__(self) -> str:
        sides = "x".join(map(str, self.grid.shape))
        species = ",".join(self.grid.species)
        return f"VoxelStore({self.location!r}: {len(self)} structures, {species} on {sides}, {self.dtype})"

    @property
    def dtype(self) -> Any:
        """Of the grids as stored."""
        return self._reader.dtype

    @property
    def scale(self) -> float:
        """Density of one step of a stored grid: 1/255 for uint8, 1 otherwise."""
        return float(self.attrs["quantisation"]["scale"])

    @property
    def sources(self) -> list[dict[str, Any]]:
        """Files that the structures come from, with their checksums."""
        return list(self.attrs["sources"])

    def density(self, index: int) -> FloatArray:
        """Density of one structure, shape (n_species, nx, ny, nz), float32 in [0, 1]."""
        densities: FloatArray = self.densities([index])[0]
        return densities

    def densities(self, indices: Sequence[int] | IntArray) -> FloatArray:
        """Densities of many structures, shape (len(indices), n_species, nx, ny, nz), float32."""
        stored = self.read(indices)
        if stored.dtype == np.uint8:
            return np.multiply(stored, np.float32(self.scale), dtype=np.float32)
        return stored.astype(np.float32)

    def read(self, indices: Sequence[int] | IntArray, out: Array | None = None) -> Array:
        """Grids as stored, of structures in any order.

        Parameters
        ----------
        indices
            Structures, negative ones counted from the end.
        out
            Where to read into: C-contiguous, of shape (len(indices), n_species, nx, ny, nz) and the store's dtype.

        Raises
        ------
        IndexError
            An index beyond the store.
        StoreError
            An `out` that does not fit, a shard that is missing or cut. Checksums are left to `verify_store`.
        """
        wanted = np.asarray(indices)
        if wanted.ndim != 1 or (wanted.size and wanted.dtype.kind not in "iu"):
            raise StoreError(
                f"indices must be whole numbers in one dimension; found {wanted.dtype} of shape {wanted.shape}. "
                f"Of a mask, take np.flatnonzero(mask)"
            )
        wanted = wanted.astype(np.int64)
        if wanted.size and not (-len(self) <= wanted.min() and wanted.max() < len(self)):
            raise IndexError(f"indices must lie within {len(self)} structures; found {wanted.min()} to {wanted.max()}")
        wanted = np.where(wanted < 0, wanted + len(self), wanted)
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

    def atoms(self, index: int) -> Atoms:
        """The structure that a grid was made of: positions (float32), cell, tags, fixed atoms, energy, info."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must lie within {len(self)} structures; found {index}")
        index %= len(self)
        begin, end = (int(edge) for edge in self.atom_offset[index : index + 2])
        rows = {name: self._rows(name, begin, end) for name in ("positions", "atom_number", "atom_tag", "atom_fixed")}
        fixed = rows["atom_fixed"]
        atoms = Atoms(
            numbers=rows["atom_number"],
            positions=rows["positions"].astype(np.float64),
            cell=self.cell[index],
            pbc=self.pbc[index],
            tags=rows["atom_tag"],
            constraint=FixAtoms(mask=fixed) if fixed.any() else None,
            info={key: _plain(values[index]) for key, values in self.info.items() if _present(values[index])},
        )
        if np.isfinite(self.energy[index]):
            atoms.calc = SinglePointCalculator(atoms, energy=float(self.energy[index]))
        return atoms

    def iterate_atoms(self) -> Iterator[Atoms]:
        """All structures, in order."""
        return (self.atoms(index) for index in range(len(self)))

    @cached_property
    def energy(self) -> FloatArray:
        """eV, shape (structures,); NaN where there is none."""
        return self._whole("energy")

    @cached_property
    def energy_class(self) -> IntArray:
        """Class of the label, shape (structures,); -1 if the store has no label."""
        return self._whole("energy_class")

    @cached_property
    def lattice(self) -> FloatArray:
        """Lattice lengths, Å, shape (structures, 3)."""
        return self._whole("lattice")

    @cached_property
    def cell(self) -> FloatArray:
        """Cell vectors in rows, Å, shape (structures, 3, 3)."""
        return self._whole("cell")

    @cached_property
    def pbc(self) -> Array:
        return self._whole("pbc")

    @cached_property
    def split(self) -> IntArray:
        """0 for training structures, 1 for held-out ones, shape (structures,); names in attrs["split_names"]."""
        return self._whole("split")

    @cached_property
    def n_atoms(self) -> IntArray:
        return self._whole("n_atoms")

    @cached_property
    def atom_offset(self) -> IntArray:
        return self._whole("atom_offset")

    @cached_property
    def frame_id(self) -> IntArray:
        """Frame of each structure in its source file."""
        return self._whole("frame_id")

    @cached_property
    def source_id(self) -> IntArray:
        """Index into `sources` of each structure."""
        return self._whole("source_id")

    @cached_property
    def copy(self) -> IntArray:
        """Which copy of its frame each structure is."""
        return self._whole("copy")

    @cached_property
    def info(self) -> dict[str, Array]:
        """What `atoms.info` held, by key: one array each, with NaN or None where a structure lacks the key."""
        columns: dict[str, Array] = {}
        for _, array in sorted(self._group[schema.INFO].arrays()):
            values = array[:]
            if array.attrs.get("encoding") == "json":
                decoded = np.empty(len(values), dtype=object)
                decoded[:] = [json.loads(text, object_hook=object_hook) if text else None for text in values.tolist()]
                values = decoded
            elif values.dtype.kind not in "bif":
                values = np.array(values.tolist(), dtype=object)
            columns[str(array.attrs["key"])] = values
        return columns

    def skipped(self) -> list[dict[str, Any]]:
        """Frames that the build left out: source_id, frame_id and reason of each."""
        group = self._group[schema.SKIPPED]
        columns = {name: group[name][:].tolist() for name in ("source_id", "frame_id", "reason")}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

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

    def _rows(self, name: str, begin: int, end: int) -> Array:
        """Lines of a one-line-per-atom array, by way of its chunks, which are kept a while."""
        size = self._group[name].chunks[0]
        parts = [
            self._atom_rows(name, chunk)[max(0, begin - chunk * size) : end - chunk * size]
            for chunk in range(begin // size, -(-end // size))
        ]
        return np.concatenate(parts) if parts else self._group[name][0:0]

    def _read_atom_rows(self, name: str, chunk: int) -> Array:
        array = self._group[name]
        size = array.chunks[0]
        rows: Array = array[chunk * size : (chunk + 1) * size]
        return rows

    def _open_blob(self, number: int) -> Any:
        path = f"{self._root}/{shard_key(number)}"
        return LocalBlob(path) if self._fs is None else RemoteBlob(self._fs, path)


def _present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float | np.floating) and np.isnan(value))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _open_local(path: Path) -> tuple[Any, Any, str]:
    if not path.exists():
        unfinished = path.with_name(path.name + BUILDING)
        if unfinished.exists():
            raise StoreError(f"{path}: the build of this store is not complete ({unfinished}). Finish it with --resume")
        raise StoreError(f"{path}: must be a voxel store; found nothing there")
    if path.name.endswith(BUILDING):
        raise StoreError(
            f"{path}: the build of this store is not complete. Finish it with ruo2-voxel build ... --resume"
        )
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
