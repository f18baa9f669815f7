"""Check a store against its own promises: schema, checksums, and grids against the atoms they were made of."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ruo2_voxel.density.voxelize import voxelize_many
from ruo2_voxel.errors import StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.typing import Array, FloatArray


def verify_store(
    store: VoxelStore, n_samples: int | None = 64, seed: int = 0, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Read every byte of a store, and voxelize sampled structures anew.

    Parameters
    ----------
    store
        An open store.
    n_samples
        How many structures to voxelize anew, drawn from the seed; None for all.
    progress
        Called with the number of chunks just read.

    Returns
    -------
    report
        What was checked: arrays, chunks, structures voxelized anew, and the largest difference found there.

    Raises
    ------
    StoreError
        The first promise that does not hold: an array that is missing or of another shape or type, atoms that do not
        add up, a checksum, a grid that is not what its atoms give.

    Notes
    -----
    A grid is made of the positions as the store holds them, so the same software gives the same bytes again. One step
    of the stored type is allowed, for another machine's rounding.
    """
    arrays = _verify_schema(store)
    for chunk in range(store.n_chunks):
        rows = store.read_chunk(chunk)
        beyond = len(store) - chunk * len(rows)
        if rows[max(0, beyond) :].any():
            raise StoreError(
                f"{store.location}: chunk {chunk} must be zero beyond the last structure; found densities there"
            )
        if progress is not None:
            progress(1)
    _verify_atoms(store)
    n = len(store) if n_samples is None else min(n_samples, len(store))
    sample = np.sort(np.random.default_rng(seed).choice(len(store), size=n, replace=False))
    largest = _verify_grids(store, sample)
    return {
        "location": store.location,
        "structures": len(store),
        "arrays": arrays,
        "chunks": store.n_chunks,
        "voxelized_anew": n,
        "largest_difference": largest,
    }


def _verify_schema(store: VoxelStore) -> int:
    """Every array is there, with its shape, type and named dimensions; returns how many."""
    n = len(store)
    grid = store.grid
    expected: dict[str, tuple[tuple[int, ...], str, tuple[str, ...]]] = {
        schema.DENSITY: ((n, grid.n_species, *grid.shape), store.attrs["options"]["dtype"], schema.DENSITY_DIMENSIONS)
    }
    for column in schema.ATOM_COLUMNS:
        expected[column.name] = ((store.attrs["atoms"], *column.tail), column.dtype, column.dimensions)
    for column in (*schema.STRUCTURE_COLUMNS, schema.ENERGY_CLASS, schema.SPLIT):
        expected[column.name] = ((n, *column.tail), column.dtype, column.dimensions)
    expected[schema.ATOM_OFFSET.name] = ((n + 1,), schema.ATOM_OFFSET.dtype, schema.ATOM_OFFSET.dimensions)
    for name, (shape, dtype, dimensions) in expected.items():
        try:
            array = store.array(name)
        except KeyError:
            raise StoreError(f"{store.location}: the array {name} must be there; found none") from None
        found = (array.shape, str(array.dtype), tuple(array.metadata.dimension_names or ()))
        if found != (shape, dtype, dimensions):
            raise StoreError(f"{store.location}: {name} must be {dtype} of shape {shape} {dimensions}; found {found}")
    if list(store.array("species")[:]) != list(grid.species):
        raise StoreError(
            f"{store.location}: the array species must be {grid.species}; found {list(store.array('species')[:])}"
        )
    return len(expected)


def _verify_atoms(store: VoxelStore) -> None:
    """Counts add up and every number is usable. Reading them compares their checksums."""
    offsets = store.atom_offset
    if offsets[0] != 0 or offsets[-1] != store.attrs["atoms"] or not np.array_equal(np.diff(offsets), store.n_atoms):
        raise StoreError(
            f"{store.location}: atom_offset must count the atoms of each structure; found other numbers than n_atoms"
        )
    for name in ("positions", "atom_number", "atom_species", "atom_tag", "atom_fixed"):
        array = store.array(name)
        for begin in range(0, array.shape[0], array.chunks[0]):
            rows = array[begin : begin + array.chunks[0]]
            if name == "positions" and not np.isfinite(rows).all():
                raise StoreError(f"{store.location}: positions must be finite; found some that are not")


def _verify_grids(store: VoxelStore, sample: Array) -> float:
    """Voxelize the sampled structures and compare; returns the largest difference."""
    largest = 0.0
    for begin in range(0, len(sample), 64):
        indices = sample[begin : begin + 64]
        fresh = voxelize_many([store.atoms(int(index)) for index in indices], store.grid)
        expected = _as_stored(fresh, store)
        difference = np.abs(expected - store.densities(indices)).max(axis=(1, 2, 3, 4), initial=0.0)
        allowed = 1.5 * store.scale if store.dtype == np.uint8 else 1e-3 if store.dtype == np.float16 else 1e-5
        worst = int(difference.argmax())
        if difference[worst] > allowed:
            raise StoreError(
                f"{store.location}: the grid of structure {indices[worst]} must be what its atoms give, within "
                f"{allowed:.2g}; found a difference of {difference[worst]:.2g}. Build the store anew"
            )
        largest = max(largest, float(difference[worst]))
    return largest


def _as_stored(fresh: FloatArray, store: VoxelStore) -> FloatArray:
    """What a store of this kind holds of freshly made densities."""
    if store.attrs["quantisation"]["combine"] == "clip":
        fresh = np.minimum(fresh, np.float32(1.0))
    if store.dtype == np.uint8:
        steps: FloatArray = np.floor(fresh * np.float32(schema.FULL_SCALE) + np.float32(0.5))
        return steps * np.float32(store.scale)
    stored: FloatArray = fresh.astype(store.dtype).astype(np.float32)
    return stored
