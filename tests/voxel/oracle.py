"""What a density must be: its defining sum in float64, over all periodic images, in plain NumPy."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from ruo2_voxel.density.grid import CATCH_ALL, Grid

FAR = 7.0  # widths beyond which a Gaussian is nothing: exp(-49 / 2) = 2e-11

Values = NDArray[np.float64]


def exact_density(atoms: Atoms, grid: Grid) -> Values:
    """rho_s(r) = sum over atoms i of s, and their images, of exp(-|r - r_i|^2 / 2 sigma^2), (n_species, nx, ny, nz)."""
    symbols = np.array(atoms.get_chemical_symbols(), dtype=object)
    named = np.isin(symbols, [symbol for symbol in grid.species if symbol != CATCH_ALL])
    channels = [~named if symbol == CATCH_ALL else symbols == symbol for symbol in grid.species]
    cell = np.array(atoms.cell)
    return np.array([sum_gaussians(atoms.positions[members], cell, grid.shape, grid.sigma) for members in channels])


def sum_gaussians(positions: Values, cell: Values, shape: tuple[int, int, int], sigma: float) -> Values:
    """Each atom's Gaussian at all nodes of an unbounded grid, which is then laid upon the cell."""
    voxel = cell / np.array(shape)[:, None]
    steps = nodes_within(FAR * sigma, voxel)
    total = np.zeros(np.prod(shape))
    for atom in positions @ np.linalg.inv(voxel):
        nodes = np.round(atom).astype(int) + steps
        vectors = (nodes - atom) @ voxel
        values = np.exp(-0.5 / sigma**2 * np.einsum("nk,nk->n", vectors, vectors))
        total += np.bincount(np.ravel_multi_index(tuple(nodes.T), shape, mode="wrap"), values, len(total))
    return total.reshape(shape)


def nodes_within(distance: float, voxel: Values) -> NDArray[np.int64]:
    """Nodes, counted from the one nearest in scaled coordinates, that can come within a distance of an atom."""
    between_planes = 1.0 / np.linalg.norm(np.linalg.inv(voxel), axis=0)
    reach = np.ceil(distance / between_planes + 0.5).astype(int)
    steps = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    corners = np.array([[1, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]]) / 2
    longest = np.linalg.norm(corners @ voxel, axis=1).max()  # from an atom to that node
    return steps[np.linalg.norm(steps @ voxel, axis=1) <= distance + longest]
