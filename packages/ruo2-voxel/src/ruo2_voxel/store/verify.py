"""Check a store against its own promises: schema, checksums, and grids against the atoms they were made of."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ruo2_voxel.density.voxelize import voxelize_many
from ruo2_voxel.errors import StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.grid_store import GridStore
from ruo2_voxel.store.plan import options_sha256
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.store.slice_store import SliceStore
from ruo2_voxel.structures.labels import Labelled, label_values
from ruo2_voxel.structures.surface_energy import SurfaceReference
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
        The first promise that does not hold: an attribute that contradicts another, an array that is missing or of
        another shape or type, a checksum, atoms or labels that do not add up, a grid that is not what its atoms give.

    Notes
    -----
    A grid is made of the positions as the store holds them, so the same software gives the same bytes again. One step
    of the stored type is allowed, for another machine's rounding.
    """
    _verify_attributes(store)
    arrays = _verify_schema(store)
    _verify_chunks(store, progress)
    _verify_checksums(store, arrays)
    _verify_atoms(store)
    _verify_labels(store)
    if store.generated is not None:
        n_samples = 0  # there is nothing that they could be voxelized from
    n = len(store) if n_samples is None else min(n_samples, len(store))
    sample = np.sort(np.random.default_rng(seed).choice(len(store), size=n, replace=False))
    largest = _verify_grids(store, sample)
    return {
        "location": store.location,
        "structures": len(store),
        "arrays": len(arrays),
        "chunks": store.n_chunks,
        "generated": store.generated is not None,
        "voxelized_anew": n,
        "largest_difference": largest,
    }


def verify_slices(store: SliceStore, progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Read every byte of a store of slices.

    Returns
    -------
    report
        What was checked: arrays and chunks.

    Raises
    ------
    StoreError
        The first promise that does not hold: an array that is missing or of another shape or type, a checksum, classes
        or splits that are not counted as they are.
    """
    n = len(store)
    wanted = {column.name: (column.dimensions, column.dtype, (n, *column.tail)) for column in schema.SLICE_COLUMNS} | {
        schema.DENSITY: (schema.SLICE_DIMENSIONS, str(store.dtype), (n, *store.layout.row_shape))
    }
    arrays = _arrays(store)
    _verify_arrays(store, arrays, wanted)
    _verify_chunks(store, progress)
    _verify_checksums(store, arrays)
    classes, split = store.attrs["classes"], store.attrs["split"]
    for what, values, said in (
        ("classes", store.energy_class, None if classes is None else classes["counts"]),
        ("split", store.split, split["counts"]),
    ):
        if said is not None and np.bincount(values, minlength=len(said)).tolist() != said:
            raise StoreError(f"{store.location}: {what} must be counted as they are; found the counts {said}")
    return {"location": store.location, "slices": n, "arrays": len(arrays), "chunks": store.n_chunks}


def _verify_chunks(store: GridStore, progress: Callable[[int], None] | None) -> None:
    """Every chunk of grids has its checksum, and nothing lies beyond the last grid."""
    for chunk in range(store.n_chunks):
        rows = store.read_chunk(chunk)
        beyond = len(store) - chunk * len(rows)
        if rows[max(0, beyond) :].any():
            raise StoreError(
                f"{store.location}: chunk {chunk} must be zero beyond the last of {len(store)} {store.noun}; found "
                f"densities there"
            )
        if progress is not None:
            progress(1)


def _verify_attributes(store: VoxelStore) -> None:
    """What the attributes say more than once, they say alike."""
    attributes = store.attrs
    options = attributes["options"]
    if options_sha256(options) != attributes["options_sha256"]:
        raise StoreError(
            f"{store.location}: options must have the checksum {attributes['options_sha256']}; found "
            f"{options_sha256(options)}. They were altered after the store was written"
        )
    quantisation = attributes["quantisation"]
    said = {
        **{name: attributes[name] for name in ("species", "shape", "sigma_angstrom", "tol", "seed")},
        **{name: quantisation.get(name) for name in ("dtype", "combine", "scale")},
    }
    for name, found in said.items():
        expected = schema.scale_of(options["dtype"]) if name == "scale" else options[name]
        if found != expected:
            raise StoreError(
                f"{store.location}: the attribute {name} must be {expected}, by the options; found {found}. It was "
                f"altered after the store was written"
            )


def _verify_schema(store: VoxelStore) -> dict[str, Any]:
    """Every array is there, with its shape, type and named dimensions; returns them by name."""
    n = len(store)
    options = store.attrs["options"]
    density = (schema.DENSITY_DIMENSIONS, options["dtype"], (n, store.grid.n_species, *store.grid.shape))
    expected: dict[str, tuple[tuple[str, ...], str, tuple[int, ...]]] = {schema.DENSITY: density}
    columns = [("", column) for column in (*schema.ATOM_COLUMNS, *schema.STRUCTURE_COLUMNS)]
    columns += [("", column) for column in (schema.ATOM_OFFSET, schema.LABEL, schema.ENERGY_CLASS, schema.SPLIT)]
    columns += [(f"{schema.SKIPPED}/", column) for column in schema.SKIPPED_COLUMNS]
    rows = {
        "structure": n,
        "structure_edge": n + 1,
        "atom": store.attrs["atoms"],
        "skipped": store.attrs["skipped_frames"],
    }
    for path, column in columns:
        shape = (rows[column.dimensions[0]], *column.tail)
        expected[path + column.name] = (column.dimensions, column.dtype, shape)
    for axis, side in zip("xyz", store.grid.shape, strict=True):
        expected[axis] = ((axis,), "float64", (side,))
    expected["species"] = (("species",), "string", (store.grid.n_species,))
    expected["source_name"] = (("source",), "string", (len(store.sources),))
    arrays = _arrays(store)
    _verify_arrays(store, arrays, expected)
    sizes = (arrays[schema.DENSITY].chunks[0], (arrays[schema.DENSITY].shards or (0,))[0])
    if sizes != (options["chunk"], options["shard"]):
        raise StoreError(
            f"{store.location}: density must have chunks and shards of {options['chunk']} and {options['shard']} "
            f"structures, by the options; found {sizes[0]} and {sizes[1]}"
        )
    keys = sorted(str(array.attrs.get("key")) for name, array in arrays.items() if name.startswith(f"{schema.INFO}/"))
    if keys != store.attrs["info_keys"]:
        raise StoreError(f"{store.location}: info must hold the keys {store.attrs['info_keys']}; found {keys}")
    return arrays


def _verify_arrays(
    store: GridStore, arrays: dict[str, Any], expected: dict[str, tuple[tuple[str, ...], str, tuple[int, ...]]]
) -> None:
    """Each array is there, with these dimensions, type and shape."""
    for name, wanted in expected.items():
        if name not in arrays:
            raise StoreError(f"{store.location}: the array {name} must be there; found none")
        array = arrays[name]
        dtype = "string" if wanted[1] == "string" and array.dtype.kind in "OTU" else str(array.dtype)
        found = (tuple(array.metadata.dimension_names or ()), dtype, array.shape)
        if found != wanted:
            raise StoreError(f"{store.location}: {name} must have dimensions, type and shape {wanted}; found {found}")


def _arrays(store: GridStore) -> dict[str, Any]:
    """Every array in the store, by its path."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of files that belong to no array; what is missing shows below
            return dict(store.arrays())
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"{store.location}: metadata of its arrays must be sound; found: {error}") from error


