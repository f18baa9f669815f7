"""The atoms that a density shows, in two dimensions or three: what all figures of structure are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from ruo2_voxel import Grid, decode_many
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.verdict.typing import FloatArray, IntArray

AT_ONCE = 64  # densities
# Of a slice: an atom off its plane shows less than 1. Fainter ones than the first count for what a slice is explained
# by, but not as atoms: the second is 1.7 sigma from the plane, where a little noise moves an atom far.
FAINTEST, LEAST_IN_SLICE = 0.1, 0.25
ACROSS = 8  # voxels of one sigma that a slice is laid out over: its Gaussians have faded at their images


@dataclass(frozen=True)
class Sites:
    """Atoms of a structure, or those that show in a slice."""

    scaled: FloatArray  # (k, axes), in [0, 1)
    species: IntArray  # (k,), channels
    across: FloatArray  # (k,), Å: how far an atom is from the plane of a slice; 0 in three dimensions
    lattice: FloatArray  # (axes,), Å
    unexplained: float  # root mean square of what the atoms leave of the density, as a share of its own

    def __len__(self) -> int:
        return len(self.species)

    @property
    def positions(self) -> FloatArray:
        """Å, shape (k, axes)."""
        return self.scaled * self.lattice

    def counts(self, n_species: int) -> IntArray:
        """Atoms of each species."""
        return np.bincount(self.species, minlength=n_species)


def find_sites(
    density: FloatArray,
    lattice: FloatArray,
    spec: DataSpec,
    n_threads: int = 1,
    progress: Callable[[int], None] | None = None,
    fullest: float = np.inf,
) -> list[Sites]:
    """Atoms of densities.

    Parameters
    ----------
    density
        Shape (n, species, *shape).
    lattice
        Å, shape (n, axes).
    spec
        Of the data.
    n_threads
        For decoding.
    progress
        Called with the number of densities just done.
    fullest
        Densities of a higher mean are not decoded: noise would be for minutes. They show no atoms, and all of them is
        unexplained.

    Notes
    -----
    A slice through the Gaussian of an atom at the distance d from its plane is a Gaussian of the same width and of the
    height exp(-d^2 / 2 sigma^2). Laid out across its plane with the same Gaussian, a slice is a thin structure whose
    atoms have such heights; so slices are decoded as structures are.
    """
    find = _in_slices if spec.dimensions == 2 else _in_structures
    found: list[Sites] = []
    for begin in range(0, len(density), AT_ONCE):
        part, lengths = density[begin : begin + AT_ONCE], lattice[begin : begin + AT_ONCE]
        sparse = part.mean(axis=tuple(range(1, part.ndim))) <= fullest
        decoded = iter(find(part[sparse], lengths[sparse], spec, n_threads))
        found += [next(decoded) if each else no_sites(lengths[row]) for row, each in enumerate(sparse.tolist())]
        if progress is not None:
            progress(len(part))
    return found


def no_sites(lattice: FloatArray) -> Sites:
    """Of a density that nothing explains."""
    return Sites(np.empty((0, len(lattice))), np.empty(0, dtype=np.int64), np.empty(0), lattice, 1.0)


def sites_of(atoms: Atoms, species: Sequence[str]) -> Sites:
    """Atoms of a structure with a perpendicular cell, all of them of the species."""
    channel = {symbol: number for number, symbol in enumerate(species)}
    return Sites(
        scaled=atoms.get_scaled_positions() % 1.0,
        species=np.array([channel[symbol] for symbol in atoms.symbols], dtype=np.int64),
        across=np.zeros(len(atoms)),
        lattice=atoms.cell.lengths(),
        unexplained=0.0,
    )


def atoms_of(sites: Sites, species: Sequence[str]) -> Atoms:
    """A structure again, periodic, by species."""
    order = np.argsort(sites.species, kind="stable")
    symbols = [species[channel] for channel in sites.species[order].tolist()]
    return Atoms(symbols, scaled_positions=sites.scaled[order], cell=sites.lattice, pbc=True)


def _in_structures(density: FloatArray, lattice: FloatArray, spec: DataSpec, n_threads: int) -> list[Sites]:
    return [
        Sites(
            scaled=found.atoms.get_scaled_positions() % 1.0,
            species=np.repeat(np.arange(spec.n_species), list(found.counts.values())),
            across=np.zeros(len(found.atoms)),
            lattice=lengths,
            unexplained=found.unexplained,
        )
        for found, lengths in zip(decode_many(density, lattice, spec.grid, n_threads), lattice, strict=True)
    ]


def _in_slices(density: FloatArray, lattice: FloatArray, spec: DataSpec, n_threads: int) -> list[Sites]:
    u, z = spec.shape
    grid = Grid(species=spec.species, shape=(u, ACROSS, z), sigma=spec.sigma, tol=spec.tol)
    away = np.minimum(np.arange(ACROSS), ACROSS - np.arange(ACROSS))  # voxels, which are as wide as sigma
    profile = np.exp(-0.5 * away**2).astype(np.float32)
    thick = density[:, :, :, None, :] * profile[:, None]
    cells = np.insert(lattice, 1, ACROSS * spec.sigma, axis=1)
    sites = []
    for number, found in enumerate(decode_many(thick, cells, grid, n_threads, FAINTEST)):
        scaled = found.atoms.get_scaled_positions()[:, [0, 2]] % 1.0
        species = np.repeat(np.arange(spec.n_species), list(found.counts.values()))
        height = np.clip(found.confidence, 1e-6, 1.0)
        left = _unexplained(density[number], scaled, species, height, lattice[number], spec.sigma)
        seen = height >= LEAST_IN_SLICE
        across = spec.sigma * np.sqrt(-2.0 * np.log(height[seen]))
        sites.append(Sites(scaled[seen], species[seen], across, lattice[number], left))
    return sites


def _unexplained(
    density: FloatArray, scaled: FloatArray, species: IntArray, height: FloatArray, lengths: FloatArray, sigma: float
) -> float:
    """What Gaussians of those heights leave of a slice, as a share of its root mean square."""
    left = render_slice(scaled, species, height, lengths, sigma, density.shape) - density
    whole = float(np.vdot(density, density))
    return float(np.sqrt(np.vdot(left, left) / whole)) if whole > 0.0 else 0.0


def render_slice(
    scaled: FloatArray,
    species: IntArray,
    height: FloatArray,
    lengths: FloatArray,
    sigma: float,
    shape: tuple[int, ...],
) -> FloatArray:
    """The slice, shape (species, u, z), that atoms at scaled positions (k, 2) with those heights show."""
    factors = []
    for axis, side in enumerate(shape[1:]):
        away = np.arange(side) / side - scaled[:, axis, None]
        images = (away - np.round(away))[:, :, None] + np.array([-1.0, 0.0, 1.0])
        factors.append(np.exp(-0.5 * (images * lengths[axis] / sigma) ** 2).sum(axis=2))
    density = np.zeros(shape)
    for channel in range(shape[0]):
        of = species == channel
        density[channel] = np.einsum("k,ku,kz->uz", height[of], factors[0][of], factors[1][of])
    return density
