"""From densities back to atoms: the input is checked here once, then the kernels run, in threads over structures."""

import itertools
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.geometry import minkowski_reduce

from ruo2_voxel.density import pursuit
from ruo2_voxel.density.distances import PERPENDICULAR, shortest_distances
from ruo2_voxel.density.grid import CATCH_ALL, Grid
from ruo2_voxel.density.windows import REACH
from ruo2_voxel.errors import GridError
from ruo2_voxel.typing import Array, FloatArray

STRUCTURES_PER_TASK = 8  # what a thread takes at a time
FULL_SCALE = 255.0  # what uint8 stores for a density of 1
SATURATED = 1.0 - 1e-6  # values from here on are clipped ones, where no value is above 1
COARSEST = 0.3  # sigma in voxels below which an atom between nodes leaves no peak
STEEPEST = 700.0  # exponents that float64 holds
EXCLUDED = 0.45  # of the sum of covalent radii: no two atoms are nearer
TOO_CLOSE = 0.7  # of the sum of covalent radii: shorter than any bond
SEVERAL = 1.5  # confidence from which a peak is more than one atom

CORNERS = 0.5 * np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])  # of a voxel around a node

Pair = tuple[str, str]


@dataclass(frozen=True)
class Merged:
    """A peak that was too near another to be an atom of its own."""

    species: str
    confidence: float  # its fitted height
    into: int  # the atom that it was merged into: its place in `Decoded.atoms`
    distance: float  # from there, Å


@dataclass(frozen=True)
class Decoded:
    """The atoms of a density, and how far to trust them. The same figures stand in `atoms.info`."""

    atoms: Atoms  # ordered by channel, then by height, highest first; periodic, within the cell
    confidence: FloatArray  # (atoms,): fitted heights, 1 where an atom is as in the training data
    residual: float  # root mean square, over the grid, of what the atoms, rendered anew, leave of it
    unexplained: float  # the same as a share of the grid's own: 0 for a perfect match, 1 if nothing is explained
    counts: dict[str, int]  # atoms of each species
    shortest: dict[Pair, float]  # Å, between each two species, where there are such pairs
    too_close: tuple[tuple[int, int, float], ...]  # pairs of atoms shorter than any bond, and their distances, Å
    crowded: tuple[int, ...]  # atoms of a confidence that only several atoms in one place can give
    merged: tuple[Merged, ...]

    @property
    def plausible(self) -> bool:
        """There are atoms, no two of them too close, and none stands for several."""
        return len(self.atoms) > 0 and not self.too_close and not self.crowded


def decode(
    density: Array,
    cell: FloatArray | Sequence[float],
    grid: Grid,
    threshold: float = 0.4,
    exclusion: Mapping[Pair, float] | None = None,
    fit_heights: bool = True,
    clipped: bool | None = None,
) -> Decoded:
    """Atoms whose Gaussians make up a density.

    Parameters
    ----------
    density
        Shape (n_species, nx, ny, nz): floating point, or uint8 in steps of 1/255. Noise below zero is welcome.
    cell
        Lattice lengths of a perpendicular cell, shape (3,), or cell vectors in rows, shape (3, 3), in Å.
    grid
        Species order, shape and Gaussian width (Å) that the density was made with, or is meant to have.
    threshold
        The least height of an atom's Gaussian, between 0 and 1.
    exclusion
        For pairs of species, in either order, the distance in Å below which two peaks are one atom; 0.45 times the sum
        of covalent radii for pairs not named. Peaks of one species are merged and fitted anew, of two species the
        higher one stays.
    fit_heights
        False holds the heights at 1 while places are fitted last; the confidence still comes from a free fit.
    clipped
        Whether values of 1 may stand for larger ones, as in a store. If None, they do where no value is larger.

    Returns
    -------
    decoded
        Atoms with cell and pbc, their confidence, the residual, shortest distances, and what was merged.

    Raises
    ------
    GridError
        A density that is not finite or of another shape than the grid, a cell without volume, an option out of range,
        a sigma below 0.3 voxel, with which an atom between the nodes would go unseen.

    Notes
    -----
    The least-squares problem is sum over voxels v of (density(v) - sum over atoms i of a_i exp(-|r_v - r_i|^2 /
    2 sigma^2))^2, solved atom by atom with the others' Gaussians taken out, by Gauss-Newton steps along the analytic
    gradient. Voxels that are clipped enter only as far as the fit stays below them.
    """
    stack = np.asarray(density)
    (decoded,) = decode_many(stack[None], np.asarray(cell)[None], grid, 1, threshold, exclusion, fit_heights, clipped)
    grid.warn_if_aliased(decoded.atoms.cell.array, "density")
    return decoded


