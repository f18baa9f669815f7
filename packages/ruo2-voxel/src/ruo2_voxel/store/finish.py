"""The last step of a build: atoms, labels, splits and provenance of all shards become the small arrays of the store."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from ruo2_voxel.errors import Ruo2Error, StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.arrays import ColumnWriter, group_metadata, write_column, write_density_metadata
from ruo2_voxel.store.plan import BuildOptions, Plan
from ruo2_voxel.store.provenance import now, package_versions
from ruo2_voxel.store.schema import DENSITY, Column
from ruo2_voxel.store.table import Table
from ruo2_voxel.store.target import STATE, Target
from ruo2_voxel.store.write import part_key
from ruo2_voxel.structures.labels import classify
from ruo2_voxel.structures.splits import Group, choose_held_out, group_text
from ruo2_voxel.typing import Array, FloatArray, IntArray

Markers = Mapping[int, Mapping[str, Any]]

_DTYPE_OF_KIND: Final = {"bool": "bool", "int": "int64", "float": "float64", "str": "string"}


def finish(plan: Plan, target: Target, markers: Markers, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Write all arrays but the shards themselves, then publish; returns the attributes of the store.

    Memory holds the rows of one shard and a few numbers for each structure.
    """
    options = plan.options
    written = [index for index in sorted(markers) if markers[index]["n_structures"]]
    n_structures = sum(markers[index]["n_structures"] for index in written)
    skipped = [skip for index in sorted(markers) for skip in markers[index]["skipped"]]
    if n_structures == 0:
        raise StoreError(
            f"{plan.location}: a store needs at least one structure; all {len(skipped)} frames were left out, the "
            f"first because {skipped[0]['reason'] if skipped else 'there was none'}"
        )
    _remove_earlier_attempt(target)
    grid = options.grid
    row_shape = (grid.n_species, *grid.shape)
    write_density_metadata(
        target, n_structures, row_shape, options.dtype, options.chunk, options.shard, options.compress
    )
    _write_coordinates(target, options, sources)
    energies, n_atoms, groups = _write_tables(target, written, markers, options)
    classes = _write_classes(target, energies, n_atoms, options)
    split = _write_split(target, groups, options)
    _write_skipped(target, skipped)
    attributes = {
        "schema": schema.SCHEMA,
        "schema_version": schema.SCHEMA_VERSION,
        "species": list(grid.species),
        "shape": list(grid.shape),
        "sigma_angstrom": grid.sigma,
        "alpha_per_square_angstrom": grid.alpha,
        "tol": grid.tol,
        "cutoff_angstrom": grid.cutoff,
        "quantisation": {
            "dtype": options.dtype,
            "scale": schema.scale_of(options.dtype),
            "combine": options.combine,
            "clipped_voxels": sum(markers[index]["clipped_voxels"] for index in written),
        },
        "classes": classes,
        "split_names": list(schema.SPLIT_NAMES),
        "split": split,
        "info_keys": sorted({key for index in written for key in markers[index]["info_kinds"]}),
        "structures": n_structures,
        "without_energy": int(np.count_nonzero(~np.isfinite(energies))),
        "atoms": sum(markers[index]["n_atoms"] for index in written),
        "skipped_frames": len(skipped),
        "sources": list(sources),
        "seed": options.seed,
        "options": options.as_dict(),
        "options_sha256": options.sha256(),
        "versions": package_versions(),
        "created": now(),
        "complete": True,
    }
    target.publish(group_metadata(attributes))
    return attributes


def _remove_earlier_attempt(target: Target) -> None:
    """Whatever a build that was stopped here has left, but for the shards and their markers."""
    for key in target.keys(""):
        if key not in (DENSITY, STATE.rstrip("/")):
            target.remove(key)
    target.remove(f"{DENSITY}/zarr.json")


def _write_coordinates(target: Target, options: BuildOptions, sources: Sequence[Mapping[str, Any]]) -> None:
    """The axes of the density, and the names that numbers elsewhere stand for."""
    for axis, n in zip("xyz", options.grid.shape, strict=True):
        column = Column(axis, (axis,), "float64", {"long_name": f"scaled coordinate along cell vector {axis}"})
        write_column(target, column, np.arange(n) / n)
    species = Column("species", ("species",), "string", {"long_name": "element symbol; * is every other"})
    write_column(target, species, np.array(options.grid.species, dtype=object))
    names = Column("source_name", ("source",), "string", {"long_name": "file that structures come from"})
    write_column(target, names, np.array([source["path"] for source in sources], dtype=object))


