"""Structures made ready for a grid: orthorhombic, nearly square, with the vacuum asked for (thesis, section 3.1)."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from ruo2_voxel.errors import Ruo2Error, StructureError
from ruo2_voxel.structures.cells import (
    PERPENDICULAR,
    WRAP_MARGIN,
    Slab,
    find_rectangle,
    find_repeats,
    find_slab,
    points_in_supercell,
    require_right_handed,
    wrap,
)
from ruo2_voxel.structures.frame import Frame
from ruo2_voxel.typing import FloatArray

MOST_CELLS: Final = 256  # whose supercells are remembered
EXTENSIVE: Final = ("energy", "free_energy", "magmom")  # results that grow with the number of atoms
OF_ATOMS: Final = ("forces", "energies", "magmoms", "charges")  # results with a line for each atom

Integers = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Preparation:
    """What to do to each structure before it is voxelized; by default nothing.

    Parameters
    ----------
    orthogonal
        Make the cell orthorhombic: the smallest rectangular supercell, and a third vector perpendicular to it.
    max_shear
        Largest shear allowed for that, Å along the first side for each Å of the second. Zero keeps every distance.
    square
        Repeat the cell in x and y until its sides are nearly equal.
    max_atoms, max_length, max_aspect, min_length
        Of `square`: most atoms, longest side (Å), the ratio of the sides that is square enough, and the shortest side
        (Å) to have if the others allow.
    vacuum
        Gap along the third cell vector to set, Å; None leaves it as it is.
    """

    orthogonal: bool = False
    max_shear: float = 0.0
    square: bool = False
    max_atoms: int = 2000
    max_length: float = 20.0
    max_aspect: float = 1.1
    min_length: float = 0.0
    vacuum: float | None = None

    def __post_init__(self) -> None:
        for name, lowest in (
            ("max_shear", 0.0),
            ("max_atoms", 1),
            ("max_length", 0.0),
            ("max_aspect", 1.0),
            ("min_length", 0.0),
        ):
            if not lowest <= getattr(self, name) < np.inf:
                raise Ruo2Error(f"{name} must be a finite number, at least {lowest:g}; found {getattr(self, name)}")
        if self.vacuum is not None and not 0.0 < self.vacuum < np.inf:
            raise Ruo2Error(f"vacuum must be a positive length in Å; found {self.vacuum}")

    @property
    def changes_nothing(self) -> bool:
        return not (self.orthogonal or self.square or self.vacuum is not None)


@dataclass(frozen=True)
class Changes:
    """What preparation did to a structure.

    Parameters
    ----------
    supercell
        New cell vectors in units of the old ones, in rows: the cell became `supercell @ cell`, before shear and vacuum.
    shear
        Strain applied, Å along the first side for each Å of the second; 0 where none was.
    vacuum_before, vacuum_after
        Gap along the normal, Å; NaN where it was not looked at.
    lift
        Rigid shift of the slab along the normal, Å, where it would have crossed the border of its new cell.
    """

    supercell: Integers = ((1, 0), (0, 1))
    shear: float = 0.0
    vacuum_before: float = float("nan")
    vacuum_after: float = float("nan")
    lift: float = 0.0

    @property
    def n_cells(self) -> int:
        (i, j), (k, m) = self.supercell
        return i * m - j * k


UNCHANGED: Final = Changes()


@dataclass(frozen=True)
class _Supercell:
    """Of one cell and number of atoms: what does not depend on where the atoms are."""

    matrix: Integers
    shear: float
    straight: FloatArray  # the cell with its third vector along the normal, if that was asked for
    cell: FloatArray  # new cell vectors
    translations: FloatArray  # of the copies, Å, shape (n_cells, 1, 3); the first is zero
    slanted: bool  # whether the third vector has to be straightened, which needs a vacuum
    normal: FloatArray


@dataclass(frozen=True)
class _Prepared:
    positions: FloatArray
    cell: FloatArray
    changes: Changes


@dataclass
class Preparer:
    """Prepares structures one after the other, and remembers what those with the same cell have in common."""

    preparation: Preparation
    _supercells: dict[tuple[bytes, int], _Supercell] = field(default_factory=dict, init=False, repr=False)

    def frame(self, frame: Frame) -> tuple[Frame, Changes]:
        """The prepared structure: energy and magnetic moment scaled with it, tags and fixed atoms carried along.

        Raises
        ------
        StructureError
            A cell that is left-handed or has no volume, that has no rectangular supercell without strain, or no vacuum
            where one is needed; a position that is not finite.
        """
        if self.preparation.changes_nothing:
            return frame, UNCHANGED
        prepared = self._prepare(frame.positions, frame.cell)
        n = prepared.changes.n_cells
        return (
            replace(
                frame,
                numbers=np.tile(frame.numbers, n) if n > 1 else frame.numbers,
                positions=prepared.positions,
                cell=prepared.cell,
                energy=frame.energy * n,
                magnetic_moment=frame.magnetic_moment * n,
                tags=None if frame.tags is None else np.tile(frame.tags, n),
                fixed=None if frame.fixed is None else np.tile(frame.fixed, n),
            ),
            prepared.changes,
        )

    def atoms(self, atoms: Atoms) -> Atoms:
        """The same for ASE's class: every array of `atoms`, and constraints that can be repeated, are carried along."""
        prepared = self._prepare(atoms.positions, np.array(atoms.cell, dtype=np.float64))
        n = prepared.changes.n_cells
        result = Atoms(cell=prepared.cell, pbc=atoms.pbc, info=copy.deepcopy(atoms.info))
        result.arrays = {name: np.concatenate([values] * n) for name, values in atoms.arrays.items()}
        result.positions = prepared.positions
        result.set_constraint([_repeated(constraint, n, len(atoms)) for constraint in atoms.constraints])
        if atoms.calc is not None:
            result.calc = _scaled_results(atoms, result, n, strained=prepared.changes.shear > 0.0)
        return result

    def _prepare(self, positions: FloatArray, cell: FloatArray) -> _Prepared:
        if not np.isfinite(positions).all():
            atom = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
            raise StructureError(
                f"positions must be finite; found atom {atom} at {positions[atom].tolist()} Å. Mend it"
            )
        key = cell.tobytes(), len(positions)
        supercell = self._supercells.get(key)
        if supercell is None:
            if len(self._supercells) >= MOST_CELLS:
                self._supercells.clear()
            supercell = self._supercells[key] = _find_supercell(self.preparation, cell, len(positions))
        slab: Slab | None = None
        if supercell.slanted or self.preparation.vacuum is not None:
            period = float(supercell.straight[2] @ supercell.normal)
            # Images along a slanted vector lie beside each other: they are chosen before it is straightened.
            slab = find_slab(positions @ supercell.normal, period)
            images = np.round((slab.heights - positions @ supercell.normal) / period)
            positions = positions + images[:, None] * cell[2]
        if len(supercell.translations) > 1:
            positions = (positions + supercell.translations).reshape(-1, 3)
        if supercell.shear > 0.0:
            before = np.array(supercell.matrix) @ supercell.straight[:2]
            positions = positions @ np.linalg.inv([*before, supercell.straight[2]]) @ supercell.cell
        new_cell, vacuum, lift = supercell.cell, float("nan"), 0.0
        if slab is not None:
            vacuum = slab.vacuum
            if self.preparation.vacuum is not None:
                vacuum = self.preparation.vacuum
                new_cell, lift = _set_height(supercell, slab, vacuum)
                positions = positions + lift * supercell.normal
        return _Prepared(
            positions=wrap(positions, new_cell),
            cell=new_cell,
            changes=Changes(
                supercell=supercell.matrix,
                shear=supercell.shear,
                vacuum_before=float("nan") if slab is None else slab.vacuum,
                vacuum_after=vacuum,
                lift=lift,
            ),
        )