def decode_many(
    densities: Array,
    cells: FloatArray | Sequence[Sequence[float]],
    grid: Grid,
    n_threads: int = 1,
    threshold: float = 0.4,
    exclusion: Mapping[Pair, float] | None = None,
    fit_heights: bool = True,
    clipped: bool | None = None,
) -> list[Decoded]:
    """Atoms of many densities, bit for bit the same for any number of threads.

    Parameters
    ----------
    densities
        Shape (structures, n_species, nx, ny, nz), as for `decode`.
    cells
        One for each: lattice lengths, shape (structures, 3), or cell vectors, shape (structures, 3, 3), in Å.
    n_threads
        Threads that share the structures.
    grid, threshold, exclusion, fit_heights, clipped
        As for `decode`.

    Returns
    -------
    decoded
        In the order of the densities.

    Raises
    ------
    GridError
        As for `decode`, naming the density.
    """
    densities = _checked_densities(np.asarray(densities), grid)
    vectors = _checked_cells(np.asarray(cells), len(densities))
    if not 0.0 < threshold < 1.0:
        raise GridError(f"threshold must lie between 0 and 1, got {threshold!r}")
    limits = _limits(grid, EXCLUDED)
    for pair, distance in (exclusion or {}).items():
        _set_limit(limits, pair, distance, grid)
    if len(densities) == 0:
        return []
    steps = vectors / np.array(grid.shape)[:, None]
    metrics = steps @ steps.transpose(0, 2, 1) / grid.sigma**2
    squares = np.sqrt(math.pi**3 / np.linalg.det(metrics))
    farthest = [_farthest_from_nodes(steps[index]) / grid.sigma for index in range(len(steps))]
    _refuse_coarse_voxels(vectors, metrics, grid)
    inverses = np.linalg.inv(metrics)
    too_close = _limits(grid, TOO_CLOSE) / grid.sigma

    def decode_range(begin: int) -> list[Decoded]:
        residual = np.empty((grid.n_species, *grid.shape))
        found = []
        for index in range(begin, min(begin + STRUCTURES_PER_TASK, len(densities))):
            density = _as_float32(densities[index], f"density {index}", grid)
            largest = float(density.max())
            saturates = largest <= 1.0 if clipped is None else clipped
            level = SATURATED if saturates else math.inf
            geometry = pursuit.Geometry(
                grid.shape, metrics[index], inverses[index], farthest[index], float(squares[index])
            )
            rules = pursuit.Rules(float(threshold), limits / grid.sigma, level, bool(fit_heights))
            peaks, left, whole = pursuit.find_atoms(density, geometry, rules, residual)
            found.append(_describe(peaks, left, whole, geometry, vectors[index], grid, too_close))
        return found

    begins = range(0, len(densities), STRUCTURES_PER_TASK)
    if min(n_threads, len(begins)) <= 1:
        parts = [decode_range(begin) for begin in begins]
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            parts = list(pool.map(decode_range, begins))
    return list(itertools.chain.from_iterable(parts))


