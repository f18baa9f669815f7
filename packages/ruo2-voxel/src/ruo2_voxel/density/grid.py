"""What a density is sampled on: which species, how many voxels, how wide the Gaussians, how exact."""

import math
import operator
import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import atomic_numbers

from ruo2_voxel.errors import GridError
from ruo2_voxel.typing import FloatArray, IntArray

CATCH_ALL = "*"  # the channel of every species that has none of its own

SMALLEST_TOL = 1e-5
ROUNDING = 4e-6  # float32 arithmetic against float64, over the same window: part of `tol`
DENSEST = 0.25  # atoms of one species per Å^3: above any solid (diamond 0.18)
COARSEST = 0.6  # sigma in voxels below which a Gaussian is undersampled
WIDEST = 0.9  # Å; at 0.8 every atom of a real search was found again, at 1.0 some were lost: docs/decoding.md


class AliasingWarning(UserWarning):
    """The Gaussians are so narrow for the voxels that a density no longer counts its atoms."""


class BlurWarning(UserWarning):
    """The Gaussians are so wide that neighbours of one species become one hill."""


@dataclass(frozen=True)
class Grid:
    """A periodic grid that spans a cell, one channel for each species.

    Parameters
    ----------
    species
        Element symbols in the order of the channels; "*" stands for all species not named.
    shape
        Voxels along the three cell vectors, the same number whatever the cell; one number for a cube.
    sigma
        Width of the Gaussians, Å.
    tol
        Largest error of a density value, from truncating the Gaussians and from float32 arithmetic together; of values
        above 10, where atoms pile up, a millionth of the value if that is more.

    Raises
    ------
    GridError
        A species that is no element or stands twice, a side below 1, a sigma or tol out of range.

    Notes
    -----
    rho_s(r) = sum over atoms i of species s, and their periodic images, of exp(-|r - r_i|^2 / 2 sigma^2), at the nodes
    (i/nx, j/ny, k/nz) of the cell in scaled coordinates. Node (0, 0, 0) is the corner of the cell.

    Gaussians are cut off where a sphere of radius `cutoff` around an atom ends. What lies outside one is less than
    exp(-cutoff^2 / 2 sigma^2); `cutoff` is chosen so that this, times the number of atoms that can sit near the edge
    of that sphere, stays below `tol`: at least four, more where sigma is wide enough to reach many (a uniform gas of
    twice 0.25 atoms/Å^3 of one species, or twice the structure's own density if that is higher).
    """

    species: tuple[str, ...] = ("Ru", "O")
    shape: tuple[int, int, int] = (32, 32, 32)
    sigma: float = 0.45
    tol: float = 1e-4

    def __post_init__(self) -> None:
        object.__setattr__(self, "species", _checked_species(self.species))
        object.__setattr__(self, "shape", _checked_shape(self.shape))
        object.__setattr__(self, "sigma", _checked_number(self.sigma, "sigma", "Å"))
        object.__setattr__(self, "tol", _checked_number(self.tol, "tol", ""))
        if not SMALLEST_TOL <= self.tol <= 0.1:
            raise GridError(f"tol must lie between {SMALLEST_TOL:g} (float32 allows no less) and 0.1, got {self.tol:g}")

    @classmethod
    def from_alpha(
        cls,
        alpha: float,
        species: tuple[str, ...] = ("Ru", "O"),
        shape: tuple[int, int, int] = (32, 32, 32),
        tol: float = 1e-4,
    ) -> "Grid":
        """The grid whose Gaussians are exp(-alpha r^2), alpha in Å^-2; sigma = 1 / sqrt(2 alpha)."""
        alpha = _checked_number(alpha, "alpha", "Å^-2")
        return cls(species=species, shape=shape, sigma=1.0 / math.sqrt(2.0 * alpha), tol=tol)

    @property
    def n_species(self) -> int:
        return len(self.species)

    @property
    def alpha(self) -> float:
        """1 / (2 sigma^2), Å^-2."""
        return 0.5 / self.sigma**2

    @property
    def cutoff(self) -> float:
        """Distance, Å, at which Gaussians are truncated; more in structures denser than any solid."""
        return self._usual_cutoff * self.sigma

    @cached_property
    def channel_of_number(self) -> IntArray:
        """The channel of each atomic number from 0 to 118; -1 where it has none."""
        rest = self.species.index(CATCH_ALL) if CATCH_ALL in self.species else -1
        table = np.full(119, rest, dtype=np.int64)
        for channel, symbol in enumerate(self.species):
            if symbol != CATCH_ALL:
                table[atomic_numbers[symbol]] = channel
        return table

    def cutoffs(self, number_densities: FloatArray) -> FloatArray:
        """Truncation in units of sigma for structures of these number densities (of one species, Å^-3)."""
        u = np.full(len(number_densities), self._usual_cutoff)
        crowded = number_densities > DENSEST
        if crowded.any():
            u[crowded] = self._cutoff_at(number_densities[crowded])
        return u

    @cached_property
    def _usual_cutoff(self) -> float:
        return float(self._cutoff_at(np.array([DENSEST]))[0])

    def _cutoff_at(self, number_densities: FloatArray) -> FloatArray:
        """Solve `crowd(u) exp(-u^2 / 2) = tol` for u by iteration, which gains two digits a step."""
        gas = 2.0 * 4.0 * math.pi * self.sigma**3 * number_densities
        u = np.full(len(number_densities), 4.0)
        for _ in range(8):
            # One atom on the edge and the tail of the gas: 4 pi n int_u^inf r^2 g dr ~ 4 pi n sigma^3 (u + 1/u) g(u).
            crowd = np.maximum(4.0, 1.0 + gas * (u + 1.0 / u))
            u = np.sqrt(2.0 * np.log(crowd / (self.tol - ROUNDING)))
        return u

    def voxel_spacings(self, cell: FloatArray) -> FloatArray:
        """Distances, Å, between neighbouring voxel planes along the three axes of cells (..., 3, 3)."""
        spacings: FloatArray = 1.0 / (np.linalg.norm(np.linalg.inv(cell), axis=-2) * np.array(self.shape))
        return spacings

    def warn_if_aliased(self, cell: FloatArray, where: str) -> None:
        """Warn where sigma is below 0.6 voxel, and say which sigma or grid would do."""
        spacings = self.voxel_spacings(np.asarray(cell, dtype=np.float64))
        if self.sigma >= COARSEST * spacings.max():
            return
        wanted = [max(n, math.ceil(n * COARSEST * d / self.sigma)) for n, d in zip(self.shape, spacings, strict=True)]
        warnings.warn(
            f"{where}: sigma {self.sigma:.3g} Å is {self.sigma / spacings.max():.2f} voxel along "
            f"{'xyz'[int(spacings.argmax())]}, below {COARSEST}: densities no longer count their atoms. "
            f"Use sigma {COARSEST * spacings.max():.2g} Å or more, or a grid of {wanted[0]},{wanted[1]},{wanted[2]}.",
            AliasingWarning,
            stacklevel=3,
        )

    def warn_if_wide(self) -> None:
        """Warn where sigma is above 0.9 Å: atoms could not be told apart when the density is decoded."""
        if self.sigma > WIDEST:
            warnings.warn(
                f"sigma {self.sigma:.3g} Å is above {WIDEST} Å: atoms of one species 2.5 Å apart, as O in oxides, "
                f"become one hill, and decoding loses some. Use a smaller sigma.",
                BlurWarning,
                stacklevel=3,
            )


