"""Stores of grids that something has made, say a generative model: read, shown, decoded and exported like any other."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, count, islice
from typing import Any, Final, NamedTuple

import numpy as np

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.density.slices import PLANES
from ruo2_voxel.errors import StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.arrays import density_metadata, group_metadata, write_column
from ruo2_voxel.store.finish import write_coordinates, write_skipped
from ruo2_voxel.store.plan import BuildOptions
from ruo2_voxel.store.provenance import now, package_versions
from ruo2_voxel.store.shards import ShardWriter
from ruo2_voxel.store.slice_store import CHUNK, SHARD
from ruo2_voxel.store.target import Target, open_target
from ruo2_voxel.store.write import explain_write_errors, shard_key
from ruo2_voxel.typing import Array, FloatArray, IntArray

DTYPE: Final = "uint8"
HIGHEST_CLASS: Final = 127  # in int8


class GridBlock(NamedTuple):
    """Some grids with what belongs to them."""

    density: FloatArray  # (n, species, nx, ny, nz) in [0, 1], or (n, species, u, z) of slices
    lattice: FloatArray  # (n, 3) or (n, 2), Å
    energy_class: IntArray  # (n,), -1 for none


def write_grids(
    out: str | os.PathLike[str],
    blocks: Iterable[GridBlock],
    grid: Grid,
    generated: Mapping[str, Any],
    *,
    slices: bool = False,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write grids without atoms into a store, block by block as they are made.

    Parameters
    ----------
    out
        Path or fsspec URL of the new store.
    blocks
        Grids, their lattice lengths and classes.
    grid
        Species, shape and Gaussian width that they follow; of slices, (u, u, z).
    generated
        What made them: plain values for the attribute `generated`, such as model, checkpoint and seed.
    slices
        Whether they are slices; then `open_slices` reads them, and else `open_store`.
    overwrite
        Replace a store that stands at `out`.
    progress
        Called with the number of grids just written.

    Returns
    -------
    attributes
        Of the new store.

    Raises
    ------
    StoreError
        Something stands at `out`, or it cannot be written; a block of another shape, with numbers that are not finite
        or beyond [0, 1], with lengths that are not above 0 or classes that cannot be; no grid at all; a value in
        `generated` that JSON cannot hold. Nothing stays of a store that failed.

    Notes
    -----
    Densities are stored as uint8. Cells are orthorhombic. There are no atoms, no energies and no labels; slices lie in
    no plane.
    """
    target = open_target(out)
    target.check_free(overwrite)
    made_by = _checked_words(generated, target.location)
    chunk, shard = (CHUNK, SHARD) if slices else (BuildOptions.chunk, BuildOptions.shard)
    options = BuildOptions(grid=grid, label="none", chunk=chunk, shard=shard)
    row_shape = (grid.n_species, *((grid.shape[0], grid.shape[2]) if slices else grid.shape))
    with target.lock(), explain_write_errors(target.location, "Make room, then write them anew"):
        target.clear()
        try:
            lattice, classes = _write_density(target, blocks, row_shape, options, progress)
            write_columns = _write_slice_columns if slices else _write_structure_columns
            attributes = write_columns(target, lattice, classes, options)
        except BaseException:
            target.clear()
            raise
        attributes |= {
            "generated": made_by,
            "species": list(grid.species),
            "sigma_angstrom": grid.sigma,
            "alpha_per_square_angstrom": grid.alpha,
            "tol": grid.tol,
            "quantisation": {
                "dtype": DTYPE,
                "scale": schema.scale_of(DTYPE),
                "combine": options.combine,
                "clipped_voxels": 0,
            },
            "classes": None,
            "split_names": list(schema.SPLIT_NAMES),
            "split": {"by": [], "counts": [len(lattice), 0], "groups": 0, "held_out_groups": []},
            "structures": len(lattice),
            "sources": [],
            "options": options.as_dict(),
            "versions": package_versions(),
            "created": now(),
            "complete": True,
        }
        target.publish(group_metadata(attributes))
    return attributes