def _find_supercell(preparation: Preparation, cell: FloatArray, n_atoms: int) -> _Supercell:
    require_right_handed(cell)
    normal = np.cross(cell[0], cell[1])
    normal /= np.linalg.norm(normal)
    straight = cell.copy()
    slanted = bool(np.linalg.norm(cell[2] - (cell[2] @ normal) * normal) > PERPENDICULAR * np.linalg.norm(cell[2]))
    needs_normal = preparation.orthogonal or preparation.vacuum is not None
    if needs_normal:
        straight[2] = (cell[2] @ normal) * normal
    matrix, shear = np.eye(2, dtype=np.int64), 0.0
    sides = straight[:2]
    if preparation.orthogonal:
        rectangle = find_rectangle(straight[0], straight[1], preparation.max_shear)
        matrix, shear = np.array(rectangle.matrix), rectangle.shear
        sides = matrix @ straight[:2]
        # Exactly perpendicular; what this takes off is the shear, or the rounding of a file.
        sides[1] -= (sides[1] @ sides[0]) / (sides[0] @ sides[0]) * sides[0]
    if preparation.square:
        repeats = find_repeats(
            (float(np.linalg.norm(sides[0])), float(np.linalg.norm(sides[1]))),
            n_atoms * round(abs(float(np.linalg.det(matrix)))),
            preparation.max_length,
            preparation.max_atoms,
            preparation.max_aspect,
            preparation.min_length,
        )
        matrix, sides = np.diag(repeats) @ matrix, np.diag(repeats) @ sides
    integers: Any = tuple(tuple(row) for row in matrix.tolist())
    return _Supercell(
        matrix=integers,
        shear=shear,
        straight=straight,
        cell=np.array([*sides, straight[2]]) + 0.0,  # no negative zeros
        translations=(points_in_supercell(integers) @ straight[:2])[:, None, :],
        slanted=slanted and needs_normal,
        normal=normal,
    )