def _verify_checksums(store: GridStore, arrays: dict[str, Any]) -> None:
    """Every chunk of the small arrays is there and reads; reading compares its checksum."""
    for name, array in arrays.items():
        if name == schema.DENSITY:
            continue
        if array.nchunks_initialized != array.nchunks:
            raise StoreError(
                f"{store.location}: {name} must have {array.nchunks} chunks; found {array.nchunks_initialized}. "
                f"Restore it from a copy, or build the store anew"
            )
        try:
            for begin in range(0, array.shape[0], array.chunks[0]):
                array[begin : begin + array.chunks[0]]
        except (ValueError, RuntimeError) as error:
            raise StoreError(
                f"{store.location}: {name} must be as it was written; found {error} Restore it from a copy, or build "
                f"the store anew"
            ) from error


def _verify_atoms(store: VoxelStore) -> None:
    """Names and counts agree with each other, and every position is a number."""
    for name, wanted in (
        ("species", list(store.grid.species)),
        ("source_name", [each["path"] for each in store.sources]),
    ):
        found = list(store.array(name)[:])
        if found != wanted:
            raise StoreError(f"{store.location}: the array {name} must be {wanted}; found {found}")
    offsets = store.atom_offset
    if offsets[0] != 0 or offsets[-1] != store.attrs["atoms"] or not np.array_equal(np.diff(offsets), store.n_atoms):
        raise StoreError(
            f"{store.location}: atom_offset must count the atoms of each structure; found other numbers than n_atoms"
        )
    positions = store.array("positions")
    for begin in range(0, positions.shape[0], positions.chunks[0]):
        if not np.isfinite(positions[begin : begin + positions.chunks[0]]).all():
            raise StoreError(f"{store.location}: positions must be finite; found some that are not")


def _verify_labels(store: VoxelStore) -> None:
    """Classes are those that the edges give, and the counts of classes and splits are right."""
    classes, split = store.attrs["classes"], store.attrs["split"]
    if classes is None:
        # Generated grids have the class that was asked of their model, and no label that it could be told from.
        expected = np.full(len(store), -1) if store.generated is None else store.energy_class
        values = np.full(len(store), np.nan)
    else:
        infos = [dict(zip(store.info, row, strict=True)) for row in zip(*store.info.values(), strict=True)]
        of = Labelled(store.energy, store.n_atoms, store.array("atom_number")[:], store.cell, infos)
        values = label_values(of, classes["label"], _reference(store))
        expected = np.searchsorted(classes["edges"][1:-1], values, side="right")
        found = np.bincount(store.energy_class, minlength=len(classes["edges"]) - 1).tolist()
        if (classes["edges"][0], classes["edges"][-1]) != (values.min(), values.max()) or classes["counts"] != found:
            raise StoreError(
                f"{store.location}: edges and counts of the classes must be those of its label; found the edges "
                f"{classes['edges']} and the counts {classes['counts']}"
            )
    if not np.array_equal(store.energy_class, expected):
        raise StoreError(f"{store.location}: energy_class must be what the edges give; found other classes")
    if not np.array_equal(store.label, values, equal_nan=True):
        raise StoreError(f"{store.location}: label must be what its structures give; found other numbers")
    found = np.bincount(store.split, minlength=len(schema.SPLIT_NAMES)).tolist()
    if split["counts"] != found:
        raise StoreError(f"{store.location}: the split must count {found} structures; found {split['counts']}")


def _reference(store: VoxelStore) -> SurfaceReference | None:
    reference = store.attrs["options"]["reference"]
    return None if reference is None else SurfaceReference(**reference)


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
