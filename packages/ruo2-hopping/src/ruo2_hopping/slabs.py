"""Slabs of rutile RuO2 to start from: three facets, each poor in oxygen, stoichiometric or rich."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from ase import Atoms

from ruo2_hopping.contacts import OXYGEN, FloatArray
from ruo2_hopping.errors import SlabError

# Boman, Acta Chem. Scand. 24, 116 (1970), doi:10.3891/acta.chem.scand.24-0116, rounded.
A: Final = 4.49  # Å
C: Final = 3.11  # Å
U: Final = 0.306  # of the oxygen sites, in scaled coordinates

_NUMBERS = np.array([44, 44, 8, 8, 8, 8])
_SCALED = np.array(
    [[0, 0, 0], [0.5, 0.5, 0.5], [U, U, 0], [-U, -U, 0], [0.5 + U, 0.5 - U, 0.5], [0.5 - U, 0.5 + U, 0.5]]
)
_FLOOR = 1.0  # Å; height of the lowest atom, so that rounding takes none across the border
_SAME = 1e-6  # heights that differ by less are one plane


class _Facet(NamedTuple):
    """Lattice vectors along x and y, and one that leads up to the next lattice plane; their determinant is 1."""

    x: tuple[int, int, int]
    y: tuple[int, int, int]
    up: tuple[int, int, int]
    ru_planes: int  # for each lattice plane


_FACETS: Final = {
    "110": _Facet((0, 0, 1), (1, -1, 0), (0, 1, 0), 1),
    "100": _Facet((0, 0, 1), (0, -1, 0), (1, 0, 0), 2),
    "101": _Facet((0, 1, 0), (-1, 0, 1), (1, 0, 0), 1),
}

FACETS: Final = tuple(_FACETS)
#: Planes of oxygen beyond the outermost Ru plane, on either face.
TERMINATIONS: Final = {"O-poor": 0, "stoichiometric": 1, "O-rich": 2}


def build_slab(
    surface: str, termination: str, repeat: Sequence[int] = (1, 1), layers: int | None = None, vacuum: float = 12.0
) -> Atoms:
    """A slab of rutile RuO2, cut from the crystal, both faces alike.

    Parameters
    ----------
    surface
        "110", "100" or "101".
    termination
        "O-poor", "stoichiometric" or "O-rich": no, one or two planes of oxygen beyond the outermost Ru plane.
    repeat
        Cells along x and y.
    layers
        Ru planes; 5 if not given, two to displace, two to relax and one to fix.
    vacuum
        Å from the highest atom to the lowest of the next image.

    Returns
    -------
    atoms
        Orthorhombic and periodic, the lowest atom at 1 Å, the vacuum on top. Sorted by height, then metal before
        oxygen, y and x. Its `info` holds `facet` and `start`, the termination.

    Raises
    ------
    SlabError
        A facet or termination that is not there; numbers that cannot be.

    Notes
    -----
    Cells of p(1x1): (110) 3.11 x 6.35 Å, along [001] and [1-10]; (100) 3.11 x 4.49 Å, [001] and [0-10]; (101) 4.49 x
    5.46 Å, [010] and [-101]. All O-Ru-O planes are symmetric about their Ru plane, so any number of them has two
    faces that are alike. Oxygen in the outermost Ru plane itself, on (110), is kept whatever the termination.
    Source: doi:10.3891/acta.chem.scand.24-0116.
    """
    if surface not in _FACETS:
        raise SlabError(f"surface must be one of {', '.join(_FACETS)}; found {surface!r}")
    if termination not in TERMINATIONS:
        raise SlabError(f"RuO2({surface}): termination must be one of {', '.join(TERMINATIONS)}; found {termination!r}")
    counts = list(repeat)
    if len(counts) != 2 or not all(_is_count(count) for count in counts):
        raise SlabError(f"RuO2({surface}): repeat must be two whole numbers, at least 1; found {repeat!r}")
    layers = 5 if layers is None else layers
    if not _is_count(layers):
        raise SlabError(f"RuO2({surface}): layers must be a whole number, at least 1; found {layers!r}")
    if not 0.0 < vacuum < float("inf"):
        raise SlabError(f"RuO2({surface}): vacuum must be a positive number of Å; found {vacuum!r}")

    facet = _FACETS[surface]
    numbers, scaled = _truncate(facet, layers, TERMINATIONS[termination])
    lengths, positions = _place(facet, scaled)
    positions[:, 2] += _FLOOR - positions[:, 2].min()
    height = np.ptp(positions[:, 2]) + vacuum
    slab: Atoms = Atoms(numbers, positions=positions, cell=[*lengths, height], pbc=True).repeat((*counts, 1))
    x, y, z = slab.positions.round(6).T
    slab = slab[np.lexsort((x, y, slab.numbers == OXYGEN, z))]
    slab.info = {"facet": surface, "start": termination}
    return slab


def _truncate(facet: _Facet, layers: int, n_oxygen: int) -> tuple[FloatArray, FloatArray]:
    """Atomic numbers and coordinates along the vectors of a facet; the third counts lattice planes."""
    top = (layers - 1) / facet.ru_planes
    cell = _SCALED @ np.linalg.inv(np.array([facet.x, facet.y, facet.up]))
    planes = np.arange(-3, int(top) + 4)  # the six atoms span less than two lattice planes
    scaled = (cell[None] + planes[:, None, None] * [0.0, 0.0, 1.0]).reshape(-1, 3)
    numbers = np.tile(_NUMBERS, len(planes))
    beyond = np.maximum(scaled[:, 2] - top, -scaled[:, 2])  # the outermost Ru planes are at 0, the vacuum above
    oxygen = numbers == OXYGEN
    outer = np.unique(beyond[oxygen & (beyond > _SAME)].round(6))
    last = np.concatenate([[0.0], outer])[n_oxygen]
    kept = beyond < np.where(oxygen, last, 0.0) + _SAME
    return numbers[kept], scaled[kept]


def _place(facet: _Facet, scaled: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lengths of the surface cell and positions, Å, folded into it along x and y."""
    vectors = np.array([facet.x, facet.y, facet.up]) * [A, A, C]
    x, y = (vector / np.linalg.norm(vector) for vector in vectors[:2])
    lengths = np.linalg.norm(vectors[:2], axis=1)
    positions = scaled @ vectors @ np.array([x, y, np.cross(x, y)]).T
    positions[:, :2] = (positions[:, :2] / lengths).round(9) % 1.0 * lengths
    return lengths, positions


def _is_count(number: object) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool) and bool(number >= 1)
