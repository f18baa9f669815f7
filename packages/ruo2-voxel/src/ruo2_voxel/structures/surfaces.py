"""Slabs of rutile RuO2: five low-index facets, each cut in three to five ways, seventeen in all."""

import math
import operator
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from ase import Atoms

from ruo2_voxel.errors import StructureError
from ruo2_voxel.typing import FloatArray, IntArray

# Boman, Acta Chem. Scand. 24, 116 (1970), doi:10.3891/acta.chem.scand.24-0116, rounded.
A: Final = 4.49  # Å
C: Final = 3.11  # Å
U: Final = 0.306  # of the oxygen sites, in scaled coordinates

_SYMBOLS = ("Ru", "Ru", "O", "O", "O", "O")
_SCALED = np.array(
    [[0, 0, 0], [0.5, 0.5, 0.5], [U, U, 0], [-U, -U, 0], [0.5 + U, 0.5 - U, 0.5], [0.5 - U, 0.5 + U, 0.5]]
)
_LENGTHS = np.array([A, A, C])
_SAME = 1e-6  # heights that differ by less are one plane
_FEWEST = 3  # Ru planes: two faces and something between them


class _Cut(NamedTuple):
    """Where a slab ends: Ru planes are complete up to the outermost one, and some planes of oxygen lie beyond it."""

    outermost: float  # height of the outermost Ru plane, modulo 1, in spacings of the lattice planes
    n_oxygen: int  # oxygen planes beyond it; one that is coplanar with it is plane 0 and kept from 0 on


class _Facet(NamedTuple):
    """A facet; the cross product of its vectors gives its Miller indices, hence its outward normal."""

    a1: tuple[int, int, int]  # along x
    a2: tuple[int, int, int]
    n_layers: int  # Ru planes by default: 8.8 to 10.3 Å from the first to the last
    cuts: Mapping[str, _Cut]


_FACETS: Final[Mapping[str, _Facet]] = {
    "001": _Facet((1, 0, 0), (0, 1, 0), 7, {"O-poor": _Cut(0, -1), "stoichiometric": _Cut(0, 0), "O-rich": _Cut(0, 1)}),
    "100": _Facet((0, 0, 1), (0, -1, 0), 5, {"O-poor": _Cut(0, 0), "stoichiometric": _Cut(0, 1), "O-rich": _Cut(0, 2)}),
    "101": _Facet((0, 1, 0), (-1, 0, 1), 5, {"O-poor": _Cut(0, 0), "stoichiometric": _Cut(0, 1), "O-rich": _Cut(0, 2)}),
    "110": _Facet((0, 0, 1), (1, -1, 0), 4, {"O-poor": _Cut(0, 0), "stoichiometric": _Cut(0, 1), "O-rich": _Cut(0, 2)}),
    "111": _Facet(
        (1, -1, 0),
        (1, 0, -1),
        9,
        {
            "O-poor": _Cut(0, 0),
            "stoichiometric": _Cut(0, 1),
            "stoichiometric-2": _Cut(0.5, 0),
            "O-rich": _Cut(0.5, 1),
            "super-O-rich": _Cut(0.5, 2),
        },
    ),
}

#: What can be built: the terminations of each facet, poorest in oxygen first.
TERMINATIONS: Final[Mapping[str, tuple[str, ...]]] = {name: tuple(facet.cuts) for name, facet in _FACETS.items()}


def bulk_rutile() -> Atoms:
    """The unit cell of rutile RuO2: 2 Ru and 4 O in 4.49 x 4.49 x 3.11 Å, periodic.

    Notes
    -----
    Each Ru has four O at 1.984 Å and two at 1.943 Å, each O three Ru; 0.0957 atoms/Å^3.
    Source: doi:10.3891/acta.chem.scand.24-0116, rounded.
    """
    atoms = Atoms(_SYMBOLS, cell=_LENGTHS, pbc=True)
    atoms.set_scaled_positions(_SCALED % 1.0)
    return atoms


