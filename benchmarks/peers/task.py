"""What a peer is asked for, and what it must be able to do."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from workloads import CELL_LENGTH, SPECIES, FloatArray, Structure, Workload

N_SPECIES = len(SPECIES)


@dataclass(frozen=True)
class Task:
    """A density of structures in cubic cells, at a stated error."""

    workload: Workload
    tol: float  # the stated error
    cutoff: float  # Å, that keeps to it
    window: int  # voxels along an axis within the cutoff
    first: Structure
    exact: FloatArray  # density of `first`
    other_python: str  # an interpreter for peers that our packages cannot share one with
    resources: ExitStack  # closes what peers open

    @property
    def side(self) -> int:
        return self.workload.side

    @property
    def voxel(self) -> float:
        """Å."""
        return CELL_LENGTH / self.side

    @property
    def sigma(self) -> float:
        """Å."""
        return self.workload.sigma

    def largest_error(self, density: FloatArray) -> float:
        """Of a density of `first`."""
        return float(np.abs(density - self.exact).max())


class Renderer(Protocol):
    """A peer at work on one task."""

    versions: dict[str, str]  # of packages, where it runs in another interpreter

    def load(self, structures: list[Structure]) -> None:
        """Prepare structures; not timed."""

    def run(self) -> None:
        """Render every loaded structure; timed."""

    def density(self) -> FloatArray:
        """Of the first loaded structure, (species, nx, ny, nz)."""


@dataclass
class InProcess:
    """A renderer made of two functions: what is prepared for a structure, and the density from that."""

    prepare: Callable[[Structure], Any]
    render: Callable[[Any], Any]
    versions: dict[str, str] = field(default_factory=dict)

    def load(self, structures: list[Structure]) -> None:
        self.loaded = [self.prepare(structure) for structure in structures]

    def run(self) -> None:
        for prepared in self.loaded:
            self.render(prepared)

    def density(self) -> FloatArray:
        return np.array(self.render(self.loaded[0]))


@dataclass(frozen=True)
class Peer:
    """A way to render, by name.

    `kind` is "by hand" for what a user would write with NumPy and SciPy, "library" for a published renderer of this
    very sum of Gaussians, "transform" for a published transform that one can build it on, "other function" for a
    renderer whose Gaussians do not add up.
    """

    name: str
    kind: str
    packages: tuple[str, ...]
    start: Callable[[Task], Renderer]


def by_species(structure: Structure) -> list[FloatArray]:
    """Scaled positions of each species."""
    return [structure.scaled[structure.channel == s] for s in range(N_SPECIES)]


def with_ghosts(structure: Structure, cutoff: float) -> tuple[FloatArray, np.ndarray]:
    """Positions (Å) and channels of the atoms and of all their images within the cutoff of the cubic cell."""
    images = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    scaled = (structure.scaled + images).reshape(-1, 3)
    margin = cutoff / CELL_LENGTH
    near = ((scaled > -margin) & (scaled < 1.0 + margin)).all(axis=1)
    return scaled[near] @ structure.cell, np.tile(structure.channel, len(images))[near]
