"""Structures of a store sorted: into the classes of a label, and into those for training and those held out."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.errors import Ruo2Error, StoreError
from ruo2_voxel.store import schema
from ruo2_voxel.store.arrays import write_column
from ruo2_voxel.store.plan import BuildOptions
from ruo2_voxel.store.table import Table
from ruo2_voxel.store.target import Target
from ruo2_voxel.structures.classes import classify, empty_classes, warn_of_imbalance
from ruo2_voxel.structures.duplicates import fingerprints, near_pairs
from ruo2_voxel.structures.labels import units_of
from ruo2_voxel.structures.splits import Group, choose_held_out, join_groups
from ruo2_voxel.typing import Array, FloatArray, IntArray


def write_classes(target: Target, labels: Mapping[str, FloatArray], options: BuildOptions) -> dict[str, Any] | None:
    """Sort the label into classes, and write both; None where there is no label.

    Raises
    ------
    StoreError
        A label that cannot be sorted, or, unless it was chosen by "auto" or the options allow it, classes without
        structures.
    """
    label = options.label
    if label == "auto":
        label = _automatic(labels)
    if label == "none":
        n = len(next(iter(labels.values())))
        write_column(target, schema.LABEL, np.full(n, np.nan))
        write_column(target, schema.ENERGY_CLASS, np.full(n, -1, dtype=np.int8))
        return None
    values = labels[label]
    try:
        classes, edges = classify(values, options.n_classes, options.class_method, options.clip)
    except Ruo2Error as error:
        raise StoreError(f"label {label}: {error}. With --label none there are no classes") from error
    empty = empty_classes(classes, options.n_classes)
    if empty and not options.allow_empty_classes and options.label != "auto":
        named = ", ".join(map(str, empty[:10]))
        raise StoreError(
            f"label {label}: each of the {options.n_classes} {options.class_method} classes must hold a structure, or "
            f"nothing can be learned of it; found none in {named}. Use --class-method quantile, fewer --classes, or "
            f"--allow-empty-classes"
        )
    warn_of_imbalance(values, classes, options.n_classes, options.class_method, label)
    write_column(target, schema.LABEL, values)
    write_column(target, schema.ENERGY_CLASS, classes)
    return {
        "label": label,
        "method": options.class_method,
        "units": units_of(label),
        "edges": edges.tolist(),
        "counts": np.bincount(classes, minlength=options.n_classes).tolist(),
    }


def _automatic(labels: Mapping[str, FloatArray]) -> str:
    """Energy per atom, where every structure has one and they differ."""
    ((name, values),) = labels.items()
    return name if np.isfinite(values).all() and np.ptp(values) > 0.0 else "none"


class Fingerprints:
    """Of every frame that the structures of a store come from, as it was before its copies were moved."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._rows: list[FloatArray] = []
        self._structures: list[IntArray] = []
        self._n_structures = 0

    def append(self, table: Table) -> None:
        """Add the structures of the next table; of copies of one frame only the first, for they are the same."""
        scaled, cells = _unmoved(table)
        first = table.copies == 0
        atoms = np.repeat(first, table.counts)
        channels = self._grid.channel_of_number[table.numbers[atoms]]
        rows = fingerprints(scaled[atoms], channels, self._grid.n_species, table.counts[first], cells[first])
        self._rows.append(rows)
        self._structures.append(self._n_structures + np.flatnonzero(first))
        self._n_structures += len(table)

    @property
    def rows(self) -> FloatArray:
        return np.concatenate(self._rows)

    @property
    def structures(self) -> IntArray:
        """Which structure of the store each row is of."""
        return np.concatenate(self._structures)


def _unmoved(table: Table) -> tuple[FloatArray, FloatArray]:
    """Scaled positions and cells before the moves: quarter turns back, then the shift."""
    turns = table.quarter_turns.astype(np.int64) % 4
    of_atom = np.repeat(np.arange(len(table)), table.counts)
    inverses = np.linalg.inv(table.cells)
    scaled = np.einsum("ai,aij->aj", table.positions.astype(np.float64), inverses[of_atom])
    cells = table.cells.copy()
    for turn in range(3):
        back = turns > turn
        # A turn took (u, v) to (-v, u) and the vectors (a, b) to (-b, a).
        scaled[back[of_atom], :2] = scaled[back[of_atom], 1::-1] * (1.0, -1.0)
        cells[back, :2] = cells[back, 1::-1] * np.array([[1.0], [-1.0]])
    return scaled - table.shifts[of_atom], cells


def write_split(target: Target, groups: Array, prints: Fingerprints | None, options: BuildOptions) -> dict[str, Any]:
    """Hold out whole groups of related structures.

    Groups that are drawn hang together where one holds a near-copy of a structure of the other.

    Raises
    ------
    StoreError
        Named groups of which none occurs, or of which one holds a near-copy of a structure for training.
    """
    sizes = Counter(groups.tolist())
    if options.held_out_groups:
        held_out = frozenset(options.held_out_groups) & sizes.keys()
        if not held_out:
            raise StoreError(
                f"{target.location}: one of the {len(options.held_out_groups)} groups to hold out must occur by "
                f"{','.join(options.split_by)}; found none of them. Name the manifest of these data, or use --split-by"
            )
        _refuse_leak(target, groups, held_out, prints)
    elif options.split_by and options.held_out:
        held_out = _draw_groups(sizes, groups, prints, options)
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


def _draw_groups(
    sizes: Mapping[Group, int], groups: Array, prints: Fingerprints | None, options: BuildOptions
) -> frozenset[Group]:
    first = {group: group for group in sizes}
    if prints is not None:
        of_row = groups[prints.structures]
        near = ((of_row[i], of_row[j]) for i, j in near_pairs(prints.rows, prints.rows))
        first = join_groups(sizes, near)
    joined: Counter[Group] = Counter()
    for group, size in sizes.items():
        joined[first[group]] += size
    if len(joined) < 2 <= len(sizes):
        raise StoreError(
            f"a split needs two groups without near-copies of each other's structures; found none among "
            f"{len(sizes)} by {','.join(options.split_by)}. Hold nothing out with --held-out 0"
        )
    drawn = choose_held_out(joined, options.held_out, options.seed)
    return frozenset(group for group in sizes if first[group] in drawn)


def _refuse_leak(target: Target, groups: Array, held_out: frozenset[Group], prints: Fingerprints | None) -> None:
    if prints is None:
        return
    rows, structures = prints.rows, prints.structures
    is_held_out = np.array([group in held_out for group in groups[structures].tolist()])
    pairs = near_pairs(rows[is_held_out], rows[~is_held_out])
    for i, j in pairs:
        one, other = structures[is_held_out][i], structures[~is_held_out][j]
        n_more = sum(1 for _ in pairs)
        raise StoreError(
            f"{target.location}: no structure for training may be a near-copy of a held-out one; found structure "
            f"{other} of the group {list(groups[other])} like structure {one} of the held-out group "
            f"{list(groups[one])}{f', and {n_more} more such pairs' if n_more else ''}. Hold out both groups, or "
            f"neither; --split-by keeps such groups together"
        )
