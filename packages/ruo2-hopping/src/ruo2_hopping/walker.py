"""One step of one walker: a pure function of where it stands, so that any process may take it, and take it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator

from ruo2_hopping.checks import Limits, find_fault
from ruo2_hopping.grand_potential import Reservoir, accept
from ruo2_hopping.history import START
from ruo2_hopping.moves import WeightedMove, make_move
from ruo2_hopping.relaxation import Course, Relaxation, relax


@dataclass(frozen=True)
class Walker:
    """One walk through structures."""

    run: int  # its number
    facet: str
    start: str  # name of the structure that it begins with
    mu_o: float  # eV


@dataclass(frozen=True)
class Method:
    """How steps are taken, by all walkers alike."""

    moves: tuple[WeightedMove, ...]
    limits: Limits
    relaxation: Relaxation
    oxygen_energy: float  # eV
    temperature: float  # K
    seed: int
    snapshots: Literal["all", "minima"] = "all"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step has led to."""

    frames: list[Atoms]  # to be written, the last one being its end; at least one
    place: Atoms  # where the walker stands now, with its energy


def relax_start(start: Atoms, facet: str, name: str, method: Method, calculator: BaseCalculator) -> Outcome:
    """Step 0 of all walkers that begin with a structure."""
    course = relax(start, calculator, method.relaxation, method.relaxation.start_steps)
    frames = course.frames or [start]
    about = {"facet": facet, "start": name, "mu_O": 0.0, "phase": 1, "run": START, "step": 0, "move": "start"}
    fault = course.fault or find_fault(frames[-1], method.limits)
    reservoir = Reservoir(method.oxygen_energy, 0.0)
    return _outcome(frames, about, course, fault, not fault, reservoir, method.snapshots)


def take_step(walker: Walker, step: int, place: Atoms, method: Method, calculator: BaseCalculator) -> Outcome:
    """Move, relax, check, and decide.

    Parameters
    ----------
    walker
        Whose step it is.
    step
        Its number, from 1.
    place
        Where the walker stands, with its energy and tags.
    method
        How steps are taken.
    calculator
        Gives energy and forces. If they depend on the structure alone, so does the step.

    Returns
    -------
    outcome
        All random numbers follow from (seed, run, step).

    Raises
    ------
    CalculatorError
        The calculator failed.
    ImpossibleMoveError
        No move can be made from here.
    """
    rng = np.random.default_rng([method.seed, walker.run, step])
    name, moved = make_move(method.moves, place, rng)
    course = relax(moved, calculator, method.relaxation, method.relaxation.steps)
    # Of a moved structure without an energy nothing can be kept but where it came from.
    frames = course.frames or [place]
    fault = course.fault or find_fault(frames[-1], method.limits)
    reservoir = Reservoir(method.oxygen_energy, walker.mu_o)
    change = reservoir.omega_of(frames[-1]) - reservoir.omega_of(place)
    accepted = accept(change, method.temperature, rng) and not fault
    about = {"facet": walker.facet, "start": walker.start, "mu_O": walker.mu_o, "phase": 1, "run": walker.run}
    about |= {"step": step, "move": name}
    made = _outcome(frames, about, course, fault, accepted, reservoir, method.snapshots)
    return made if accepted else Outcome(made.frames, place)


def _outcome(
    frames: Sequence[Atoms],
    about: dict[str, Any],
    course: Course,
    fault: str,
    accepted: bool,
    reservoir: Reservoir,
    snapshots: str,
) -> Outcome:
    """Frames that say what they are."""
    said = about | {"accepted": accepted, "converged": course.converged, "valid": not fault, "reject_reason": fault}
    last = len(frames) - 1
    told = []
    for substep in range(last + 1) if snapshots == "all" else [last]:
        frame = frames[substep].copy()
        frame.calc = frames[substep].calc
        omega = reservoir.omega_of(frame)
        frame.info = said | {"substep": substep, "final": substep == last, "omega": omega}
        told.append(frame)
    return Outcome(told, told[-1])
