"""The history of a search: its relaxations, where each ended, and whose steps they were."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

from ase import Atoms
from ase.io.trajectory import TrajectoryReader

from ruo2_hopping.grand_potential import Reservoir

START: Final = -1  # the run of relaxations of starts


class Walker(NamedTuple):
    """Whose steps they are."""

    phase: int
    facet: str
    start: str
    mu_o: float  # eV, relative to the oxygen energy
    run: int


@dataclass(frozen=True, slots=True)
class Step:
    """A relaxation, by its end: the step of a walker, or a start that several walkers share.

    Parameters
    ----------
    walker
        Run -1 and mu_O 0 of a start.
    step
        Number within the walker's steps, from 1; 0 of a start.
    move, accepted, converged, valid, reject_reason
        As in the trajectory.
    frame
        Index of the end in the trajectory.
    fire_steps
        Steps of the optimiser.
    energy
        Of the end, eV.
    metals
        Metal atoms of the end, as in "Ru12".
    n_metals, n_oxygen
        How many atoms it has.
    """

    walker: Walker
    step: int
    move: str
    accepted: bool
    converged: bool
    valid: bool
    reject_reason: str
    frame: int
    fire_steps: int
    energy: float
    metals: str
    n_metals: int
    n_oxygen: int

    @property
    def formula(self) -> str:
        return f"{self.metals}O{self.n_oxygen}" if self.n_oxygen else self.metals

    @property
    def slab(self) -> str:
        """Facet and metal atoms, as in "110 Ru12": grand potentials are comparable among structures of one slab."""
        return f"{self.walker.facet} {self.metals}"

    @property
    def energy_per_atom(self) -> float:
        return self.energy / (self.n_metals + self.n_oxygen)

    @property
    def oxygen_per_metal(self) -> float:
        return self.n_oxygen / self.n_metals


@dataclass(frozen=True)
class History:
    """A search, without its structures.

    Parameters
    ----------
    path
        The trajectory.
    n_frames
        All frames of it.
    steps
        Relaxations in the order of their ends.
    unfinished
        Relaxations whose end is not there, because the search still runs or was stopped; they are no steps.
    marked
        Whether frames say which of them are ends; else the last frame of each relaxation is taken for its end.
    oxygen_energy
        E_O, eV for each O; None where it is not known.
    description
        What the file says of the search.
    """

    path: str
    n_frames: int
    steps: tuple[Step, ...]
    unfinished: int
    marked: bool
    oxygen_energy: float | None
    description: dict[str, Any]

    def omega(self, step: Step, mu_o: float | None = None) -> float | None:
        """Grand potential of an end, eV, at a mu_O, else at the walker's; None where no oxygen energy is known."""
        if self.oxygen_energy is None:
            return None
        reservoir = Reservoir(self.oxygen_energy, step.walker.mu_o if mu_o is None else mu_o)
        return reservoir.omega(step.energy, step.n_oxygen)

    def walkers(self) -> dict[Walker, list[Step]]:
        """The steps of each walker, in their order; without the relaxations of starts."""
        steps = sorted((step for step in self.steps if step.walker.run != START), key=lambda each: each.walker)
        return {
            walker: sorted(own, key=lambda each: each.step)
            for walker, own in groupby(steps, key=lambda each: each.walker)
        }

    def start_of(self, walker: Walker) -> Step | None:
        """Where a walker began, if the file holds it."""
        start = walker._replace(run=START, mu_o=0.0)
        return next((step for step in self.steps if step.walker == start), None)

    def structures(self, steps: Iterable[Step]) -> Iterator[Atoms]:
        """The ends of steps, read one at a time."""
        with open(self.path, "rb") as file:
            reader = TrajectoryReader(file)
            for step in steps:
                yield reader[step.frame]
