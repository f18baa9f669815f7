"""Calculators, moves and tasks that tests can foresee."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from ruo2_hopping.errors import CalculatorError, ImpossibleMoveError

PER_OXYGEN = -5.0  # eV


class Counting(Calculator):
    """No forces, and an energy that counts oxygen: every structure is relaxed already."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": PER_OXYGEN * int((atoms.numbers == 8).sum()), "forces": np.zeros((len(atoms), 3))}


class Springs(Calculator):
    """All atoms hang on springs (eV/Å^2) at the places of the first structure it has seen, or at those given."""

    implemented_properties = ("energy", "forces")

    def __init__(self, places: NDArray[np.float64] | None = None, stiffness: float = 2.0, after: int = 10**9) -> None:
        super().__init__()
        self.places, self.stiffness, self.after, self.calls = places, stiffness, after, 0

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.places = atoms.positions.copy() if self.places is None else self.places
        way = atoms.positions - self.places
        self.calls += 1
        energy = self.stiffness / 2 * (way**2).sum() if self.calls <= self.after else np.nan
        self.results = {"energy": energy, "forces": -self.stiffness * way}


class Failing(Counting):
    """Raises an error of its own."""

    def calculate(self, *_: Any, **__: Any) -> None:
        raise ArithmeticError("no energy today")


class MakeDioxygen:
    """Puts O2 above the slab."""

    name = "dioxygen"

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        top = atoms.positions[:, 2].max()
        made = atoms + Atoms("O2", [[0.5, 0.5, top + 2.0], [0.5, 0.5, top + 3.2]])
        made.set_tags([*atoms.get_tags(), 2, 2])
        return made


class AddOxygen:
    """Puts an oxygen atom where the last one is, a little higher."""

    name = "add"

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        ruthenium = atoms.positions[atoms.numbers == 44]
        made = atoms + Atoms("O", [ruthenium[ruthenium[:, 2].argmax()] + [0.0, 0.0, 1.9]])
        made.set_tags([*atoms.get_tags(), 2])
        return made


class Never:
    """Cannot be made."""

    name = "never"

    def propose(self, atoms: Atoms, rng: np.random.Generator) -> Atoms:
        raise ImpossibleMoveError("never")


# ---- Tasks, which processes of their own find by name.


def answer(number: int, calculator: Any) -> int:
    return 2 * number


def fail(calculator: Any) -> None:
    raise CalculatorError("no energy today")


def fail_once(trace: Path, calculator: Any) -> int:
    """Fails as long as there is no trace of it, and with a calculator that has failed."""
    if not trace.exists() or hasattr(calculator, "has_failed"):
        trace.touch()
        calculator.has_failed = True
        raise CalculatorError("no energy today")
    return 7


def find_impossible(trace: Path, calculator: Any) -> None:
    with trace.open("a") as file:
        file.write("x")
    raise ImpossibleMoveError("no room")


def die(calculator: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(trace: Path, calculator: Any) -> int:
    if not trace.exists():
        trace.touch()
        os._exit(3)
    return 7


def stumble(calculator: Any) -> None:
    raise KeyError("a bug")
