"""One shard, from its table to durable files: rendered block by block, then its atoms, then the marker that counts it.

Nothing here depends on what runs beside it, so shards may be written by any threads, processes or machines.
"""

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from ruo2_voxel.density.voxelize import make_batch, render
from ruo2_voxel.errors import StoreError
from ruo2_voxel.store.plan import STRUCTURES_PER_BLOCK, BuildOptions
from ruo2_voxel.store.schema import DENSITY
from ruo2_voxel.store.shards import ShardWriter
from ruo2_voxel.store.stream import Shard
from ruo2_voxel.store.table import Table
from ruo2_voxel.store.target import STATE, Target, open_target
from ruo2_voxel.typing import Array, IntArray

CLIPPED_ABOVE: Final = 1.0001  # the rounded peak of a lone atom is not counted as clipped
RESUME: Final = "Shards already complete are kept: make room, then go on with --resume"

Progress = Callable[[int], None]


def shard_key(index: int, n_axes: int = 4) -> str:
    """Of a shard of grids with so many axes, the species included."""
    return f"{DENSITY}/c/{index}{'/0' * n_axes}"


def part_key(index: int) -> str:
    return f"{STATE}atoms-{index}.npz"


def marker_key(index: int) -> str:
    return f"{STATE}shard-{index}.json"


def write_shard(
    location: str, options: dict[str, Any], shard: Shard, n_threads: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """Write a shard into the unfinished store at `location`; returns its marker.

    Arguments are plain values, so that the call can be sent to another machine that sees the same location.

    Raises
    ------
    StoreError
        The place cannot be written to, or is full.
    """
    with explain_write_errors(location):
        return _write_shard(open_target(location), BuildOptions.from_dict(options), shard, n_threads, progress)


@contextlib.contextmanager
def explain_write_errors(location: str, remedy: str = RESUME) -> Iterator[None]:
    """Turn what the system says of a full or forbidden place into a message that says what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{location}: must be writable and have room; found {error.strerror or error}. {remedy}"
        ) from error


def _write_shard(
    target: Target, options: BuildOptions, shard: Shard, n_threads: int, progress: Progress | None
) -> dict[str, Any]:
    marker: dict[str, Any] = {
        "first": shard.first,
        "end": shard.end,
        "n_structures": 0,
        "n_atoms": 0,
        "clipped_voxels": 0,
        "density_bytes": 0,
        "atoms_bytes": 0,
        "info_kinds": {},
        "skipped": [asdict(skip) for skip in shard.skipped],
    }
    if shard.table is not None:
        table = shard.table
        with target.open(shard_key(shard.index)) as file:
            writer = ShardWriter(file, options.shard // options.chunk, options.compress)
            block = _make_block(table, options)
            for first in range(0, len(table), len(block)):
                last = min(first + len(block), len(table))
                densities, clipped = render_block(table, first, last, options, n_threads, block)
                for begin in range(0, len(densities), options.chunk):
                    writer.append(densities[begin : begin + options.chunk])
                marker["clipped_voxels"] += int(clipped.sum())
                if progress is not None:
                    progress(last - first)
            writer.finish()
        atoms = table.to_bytes()
        target.put(part_key(shard.index), atoms)
        marker |= {
            "n_structures": len(table),
            "n_atoms": int(table.counts.sum()),
            "density_bytes": writer.size,
            "atoms_bytes": len(atoms),
            "info_kinds": info_kinds(table),
        }
    target.put(marker_key(shard.index), json.dumps(marker).encode())
    return marker


def _make_block(table: Table, options: BuildOptions) -> Array:
    """Room for the structures rendered together: whole chunks, as they are stored or, of floats, in float32."""
    chunks = max(1, STRUCTURES_PER_BLOCK // options.chunk)
    chunks = min(chunks, -(-len(table) // options.chunk))
    dtype = np.uint8 if options.dtype == "uint8" else np.float32
    return np.empty((chunks * options.chunk, options.grid.n_species, *options.grid.shape), dtype=dtype)


def render_block(
    table: Table, first: int, last: int, options: BuildOptions, n_threads: int, block: Array
) -> tuple[Array, IntArray]:
    """Densities as stored of structures `first` to `last` - 1, filled up to whole chunks; clipped voxels of each.

    `block` is written over, and may be what is returned.
    """
    edges = np.concatenate([[0], np.cumsum(table.counts)])
    atoms = slice(edges[first], edges[last])
    batch = make_batch(
        positions=table.positions[atoms].astype(np.float64),
        numbers=table.numbers[atoms],
        counts=table.counts[first:last],
        cells=table.cells[first:last],
        grid=options.grid,
        where=None,  # they were checked as they were read
    )
    n = last - first
    used, densities = block[:n], block[: -(-n // options.chunk) * options.chunk]
    densities[n:] = 0
    clipped = np.zeros(n, dtype=np.int64)
    render(batch, options.grid, n_threads, used, clipped)
    if options.dtype != "uint8" and options.combine == "clip":
        clipped = np.count_nonzero(used > CLIPPED_ABOVE, axis=(1, 2, 3, 4))
        np.minimum(used, 1.0, out=used)
    return densities.astype(options.dtype, copy=False), clipped


def info_kinds(table: Table) -> dict[str, dict[str, int]]:
    """How often each key of `atoms.info` holds a value of which kind."""
    kinds: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for text in table.infos:
        for key, value in json.loads(text).items():
            kinds[key][kind_of(value)] += 1
    return {key: dict(counts) for key, counts in kinds.items()}


def kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) < 2**63 else "other"
    return {float: "float", str: "str"}.get(type(value), "other")
