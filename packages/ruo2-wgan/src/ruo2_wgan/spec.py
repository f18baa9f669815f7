"""What networks must know of the data they are trained on, and all that is left of it in a checkpoint."""

from dataclasses import asdict, dataclass
from typing import Any

from ruo2_voxel import Grid


@dataclass(frozen=True)
class DataSpec:
    """Grids, classes and lattice lengths of a store's training rows.

    A row is a structure in three dimensions, a slice in two. Lattice lengths are those of a row's axes: (x, y, z), or
    (x, z) and (y, z) as (u, z).
    """

    species: tuple[str, ...]
    shape: tuple[int, ...]  # sides of a row, without species
    sigma: float  # Å
    tol: float
    label: str | None  # what the classes sort
    class_edges: tuple[float, ...]  # one more than there are classes; empty without labels
    lattice_low: tuple[float, ...]  # Å, one for each axis
    lattice_high: tuple[float, ...]
    lattice_typical: tuple[tuple[float, ...], ...]  # medians, Å: of all, then of each class
    n_train: int
    n_held_out: int

    @property
    def n_species(self) -> int:
        return len(self.species)

    @property
    def n_classes(self) -> int:
        """0 without labels."""
        return max(len(self.class_edges) - 1, 0)

    @property
    def dimensions(self) -> int:
        return len(self.shape)

    @property
    def grid(self) -> Grid:
        """That a row lies on. Of a slice nobody knows how it goes on across: here, as along its first axis."""
        x, z = self.shape[0], self.shape[-1]
        shape = (x, self.shape[1] if self.dimensions == 3 else x, z)
        return Grid(species=self.species, shape=shape, sigma=self.sigma, tol=self.tol)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        """The same again."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list | tuple) else value for name, value in values.items()
        }
        plain["lattice_typical"] = tuple(tuple(row) for row in plain["lattice_typical"])
        return cls(**plain)
