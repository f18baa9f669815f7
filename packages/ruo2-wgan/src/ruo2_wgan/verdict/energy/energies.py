"""Energies of samples by any calculator of ASE: how it is named, and what becomes of samples that it cannot stand."""

import contextlib
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from typing import Any, Final, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.optimize import FIRE
from numpy.typing import NDArray

from ruo2_wgan.errors import CalculatorError

EXAMPLE: Final = "chgnet.model.dynamics:CHGNetCalculator"
# What to install for the modules of well-known potentials. The extra has CHGNet only: the others want versions of e3nn
# that exclude each other.
INSTALL: Final = {
    "chgnet": "pip install 'ruo2-wgan[mlip]'",
    "mace": "pip install mace-torch (the extra [mlip] has chgnet only)",
    "sevenn": "pip install sevenn (the extra [mlip] has chgnet only)",
    "quippy": "pip install quippy-ase (the extra [mlip] has chgnet only)",
}
# Beyond these an energy is no energy, eV per atom. All electrons of the heaviest elements, which some methods count,
# lie above the one; atoms far inside each other's cores, where potentials are not fitted, lie above the other.
LOWEST: Final = -1e6
HIGHEST: Final = 1e3
LONGEST_REASON: Final = 200


class Failure(NamedTuple):
    """A sample without an energy."""

    sample: int
    error: str


@dataclass(frozen=True, eq=False)
class Energies:
    """Energies of samples, and why some have none."""

    values: NDArray[np.float64]  # (samples,), eV, NaN where it failed
    failures: tuple[Failure, ...]  # by sample


class _NoEnergyError(Exception):
    """Says why a sample has no energy although its calculator did not complain."""


def load_calculator(spec: str, arguments: Mapping[str, Any] | None = None) -> BaseCalculator:
    """A calculator of ASE, by the name of what makes it.

    Parameters
    ----------
    spec
        MODULE:CALLABLE, as in "chgnet.model.dynamics:CHGNetCalculator" or "mace.calculators:mace_mp". The callable may
        be an attribute of another, as in "chgnet.model.dynamics:CHGNetCalculator.from_file".
    arguments
        Its keyword arguments.

    Raises
    ------
    CalculatorError
        No colon; a module that is not installed or cannot be imported; no such attribute, or one that cannot be
        called; arguments that it refuses; something else than a calculator of ASE.

    Notes
    -----
    What importing and calling it print goes to stderr, as stdout may be for a program to read.
    """
    module_name, colon, path = spec.partition(":")
    if not (module_name and colon and path):
        raise CalculatorError(f"a calculator must be named as MODULE:CALLABLE, like {EXAMPLE}; found {spec!r}")
    with contextlib.redirect_stdout(sys.stderr):
        module = _import(module_name)
        try:
            make = reduce(getattr, path.split("."), module)
        except AttributeError as error:
            raise CalculatorError(
                f"calculator {spec}: {path} must be found in the module {module_name}; {_told(error)}"
            ) from error
        if not callable(make):
            raise CalculatorError(
                f"calculator {spec}: must be a class or function that makes a calculator; found {_kind(make)}"
            )
        try:
            calculator = make(**(arguments or {}))
        except Exception as error:  # whatever it does not like, a missing file or an unknown name
            given = ", ".join(f"{name}={value!r}" for name, value in (arguments or {}).items()) or "no arguments"
            raise CalculatorError(
                f"calculator {spec}: must accept its arguments; with {given} it raised {_told(error)}"
            ) from error
    if not isinstance(calculator, BaseCalculator):
        raise CalculatorError(f"calculator {spec}: must make a calculator of ASE; it made {_kind(calculator)}")
    return calculator


def evaluate_energies(
    structures: Sequence[Atoms],
    calculator: BaseCalculator,
    relax_steps: int = 0,
    fmax: float = 0.05,
    progress: Callable[[int], None] | None = None,
) -> Energies:
    """Potential energies of samples as they are, or after some steps of relaxation.

    Parameters
    ----------
    structures
        Left as they are.
    calculator
        Any of ASE; with `relax_steps` it must give forces.
    relax_steps
        At most as many steps of FIRE first, in a cell that stays; 0 for single points. All atoms relax but those that a
        structure itself holds fixed: which ones its data held cannot be known of a sample.
    fmax
        eV/Å, the largest force at which a relaxation ends.
    progress
        Called with the number of samples just done.

    Returns
    -------
    energies
        Of samples without atoms, for which the calculator raises an error, or whose energy or forces are no numbers or
        beyond all bounds (`LOWEST`, `HIGHEST`) there is none, but a reason. None of them ends the evaluation.
    """
    values = np.full(len(structures), np.nan)
    failures = []
    with contextlib.redirect_stdout(sys.stderr):
        for sample, structure in enumerate(structures):
            try:
                values[sample] = _energy(structure, calculator, relax_steps, fmax)
            except _NoEnergyError as error:
                failures.append(Failure(sample, str(error)))
            except Exception as error:  # a calculator may raise anything, and the next sample may suit it
                failures.append(Failure(sample, _told(error)))
            if progress is not None:
                progress(1)
    return Energies(values, tuple(failures))


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:  # modules with compiled parts fail in many ways
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{name}.".startswith(f"{missing}."):
            raise CalculatorError(f"module {name} must be importable; found {_told(error)}") from error
        package = name.partition(".")[0]
        advice = INSTALL.get(package, "Install it, or name its folder in PYTHONPATH")
        if missing != package:
            advice = f"There is {package}: compare its version with the path of the module"
        raise CalculatorError(f"module {name} must be installed; found no {missing}. {advice}") from error


def _energy(structure: Atoms, calculator: BaseCalculator, relax_steps: int, fmax: float) -> float:
    if not len(structure):
        raise _NoEnergyError("no atoms")
    atoms = structure.copy()
    atoms.calc = calculator
    if relax_steps:
        # Of forces that are not finite FIRE would go on to places that are not, where neighbour lists never end.
        for step, _ in enumerate(FIRE(atoms, logfile=None).irun(fmax=fmax, steps=relax_steps)):
            if not np.isfinite(atoms.get_forces()).all():
                raise _NoEnergyError(f"forces must be finite; found others after {step} steps of relaxation")
    energy = float(atoms.get_potential_energy())
    if not LOWEST <= energy / len(atoms) <= HIGHEST:
        raise _NoEnergyError(
            f"energy must lie from {LOWEST:g} to {HIGHEST:g} eV per atom; found {energy:g} eV of {len(atoms)} atoms"
        )
    return energy


def _told(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", LONGEST_REASON, placeholder=" ...")


def _kind(thing: object) -> str:
    return f"a {type(thing).__name__}"
