"""Downhill from a structure, one snapshot after the other."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.optimize import FIRE

from ruo2_hopping.calculators import told
from ruo2_hopping.errors import CalculatorError, ConfigError
from ruo2_hopping.layers import BULK


@dataclass(frozen=True)
class Relaxation:
    """When a relaxation ends.

    Parameters
    ----------
    fmax
        eV/Å: it has converged when no atom that may move feels a larger force.
    steps
        Of FIRE, at most, after a move; it is kept as it then is, and marked.
    start_steps
        The same of a start, which is relaxed once and shall be where it belongs.
    farthest
        Å that an atom may go from where it began; farther, the relaxation has exploded and is given up.

    Raises
    ------
    ConfigError
        Numbers that cannot be.
    """

    fmax: float = 0.1
    steps: int = 200
    start_steps: int = 500
    farthest: float = 6.0

    def __post_init__(self) -> None:
        for name in ("fmax", "farthest"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ConfigError(f"relaxation.{name} must be a positive number; found {getattr(self, name)!r}")
        for name in ("steps", "start_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"relaxation.{name} must not be negative; found {getattr(self, name)!r}")


class Course(NamedTuple):
    """What a relaxation went through."""

    frames: list[Atoms]  # each with energy (eV) and forces (eV/Å), as it began first; empty if even that has no energy
    converged: bool
    fault: str  # why it was given up, or ""


def relax(structure: Atoms, calculator: BaseCalculator, limits: Relaxation, steps: int) -> Course:
    """Relax all atoms but those of the bulk by FIRE.

    Parameters
    ----------
    structure
        Tags say what is bulk. It stays as it is.
    calculator
        Gives energy and forces.
    limits
        Largest force and largest way; `steps` says how many steps.

    Returns
    -------
    course
        Snapshots without constraints. An energy or a force that is not a number, or an atom that flies off, ends it;
        the snapshots before are kept.

    Raises
    ------
    CalculatorError
        The calculator raised an error.

    Notes
    -----
    Source: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006), doi:10.1103/PhysRevLett.97.170201.
    """
    atoms = structure.copy()
    atoms.set_constraint(FixAtoms(mask=atoms.get_tags() == BULK))
    atoms.calc = calculator
    frames: list[Atoms] = []
    converged = False
    try:
        for near in FIRE(atoms, logfile=None).irun(fmax=limits.fmax, steps=steps):
            energy, forces = float(atoms.get_potential_energy()), np.array(atoms.get_forces(apply_constraint=False))
            if fault := _explosion(energy, forces, atoms.positions - structure.positions, limits.farthest, len(frames)):
                return Course(frames, False, fault)
            frames.append(_snapshot(atoms, energy, forces))
            converged = bool(near)
    except Exception as error:  # a calculator may raise anything
        raise CalculatorError(f"the calculator failed after {len(frames)} steps: {told(error)}") from error
    return Course(frames, converged, "")


def _snapshot(atoms: Atoms, energy: float, forces: np.ndarray) -> Atoms:
    frame: Atoms = atoms.copy()
    frame.set_constraint()
    frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces)
    return frame


def _explosion(energy: float, forces: np.ndarray, way: np.ndarray, farthest: float, step: int) -> str:
    """What is wrong after a step, or nothing."""
    if not (math.isfinite(energy) and np.isfinite(forces).all()):
        return f"exploded: energy and forces are no numbers after {step} steps"
    lengths = np.linalg.norm(way, axis=1)
    if not lengths.max(initial=0.0) <= farthest:
        return f"exploded: atom {int(lengths.argmax())} went {lengths.max():.3g} Å in {step} steps"
    return ""
