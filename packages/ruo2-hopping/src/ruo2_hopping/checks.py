"""Faults that no relaxed oxide surface would have: O2, peroxide, clustered oxygen, desorbed atoms, atoms too close."""

import math
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.geometry import get_distances
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ruo2_hopping.contacts import OXYGEN, Contacts, IntArray, Mask, bond_radii, find_contacts
from ruo2_hopping.errors import ConfigError
from ruo2_hopping.layers import BULK


@dataclass(frozen=True)
class Limits:
    """Where to draw the lines.

    Parameters
    ----------
    too_close
        Atoms nearer than this times the sum of their covalent radii are too close. 0.7 makes it 1.48 Å for Ru-O (a
        terminal Ru=O has 1.70 Å), 0.92 Å for O-O (O2 has 1.21 Å), 2.04 Å for Ru-Ru.
    molecular
        Two O nearer than this, Å, are O2 or superoxide (1.21 and 1.28-1.35 Å).
    peroxide
        Two O nearer than this, Å, are a peroxide (1.4-1.5 Å).
    contact
        Three or more O in a chain of distances below this, Å, are a cluster; O of an oxide keep 2.2 Å and more.
    bond
        Atoms nearer than this times the sum of their covalent radii hang together; 1.25 makes it 2.65 Å for Ru-O.

    Raises
    ------
    ConfigError
        Limits that are not positive, or not in ascending order.
    """

    too_close: float = 0.7
    molecular: float = 1.375
    peroxide: float = 1.7
    contact: float = 2.0
    bond: float = 1.25

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float | np.number) and math.isfinite(value) and value > 0):
                raise ConfigError(f"checks: {field.name} must be a positive number; found {value!r}")
        if self.too_close >= self.bond:
            raise ConfigError(f"checks: too_close must be below bond, {self.bond:g}; found {self.too_close:g}")
        if not self.molecular <= self.peroxide <= self.contact:
            raise ConfigError(
                f"checks: molecular, peroxide and contact must ascend; found {self.molecular:g}, {self.peroxide:g} "
                f"and {self.contact:g} Å"
            )


DEFAULT: Final = Limits()


def find_fault(atoms: Atoms, limits: Limits = DEFAULT) -> str:
    """What is wrong with a structure, if anything.

    Parameters
    ----------
    atoms
        A slab; atoms with tag 0 are fixed.
    limits
        Where to draw the lines.

    Returns
    -------
    fault
        "" of a sound structure, else the first of: "lost" (positions that are not numbers, as from a relaxation that
        blew up), "too close", "molecular oxygen", "peroxide", "clustered oxygen", "desorbed"; with the atoms and their
        distance, the shortest one where there are several.

    Notes
    -----
    Atoms in contact make a graph. The slab is the connected part with most fixed atoms, or with most atoms where none
    is fixed; whatever is in another part is desorbed, be it one O or the upper half of a broken slab.
    Source: thesis, section 3.1.2, for what to look for.
    """
    lost = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(lost):
        return f"lost: {_names(atoms, lost)} at no finite position"
    reach = np.maximum(bond_radii(atoms, limits.bond), np.where(atoms.numbers == OXYGEN, limits.contact / 2.0, 0.0))
    contacts = find_contacts(atoms, reach)
    sums = covalent_radii[atoms.numbers[contacts.first]] + covalent_radii[atoms.numbers[contacts.second]]
    oxygen = (atoms.numbers[contacts.first] == OXYGEN) & (atoms.numbers[contacts.second] == OXYGEN)
    faults = {
        "too close": contacts.distances < limits.too_close * sums,
        "molecular oxygen": oxygen & (contacts.distances < limits.molecular),
        "peroxide": oxygen & (contacts.distances < limits.peroxide),
    }
    for name, found in faults.items():
        if found.any():
            return f"{name}: {_shortest(atoms, contacts, found)}"
    return _clustered(atoms, contacts.select(oxygen & (contacts.distances < limits.contact)), limits) or _desorbed(
        atoms, contacts.select(contacts.distances < limits.bond * sums)
    )


def _clustered(atoms: Atoms, contacts: Contacts, limits: Limits) -> str:
    """Three or more O in a chain: one of them has two contacts, be it with two images of one atom."""
    n_contacts = np.bincount(contacts.first, minlength=len(atoms))
    if n_contacts.max(initial=0) < 2:
        return ""
    part = _parts(len(atoms), contacts)
    members = np.flatnonzero(part == part[np.flatnonzero(n_contacts >= 2)[0]])
    return f"clustered oxygen: {_names(atoms, members)} within {limits.contact:g} Å of each other"


def _desorbed(atoms: Atoms, bonds: Contacts) -> str:
    """Atoms that are not connected to the slab; those with the lowest index."""
    part = _parts(len(atoms), bonds)
    fixed = np.bincount(part, weights=atoms.get_tags() == BULK)
    slab = part == np.lexsort((np.bincount(part), fixed))[-1]
    if slab.all():
        return ""
    cut_off = np.flatnonzero(part == part[np.flatnonzero(~slab)[0]])
    anchors = np.flatnonzero(slab)
    _, distances = get_distances(atoms.positions[cut_off], atoms.positions[anchors], cell=atoms.cell, pbc=atoms.pbc)
    nearest = anchors[distances.min(axis=0).argmin()]
    nearby = f"{distances.min():.2f} Å from {_name(atoms, nearest)}"
    return f"desorbed: {_names(atoms, cut_off)} cut off from the slab, {nearby}"


def _parts(n_atoms: int, contacts: Contacts) -> IntArray:
    """The connected part of each atom, shape (n_atoms,)."""
    graph = coo_array((np.ones(len(contacts)), (contacts.first, contacts.second)), shape=(n_atoms, n_atoms))
    part: IntArray = connected_components(graph, directed=False)[1]
    return part


def _shortest(atoms: Atoms, contacts: Contacts, which: Mask) -> str:
    """The nearest two atoms, and how far apart they are."""
    found = np.flatnonzero(which)
    nearest = found[contacts.distances[found].round(6).argmin()]  # ties: the lowest indices
    one, two = contacts.first[nearest], contacts.second[nearest]
    return f"{_name(atoms, one)}-{_name(atoms, two)} {contacts.distances[nearest]:.2f} Å"


def _name(atoms: Atoms, atom: int) -> str:
    return f"{chemical_symbols[atoms.numbers[atom]]}{atom}"


def _names(atoms: Atoms, which: IntArray) -> str:
    """Up to six atoms by name, the rest by number."""
    more = f" and {len(which) - 6} more" if len(which) > 6 else ""
    return ", ".join(_name(atoms, atom) for atom in which[:6].tolist()) + more
