"""A set of structures to judge: densities on the grid of the data, with what is known of them."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from ruo2_voxel import (
    Frame,
    SliceStore,
    VoxelStore,
    open_any,
    open_frames,
    voxelize_many,
)
from ruo2_wgan.errors import DataError
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.verdict.atoms.sites import Sites, find_sites, sites_of
from ruo2_wgan.verdict.typing import FloatArray, IntArray

FEWEST = 2  # with one there is no distance
SLANT = 1e-3  # share of a cell vector that may lie along another axis


@dataclass
class StructureSet:
    """n structures or slices."""

    density: FloatArray  # (n, species, *shape), float32 in [0, 1]
    lattice: FloatArray  # (n, axes), Å
    asked: IntArray  # (n,): the class that each was made for, -1 for none
    spec: DataSpec = field(repr=False)
    n_threads: int = 1
    known_sites: list[Sites] | None = field(default=None, repr=False)  # of structures that came as atoms

    def __len__(self) -> int:
        return len(self.density)

    @property
    def sites(self) -> list[Sites]:
        """Their atoms: those that they came as, or those that their densities show."""
        return self.find_sites()

    def find_sites(self, advance: Callable[[int], None] | None = None, fullest: float = np.inf) -> list[Sites]:
        """The same, found once, with what `ruo2_wgan.verdict.atoms.sites.find_sites` wants to know."""
        if self.known_sites is None:
            self.known_sites = find_sites(self.density, self.lattice, self.spec, self.n_threads, advance, fullest)
        return self.known_sites

    def select(self, indices: IntArray) -> "StructureSet":
        """Some of them."""
        known = None if self.known_sites is None else [self.known_sites[index] for index in indices.tolist()]
        return StructureSet(
            self.density[indices], self.lattice[indices], self.asked[indices], self.spec, self.n_threads, known
        )


def read_structures(location: str | os.PathLike[str], spec: DataSpec, n_threads: int = 1) -> StructureSet:
    """Samples of any program: a store of grids, or a file of atoms that ASE reads.

    Parameters
    ----------
    location
        NAME.zarr, or any other name for a file of atoms.
    spec
        Of the data that they are to be compared with.
    n_threads
        For voxelizing and decoding.

    Raises
    ------
    Ruo2Error
        Nothing there; fewer than two structures; other species, dimensions, grid or Gaussian width than the data's;
        atoms in cells without right angles.
    """
    if str(location).rstrip("/").endswith(".zarr"):
        return _from_store(open_any(location), spec, n_threads)
    return _from_atoms(str(location), spec, n_threads)


def find_dimensions(location: str | os.PathLike[str]) -> int:
    """2 for a store of slices, 3 for anything else."""
    is_store = str(location).rstrip("/").endswith(".zarr")
    return 2 if is_store and isinstance(open_any(location), SliceStore) else 3


def _from_store(store: VoxelStore | SliceStore, spec: DataSpec, n_threads: int) -> StructureSet:
    shape = tuple(store.read([0]).shape[2:])
    found = (tuple(store.grid.species), shape, round(store.grid.sigma, 6))
    wanted = (spec.species, spec.shape, round(spec.sigma, 6))
    if found != wanted:
        raise DataError(
            f"{store.location}: samples must have the grid of the data, {_words(*wanted)}; found {_words(*found)}. "
            f"Make them on that grid, or decode them and give the atoms"
        )
    _check_number(len(store), store.location)
    return StructureSet(
        density=store.densities(np.arange(len(store))),
        lattice=np.array(store.lattice, dtype=np.float64),
        asked=np.array(store.energy_class, dtype=np.int64),
        spec=spec,
        n_threads=n_threads,
    )


def _words(species: tuple[str, ...], shape: tuple[int, ...], sigma: float) -> str:
    return f"{','.join(species)} on {' x '.join(map(str, shape))} voxels with sigma {sigma:g} Å"


def _from_atoms(path: str, spec: DataSpec, n_threads: int) -> StructureSet:
    if spec.dimensions == 2:
        raise DataError(f"{path}: samples of two-dimensional data must be a store of slices; found a file of atoms")
    structures = [_checked(frame, spec) for frame in open_frames(path)]
    _check_number(len(structures), path)
    density = np.minimum(voxelize_many(structures, spec.grid, n_threads), 1.0).astype(np.float32)
    return StructureSet(
        density=density,
        lattice=np.stack([atoms.cell.lengths() for atoms in structures]),
        asked=np.array([_class_of(atoms.info) for atoms in structures]),
        spec=spec,
        n_threads=n_threads,
        known_sites=[sites_of(atoms, spec.species) for atoms in structures],
    )


def _checked(frame: Frame, spec: DataSpec) -> Atoms:
    """Its atoms, if they can stand on the grid of the data."""
    atoms = frame.atoms()
    strange = sorted(set(atoms.symbols) - set(spec.species))
    if strange:
        raise DataError(
            f"{frame.where()}: species must be those of the data, {','.join(spec.species)}; found {', '.join(strange)}"
        )
    lengths = atoms.cell.lengths()
    if not (np.isfinite(atoms.positions).all() and np.isfinite(lengths).all() and (lengths > 0.0).all()):
        raise DataError(f"{frame.where()}: positions and cell must be finite, and the cell have a volume; found others")
    if np.abs(atoms.cell.array - np.diag(lengths)).max() > SLANT * lengths.max():
        raise DataError(
            f"{frame.where()}: cell vectors must lie along x, y and z; found {atoms.cell.array.round(3).tolist()} Å. "
            f"Make them so with `ruo2-voxel prepare --orthogonal`"
        )
    return atoms


def _class_of(info: dict[str, Any]) -> int:
    value = info.get("label", info.get("energy_class", -1))
    return int(value) if isinstance(value, int | np.integer) else -1


def _check_number(n: int, location: str) -> None:
    if n < FEWEST:
        raise DataError(f"{Path(location)}: must hold {FEWEST} or more samples to compare; found {n}")