def _write_tables(
    target: Target, written: Sequence[int], markers: Markers, options: BuildOptions
) -> tuple[FloatArray, IntArray, IntArray]:
    """Stream the atoms of all shards into their arrays; returns energy, number of atoms and group of each structure."""
    n_structures = sum(markers[index]["n_structures"] for index in written)
    n_atoms = sum(markers[index]["n_atoms"] for index in written)
    writers = {column.name: ColumnWriter(target, column, n_atoms) for column in schema.ATOM_COLUMNS}
    writers |= {column.name: ColumnWriter(target, column, n_structures) for column in schema.STRUCTURE_COLUMNS}
    edges = ColumnWriter(target, schema.ATOM_OFFSET, n_structures + 1)
    edges.append(np.zeros(1, dtype=np.int64))
    info = _InfoWriter(target, [markers[index] for index in written], n_structures)
    energies, counts, group_ids = [], [], []
    ids: dict[Group, int] = {}
    end = 0
    for table in _tables(target, written, markers):
        for name, rows in _rows(table, options).items():
            writers[name].append(rows)
        edges.append(end + np.cumsum(table.counts))
        end += int(table.counts.sum())
        infos = [json.loads(text) for text in table.infos]
        info.append(infos)
        energies.append(table.energies)
        counts.append(table.counts)
        group_ids.append(np.array([ids.setdefault(_group(each, target, options), len(ids)) for each in infos]))
    for writer in (*writers.values(), edges):
        writer.close()
    info.close()
    names = np.empty(len(ids), dtype=object)
    names[:] = list(ids)
    return np.concatenate(energies), np.concatenate(counts), names[np.concatenate(group_ids)]


def _tables(target: Target, written: Sequence[int], markers: Markers) -> Iterator[Table]:
    for index in written:
        data = target.get(part_key(index))
        if data is None or len(data) != markers[index]["atoms_bytes"]:
            raise StoreError(
                f"{target.location}: the atoms of shard {index} are missing or cut; build anew with --overwrite"
            )
        yield Table.from_bytes(data)


def _rows(table: Table, options: BuildOptions) -> dict[str, Array]:
    """The lines that a table adds to each array."""
    return {
        "positions": table.positions,
        "atom_number": table.numbers,
        "atom_species": options.grid.channel_of_number[table.numbers].astype(np.uint8),
        "atom_tag": table.tags,
        "atom_fixed": table.fixed,
        "energy": table.energies,
        "lattice": np.linalg.norm(table.cells, axis=2),
        "cell": table.cells,
        "pbc": table.pbc,
        "n_atoms": table.counts,
        "source_id": table.source_ids,
        "frame_id": table.frame_ids,
        "copy": table.copies,
        "translation": table.shifts,
        "quarter_turns": table.quarter_turns,
    }


class _InfoWriter:
    """The scalars of atoms.info, one array for each key, as narrow as all its values allow."""

    def __init__(self, target: Target, markers: Sequence[Mapping[str, Any]], n_structures: int) -> None:
        target.put(f"{schema.INFO}/zarr.json", group_metadata({}), durable=False)
        kinds: dict[str, Counter[str]] = {}
        for marker in markers:
            for key, counts in marker["info_kinds"].items():
                kinds.setdefault(key, Counter()).update(counts)
        self._columns: dict[str, tuple[str, ColumnWriter]] = {}
        names: set[str] = set()
        for key in sorted(kinds):
            kind = _kind(kinds[key], n_structures)
            column = Column(_array_name(key, names), ("structure",), _DTYPE_OF_KIND.get(kind, "string"), {"key": key})
            if kind == "json":
                column.attributes["encoding"] = "json"
            self._columns[key] = (kind, ColumnWriter(target, column, n_structures, schema.INFO))

    def append(self, infos: Sequence[Mapping[str, Any]]) -> None:
        for key, (kind, writer) in self._columns.items():
            if kind == "json":
                values: list[Any] = [json.dumps(info[key]) if key in info else "" for info in infos]
            else:
                absent = {"float": np.nan, "str": ""}.get(kind)
                values = [info.get(key, absent) for info in infos]
            dtype = object if kind in ("json", "str") else _DTYPE_OF_KIND[kind]
            writer.append(np.array(values, dtype=dtype))

    def close(self) -> None:
        for _, writer in self._columns.values():
            writer.close()


