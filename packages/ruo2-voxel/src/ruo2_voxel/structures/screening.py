"""Structures that no relaxed oxide surface would be: broken slabs, floating atoms, O2, peroxide, atoms too close."""

import math
from dataclasses import dataclass, fields
from typing import Final, Literal, get_args

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.symbols import Symbols

from ruo2_voxel.errors import Ruo2Error, StructureError
from ruo2_voxel.structures.contacts import Pairs, connect, find_pairs
from ruo2_voxel.structures.frame import Frame
from ruo2_voxel.typing import Array, FloatArray, IntArray

Kind = Literal["too-close", "molecular-oxygen", "peroxide", "clustered-oxygen", "floating", "broken-slab"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

_OXYGEN = 8
_METAL = np.ones(len(covalent_radii), dtype=bool)
_METAL[[0, 1, 2, *range(5, 11), *range(14, 19), *range(32, 37), *range(51, 55), 85, 86]] = False  # B, Si, Ge ... too


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a structure.

    Parameters
    ----------
    kind
        "too-close", "molecular-oxygen", "peroxide", "clustered-oxygen", "floating" or "broken-slab".
    atoms
        Indices of the atoms, ascending.
    reason
        A sentence with symbols, indices and distances in Å.
    """

    kind: Kind
    atoms: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class Screening:
    """Where to draw the lines.

    Parameters
    ----------
    too_close
        Atoms nearer than this times the sum of their covalent radii are too close. 0.7 makes it 1.48 Å for Ru-O (a
        terminal Ru=O has 1.70 Å), 0.92 Å for O-O (O2 has 1.21 Å), 2.04 Å for Ru-Ru (3.11 Å along c of RuO2). Actinyls
        and metal-metal multiple bonds want less.
    bond
        Atoms nearer than this times the sum of their covalent radii hang together. 1.25 makes it 2.65 Å for Ru-O
        (1.94-1.99 Å in bulk RuO2), 1.65 Å for O-O, 3.65 Å for Ru-Ru.
    molecular
        Two O nearer than this, Å, are O2 or superoxide (1.21 and 1.28-1.35 Å), bound to a surface or not.
    peroxide
        Two O nearer than this, Å, are a peroxide (1.4-1.5 Å) if one of them is bound to another element, else O2.
    oxygen_contact
        Two O nearer than this, Å, are too near for an oxide, whose coordination polyhedra have edges of 2.2 Å and more
        (2.46 Å in bulk RuO2). Three or more O in a chain of such contacts are a cluster.
    largest_fragment
        Atoms without a metal that count as floating when they are cut off from the slab; more are a piece of it.

    Raises
    ------
    Ruo2Error
        Limits that are not positive, or not in ascending order.
    """

    too_close: float = 0.7
    bond: float = 1.25
    molecular: float = 1.375
    peroxide: float = 1.7
    oxygen_contact: float = 2.0
    largest_fragment: int = 6

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float | np.number) and math.isfinite(value) and value > 0):
                raise Ruo2Error(f"{field.name} must be a positive number; found {value!r}")
        if self.too_close >= self.bond:
            raise Ruo2Error(f"too_close must be below bond, {self.bond:g}; found {self.too_close:g}")
        if not self.molecular <= self.peroxide <= self.oxygen_contact:
            raise Ruo2Error(
                f"molecular, peroxide and oxygen_contact must ascend; found {self.molecular:g}, {self.peroxide:g} and "
                f"{self.oxygen_contact:g} Å"
            )


DEFAULT: Final = Screening()


def screen(structure: Atoms | Frame, thresholds: Screening = DEFAULT) -> list[Finding]:
    """Find what a surface structure should not contain.

    Parameters
    ----------
    structure
        Any elements, any cell. It is taken as periodic in the plane, along the first two cell vectors, whatever its
        `pbc` says, as its density is; along the third one where `pbc` says so, for the top of a slab and the bottom
        of its image may come close in a cell that was made without vacuum.
    thresholds
        Where to draw the lines.

    Returns
    -------
    findings
        None of a sound structure. Sorted by kind, in the order of `KINDS`, then by atoms.

    Raises
    ------
    StructureError
        Positions or a cell that are not finite, a cell without volume; not a structure at all.

    Notes
    -----
    Atoms in contact, up to `bond` times the sum of their covalent radii, make a graph. Its largest connected part is
    the slab, everything else is cut off. O-O contacts make a second graph.
    Source: thesis, section 3.1.1, for what to look for.
    """
    if isinstance(structure, Atoms):
        where, cell = "structure", np.asarray(structure.cell)
    elif isinstance(structure, Frame):
        where, cell = structure.where(), structure.cell
    else:
        raise StructureError(f"a structure to screen must be ase.Atoms or a Frame, got {type(structure).__name__}")
    try:
        return screen_arrays(structure.numbers, structure.positions, cell, structure.pbc, thresholds)
    except StructureError as error:
        raise StructureError(f"{where}: {error}") from None


def screen_arrays(
    numbers: IntArray, positions: FloatArray, cell: FloatArray, pbc: Array, thresholds: Screening = DEFAULT
) -> list[Finding]:
    """As `screen`, of atomic numbers (n_atoms,), positions (n_atoms, 3) and a cell (3, 3) in Å, and pbc (3,)."""
    n_atoms = len(numbers)
    if n_atoms == 0:
        return []
    radii = covalent_radii[numbers]
    oxygen = numbers == _OXYGEN
    periodic = np.array([True, True, pbc[2]]) & cell.any(axis=1)
    cutoff = max(2.0 * thresholds.bond * float(radii.max()), thresholds.oxygen_contact)
    pairs = find_pairs(positions, cell, periodic, cutoff)

    lengths = radii[pairs.first] + radii[pairs.second]
    bonded = pairs.distances < thresholds.bond * lengths
    close = pairs.distances < thresholds.too_close * lengths
    touching = (pairs.distances < thresholds.oxygen_contact) & oxygen[pairs.first] & oxygen[pairs.second] & ~close
    part = connect(pairs.first[bonded], pairs.second[bonded], n_atoms)

    if not (part.any() or close.any() or touching.any()):  # a part is named after its lowest atom: there is but one
        return []
    structure = _Structure(numbers, positions, cell, bool(periodic[2]), pairs, bonded, part, cutoff, thresholds)
    found = structure.too_close(close) + structure.oxygen(touching)
    found += structure.cut_off({finding.atoms for finding in found if finding.kind != "too-close"})
    return sorted(found, key=lambda finding: (KINDS.index(finding.kind), finding.atoms))


@dataclass(frozen=True)
class _Structure:
    """A structure that something is wrong with, for looking closely."""

    numbers: IntArray
    positions: FloatArray
    cell: FloatArray
    periodic_z: bool
    pairs: Pairs
    bonded: Array  # (pairs,) bool
    part: IntArray  # (n_atoms,): the lowest atom of the connected part of each atom
    cutoff: float
    thresholds: Screening

    def too_close(self, close: Array) -> list[Finding]:
        """One finding for each pair of atoms, of its shortest distance."""
        found = []
        for (i, j), distance in self._shortest(close).items():
            limit = self.thresholds.too_close * float(covalent_radii[self.numbers[[i, j]]].sum())
            other = "its own image" if i == j else self._name(j)
            reason = f"{self._name(i)} and {other} are {distance:.2f} Å apart; such atoms keep at least {limit:.2f} Å"
            found.append(Finding("too-close", (i,) if i == j else (i, j), reason))
        return found

    def oxygen(self, touching: Array) -> list[Finding]:
        """One finding for each group of O atoms that hang together by short contacts."""
        if not touching.any():
            return []
        first, second = self.pairs.first[touching], self.pairs.second[touching]
        group = connect(first, second, len(self.numbers))
        found = []
        for lowest in np.unique(group[first]).tolist():
            members = np.flatnonzero(group == lowest)
            inside = touching & (group[self.pairs.first] == lowest)
            found.append(self._oxygen_group(tuple(members.tolist()), inside))
        return found

    def _oxygen_group(self, atoms: tuple[int, ...], contacts: Array) -> Finding:
        names = [self._name(atom) for atom in atoms]
        if len(atoms) != 2 or contacts.sum() > 1:  # more than one: a chain over periodic images
            shown = ", ".join(
                f"{self._name(i)}-{self._name(j)} {d:.2f} Å" for (i, j), d in self._shortest(contacts).items()
            )
            reason = f"{', '.join(names)} hang together by short O-O contacts: {shown}"
            return Finding("clustered-oxygen", atoms, reason)
        distance = float(self.pairs.distances[contacts][0])
        others = self._other_elements_bound_to(atoms)
        bound = f"bound to {', '.join(self._name(atom) for atom in others)}" if others else "bound to no other element"
        reason = f"{' and '.join(names)}, {bound}, are {distance:.2f} Å apart; "
        if distance < self.thresholds.molecular or (distance < self.thresholds.peroxide and not others):
            return Finding("molecular-oxygen", atoms, reason + "O2 has 1.21 Å and superoxide 1.28-1.35 Å")
        if distance < self.thresholds.peroxide:
            return Finding("peroxide", atoms, reason + "peroxides have 1.4-1.5 Å")
        return Finding(
            "clustered-oxygen", atoms, reason + f"O atoms of an oxide keep {self.thresholds.oxygen_contact:g} Å"
        )

    def cut_off(self, explained: set[tuple[int, ...]]) -> list[Finding]:
        """One finding for each part that is not the slab, unless it is a group of O atoms that was found already."""
        lowest, sizes = np.unique(self.part, return_counts=True)
        slab = self.part == lowest[sizes.argmax()]
        found = []
        for name in lowest[np.arange(len(lowest)) != sizes.argmax()].tolist():
            atoms = np.flatnonzero(self.part == name)
            if tuple(atoms.tolist()) in explained:
                continue
            small = len(atoms) <= self.thresholds.largest_fragment
            kind: Kind = "floating" if small and not _METAL[self.numbers[atoms]].any() else "broken-slab"
            which = (
                ", ".join(self._name(atom) for atom in atoms.tolist())
                if small
                else f"{len(atoms)} atoms ({Symbols(self.numbers[atoms]).get_chemical_formula()})"
            )
            reason = f"{which} cut off from the {slab.sum()} atoms of the slab"
            if kind == "broken-slab":
                reason += f" by a gap of {self._gap(atoms, slab):.2f} Å along the surface normal"
            found.append(Finding(kind, tuple(atoms.tolist()), f"{reason}; {self._nearest(atoms, slab)}"))
        return found

    def _nearest(self, atoms: IntArray, slab: Array) -> str:
        """The shortest distance between a part and the slab, in words."""
        of_part = np.zeros(len(slab), dtype=bool)
        of_part[atoms] = True
        i, j = self.pairs.first, self.pairs.second
        between = (of_part[i] & slab[j]) | (of_part[j] & slab[i])
        if not between.any():
            return f"none of those within {self.cutoff:.2f} Å, {self._gap(atoms, slab):.2f} Å along the surface normal"
        (one, other), distance = min(self._shortest(between).items(), key=lambda item: item[1])
        return f"the nearest are {self._name(one)} and {self._name(other)}, {distance:.2f} Å apart"

    def _gap(self, atoms: IntArray, slab: Array) -> float:
        """Least difference in height, Å, between an atom of a part and one of the slab or its images."""
        normal = np.cross(self.cell[0], self.cell[1])
        if not normal.any():
            normal = np.array([0.0, 0.0, 1.0])
        heights = self.positions @ (normal / np.linalg.norm(normal))
        period = abs(self.cell[2] @ normal) / np.linalg.norm(normal) if self.periodic_z else math.inf
        if self.periodic_z:
            heights = heights % period
        levels = np.sort(heights[slab])
        levels = np.concatenate([[levels[-1] - period], levels, [levels[0] + period]])
        above = np.searchsorted(levels, heights[atoms])
        above = np.clip(above, 1, len(levels) - 1)
        return float(np.minimum(levels[above] - heights[atoms], heights[atoms] - levels[above - 1]).min())

    def _shortest(self, which: Array) -> dict[tuple[int, int], float]:
        """Each pair of atoms, lower index first, with its shortest distance over all images; in ascending order."""
        i, j = self.pairs.first[which], self.pairs.second[which]
        distances: dict[tuple[int, int], float] = {}
        for pair, distance in zip(
            zip(np.minimum(i, j).tolist(), np.maximum(i, j).tolist(), strict=True),
            self.pairs.distances[which].tolist(),
            strict=True,
        ):
            distances[pair] = min(distance, distances.get(pair, math.inf))
        return dict(sorted(distances.items()))

    def _other_elements_bound_to(self, atoms: tuple[int, ...]) -> list[int]:
        """Atoms that are no oxygen and bound to one of these."""
        i, j = self.pairs.first[self.bonded], self.pairs.second[self.bonded]
        partners = np.concatenate([j[np.isin(i, atoms)], i[np.isin(j, atoms)]])
        return sorted({int(partner) for partner in partners if self.numbers[partner] != _OXYGEN})

    def _name(self, atom: int) -> str:
        return f"{chemical_symbols[self.numbers[atom]]}{atom}"
