"""How a store labels structures and sorts them into classes, for structures that are not in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from ase import Atoms

from ruo2_voxel.errors import StoreError, StructureError
from ruo2_voxel.store.plan import BuildOptions
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.structures.labels import UNITS, Labelled, label_values, units_of
from ruo2_voxel.structures.surface_energy import SurfaceReference
from ruo2_voxel.typing import Array, FloatArray, IntArray

NO_CLASS: Final = -1


class Sorted(NamedTuple):
    """Values sorted into classes; one of each for every value."""

    classes: IntArray  # NO_CLASS where a value lies beyond the edges, or is NaN
    below: Array  # bool, lower than the lowest edge
    above: Array  # bool, higher than the highest edge


@dataclass(frozen=True, eq=False)
class Labelling:
    """The label of a store, the edges of its classes, and what its own structures have.

    `read_labelling` takes it from a store.
    """

    label: str  # energy-per-atom, energy or surface-free-energy
    edges: FloatArray  # (classes + 1,), in `units`
    reference: SurfaceReference | None  # of surface-free-energy, none of the others
    known: FloatArray  # (structures,), the labels of the store
    known_classes: IntArray  # (structures,)

    @property
    def units(self) -> str:
        """Of labels and edges."""
        return units_of(self.label)

    @property
    def n_classes(self) -> int:
        return len(self.edges) - 1

    def values(self, structures: Sequence[Atoms], energies: FloatArray) -> FloatArray:
        """Labels of structures from their energies, as the store would have given them.

        Parameters
        ----------
        structures
            Their atoms are counted, and the area of their cells is taken, where the label asks for it; Å.
        energies
            Total energies, eV, shape (structures,), by the method of the store's own energies.

        Returns
        -------
        values
            Shape (structures,), in `units`; NaN where an energy is, and where a label cannot be: of no atoms, or, for
            surface-free-energy, of other elements than metal and oxygen or of a cell without area.

        Raises
        ------
        StructureError
            Not one energy for each structure.
        """
        energies = np.asarray(energies, dtype=np.float64)
        if energies.shape != (len(structures),):
            raise StructureError(
                f"there must be one energy for each of {len(structures)} structures; found shape {energies.shape}"
            )
        counts = np.array([len(atoms) for atoms in structures], dtype=np.int64)
        numbers = np.concatenate([np.zeros(0, dtype=np.int64), *(atoms.numbers for atoms in structures)])
        cells = np.array([atoms.cell.array for atoms in structures], dtype=np.float64).reshape(-1, 3, 3)
        values = label_values(Labelled(energies, counts, numbers, cells, infos=()), self.label, self.reference)
        return np.where(counts > 0, values, np.nan)

    def sort(self, values: FloatArray) -> Sorted:
        """The class of each value: k where edges[k] <= value < edges[k + 1], in the last class up to its upper edge.

        The lowest and the highest edge are the extremes of the store. A value beyond them is in no class: taken for one
        of the class at that end, structures of any absurd energy would pass for what was asked for.
        """
        values = np.asarray(values, dtype=np.float64)
        below, above = values < self.edges[0], values > self.edges[-1]
        inside = np.isfinite(values) & ~below & ~above
        classes = np.searchsorted(self.edges[1:-1], values, side="right")
        return Sorted(np.where(inside, classes, NO_CLASS), below, above)


def read_labelling(store: VoxelStore) -> Labelling:
    """The recipe by which a store labels its structures and sorts them.

    Raises
    ------
    StoreError
        A store without classes, or with a label that no energy gives: one of info.
    """
    classes, wanted = store.attrs["classes"], ", ".join(UNITS)
    if classes is None:
        raise StoreError(
            f"{store.location}: must have a label that energies give ({wanted}); found a store without. Name the one "
            f"that was trained on, or build it with --label"
        )
    if classes["label"] not in UNITS:
        raise StoreError(
            f"{store.location}: must have a label that energies give ({wanted}); found {classes['label']}, which a "
            f"structure has from its file alone. Build the store with another --label"
        )
    return Labelling(
        label=classes["label"],
        edges=np.array(classes["edges"], dtype=np.float64),
        reference=BuildOptions.from_dict(store.attrs["options"]).reference,
        known=store.label,
        known_classes=store.energy_class,
    )