def build_surface(facet: str, termination: str, n_layers: int | None = None, vacuum: float = 20.0) -> Atoms:
    """A p(1x1) slab of rutile RuO2, both faces alike.

    Parameters
    ----------
    facet
        Miller indices, "110" or "(110)"; see `TERMINATIONS`.
    termination
        How the slab ends, "stoichiometric" for instance; see `TERMINATIONS`.
    n_layers
        Ru planes, at least 3. Planes of (001), (100) and (111) differ in turn, and their number must be odd there.
        If not given, as many as make the slab about 9 Å thick.
    vacuum
        Å between the outermost atoms of the slab and those of its next image along z, half of it on either side.

    Returns
    -------
    atoms
        Periodic in all directions and wrapped: the first vector along x, the second in the plane, the third along z,
        the outward normal, with an inversion centre at the scaled position (0, 0, 1/2). Its `info` holds `facet`,
        `termination` and `n_layers`.

    Raises
    ------
    StructureError
        A facet or termination that is not there, a number of layers that cannot be, a vacuum that is not positive.

    Notes
    -----
    All slabs are plain truncations of the crystal, with in-plane vectors (001) [100], [010]; (100) [001], [0-10];
    (101) [010], [-101]; (110) [001], [1-10]; (111) [1-10], [10-1]. Ru planes are complete; of the oxygen planes beyond
    the outermost one, which may hold oxygen itself, so many are kept that a slab is poor in oxygen, stoichiometric, or
    rich. On (111) two kinds of Ru planes take turns, and either can be the outermost one.
    Source: thesis, section 3.1.1.
    """
    name, form = _find_facet(facet)
    cut = form.cuts.get(termination) if isinstance(termination, str) else None
    if cut is None:
        raise StructureError(f"RuO2({name}): termination must be one of {', '.join(form.cuts)}; found {termination!r}")
    n_layers = form.n_layers if n_layers is None else n_layers
    if not (_is_number(vacuum) and vacuum > 0.0):
        raise StructureError(f"RuO2({name}): vacuum must be a positive number of Å; found {vacuum!r}")

    miller = np.cross(form.a1, form.a2)
    step = np.eye(3)[miller.argmax()]  # a lattice vector to the next lattice plane: indices are 0 or 1
    thickness = _thickness(name, n_layers, miller)
    symbols, scaled = _truncate(miller, step, cut, thickness)

    a, b = np.array([form.a1, form.a2]) * _LENGTHS
    length, area = np.linalg.norm(a), np.linalg.norm(np.cross(a, b))
    x, normal = a / length, np.cross(a, b) / area
    positions = (scaled * _LENGTHS) @ np.array([x, np.cross(normal, x), normal]).T
    height = np.ptp(positions[:, 2]) + vacuum
    cell = np.array([[length, 0.0, 0.0], [a @ b / length, area / length, 0.0], [0.0, 0.0, height]])
    in_cell = np.round(positions @ np.linalg.inv(cell) + [0.0, 0.0, 0.5], 12) % 1.0
    order = np.lexsort((*in_cell.round(6).T[:2], symbols == "O", in_cell[:, 2].round(6)))
    return Atoms(
        symbols[order],
        positions=in_cell[order] @ cell,
        cell=cell,
        pbc=True,
        info={"facet": name, "termination": termination, "n_layers": int(n_layers)},
    )


def surface_family(
    facets: Sequence[str] | None = None,
    terminations: Sequence[str] | None = None,
    n_layers: int | None = None,
    vacuum: float = 20.0,
    copies: int = 1,
    rattle: float = 0.0,
    seed: int = 0,
) -> Iterator[Atoms]:
    """Slabs of many terminations, each as often as wanted, with random displacements.

    Parameters
    ----------
    facets, terminations
        Which ones, in this order; all if not given. A termination that some of the facets lack is built on the others.
    n_layers, vacuum
        As for `build_surface`, of all slabs alike.
    copies
        How many of each termination.
    rattle
        Standard deviation of the displacement of each atom along x, y and z, Å. All atoms of all copies are displaced,
        those in the middle and those of the first copy too; the ideal slabs are those with rattle 0.
    seed
        Displacements depend on the seed, the facet, the termination and the copy, and on nothing else that is chosen.

    Returns
    -------
    structures
        Wrapped, facet by facet, the copies of a termination one behind the other. Their `info` holds `copy` and
        `rattle` besides what `build_surface` puts there.

    Raises
    ------
    StructureError
        As for `build_surface`; a termination that no facet has; copies, rattle or seed out of range. All of that before
        the first slab is handed out.
    """
    names = [_find_facet(facet)[0] for facet in (_FACETS if facets is None else _names(facets, "facets"))]
    wanted = None if terminations is None else _names(terminations, "terminations")
    known = list(dict.fromkeys(termination for name in names for termination in TERMINATIONS[name]))
    for termination in wanted or ():
        if termination not in known:
            raise StructureError(
                f"RuO2({', '.join(names)}): terminations must be among {', '.join(known)}; found {termination!r}"
            )
    if not _is_whole(copies) or copies < 1:
        raise StructureError(f"copies must be a whole number, at least 1; found {copies!r}")
    if not _is_whole(seed) or seed < 0:
        raise StructureError(f"seed must be a whole number, at least 0; found {seed!r}")
    if not (_is_number(rattle) and rattle >= 0.0):
        raise StructureError(f"rattle must be a number of Å, at least 0; found {rattle!r}")
    slabs = [
        build_surface(name, termination, n_layers, vacuum)
        for name in names
        for termination in (TERMINATIONS[name] if wanted is None else wanted)
        if termination in TERMINATIONS[name]
    ]
    return (_displaced(slab, copy, rattle, seed) for slab in slabs for copy in range(copies))