def _set_height(supercell: _Supercell, slab: Slab, vacuum: float) -> tuple[FloatArray, float]:
    """The cell with that vacuum, and how far the slab must move to lie inside it: not at all, or into its middle."""
    height = slab.thickness + vacuum
    cell = supercell.cell.copy()
    cell[2] = height * supercell.normal
    top = slab.bottom + slab.thickness
    inside = slab.bottom >= -WRAP_MARGIN * height and top < (1.0 - WRAP_MARGIN) * height
    return cell, 0.0 if inside else 0.5 * vacuum - slab.bottom


def _repeated(constraint: Any, n: int, n_atoms: int) -> Any:
    """The constraint on n copies, which lie one behind the other."""
    if n == 1:
        return copy.deepcopy(constraint)
    try:
        return copy.deepcopy(constraint).repeat((n, 1, 1), n_atoms)
    except (AttributeError, NotImplementedError) as error:
        raise StructureError(
            f"constraints must be such that ASE can repeat them; found {type(constraint).__name__}. Remove it with "
            f"atoms.set_constraint(), and set it anew on the larger cell"
        ) from error


def _scaled_results(atoms: Atoms, result: Atoms, n: int, strained: bool) -> SinglePointCalculator | None:
    """Stored results of `atoms` as they hold for n copies; those of another kind, or that strain makes void, go."""
    if atoms.calc.check_state(atoms):  # they were calculated before something was changed
        return None
    found = atoms.calc.results
    kept: dict[str, Any] = {name: found[name] * n for name in EXTENSIVE if found.get(name) is not None}
    if not strained:
        kept |= {name: np.concatenate([found[name]] * n) for name in OF_ATOMS if found.get(name) is not None}
    return SinglePointCalculator(result, **kept) if kept else None


def orthogonalize(atoms: Atoms, max_shear: float = 0.0) -> Atoms:
    """The smallest orthorhombic supercell of a slab, exactly.

    Parameters
    ----------
    atoms
        Right-handed cell, Å. Where the third cell vector is not perpendicular to the first two, it is made so, which
        needs a vacuum of at least 4 Å along it.
    max_shear
        Allow a shear of so many Å for each Å, where a smaller cell can be had for it; 0 never strains.

    Returns
    -------
    supercell
        A copy. The atoms of `atoms` come first, where they were (some by whole vectors of the new cell away, so that
        all lie inside), then those of each further cell. Nothing is rotated. Energy, free energy and magnetic moment
        grow with the number of atoms; tags, constraints and all other arrays are repeated.

    Raises
    ------
    StructureError
        A left-handed cell or one without volume; no supercell without strain; a slanted third vector without a vacuum.

    Notes
    -----
    Integer combinations of the first two cell vectors with coefficients up to 8 are searched, the fewest cells first,
    then the squarest (thesis, section 3.1.1). Rutile (111) takes two cells, all other low-index facets one.
    """
    return Preparer(Preparation(orthogonal=True, max_shear=max_shear)).atoms(atoms)


def repeat_to_square(
    atoms: Atoms, max_atoms: int = 2000, max_length: float = 20.0, max_aspect: float = 1.1, min_length: float = 0.0
) -> Atoms:
    """Repeat a cell in x and y until it is nearly square.

    Parameters
    ----------
    atoms
        Right-handed cell, Å.
    max_atoms, max_length
        Not beyond so many atoms, nor sides of so many Å; a cell or a side beyond them already is not repeated.
    max_aspect
        Ratio of the sides that is square enough: the smallest such cell is taken, else the squarest within the limits.
    min_length
        Shortest side to have, Å, if the other limits allow.

    Returns
    -------
    supercell
        A copy, with energies and arrays as of `orthogonalize`.
    """
    return Preparer(
        Preparation(
            square=True, max_atoms=max_atoms, max_length=max_length, max_aspect=max_aspect, min_length=min_length
        )
    ).atoms(atoms)


def set_vacuum(atoms: Atoms, thickness: float) -> Atoms:
    """Make the gap between a slab and its image along the third cell vector `thickness` wide, Å, between atoms.

    Returns
    -------
    slab
        A copy, its third cell vector along the normal. No atom moves, unless the slab would cross the border of the new
        cell (or crosses that of the old one): then all of it moves along the normal into the middle.

    Raises
    ------
    StructureError
        A left-handed cell, or no gap of at least 4 Å along the third cell vector.
    """
    return Preparer(Preparation(vacuum=thickness)).atoms(atoms)
