"""One structure as read: what a density, a label or a message needs of it, and no more."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from ruo2_voxel.errors import OR_DROP, SourceError
from ruo2_voxel.typing import Array, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One structure as read.

    Frames of one file may share `numbers`, `pbc` and `fixed`, which are read-only then; the other arrays are their own.

    Parameters
    ----------
    numbers
        Shape (n_atoms,), int, atomic numbers.
    positions
        Shape (n_atoms, 3), float64, Å.
    cell
        Shape (3, 3), float64, Å; rows are the cell vectors.
    pbc
        Shape (3,), bool, periodic along each cell vector.
    energy
        Potential energy in eV as stored, NaN if there is none; nothing is ever calculated.
    info
        What `atoms.info` holds; of a database row its key-value pairs and the scalars among its data.
    tags
        Shape (n_atoms,), int, or None.
    source
        Path of the file, for messages; empty for structures that come from memory.
    index
        Frame index in that file, whatever slice of it is read; of a database the row's id.
    fixed
        Shape (n_atoms,), bool, the atoms that FixAtoms constraints hold, or None without such constraints.
    noun
        What its file calls it: "frame" or "row".
    magnetic_moment
        Total magnetic moment in Bohr magnetons as stored, NaN if there is none.
    """

    numbers: IntArray
    positions: FloatArray
    cell: FloatArray
    pbc: Array
    energy: float
    info: dict[str, Any]
    tags: IntArray | None = None
    source: str = ""
    index: int = 0
    fixed: Array | None = None
    noun: str = "frame"
    magnetic_moment: float = float("nan")

    @classmethod
    def from_atoms(
        cls,
        atoms: Atoms,
        source: str = "",
        index: int = 0,
        *,
        info: dict[str, Any] | None = None,
        noun: str = "frame",
    ) -> Self:
        """Copy what is needed out of `atoms`; `info`, if given, stands in for `atoms.info`."""
        return cls(
            numbers=atoms.numbers.copy(),
            positions=atoms.positions.copy(),
            cell=np.array(atoms.cell, dtype=np.float64),
            pbc=atoms.pbc.copy(),
            energy=stored_energy(atoms),
            info=dict(atoms.info if info is None else info),
            tags=atoms.get_tags() if atoms.has("tags") else None,
            source=source,
            index=index,
            fixed=fixed_atoms(atoms.constraints, len(atoms)),
            noun=noun,
            magnetic_moment=_stored(atoms, "magmom"),
        )

    def atoms(self) -> Atoms:
        """Copy it into an `Atoms` object: with tags, fixed atoms, info, and the energy and magnetic moment it has."""
        atoms = Atoms(
            numbers=self.numbers,
            positions=self.positions,
            cell=self.cell,
            pbc=self.pbc,
            tags=self.tags,
            info=self.info,
            constraint=None if self.fixed is None else FixAtoms(mask=self.fixed),
        )
        results = {"energy": self.energy, "magmom": self.magnetic_moment}
        known = {name: value for name, value in results.items() if np.isfinite(value)}
        if known:
            atoms.calc = SinglePointCalculator(atoms, **known)
        return atoms

    def where(self) -> str:
        """Name it in a message: "frame 17 of md.traj"."""
        return f"{self.noun} {self.index} of {self.source}" if self.source else f"{self.noun} {self.index}"


def frames_from_atoms(structures: Iterable[Atoms]) -> list[Frame]:
    """Frames of structures that are in memory already, numbered from 0."""
    return [Frame.from_atoms(atoms, index=index) for index, atoms in enumerate(structures)]


def stored_energy(atoms: Atoms) -> float:
    """Potential energy (eV) that `atoms.get_potential_energy()` returns without a calculation, or NaN."""
    energy = _stored(atoms, "energy")
    for constraint in atoms.constraints:
        if hasattr(constraint, "adjust_potential_energy"):
            energy += constraint.adjust_potential_energy(atoms)
    return float(energy)


def _stored(atoms: Atoms, name: str) -> float:
    """A scalar result that the calculator holds for the atoms as they are, or NaN."""
    if atoms.calc is None:
        return float("nan")
    its_atoms = atoms.calc.atoms if isinstance(atoms.calc, SinglePointCalculator) else None
    if its_atoms is not None and _same_bytes(its_atoms, atoms):
        value = atoms.calc.results.get(name)
    else:
        try:
            value = atoms.calc.get_property(name, atoms, allow_calculation=False)
        except PropertyNotImplementedError:
            value = None
    return float("nan") if value is None else float(value)


def _same_bytes(one: Atoms, other: Atoms) -> bool:
    """Whether nothing has changed; ASE's own comparison, with its tolerance, would take most of the reading time."""
    return (
        one.arrays.keys() == other.arrays.keys()
        and all(array.tobytes() == other.arrays[name].tobytes() for name, array in one.arrays.items())
        and one.cell.array.tobytes() == other.cell.array.tobytes()
        and one.pbc.tobytes() == other.pbc.tobytes()
    )


def fixed_atoms(constraints: Iterable[Any], n_atoms: int) -> Array | None:
    """Which atoms FixAtoms constraints hold, shape (n_atoms,), or None without such constraints."""
    held = [constraint.index for constraint in constraints if isinstance(constraint, FixAtoms)]
    if not held:
        return None
    fixed = np.zeros(n_atoms, dtype=bool)
    for indices in held:
        fixed[indices] = True
    return fixed


def unreadable(source: str, index: int, error: Exception, noun: str = "frame") -> SourceError:
    """What to raise, or hand on, when ASE could not make a structure of a frame."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return SourceError(
        f"{noun} {index} of {source}: must be a structure that ASE can read; found {reason}. Mend the file{OR_DROP}"
    )
