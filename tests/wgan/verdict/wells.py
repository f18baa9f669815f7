"""A calculator whose energies are known."""

from collections.abc import Callable, Sequence
from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes


class KnownEnergy(Calculator):
    """Energies by a function of the structure."""

    implemented_properties = ("energy",)

    def __init__(self, energy: Callable[[Atoms], float], **options: Any) -> None:
        super().__init__(**options)
        self._energy = energy

    def calculate(
        self, atoms: Atoms | None = None, properties: Sequence[str] = ("energy",), changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, changes)
        self.results = {"energy": self._energy(self.atoms)}
