"""Stores of slices: cut a store of structures once, and read the slices like any other store."""

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import numpy as np

from ruo2_voxel.density.slices import PLANES
from ruo2_voxel.errors import StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.arrays import density_metadata, group_metadata, write_column
from ruo2_voxel.store.grid_store import GridStore, Layout
from ruo2_voxel.store.provenance import now, package_versions
from ruo2_voxel.store.reader import VoxelStore, open_store
from ruo2_voxel.store.schema import DENSITY
from ruo2_voxel.store.shards import ShardWriter
from ruo2_voxel.store.slice_view import SliceView
from ruo2_voxel.store.target import Target, local_path, open_target
from ruo2_voxel.store.write import explain_write_errors, shard_key
from ruo2_voxel.typing import Array, IntArray

CHUNK: Final = 256  # slices, which are as many bytes as 16 structures of 16 slices each
SHARD: Final = 16384


class SliceStore(GridStore):
    """A store of slices, shape (species, u, z) each, where u is x or y; read-only."""

    schema_name = schema.SLICE_SCHEMA
    noun = "slices"

    def _find_layout(self) -> Layout:
        slicing = self.attrs["slicing"]
        return Layout(
            n_grids=self.attrs["slices"],
            row_shape=(self.grid.n_species, *self.attrs["shape"]),
            chunk=slicing["chunk"],
            shard=slicing["shard"],
            compress=slicing["compress"],
        )

    @cached_property
    def structure(self) -> IntArray:
        """The structure that each slice was cut from, numbered as in its store."""
        return self._whole("structure")

    @cached_property
    def plane(self) -> IntArray:
        """Index into attrs["plane_names"] of each slice; -1 if it was generated."""
        return self._whole("plane")

    @cached_property
    def position(self) -> IntArray:
        """Voxel at which each slice was cut; -1 if it was generated."""
        return self._whole("position")


def open_slices(location: str | os.PathLike[str]) -> SliceStore:
    """Open a store of slices at a path or fsspec URL, to read.

    Raises
    ------
    StoreError
        Nothing there, no store of slices, an unknown schema version, one that is not complete.
    """
    return SliceStore(location)


def open_any(location: str | os.PathLike[str]) -> VoxelStore | SliceStore:
    """Open what lies at a location, a store of structures or of slices.

    Raises
    ------
    StoreError
        As for `open_store`, where it is no complete store of either.
    """
    try:
        return open_store(location)
    except StoreError as error:
        try:
            return open_slices(location)
        except StoreError:
            raise error from None


def build_slices(
    view: SliceView,
    out: str | os.PathLike[str],
    *,
    compress: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write the slices of a view into a store of their own.

    Parameters
    ----------
    view
        Of a store of structures.
    out
        Path or fsspec URL of the new store.
    compress
        Compress the slices (zstd).
    overwrite
        Replace a store that stands at `out`.
    progress
        Called with the number of slices just written.

    Returns
    -------
    attributes
        Of the new store.

    Raises
    ------
    StoreError
        Something stands at `out`, or it cannot be written; `out` is the store that the slices are cut from. An
        unfinished store is never visible there, and nothing stays of one that failed.
    """
    target = open_target(out)
    if _same_place(target.location, view.store.location):
        raise StoreError(
            f"{target.location}: slices need a store of their own; found the one they are cut from. Name another"
        )
    target.check_free(overwrite)
    with target.lock(), explain_write_errors(target.location, "Make room, then cut them anew"):
        target.clear()
        try:
            attributes = _attributes(view, compress)
            _write_grids(target, view, compress, progress)
            for column in schema.SLICE_COLUMNS:
                write_column(target, column, _rows(view, column.name))
        except BaseException:
            target.clear()
            raise
        target.publish(group_metadata(attributes))
    return attributes


def _same_place(one: str, other: str) -> bool:
    paths = local_path(one), local_path(other)
    if paths[0] is None or paths[1] is None:
        return one.rstrip("/") == other.rstrip("/")
    return paths[0].resolve() == paths[1].resolve()


def _write_grids(target: Target, view: SliceView, compress: bool, progress: Callable[[int], None] | None) -> None:
    n_axes = len(view.row_shape)
    for number, first in enumerate(range(0, len(view), SHARD)):
        last = min(first + SHARD, len(view))
        with target.open(shard_key(number, n_axes)) as file:
            writer = ShardWriter(file, SHARD // CHUNK, compress)
            for begin in range(first, last, CHUNK):
                chunk = np.zeros((CHUNK, *view.row_shape), dtype=view.dtype)
                end = min(begin + CHUNK, last)
                view.read(np.arange(begin, end), out=chunk[: end - begin])
                writer.append(chunk)
                if progress is not None:
                    progress(end - begin)
            writer.finish()
    metadata = density_metadata(
        len(view),
        view.row_shape,
        str(np.dtype(view.dtype)),
        CHUNK,
        SHARD,
        compress,
        schema.SLICE_DIMENSIONS,
        schema.SLICE_COLUMNS,
    )
    target.put(f"{DENSITY}/zarr.json", metadata, durable=False)


def _rows(view: SliceView, name: str) -> Array:
    own = {"lattice": view.lattice, "structure": view.structure, "plane": view.plane, "position": view.position}
    return own[name] if name in own else view.of_structure(getattr(view.store, name))


def _attributes(view: SliceView, compress: bool) -> dict[str, Any]:
    store: VoxelStore = view.store
    kept = ("species", "sigma_angstrom", "alpha_per_square_angstrom", "tol", "quantisation", "split_names")
    classes = store.attrs["classes"]
    if classes is not None:
        counts = np.bincount(view.energy_class, minlength=len(classes["counts"])).tolist()
        classes = {**classes, "counts": counts}
    counts = np.bincount(view.split, minlength=len(schema.SPLIT_NAMES)).tolist()
    positions = view.choice.positions
    return {
        "schema": schema.SLICE_SCHEMA,
        "schema_version": schema.SLICE_SCHEMA_VERSION,
        **{name: store.attrs[name] for name in kept},
        **({} if store.generated is None else {"generated": store.generated}),
        "shape": list(view.row_shape[1:]),
        "classes": classes,
        "split": {**store.attrs["split"], "counts": counts},
        "plane_names": list(PLANES),
        "slicing": {
            "planes": list(view.choice.planes),
            "positions": positions if isinstance(positions, str) else view.positions,
            "drop_empty": view.choice.drop_empty,
            "empty": view.n_empty,
            "chunk": CHUNK,
            "shard": SHARD,
            "compress": compress,
        },
        "slices": len(view),
        "structures": len(store),
        "sources": store.sources,
        "options": store.attrs["options"],
        "versions": package_versions(),
        "created": now(),
        "complete": True,
    }
