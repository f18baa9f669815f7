"""Splits that keep near-duplicates together: whole groups of structures are held out, never single ones."""

import hashlib
import json
from collections.abc import Iterable, Mapping

from ruo2_voxel.errors import Ruo2Error

Group = tuple[str, ...]


def group_text(value: object) -> str:
    """The value of a key as it stands in a group: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def join_groups(groups: Iterable[Group], pairs: Iterable[tuple[Group, Group]]) -> dict[Group, Group]:
    """For each group the first, by name, of those that hang together with it.

    Parameters
    ----------
    groups
        All of them.
    pairs
        Groups that must not be parted, as one holds a near-copy of a structure of the other.
    """
    first = {group: group for group in groups}

    def root(group: Group) -> Group:
        while first[group] != group:
            first[group] = first[first[group]]
            group = first[group]
        return group

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        first[high] = low
    return {group: root(group) for group in first}


def choose_held_out(sizes: Mapping[Group, int], fraction: float, seed: int) -> frozenset[Group]:
    """Groups to hold out: in an order drawn from the seed, each that still fits into the fraction.

    Parameters
    ----------
    sizes
        Number of structures in each group, a group being the values of the keys that tell one run from another.
    fraction
        Largest share of structures to hold out, between 0 and 1.
    seed
        The same seed and groups give the same choice, on any machine.

    Returns
    -------
    groups
        Never all of them. If even the smallest group exceeds the fraction, the smallest.

    Raises
    ------
    Ruo2Error
        Fewer than two groups, which cannot be split.
    """
    if fraction <= 0.0:
        return frozenset()
    if len(sizes) < 2:
        raise Ruo2Error(
            f"a split needs at least two groups of structures; found {len(sizes)}. "
            f"Name more keys with --split-by, or hold nothing out with --held-out 0"
        )
    room = fraction * sum(sizes.values())
    chosen: set[Group] = set()
    for group in sorted(sizes, key=lambda group: _draw(group, seed)):
        if sizes[group] <= room and len(chosen) < len(sizes) - 1:
            chosen.add(group)
            room -= sizes[group]
    return frozenset(chosen or {min(sizes, key=lambda group: (sizes[group], _draw(group, seed)))})


def _draw(group: Group, seed: int) -> bytes:
    return hashlib.sha256("\0".join((str(seed), *group)).encode()).digest()
