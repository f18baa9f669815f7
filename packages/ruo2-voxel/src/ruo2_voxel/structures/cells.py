"""Cells of slabs: the smallest rectangle that repeats one, the repeats that make it square, the vacuum above it.

Plain geometry on cell vectors and heights. The third cell vector leads out of the surface; the first two span it.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from ruo2_voxel.errors import StructureError
from ruo2_voxel.typing import FloatArray, IntArray

LONGEST_STEP: Final = 8  # of an old cell vector in a new one
PERPENDICULAR: Final = 1e-6  # cosine; what a cell written with seven digits may be off by
LEAST_VACUUM: Final = 4.0  # Å; more than any bond, Ru-Ru contacts of 3.6 Å included
WRAP_MARGIN: Final = 1e-7  # scaled; an atom a rounding error below the border stays where it is
SAME_HEIGHT: Final = 1e-9  # Å


def require_right_handed(cell: FloatArray) -> None:
    """Refuse cells without a volume, and cells whose vectors form a left hand.

    Raises
    ------
    StructureError
        a . (b x c) is not positive, or not finite.
    """
    volume = float(np.linalg.det(cell)) if np.isfinite(cell).all() else math.nan
    if not volume > 1e-6:
        found = "no volume" if abs(volume) <= 1e-6 else f"{volume:.6g} Å^3"
        hint = "Swap two cell vectors to turn it" if volume < -1e-6 else "Give it three independent vectors"
        raise StructureError(f"the cell must be right-handed, with a . (b x c) > 0; found {found}. {hint}")


@dataclass(frozen=True)
class Rectangle:
    """A rectangular supercell of two cell vectors: its vectors in units of theirs, in rows, and the shear it takes."""

    matrix: tuple[tuple[int, int], tuple[int, int]]
    shear: float

    @property
    def n_cells(self) -> int:
        (i, j), (k, m) = self.matrix
        return i * m - j * k


def find_rectangle(a: FloatArray, b: FloatArray, max_shear: float = 0.0) -> Rectangle:
    """The smallest supercell of two vectors that is a rectangle, exactly or with a shear of at most `max_shear`.

    Parameters
    ----------
    a, b
        Vectors of shape (3,), Å.
    max_shear
        Largest displacement along the first side for each Å of the second.

    Returns
    -------
    rectangle
        Of all pairs of coprime integer vectors with components up to 8: the fewest cells, then one without shear, then
        the squarest, then the least sheared, then that whose first side lies nearest to `a`. It keeps the handedness of
        a and b.

    Raises
    ------
    StructureError
        There is none; says what shear would do.
    """
    steps = _coprime_steps()
    vectors = steps @ np.stack([a, b])
    lengths = np.linalg.norm(vectors, axis=1)
    cells = steps[:, None, 0] * steps[None, :, 1] - steps[:, None, 1] * steps[None, :, 0]
    area = np.linalg.norm(np.cross(a, b))
    first, second = np.nonzero(cells > 0)
    cells = cells[first, second]
    shears = np.abs(np.einsum("ij,ij->i", vectors[first], vectors[second])) / (cells * area)
    shears[shears < PERPENDICULAR] = 0.0
    aspects = np.abs(np.log(lengths[first] / lengths[second]))
    turns = -(vectors[first] @ a) / lengths[first]
    allowed = np.flatnonzero(shears <= max_shear)
    if not allowed.size:
        best = np.lexsort((cells, np.round(shears, 4)))[0]
        raise StructureError(
            f"the cell must have a rectangular supercell with steps of at most {LONGEST_STEP} cell vectors; found none "
            f"without strain. {cells[best]} cells with a shear of {shears[best]:.2g} would do: allow it with "
            f"--max-shear {_round_up(float(shears[best]))}"
        )
    rounded = (np.round(key[allowed], 6) for key in (turns, shears, aspects, np.sign(shears), cells))
    chosen = allowed[np.lexsort(tuple(rounded))[0]]
    (i, j), (k, m) = steps[first[chosen]].tolist(), steps[second[chosen]].tolist()
    return Rectangle(((i, j), (k, m)), float(shears[chosen]))


@lru_cache(maxsize=1)
def _coprime_steps() -> IntArray:
    """Integer vectors in the plane that are no multiples of shorter ones, shape (n, 2)."""
    span = range(-LONGEST_STEP, LONGEST_STEP + 1)
    return np.array([(i, j) for i in span for j in span if math.gcd(i, j) == 1])


def _round_up(shear: float) -> str:
    digits = 2 - math.floor(math.log10(shear)) - 1
    return f"{math.ceil(shear * 10**digits) / 10**digits:.{max(digits, 0)}f}"


def find_repeats(
    lengths: tuple[float, float],
    n_atoms: int,
    max_length: float,
    max_atoms: int,
    max_aspect: float,
    min_length: float = 0.0,
) -> tuple[int, int]:
    """How often to repeat a rectangle along its sides, for a cell that is nearly square.

    Parameters
    ----------
    lengths
        Of the two sides, Å.
    n_atoms
        In the cell.
    max_length, max_atoms
        Longest side (Å) and most atoms to have after it; a side or a cell beyond them already is not repeated.
    max_aspect
        Longer side over shorter one that counts as square: the smallest such cell is taken, else the squarest.
    min_length
        Shortest side to have after it, Å, if the other limits allow.
    """
    most = [max(1, int((max_length + 1e-6) / length)) for length in lengths]
    pairs = [
        (i, j)
        for i in range(1, most[0] + 1)
        for j in range(1, most[1] + 1)
        if i * j * n_atoms <= max_atoms or i * j == 1
    ]

    def sides(pair: tuple[int, int]) -> tuple[float, float]:
        return pair[0] * lengths[0], pair[1] * lengths[1]

    def aspect(pair: tuple[int, int]) -> float:
        return round(max(sides(pair)) / min(sides(pair)), 6)

    pairs = [pair for pair in pairs if min(sides(pair)) >= min_length - 1e-6] or pairs

    square = [pair for pair in pairs if aspect(pair) <= max_aspect]
    if square:
        return min(square, key=lambda pair: (pair[0] * pair[1], aspect(pair)))
    return min(pairs, key=lambda pair: (aspect(pair), pair[0] * pair[1]))


@lru_cache(maxsize=256)
def points_in_supercell(matrix: tuple[tuple[int, int], tuple[int, int]]) -> IntArray:
    """The cells of which a supercell in the plane consists, as integer translations (n_cells, 2), (0, 0) first."""
    rows = np.array(matrix)
    n_cells = round(float(np.linalg.det(rows)))
    corners = np.array([[0, 0], rows[0], rows[1], rows[0] + rows[1]])
    low, high = corners.min(axis=0), corners.max(axis=0)
    points = np.array([(i, j) for i in range(low[0], high[0] + 1) for j in range(low[1], high[1] + 1)])
    # Scaled coordinates times the number of cells, in whole numbers.
    scaled = points @ np.array([[rows[1, 1], -rows[0, 1]], [-rows[1, 0], rows[0, 0]]])
    inside = points[((scaled >= 0) & (scaled < n_cells)).all(axis=1)]
    ordered: IntArray = inside[np.lexsort((inside[:, 1], inside[:, 0], inside.any(axis=1)))]
    return ordered


@dataclass(frozen=True)
class Slab:
    """Where the atoms lie along the normal of a periodic cell, Å: heights without a break, lowest one, extent, gap."""

    heights: FloatArray
    bottom: float
    thickness: float
    vacuum: float


def find_slab(heights: FloatArray, period: float) -> Slab:
    """The slab between the two ends of the widest gap.

    Parameters
    ----------
    heights
        Of atoms along the normal, shape (n_atoms,), Å; any images.
    period
        Of the cell along the normal, Å.

    Returns
    -------
    slab
        Its `heights` run from `bottom`, which lies within the cell, to `bottom + thickness`, across the border if need
        be.

    Raises
    ------
    StructureError
        No atoms, or no gap of at least 4 Å: a bulk, or a slab whose vacuum was left out.
    """
    if len(heights) == 0:
        raise StructureError("a slab must have atoms; found none")
    inside = heights - np.floor(heights / period + WRAP_MARGIN) * period
    ordered = np.sort(inside)
    gaps = np.empty_like(ordered)
    gaps[:-1] = ordered[1:] - ordered[:-1]
    gaps[-1] = ordered[0] + period - ordered[-1]
    widest = int(gaps.argmax())
    vacuum = float(gaps[widest])
    if vacuum < LEAST_VACUUM:
        raise StructureError(
            f"a slab must have a vacuum of at least {LEAST_VACUUM:g} Å along its third cell vector; found no gap "
            f"between atoms wider than {vacuum:.2f} Å. Give it one with atoms.center(vacuum=6.0, axis=2), or leave out "
            f"the steps that need it"
        )
    bottom = float(ordered[(widest + 1) % len(ordered)])
    above = inside + period * (inside < bottom - SAME_HEIGHT)
    return Slab(above, bottom, period - vacuum, vacuum)


def wrap(positions: FloatArray, cell: FloatArray) -> FloatArray:
    """Positions with whole cell vectors taken off; those inside already keep every bit."""
    outside = np.floor(positions @ np.linalg.inv(cell) + WRAP_MARGIN)
    return positions - outside @ cell if outside.any() else positions