def _checked_species(species: object) -> tuple[str, ...]:
    if isinstance(species, str) or not hasattr(species, "__iter__"):
        raise GridError(f"species must be a sequence of element symbols such as ('Ru', 'O'), got {species!r}")
    symbols = tuple(str(symbol) for symbol in species)
    if not symbols:
        raise GridError("species must name at least one element, got none")
    for symbol in symbols:
        if symbol != CATCH_ALL and (symbol not in atomic_numbers or symbol == "X"):
            raise GridError(f"species must be element symbols, or * for all others; got {symbol!r}")
        if symbols.count(symbol) > 1:
            raise GridError(f"species must differ from each other, got {symbol} twice in {','.join(symbols)}")
    return symbols


def _checked_shape(shape: object) -> tuple[int, int, int]:
    sides = (shape,) * 3 if isinstance(shape, int | np.integer) else shape
    try:
        nx, ny, nz = (operator.index(n) for n in sides)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise GridError(f"shape must be whole numbers of voxels from 1 to 4096, one or three; got {shape!r}") from None
    if min(nx, ny, nz) < 1 or max(nx, ny, nz) > 4096:
        raise GridError(f"shape must be whole numbers of voxels from 1 to 4096, got {nx},{ny},{nz}")
    return nx, ny, nz


def _checked_number(value: float, name: str, unit: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0.0):
        raise GridError(f"{name} must be a positive number{' of ' + unit if unit else ''}, got {value!r}")
    return number
