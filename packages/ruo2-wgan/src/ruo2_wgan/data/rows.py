"""The rows of a store that a configuration trains on: structures in three dimensions, slices in two."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruo2_voxel import SliceChoice, SliceStore, SliceView, VoxelStore, open_any
from ruo2_wgan.config import Config
from ruo2_wgan.data.symmetry import check_augment
from ruo2_wgan.errors import ConfigError, DataError
from ruo2_wgan.spec import DataSpec

AnyRows = VoxelStore | SliceStore | SliceView


class Rows:
    """Rows of a store, split into those to train on and those held out.

    Parameters
    ----------
    rows
        What reads them.
    store
        What they belong to.
    config
        Of the run.

    Raises
    ------
    DataError
        No row to train on; classes that are asked for and are not there.
    """

    def __init__(self, rows: AnyRows, store: VoxelStore | SliceStore, config: Config) -> None:
        self._rows, self.store = rows, store
        self.location = store.location
        self.scale: float = store.scale
        self.dtype: np.dtype[Any] = np.dtype(store.dtype)
        split = np.asarray(rows.split)
        self.train: NDArray[np.int64] = np.flatnonzero(split == 0)
        self.held_out: NDArray[np.int64] = np.flatnonzero(split == 1)
        self.lattice = np.asarray(rows.lattice, dtype=np.float64)
        self.energy_class = np.asarray(rows.energy_class, dtype=np.int64)
        if not len(self.train):
            raise DataError(f"{self.location}: at least one row must be for training; found {len(split)}, all held out")
        self.spec = self._describe(config)
        if config.model.conditioning != "none":
            self._check_classes(config)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: NDArray[np.int64], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Rows as stored, shape (n, species, ...)."""
        return self._rows.read(indices, out)

    @property
    def view(self) -> SliceView | None:
        """Where the rows are slices cut from structures on the fly."""
        return self._rows if isinstance(self._rows, SliceView) else None

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this store from any other: a checksum of what it says of itself, and its source files."""
        text = json.dumps(self.store.attrs, sort_keys=True, default=str)
        sources = [{"path": each["path"], "sha256": each["sha256"]} for each in self.store.sources]
        return {"rows": len(self), "sha256": hashlib.sha256(text.encode()).hexdigest(), "sources": sources}

    def _describe(self, config: Config) -> DataSpec:
        store, classes = self.store, self.store.attrs["classes"]
        lengths = self.lattice[self.train]
        low, high = lengths.min(axis=0), lengths.max(axis=0)
        if "rotate" in config.data.augment and lengths.shape[1] == 3:  # a quarter turn swaps x and y
            low[:2], high[:2] = low[:2].min(), high[:2].max()
        edges = tuple(classes["edges"]) if classes else ()
        of_class = self.energy_class[self.train]
        chosen = [np.ones(len(lengths), dtype=bool), *(of_class == number for number in range(len(edges) - 1))]
        typical = [np.median(lengths[rows] if rows.any() else lengths, axis=0).tolist() for rows in chosen]
        return DataSpec(
            species=store.grid.species,
            shape=self._rows.read([0]).shape[2:],
            sigma=float(store.attrs["sigma_angstrom"]),
            tol=float(store.attrs["tol"]),
            label=classes["label"] if classes else None,
            class_edges=tuple(float(edge) for edge in edges),
            lattice_low=tuple(low.tolist()),
            lattice_high=tuple(high.tolist()),
            lattice_typical=tuple(tuple(row) for row in typical),
            n_train=len(self.train),
            n_held_out=len(self.held_out),
        )

    def _check_classes(self, config: Config) -> None:
        n, found = self.spec.n_classes, self.energy_class[self.train]
        asked = f"model.conditioning = {config.model.conditioning}"
        if not n:
            raise DataError(
                f"{self.location}: {asked} needs labels; found a store without. Build it with --label, or set "
                f"model.conditioning=none"
            )
        wrong = np.flatnonzero((found < 0) | (found >= n))
        if len(wrong):
            raise DataError(
                f"{self.location}, row {self.train[wrong[0]]}: {asked} needs a class from 0 to {n - 1} for each row; "
                f"found {found[wrong[0]]} there and {len(wrong)} such rows in all"
            )


def open_rows(location: str | os.PathLike[str], config: Config) -> Rows:
    """Open a store of structures or of slices, and check it against a configuration.

    Raises
    ------
    StoreError
        No complete store.
    DataError
        One of other dimensions, without labels or atoms that are asked for, or with no row to train on.
    ConfigError
        Planes or quarter turns that want as many voxels along x as along y, of a grid that has not.
    """
    structures = open_any(location)
    if isinstance(structures, SliceStore):
        return _rows_of_slices(structures, config)
    if config.data.source == "atoms" and not structures.attrs["atoms"]:
        raise DataError(
            f"{structures.location}: data.source = atoms needs a store with atoms; found grids that were made without. "
            f"Set data.source=auto"
        )
    if config.model.dimensions == 3:
        check_augment(config.data.augment, structures.grid.shape)
        return Rows(structures, structures, config)
    planes = ("xz", "yz") if config.data.planes == "both" else (config.data.planes,)
    if len(planes) == 2 and structures.grid.shape[0] != structures.grid.shape[1]:
        raise ConfigError(
            f"data.planes: xz- and yz-planes can be mixed where the grid has as many voxels along x as along y; found "
            f"{' x '.join(map(str, structures.grid.shape))}. Set data.planes=xz or data.planes=yz"
        )
    positions = config.data.positions
    choice = SliceChoice(planes, positions, config.data.drop_empty)  # type: ignore[arg-type]
    return Rows(SliceView(structures, choice), structures, config)


def _rows_of_slices(store: SliceStore, config: Config) -> Rows:
    if config.model.dimensions == 3:
        raise DataError(
            f"{Path(store.location)}: model.dimensions = 3 needs a store of structures; found one of slices. Train on "
            f"the store that they were cut from, or a two-dimensional model"
        )
    if config.data.source == "atoms":
        raise DataError(
            f"{Path(store.location)}: data.source = atoms needs a store of structures, which has the atoms; found one "
            f"of slices"
        )
    return Rows(store, store, config)
