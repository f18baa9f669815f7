"""The test of classes by a calculator: energies of the first structures of each set, and what they say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ase.calculators.calculator import BaseCalculator

from ruo2_voxel import Labelling
from ruo2_wgan.verdict.atoms.sites import atoms_of
from ruo2_wgan.verdict.energy.energies import evaluate_energies
from ruo2_wgan.verdict.energy.labels import judge_labels
from ruo2_wgan.verdict.findings import Stage
from ruo2_wgan.verdict.structure_set import StructureSet


@dataclass(frozen=True)
class EnergyTest:
    """How energies are had, and what they are sorted into."""

    name: str  # MODULE:CALLABLE
    calculator: BaseCalculator
    labelling: Labelling
    relax_steps: int = 0
    most: int = 200  # structures of each set

    def judge(self, sets: Mapping[str, StructureSet], stage: Stage) -> dict[str, Any]:
        """Plain values: for each set those of `judge_labels`, and what all have in common."""
        return {
            "label": self.labelling.label,
            "unit": self.labelling.units,
            "edges": self.labelling.edges.tolist(),
            "calculator": self.name,
            "relaxed_steps": self.relax_steps,
            **{name: self._judge(name, structures, stage) for name, structures in sets.items()},
        }

    def _judge(self, name: str, structures: StructureSet, stage: Stage) -> dict[str, Any]:
        n = min(len(structures), self.most)
        atoms = [atoms_of(sites, structures.spec.species) for sites in structures.sites[:n]]
        advance = stage(f"energies of {name.replace('_', '-')} structures", n)
        energies = evaluate_energies(atoms, self.calculator, self.relax_steps, progress=advance)
        return judge_labels(structures.asked[:n], energies, atoms, self.labelling)
