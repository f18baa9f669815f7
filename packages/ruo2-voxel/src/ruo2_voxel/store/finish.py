"""The last step of a build: atoms, labels, splits and provenance of all shards become the small arrays of the store."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ruo2_voxel.errors import StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.arrays import ColumnWriter, density_metadata, group_metadata, write_column
from ruo2_voxel.store.plan import BuildOptions, Plan
from ruo2_voxel.store.provenance import now, package_versions
from ruo2_voxel.store.schema import DENSITY, Column
from ruo2_voxel.store.sorting import Fingerprints, write_classes, write_split
from ruo2_voxel.store.table import Table
from ruo2_voxel.store.target import STATE, Target
from ruo2_voxel.store.write import part_key
from ruo2_voxel.structures.labels import Labelled, label_values
from ruo2_voxel.structures.splits import Group, group_text
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
    metadata = density_metadata(n_structures, row_shape, options.dtype, options.chunk, options.shard, options.compress)
    target.put(f"{DENSITY}/zarr.json", metadata, durable=False)  # makes the shards, which are there already, an array
    write_coordinates(target, options, sources)
    rows = _write_tables(target, written, markers, options)
    classes = write_classes(target, rows.labels, options)
    split = write_split(target, rows.groups, rows.prints, options)
    write_skipped(target, skipped)
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
        "without_energy": rows.without_energy,
        "atoms": sum(markers[index]["n_atoms"] for index in written),
        "skipped_frames": len(skipped),
        "findings_by_kind": rows.findings,
        "sources": list(sources),
        "seed": options.seed,
        "options": options.as_dict(),
        "options_sha256": options.sha256(),
        "versions": package_versions(),
        "created": now(),
        "complete": True,
    }
    if plan.expected is not None:
        plan.expected.check(attributes, plan.location)
    target.publish(group_metadata(attributes))
    return attributes


def _remove_earlier_attempt(target: Target) -> None:
    """Whatever a build that was stopped here has left, but for the shards and their markers."""
    for key in target.keys(""):
        if key not in (DENSITY, STATE.rstrip("/")):
            target.remove(key)
    target.remove(f"{DENSITY}/zarr.json")


def write_coordinates(target: Target, options: BuildOptions, sources: Sequence[Mapping[str, Any]]) -> None:
    """The axes of the density, and the names that numbers elsewhere stand for."""
    for axis, n in zip("xyz", options.grid.shape, strict=True):
        column = Column(axis, (axis,), "float64", {"long_name": f"scaled coordinate along cell vector {axis}"})
        write_column(target, column, np.arange(n) / n)
    species = Column("species", ("species",), "string", {"long_name": "element symbol; * is every other"})
    write_column(target, species, np.array(options.grid.species, dtype=object))
    names = Column("source_name", ("source",), "string", {"long_name": "file that structures come from"})
    write_column(target, names, np.array([source["path"] for source in sources], dtype=object))


@dataclass(frozen=True)
class _Rows:
    """What labels and splits are made of, of every structure."""

    labels: dict[str, FloatArray]  # by name: that asked for, or those that "auto" may choose
    groups: Array  # object: a Group each
    prints: Fingerprints | None
    without_energy: int
    findings: dict[str, int]  # structures with a finding of each kind


def _write_tables(target: Target, written: Sequence[int], markers: Markers, options: BuildOptions) -> _Rows:
    """Stream the atoms of all shards into their arrays."""
    n_structures = sum(markers[index]["n_structures"] for index in written)
    n_atoms = sum(markers[index]["n_atoms"] for index in written)
    writers = {column.name: ColumnWriter(target, column, n_atoms) for column in schema.ATOM_COLUMNS}
    writers |= {column.name: ColumnWriter(target, column, n_structures) for column in schema.STRUCTURE_COLUMNS}
    edges = ColumnWriter(target, schema.ATOM_OFFSET, n_structures + 1)
    edges.append(np.zeros(1, dtype=np.int64))
    info = _InfoWriter(target, [markers[index] for index in written], n_structures)
    wanted = ["energy-per-atom"] if options.label == "auto" else [options.label]
    labels: dict[str, list[FloatArray]] = {name: [] for name in wanted}
    prints = Fingerprints(options.grid) if options.split_by else None
    group_ids: list[IntArray] = []
    ids: dict[Group, int] = {}
    findings: Counter[str] = Counter()
    without_energy, end = 0, 0
    for table in _tables(target, written, markers):
        for name, rows in _rows(table, options).items():
            writers[name].append(rows)
        edges.append(end + np.cumsum(table.counts))
        end += int(table.counts.sum())
        infos = [json.loads(text) for text in table.infos]
        info.append(infos)
        of = Labelled(table.energies, table.counts, table.numbers, table.cells, infos)
        for name in wanted:
            labels[name].append(label_values(of, name, options.reference))
        without_energy += int(np.count_nonzero(~np.isfinite(table.energies)))
        for text in filter(None, table.findings):
            findings.update({finding["kind"] for finding in json.loads(text)})
        group_ids.append(np.array([ids.setdefault(_group(each, target, options), len(ids)) for each in infos]))
        if prints is not None:
            prints.append(table)
    for writer in (*writers.values(), edges):
        writer.close()
    info.close()
    names = np.empty(len(ids), dtype=object)
    names[:] = list(ids)
    return _Rows(
        labels={name: np.concatenate(parts) for name, parts in labels.items()},
        groups=names[np.concatenate(group_ids)],
        prints=prints,
        without_energy=without_energy,
        findings=dict(sorted(findings.items())),
    )


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
        "magnetic_moment": table.magnetic_moments,
        "lattice": np.linalg.norm(table.cells, axis=2),
        "cell": table.cells,
        "pbc": table.pbc,
        "n_atoms": table.counts,
        "source_id": table.source_ids,
        "frame_id": table.frame_ids,
        "copy": table.copies,
        "translation": table.shifts,
        "quarter_turns": table.quarter_turns,
        "supercell": table.supercells,
        "shear": table.shears,
        "vacuum": table.vacuums,
        "lift": table.lifts,
        "findings": table.findings,
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


def write_skipped(target: Target, skipped: Sequence[Mapping[str, Any]]) -> None:
    """The frames left out, so that a store answers for all of its sources."""
    target.put(f"{schema.SKIPPED}/zarr.json", group_metadata({}), durable=False)
    for column in schema.SKIPPED_COLUMNS:
        dtype = object if column.dtype == "string" else column.dtype
        rows = np.array([skip[column.name] for skip in skipped], dtype=dtype)
        write_column(target, column, rows, schema.SKIPPED)