def _displaced(slab: Atoms, copy: int, rattle: float, seed: int) -> Atoms:
    """One copy of a slab."""
    atoms: Atoms = slab.copy()
    atoms.info.update(copy=copy, rattle=float(rattle))
    if rattle > 0.0:
        which = zlib.crc32(f"{slab.info['facet']} {slab.info['termination']}".encode())
        atoms.positions += np.random.default_rng([seed, which, copy]).normal(scale=rattle, size=(len(atoms), 3))
        atoms.wrap()
    return atoms


def _truncate(miller: IntArray, step: FloatArray, cut: _Cut, thickness: int) -> tuple[FloatArray, FloatArray]:
    """Symbols and scaled positions of one slab, the origin of which is an inversion centre.

    Heights count spacings of the lattice planes, and the thickness runs from the first Ru plane to the last. Multiples
    of half a lattice vector are inversion centres of the crystal; this one lies halfway between the two planes.
    """
    reach = range(-thickness - 3, thickness + 4)  # the unit cell is at most three spacings high, and oxygen lies beyond
    middle = (cut.outermost + thickness / 2) * step
    scaled = np.concatenate([_SCALED + layer * step - (middle % 1.0) for layer in reach])
    symbols = np.array(_SYMBOLS * len(reach))
    beyond = np.abs(scaled @ miller) - thickness / 2  # the outermost Ru planes, 0; outside of them, above 0
    oxygen = symbols == "O"
    planes = np.unique(np.round(np.append(beyond[oxygen & (beyond > _SAME)], 0.0), 6))
    last = planes[cut.n_oxygen] if cut.n_oxygen >= 0 else -2.0 * _SAME
    kept = beyond < np.where(oxygen, last, 0.0) + _SAME
    return symbols[kept], scaled[kept]


def _thickness(name: str, n_layers: int, miller: IntArray) -> int:
    """Spacings of the lattice planes between the first and the last of some Ru planes."""
    per_plane = 2 if miller.sum() % 2 else 1  # Ru planes for each lattice plane
    if not _is_whole(n_layers) or n_layers < _FEWEST or (n_layers - 1) % per_plane:
        kind = "an odd number" if per_plane == 2 else "a whole number"
        raise StructureError(f"RuO2({name}): n_layers must be {kind}, at least {_FEWEST}; found {n_layers!r}")
    return (n_layers - 1) // per_plane


def _find_facet(facet: str) -> tuple[str, _Facet]:
    """The name of a facet and what is known of it."""
    name = facet.strip().removeprefix("(").removesuffix(")") if isinstance(facet, str) else ""
    if name not in _FACETS:
        raise StructureError(f"facet must be one of {', '.join(_FACETS)}; found {facet!r}")
    return name, _FACETS[name]


def _names(names: Sequence[str], noun: str) -> list[str]:
    """Several names, at least one."""
    if isinstance(names, str) or not names:
        raise StructureError(f"{noun} must be a sequence of names, at least one; found {names!r}")
    return list(names)


def _is_whole(number: object) -> bool:
    try:
        operator.index(number)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def _is_number(number: object) -> bool:
    return isinstance(number, int | float | np.number) and math.isfinite(number)