def _checked_words(generated: Mapping[str, Any], location: str) -> dict[str, Any]:
    """What made the grids, as JSON gives it back: refused before hours of work are."""
    try:
        words: dict[str, Any] = json.loads(json.dumps(dict(generated), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise StoreError(f"{location}: generated must hold plain values that JSON knows; found: {error}") from error
    return words


def _write_density(
    target: Target,
    blocks: Iterable[GridBlock],
    row_shape: tuple[int, ...],
    options: BuildOptions,
    progress: Callable[[int], None] | None,
) -> tuple[FloatArray, IntArray]:
    """The array of grids, shard by shard as blocks come; returns the lattice lengths and classes of all of them."""
    lattices: list[FloatArray] = []
    classes: list[IntArray] = []

    def rows() -> Iterator[Array]:
        n_rows = 0
        for block in blocks:
            _check(block, row_shape, f"{target.location}, grids from {n_rows} on")
            steps = np.asarray(block.density) * np.float32(schema.FULL_SCALE) + np.float32(0.5)
            lattices.append(np.asarray(block.lattice, dtype=np.float64))
            classes.append(np.asarray(block.energy_class, dtype=np.int8))
            n_rows += len(steps)
            yield np.floor(steps).astype(DTYPE)
            if progress is not None:
                progress(len(steps))

    chunks = _chunks(rows(), row_shape, options.chunk)
    for number in count():
        first = next(chunks, None)
        if first is None:
            break
        n_chunks = options.shard // options.chunk
        with target.open(shard_key(number, len(row_shape))) as file:
            writer = ShardWriter(file, n_chunks, compress=False)
            for chunk in chain([first], islice(chunks, n_chunks - 1)):
                writer.append(chunk)
            writer.finish()
    n = sum(map(len, lattices))
    if not n:
        raise StoreError(f"{target.location}: a store needs at least one grid; found none")
    of_slices = (schema.SLICE_DIMENSIONS, schema.SLICE_COLUMNS)
    of_structures = (schema.DENSITY_DIMENSIONS, schema.COORDINATES)
    dimensions, columns = of_slices if len(row_shape) == len(of_slices[0]) - 1 else of_structures
    metadata = density_metadata(n, row_shape, DTYPE, options.chunk, options.shard, False, dimensions, columns)
    target.put(f"{schema.DENSITY}/zarr.json", metadata, durable=False)
    return np.concatenate(lattices), np.concatenate(classes)


def _chunks(blocks: Iterable[Array], row_shape: tuple[int, ...], size: int) -> Iterator[Array]:
    """Blocks of any length as chunks of one, the last filled up with zeros; each is written over by the next."""
    chunk, n = np.zeros((size, *row_shape), dtype=DTYPE), 0
    for block in blocks:
        begin = 0
        while begin < len(block):
            part = block[begin : begin + size - n]
            chunk[n : n + len(part)] = part
            begin, n = begin + len(part), n + len(part)
            if n == size:
                yield chunk
                n = 0
    if n:
        chunk[n:] = 0
        yield chunk


def _check(block: GridBlock, row_shape: tuple[int, ...], where: str) -> None:
    density, lattice, classes = (np.asarray(part) for part in block)
    n = len(density)
    if density.shape[1:] != row_shape or lattice.shape != (n, len(row_shape) - 1) or classes.shape != (n,):
        raise StoreError(
            f"{where}: must be densities of shape (n, {', '.join(map(str, row_shape))}) with as many lattice lengths "
            f"and classes; found shapes {density.shape}, {lattice.shape} and {classes.shape}"
        )
    if not n:
        return
    if not (density.min() >= 0 and density.max() <= 1):  # nor where they are not a number
        raise StoreError(f"{where}: densities must lie in [0, 1]; found {density.min():.3g} to {density.max():.3g}")
    if not (lattice.min() > 0 and np.isfinite(lattice).all()):
        raise StoreError(f"{where}: lattice lengths must be above 0 and finite; found {lattice.min():.3g}")
    strange = classes[~np.isin(classes, np.arange(-1, HIGHEST_CLASS + 1))]
    if len(strange):
        raise StoreError(
            f"{where}: classes must be whole numbers from 0 to {HIGHEST_CLASS}, or -1 for none; found {strange[0]}"
        )


def _write_structure_columns(
    target: Target, lattice: FloatArray, classes: IntArray, options: BuildOptions
) -> dict[str, Any]:
    """All arrays that a store of structures has beside its grids; those of atoms are empty."""
    n = len(lattice)
    rows: dict[str, Array] = {
        "energy": np.full(n, np.nan),
        "magnetic_moment": np.full(n, np.nan),
        "lattice": lattice,
        "cell": lattice[:, :, None] * np.eye(3),
        "pbc": np.ones((n, 3), dtype=bool),
        "n_atoms": np.zeros(n, dtype=np.int32),
        "source_id": np.full(n, -1, dtype=np.int32),
        "frame_id": np.arange(n),
        "copy": np.zeros(n, dtype=np.int32),
        "translation": np.zeros((n, 3)),
        "quarter_turns": np.zeros(n, dtype=np.int8),
        "supercell": np.broadcast_to(np.eye(2, dtype=np.int32), (n, 2, 2)),
        "shear": np.zeros(n),
        "vacuum": np.full((n, 2), np.nan),
        "lift": np.zeros(n),
        "findings": np.full(n, "", dtype=object),
        "label": np.full(n, np.nan),
        "energy_class": classes,
        "split": np.zeros(n, dtype=np.int8),
    }
    for column in schema.COORDINATES:
        write_column(target, column, rows[column.name])
    for column in schema.ATOM_COLUMNS:
        write_column(target, column, np.empty((0, *column.tail), dtype=column.dtype))
    write_column(target, schema.ATOM_OFFSET, np.zeros(n + 1, dtype=np.int64))
    target.put(f"{schema.INFO}/zarr.json", group_metadata({}), durable=False)
    write_coordinates(target, options, [])
    write_skipped(target, [])
    return {
        "schema": schema.SCHEMA,
        "schema_version": schema.SCHEMA_VERSION,
        "shape": list(options.grid.shape),
        "cutoff_angstrom": options.grid.cutoff,
        "info_keys": [],
        "atoms": 0,
        "skipped_frames": 0,
        "findings_by_kind": {},
        "without_energy": n,
        "seed": options.seed,
        "options_sha256": options.sha256(),
    }


def _write_slice_columns(
    target: Target, lattice: FloatArray, classes: IntArray, options: BuildOptions
) -> dict[str, Any]:
    """All arrays that a store of slices has beside them: each is of a structure of its own, which nobody has."""
    n = len(lattice)
    rows: dict[str, Array] = {
        "lattice": lattice,
        "structure": np.arange(n),
        "plane": np.full(n, -1, dtype=np.int8),
        "position": np.full(n, -1, dtype=np.int32),
        "energy": np.full(n, np.nan),
        "label": np.full(n, np.nan),
        "energy_class": classes,
        "split": np.zeros(n, dtype=np.int8),
        "source_id": np.full(n, -1, dtype=np.int32),
        "frame_id": np.arange(n),
        "copy": np.zeros(n, dtype=np.int32),
    }
    for column in schema.SLICE_COLUMNS:
        write_column(target, column, rows[column.name])
    return {
        "schema": schema.SLICE_SCHEMA,
        "schema_version": schema.SLICE_SCHEMA_VERSION,
        "shape": [options.grid.shape[0], options.grid.shape[2]],
        "plane_names": list(PLANES),
        "slicing": {
            "planes": [],
            "positions": [],
            "drop_empty": False,
            "empty": 0,
            "chunk": CHUNK,
            "shard": SHARD,
            "compress": False,
        },
        "slices": n,
    }