def _kind(counts: Counter[str], n_structures: int) -> str:
    """The kind of array that holds all values of a key: bool, int, float, str or json."""
    everywhere = counts.total() == n_structures
    found = set(counts)
    if len(found) == 1 and everywhere and found <= {"bool", "int", "float", "str"}:
        return found.pop()
    if found <= {"int", "float"}:
        return "float"
    return "json"


def _array_name(key: str, taken: set[str]) -> str:
    """A name that is allowed in a Zarr group and not yet taken."""
    name = re.sub(r"[^A-Za-z0-9_+-]", "_", key).lstrip("_") or "key"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _group(info: Mapping[str, Any], target: Target, options: BuildOptions) -> Group:
    """What a structure has under the keys of the split. All have them, unless a resumed build names others."""
    for key in options.split_by:
        if key not in info:
            raise StoreError(
                f"{target.location}: info must have the key {key!r} for --split-by; found a structure without it among "
                f"those already written. Name other keys, or begin anew with --overwrite"
            )
    return tuple(group_text(info[key]) for key in options.split_by)


def _write_classes(
    target: Target, energies: FloatArray, n_atoms: IntArray, options: BuildOptions
) -> dict[str, Any] | None:
    """Sort the label into classes; None where there is no label."""
    label = options.label
    if label == "auto":
        usable = np.isfinite(energies).all() and (n_atoms > 0).all()
        label = "energy-per-atom" if usable and np.ptp(energies / np.maximum(n_atoms, 1)) > 0.0 else "none"
    if label == "none":
        write_column(target, schema.ENERGY_CLASS, np.full(len(energies), -1, dtype=np.int8))
        return None
    values = energies / n_atoms if label == "energy-per-atom" else energies
    try:
        classes, edges = classify(values, options.n_classes)
    except Ruo2Error as error:
        raise StoreError(f"label {label}: {error}. With --label none there are no classes") from error
    write_column(target, schema.ENERGY_CLASS, classes)
    return {
        "label": label,
        "method": "equal-width",
        "units": "eV/atom" if label == "energy-per-atom" else "eV",
        "edges": edges.tolist(),
        "counts": np.bincount(classes, minlength=options.n_classes).tolist(),
    }


def _write_split(target: Target, groups: Array, options: BuildOptions) -> dict[str, Any]:
    """Hold out whole groups of related structures."""
    sizes = Counter(groups.tolist())
    if options.held_out_groups:
        held_out = frozenset(options.held_out_groups) & sizes.keys()
        if not held_out:
            raise StoreError(
                f"{target.location}: one of the {len(options.held_out_groups)} groups to hold out must occur by "
                f"{','.join(options.split_by)}; found none of them. Name the manifest of these data, or use --split-by"
            )
    elif options.split_by:
        held_out = choose_held_out(sizes, options.held_out, options.seed)
    else:
        held_out = frozenset()
    is_held_out = np.array([group in held_out for group in groups.tolist()], dtype=np.int8)
    write_column(target, schema.SPLIT, is_held_out)
    return {
        "by": list(options.split_by),
        "groups": len(sizes) if options.split_by else 0,
        "held_out_groups": sorted(list(group) for group in held_out),
        "counts": np.bincount(is_held_out, minlength=len(schema.SPLIT_NAMES)).tolist(),
    }


def _write_skipped(target: Target, skipped: Sequence[Mapping[str, Any]]) -> None:
    """The frames left out, so that a store answers for all of its sources."""
    target.put(f"{schema.SKIPPED}/zarr.json", group_metadata({}), durable=False)
    for column in schema.SKIPPED_COLUMNS:
        dtype = object if column.dtype == "string" else column.dtype
        rows = np.array([skip[column.name] for skip in skipped], dtype=dtype)
        write_column(target, column, rows, schema.SKIPPED)
