"""The different minima that a search found: how often each, and when first."""

from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import TrajectoryWriter

from ruo2_hopping.errors import OutputError
from ruo2_hopping.fingerprints import Fingerprint, distance, fingerprint
from ruo2_hopping.history import History, Step
from ruo2_hopping.whole_file import whole_file

ENERGY: Final = 0.02  # eV
DISTANCE: Final = 0.3  # Å


@dataclass(frozen=True)
class Minimum:
    """Ends of relaxations that are one structure.

    Parameters
    ----------
    lowest
        The end of lowest energy; it stands for the others.
    first
        The end that came first in the trajectory.
    found
        How many ends there are.
    found_at
        How many of them at each mu_O, eV. A start counts at 0, the mu_O that its frames have.
    """

    lowest: Step
    first: Step
    found: int
    found_at: dict[float, int]


def find_minima(
    history: History, energy: float = ENERGY, apart: float = DISTANCE, unconverged: bool = False
) -> list[Minimum]:
    """Sort the valid, converged ends of relaxations by which of them are one structure.

    Parameters
    ----------
    history
        A search; starts count too.
    energy
        Structures whose total energies differ by more, eV, are different.
    apart
        So are those whose fingerprints are farther apart, Å; see `ruo2_hopping.fingerprints.distance`.
    unconverged
        Take relaxations that ended before the forces were small, too.

    Returns
    -------
    minima
        Of each slab in turn; within it from low to high grand potential for each mu_O in turn, from low to high energy
        per atom where no oxygen energy is known.

    Raises
    ------
    OutputError
        Tolerances that are not positive.

    Notes
    -----
    Ends are gone through by ascending energy. One that is like a minimum of the same composition found before, by
    energy and by fingerprint, belongs to the nearest of these; else it is a new one. Relaxed ends of a search on
    RuO2(110) and (100) to 0.05 eV/Å were below 0.25 Å or above 0.35 Å apart, so `apart` is 0.3 Å.
    """
    for name, value in (("energy", energy), ("apart", apart)):
        if not value > 0:
            raise OutputError(f"{name} must be positive; found {value!r}")
    ends = [step for step in history.steps if step.valid and (step.converged or unconverged)]
    ends.sort(key=lambda step: (step.slab, step.formula, step.energy))
    groups: list[list[Step]] = []
    near: deque[tuple[int, Fingerprint]] = deque()  # minima that the next end may be like
    for end, atoms in zip(ends, history.structures(ends), strict=True):
        while near and not _alike(groups[near[0][0]][0], end, energy):
            near.popleft()
        own = fingerprint(atoms)
        found = [(distance(own, other, apart), index) for index, other in near]
        nearest, index = min(found, default=(float("inf"), -1))
        if nearest <= apart:
            groups[index].append(end)
        else:
            near.append((len(groups), own))
            groups.append([end])
    minima = [
        Minimum(
            group[0],
            min(group, key=lambda step: step.frame),
            len(group),
            dict(sorted(Counter(step.walker.mu_o for step in group).items())),
        )
        for group in groups
    ]
    return sorted(minima, key=lambda minimum: _rank(history, minimum.lowest))


def _alike(lowest: Step, end: Step, energy: float) -> bool:
    """Whether composition and energy let an end belong to a minimum."""
    return (lowest.slab, lowest.formula) == (end.slab, end.formula) and end.energy - lowest.energy <= energy


def _rank(history: History, step: Step) -> tuple[str, float, float]:
    omega = history.omega(step)
    return (step.slab, 0.0, step.energy_per_atom) if omega is None else (step.slab, step.walker.mu_o, omega)


def write_minima(history: History, minima: list[Minimum], path: str, overwrite: bool = False) -> None:
    """Write one frame for each minimum, in their order, to an ASE trajectory; whole or not at all.

    Parameters
    ----------
    history
        The search.
    minima
        Of it.
    path
        Name that ends in .traj.
    overwrite
        Replace what stands there.

    Raises
    ------
    OutputError
        Another ending, no minima, a folder that does not exist, a file in the way.

    Notes
    -----
    Frames keep the info, energy and forces of the lowest end, and add to info: found (times), found_at (times for each
    mu_O, as "-0.5: 3, 0: 1"), first_run, first_step and first_frame, and omega where the oxygen energy is known.
    """
    target = Path(path)
    if target.suffix != ".traj":
        raise OutputError(f"{target}: the name must end in .traj; found {target.suffix or 'no ending'}")
    if not minima:
        raise OutputError(
            f"{history.path}: must hold a valid, converged relaxation; found none. Take unconverged ones with "
            "--unconverged"
        )
    description = {**history.description, "minima_of": Path(history.path).name}
    if history.oxygen_energy is not None:
        description["oxygen_energy"] = history.oxygen_energy
    ends = [minimum.lowest for minimum in minima]
    with whole_file(target, overwrite) as unfinished, TrajectoryWriter(unfinished) as writer:
        writer.set_description({"ruo2_hopping": description})
        for minimum, atoms in zip(minima, history.structures(ends), strict=True):
            atoms.info |= {
                "found": minimum.found,
                "found_at": ", ".join(f"{mu_o:g}: {n}" for mu_o, n in minimum.found_at.items()),
                "first_run": minimum.first.walker.run,
                "first_step": minimum.first.step,
                "first_frame": minimum.first.frame,
            }
            omega = history.omega(minimum.lowest)
            if omega is not None:
                atoms.info["omega"] = omega
            atoms.calc = SinglePointCalculator(atoms, **atoms.calc.results)
            writer.write(atoms)