def _describe(
    peaks: pursuit.Peaks,
    left: float,
    whole: float,
    geometry: pursuit.Geometry,
    cell: FloatArray,
    grid: Grid,
    limits: FloatArray,
) -> Decoded:
    """What the kernel found, in Å and by species."""
    kept = np.flatnonzero(peaks.into == pursuit.KEPT)
    kept = kept[np.lexsort((-peaks.height[kept], peaks.channel[kept]))]
    place = np.full(len(peaks.into), -1)
    place[kept] = np.arange(len(kept))
    channel, confidence = peaks.channel[kept], peaks.height[kept]
    shortest, pairs, distances = shortest_distances(
        channel, peaks.t[kept], limits, geometry.shape, geometry.metric, geometry.inverse_metric
    )
    scaled = peaks.t[kept] / grid.shape
    scaled -= np.floor(scaled)
    n_values = grid.n_species * math.prod(grid.shape)
    names = grid.species
    decoded = Decoded(
        atoms=Atoms(
            numbers=_numbers(grid)[channel],
            positions=np.where(scaled < 1.0, scaled, 0.0) @ cell,
            cell=cell,
            pbc=True,
        ),
        confidence=confidence,
        residual=math.sqrt(left / n_values),
        unexplained=math.sqrt(left / whole) if whole > 0.0 else 0.0,
        counts={name: int(n) for name, n in zip(names, np.bincount(channel, minlength=len(names)), strict=True)},
        shortest={
            (names[a], names[b]): float(shortest[a, b] * grid.sigma)
            for a in range(len(names))
            for b in range(a, len(names))
            if shortest[a, b] < np.inf
        },
        too_close=tuple((int(i), int(j), float(d)) for (i, j), d in zip(pairs, distances * grid.sigma, strict=True)),
        crowded=tuple(np.flatnonzero(confidence >= SEVERAL).tolist()),
        merged=tuple(
            Merged(
                species=names[peaks.channel[p]],
                confidence=float(peaks.height[p]),
                into=int(place[_end_of(peaks, p)]),
                distance=float(peaks.distance[p] * grid.sigma),
            )
            for p in np.flatnonzero(peaks.into >= 0).tolist()
            if place[_end_of(peaks, p)] >= 0
        ),
    )
    decoded.atoms.info = {
        "confidence": confidence,
        "residual": decoded.residual,
        "unexplained": decoded.unexplained,
        "counts": decoded.counts,
        "shortest_distances": {"-".join(pair): distance for pair, distance in decoded.shortest.items()},
        "too_close": len(decoded.too_close),
        "crowded": len(decoded.crowded),
        "merged": len(decoded.merged),
        "plausible": decoded.plausible,
    }
    return decoded


def _end_of(peaks: pursuit.Peaks, peak: int) -> int:
    """The peak that one was merged into, and that perhaps into another."""
    while peaks.into[peak] >= 0:
        peak = int(peaks.into[peak])
    return peak


def _numbers(grid: Grid) -> Array:
    """Atomic number of each channel; 0, ASE's X, for the catch-all."""
    return np.array([0 if symbol == CATCH_ALL else atomic_numbers[symbol] for symbol in grid.species])


def _limits(grid: Grid, share: float) -> FloatArray:
    """That share of the sum of covalent radii for each two channels, Å."""
    radii = covalent_radii[_numbers(grid)]
    limits: FloatArray = share * (radii[:, None] + radii)
    return limits


def _set_limit(limits: FloatArray, pair: Pair, distance: float, grid: Grid) -> None:
    names = ",".join(grid.species)
    if not (isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(grid.species)):
        raise GridError(f"exclusion must be of pairs of {names}, as in {{('Ru', 'O'): 1.0}}; got {pair!r}")
    if not 0.0 <= distance < math.inf:
        raise GridError(f"exclusion of {pair[0]} and {pair[1]} must be a distance in Å, 0 or more; got {distance!r}")
    a, b = (grid.species.index(name) for name in pair)
    limits[a, b] = limits[b, a] = distance


def _checked_densities(densities: Array, grid: Grid) -> Array:
    shape = (grid.n_species, *grid.shape)
    if densities.shape[1:] != shape:
        raise GridError(f"a density must have the shape {shape} of the grid, species first; got {densities.shape[1:]}")
    if densities.dtype.kind != "f" and densities.dtype != np.uint8:
        raise GridError(f"densities must be floating point, or uint8 in steps of 1/255; got {densities.dtype}")
    return densities


