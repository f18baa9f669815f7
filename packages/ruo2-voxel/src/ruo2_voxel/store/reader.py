"""Open a voxel store and read from it: grids, atoms, labels, splits."""

import json
import os
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io.jsonio import object_hook

from ruo2_voxel.store import schema
from ruo2_voxel.store.grid_store import GridStore, Layout
from ruo2_voxel.typing import Array, FloatArray, IntArray


def open_store(location: str | os.PathLike[str]) -> "VoxelStore":
    """Open a complete store at a path or fsspec URL, to read.

    Raises
    ------
    StoreError
        Nothing there, no voxel store, an unknown schema version, a build that is not complete.
    """
    return VoxelStore(location)


class VoxelStore(GridStore):
    """A store of voxelized structures, read-only. Safe to use from several threads.

    Small arrays are read whole when first asked for; grids and atoms are read as they are needed.
    """

    schema_name = schema.SCHEMA
    noun = "structures"

    def __init__(self, location: str | os.PathLike[str]) -> None:
        super().__init__(location)
        self._atom_rows = lru_cache(maxsize=8)(self._read_atom_rows)

    def _find_layout(self) -> Layout:
        options = self.attrs["options"]
        return Layout(
            n_grids=self.attrs["structures"],
            row_shape=(self.grid.n_species, *self.grid.shape),
            chunk=options["chunk"],
            shard=options["shard"],
            compress=options["compress"],
        )

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
    def cell(self) -> FloatArray:
        """Cell vectors in rows, Å, shape (structures, 3, 3)."""
        return self._whole("cell")

    @cached_property
    def pbc(self) -> Array:
        return self._whole("pbc")

    @cached_property
    def n_atoms(self) -> IntArray:
        return self._whole("n_atoms")

    @cached_property
    def atom_offset(self) -> IntArray:
        return self._whole("atom_offset")

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


def _present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float | np.floating) and np.isnan(value))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
