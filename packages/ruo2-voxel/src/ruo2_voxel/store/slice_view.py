"""Slices cut on the fly from a store of structures: what a two-dimensional model reads, without a second store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruo2_voxel.density.slices import ALONG, EMPTY_BELOW, PLANES, Plane, cut, find_cuts
from ruo2_voxel.errors import StoreError
from ruo2_voxel.store.grid_store import take_indices
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.typing import Array, FloatArray, IntArray

STRUCTURES_AT_ONCE = 64


@dataclass(frozen=True)
class SliceChoice:
    """Which slices to cut of each structure: see `ruo2_voxel.slices`."""

    planes: tuple[Plane, ...] = PLANES
    positions: str | int | tuple[int, ...] = "even"
    drop_empty: bool = False


class SliceView:
    """The slices of a store, numbered structure by structure, then plane by plane; it reads like a store of slices.

    Parameters
    ----------
    store
        Of structures.
    choice
        Planes, positions, and whether slices without a Gaussian are left out: then all grids are read once to find
        them.

    Raises
    ------
    GridError
        Planes or positions that the grid does not have.
    StoreError
        No slice is left.
    """

    def __init__(self, store: VoxelStore, choice: SliceChoice | None = None) -> None:
        self.store = store
        self.choice = choice or SliceChoice()
        positions: Any = self.choice.positions
        cuts = self._cuts = find_cuts(store.grid.shape, self.choice.planes, positions)
        # A grid is lines of voxels along z, and a slice is some of them: which ones, shape (cuts, species, u).
        n_species, nx, ny = store.grid.n_species, *store.grid.shape[:2]
        self._n_lines = n_species * nx * ny
        lines = np.arange(self._n_lines).reshape(n_species, nx, ny, 1)
        self._lines: IntArray = np.stack([cut(lines, plane, position)[..., 0] for plane, position in cuts])
        n = len(store)
        self.structure: IntArray = np.repeat(np.arange(n), len(cuts))
        self._cut = np.tile(np.arange(len(cuts)), n)
        self.n_empty = 0
        if self.choice.drop_empty:
            full = self._find_full()
            self.n_empty = int(np.count_nonzero(~full))
            self.structure, self._cut = self.structure[full], self._cut[full]
        if not len(self.structure):
            raise StoreError(
                f"{store.location}: at least one slice must show a Gaussian; found {n * len(cuts)} empty ones"
            )

    def __len__(self) -> int:
        return len(self.structure)

    def _find_full(self) -> Array:
        """Which slices show a Gaussian, of every structure and cut."""
        full = np.empty((len(self.store), len(self._cuts)), dtype=bool)
        for begin in range(0, len(self.store), STRUCTURES_AT_ONCE):
            block = self.store.read(np.arange(begin, min(begin + STRUCTURES_AT_ONCE, len(self.store))))
            over = {"xz": block.max(axis=(1, 2, 4)), "yz": block.max(axis=(1, 3, 4))}
            for number, (plane, position) in enumerate(self._cuts):
                full[begin : begin + len(block), number] = over[plane][:, position] >= EMPTY_BELOW
        return full.ravel()

    @property
    def positions(self) -> list[int]:
        """Voxels at which each structure is cut."""
        return sorted({position for _, position in self._cuts})

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Of one slice: species, u and z, where u is x or y."""
        shape = self.store.grid.shape
        return self.store.grid.n_species, shape[ALONG[self.choice.planes[0]]], shape[2]

    @property
    def dtype(self) -> Any:
        return self.store.dtype

    @property
    def scale(self) -> float:
        return self.store.scale

    def read(self, indices: Sequence[int] | IntArray, out: Array | None = None) -> Array:
        """Slices as stored, in any order; the arguments are those of `VoxelStore.read`."""
        wanted = take_indices(indices, len(self), "slices")
        shape = (len(wanted), *self.row_shape)
        if out is None:
            out = np.empty(shape, dtype=self.dtype)
        elif out.shape != shape or out.dtype != self.dtype:
            raise StoreError(f"out must be {self.dtype} of shape {shape}; found {out.dtype} of shape {out.shape}")
        structures, places = np.unique(self.structure[wanted], return_inverse=True)
        order = np.argsort(places, kind="stable")  # slices of one structure side by side
        ends = np.searchsorted(places[order], np.arange(STRUCTURES_AT_ONCE, len(structures), STRUCTURES_AT_ONCE))
        grids = np.empty((min(STRUCTURES_AT_ONCE, len(structures)), *self.store.layout.row_shape), dtype=self.dtype)
        for number, rows in enumerate(np.split(order, ends)):
            begin = number * STRUCTURES_AT_ONCE
            some = structures[begin : begin + STRUCTURES_AT_ONCE]
            lines = self.store.read(some, out=grids[: len(some)]).reshape(-1, grids.shape[-1])
            first = (places[rows] - begin) * self._n_lines  # line of each slice's grid
            out[rows] = lines.take(first[:, None, None] + self._lines[self._cut[wanted[rows]]], axis=0)
        return out

    def densities(self, indices: Sequence[int] | IntArray) -> FloatArray:
        """Slices as float32, shape (len(indices), n_species, u, z)."""
        return np.multiply(self.read(indices), np.float32(self.scale), dtype=np.float32)

    def density(self, index: int) -> FloatArray:
        """One slice, shape (n_species, u, z), float32 in [0, 1]."""
        density: FloatArray = self.densities([index])[0]
        return density

    @property
    def plane(self) -> IntArray:
        """Index into ("xz", "yz") of each slice."""
        of_cut = np.array([PLANES.index(plane) for plane, _ in self._cuts], dtype=np.int8)
        planes: IntArray = of_cut[self._cut]
        return planes

    @property
    def position(self) -> IntArray:
        """Voxel at which each slice is cut."""
        of_cut = np.array([position for _, position in self._cuts], dtype=np.int32)
        positions: IntArray = of_cut[self._cut]
        return positions

    @property
    def lattice(self) -> FloatArray:
        """Lattice lengths of each slice, along x and z or along y and z, Å, shape (slices, 2)."""
        along = np.array([ALONG[plane] for plane, _ in self._cuts])[self._cut]
        of_structure = self.store.lattice
        return np.stack([of_structure[self.structure, along], of_structure[self.structure, 2]], axis=1)

    def of_structure(self, values: Array) -> Array:
        """For each slice what its structure has, as in view.of_structure(store.frame_id)."""
        return values[self.structure]

    @property
    def energy(self) -> FloatArray:
        return self.of_structure(self.store.energy)

    @property
    def label(self) -> FloatArray:
        return self.of_structure(self.store.label)

    @property
    def energy_class(self) -> IntArray:
        return self.of_structure(self.store.energy_class)

    @property
    def split(self) -> IntArray:
        return self.of_structure(self.store.split)