def _as_float32(density: Array, where: str, grid: Grid) -> FloatArray:
    """C-contiguous, uint8 being scaled; refuses what is not finite."""
    if density.dtype == np.uint8:
        return np.ascontiguousarray(density * np.float32(1.0 / FULL_SCALE))
    single = np.ascontiguousarray(density, dtype=np.float32)
    if not math.isfinite(float(np.vdot(single, single))):
        wrong = np.argwhere(~np.isfinite(single))
        if len(wrong):
            c, *voxel = wrong[0].tolist()
            raise GridError(
                f"{where}: must be finite; found {single[tuple(wrong[0])]} in channel {grid.species[c]} at voxel "
                f"{','.join(map(str, voxel))}, and at {len(wrong) - 1} others. Leave it out, or see what made it so"
            )
        raise GridError(f"{where}: must be about 1 at an atom; found {np.abs(single).max():g}. Scale it")
    return single


def _checked_cells(cells: Array, n: int) -> FloatArray:
    """Cell vectors (n, 3, 3), float64."""
    if cells.dtype.kind not in "iuf" or cells.shape not in ((n, 3), (n, 3, 3)):
        raise GridError(
            f"a cell must be three lattice lengths or three vectors in Å, one for each density; got {cells.dtype} of "
            f"shape {cells.shape} for {n} densities"
        )
    vectors = cells.astype(np.float64)
    if vectors.ndim == 2:
        vectors = vectors[:, :, None] * np.eye(3)
    with np.errstate(invalid="ignore"):  # of cells that hold no numbers
        volumes = np.abs(np.linalg.det(vectors))
    for index in np.flatnonzero(~((volumes > 1e-6) & (volumes < np.inf))).tolist():
        raise GridError(f"density {index}: the cell must have a volume; found the vectors {vectors[index].tolist()} Å")
    return vectors


def _farthest_from_nodes(steps: FloatArray) -> float:
    """The farthest, Å, that a point can be from all nodes: half a diagonal of the least slanted voxel."""
    gram = steps @ steps.T
    if np.abs(gram - np.diag(np.diag(gram))).max() > PERPENDICULAR * gram.max():
        steps = minkowski_reduce(steps)[0]
    return float(np.linalg.norm(CORNERS @ steps, axis=1).max())


def _refuse_coarse_voxels(cells: FloatArray, metrics: FloatArray, grid: Grid) -> None:
    """Between nodes of too coarse a grid atoms hide; in too slanted a cell the kernel's factors overflow."""
    spacings = grid.voxel_spacings(cells)
    for index in np.flatnonzero(grid.sigma < COARSEST * spacings.max(axis=1)).tolist():
        widest = spacings[index].max()
        raise GridError(
            f"density {index}: sigma must be at least {COARSEST} voxel for an atom between nodes to be seen; found "
            f"{grid.sigma:.3g} Å, {grid.sigma / widest:.2g} voxel along {'xyz'[int(spacings[index].argmax())]}. "
            f"Use sigma {COARSEST * widest:.2g} Å or more, or a finer grid"
        )
    # The slope M u of the exponent half a voxel from a node, and 1.5 sigma farther in a fit, times a window's radius.
    sums = np.abs(metrics).sum(axis=2)
    slopes = 0.5 * sums + 1.5 * np.sqrt(metrics[:, (0, 1, 2), (0, 1, 2)])
    reach = REACH + 0.5 * np.sqrt(sums.sum(axis=1))
    exponents = (slopes * reach[:, None] * grid.sigma / spacings).max(axis=1)
    for index in np.flatnonzero(exponents > STEEPEST).tolist():
        raise GridError(
            f"density {index}: the cell is too slanted for its voxels; found the vectors {cells[index].tolist()} Å. "
            f"Describe the structure in a cell of shorter vectors"
        )
