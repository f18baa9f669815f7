"""Densities back to atoms with SciPy, as one would write it: a maximum filter, log-parabolas, a least-squares fit.

Perpendicular cells. Every atom's Gaussian is rendered in a window, all atoms of a channel at once in NumPy; L-BFGS-B
gets the analytic gradient. Saturated voxels count one-sided, as in our fit.
"""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter
from scipy.optimize import minimize
from scipy.spatial import cKDTree

from ruo2_voxel import Grid

Values = NDArray[np.float64]

HEIGHT = 0.3  # of a peak
MERGED = 0.6  # Å: peaks nearer than this are one
REACH = 3.5  # widths that a window reaches


class Channel:
    """One species' grid, and the windows of its atoms."""

    def __init__(self, data: Values, lengths: Values, sigma: float, clipped: bool) -> None:
        self.data, self.lengths, self.sigma, self.clipped = data, lengths, sigma, clipped
        self.voxel = lengths / data.shape

    def find_peaks(self) -> Values:
        """Places in Å: maxima of 27 voxels, merged periodically, refined by log-parabolas."""
        voxels = np.argwhere((self.data == maximum_filter(self.data, size=3, mode="wrap")) & (self.data > HEIGHT))
        voxels = voxels[np.argsort(-self.data[tuple(voxels.T)], kind="stable")]
        pairs = cKDTree(voxels * self.voxel, boxsize=self.lengths).query_pairs(MERGED) if len(voxels) else set()
        dropped = {max(pair) for pair in pairs}
        voxels = voxels[[i not in dropped for i in range(len(voxels))]]
        return np.array([(voxel + self._offset(voxel)) * self.voxel for voxel in voxels]).reshape(-1, 3)

    def _offset(self, voxel: NDArray[np.int64]) -> Values:
        offset = np.zeros(3)
        for axis in range(3):
            step = np.eye(3, dtype=int)[axis]
            behind, here, ahead = (
                np.log(max(self.data[tuple((voxel + k * step) % self.data.shape)], 0.02)) for k in (-1, 0, 1)
            )
            curvature = behind - 2 * here + ahead
            offset[axis] = np.clip(0.5 * (behind - ahead) / curvature, -0.5, 0.5) if curvature < 0 else 0.0
        return offset

    def fit(self, positions: Values) -> tuple[Values, Values]:
        """Places (Å) and heights of least squares."""
        n = len(positions)
        if n == 0:
            return positions, np.zeros(0)
        radius = np.ceil(REACH * self.sigma / self.voxel).astype(int)
        nodes = np.round(positions / self.voxel).astype(int)
        steps = [np.arange(-r, r + 1) for r in radius]
        indices = [(nodes[:, axis, None] + steps[axis]) % self.data.shape[axis] for axis in range(3)]
        flat = np.ravel_multi_index(
            (indices[0][:, :, None, None], indices[1][:, None, :, None], indices[2][:, None, None, :]), self.data.shape
        )
        places = [(nodes[:, axis, None] + steps[axis]) * self.voxel[axis] for axis in range(3)]
        data = self.data.ravel()

        def cost(x: Values) -> tuple[float, Values]:
            height, r = x[:n], x[n:].reshape(n, 3) * self.sigma
            u = [(places[axis] - r[:, axis, None]) / self.sigma for axis in range(3)]
            gx, gy, gz = (np.exp(-0.5 * each**2) for each in u)
            planes = (gx[:, :, None] * gy[:, None, :]).reshape(n, -1)
            g = planes[:, :, None] * gz[:, None, :]
            model = np.bincount(flat.ravel(), (height[:, None, None] * g).ravel(), len(data))
            left = data - model
            if self.clipped:
                left[(data >= 1.0 - 1e-6) & (left < 0.0)] = 0.0
            of_atoms = left[flat].reshape(g.shape)
            along_z = np.einsum("npk,nk->np", of_atoms, gz)
            along_xy = along_z.reshape(n, gx.shape[1], gy.shape[1])
            gradient = np.empty((n, 4))
            gradient[:, 0] = np.einsum("nij,ni,nj->n", along_xy, gx, gy, optimize=True)
            gradient[:, 1] = height * np.einsum("nij,ni,nj->n", along_xy, gx * u[0], gy, optimize=True)
            gradient[:, 2] = height * np.einsum("nij,ni,nj->n", along_xy, gx, gy * u[1], optimize=True)
            weighted = np.einsum("npk,nk->np", of_atoms, gz * u[2])
            gradient[:, 3] = height * np.einsum("np,np->n", weighted, planes)
            return 0.5 * float(left @ left), -np.concatenate([gradient[:, 0], gradient[:, 1:].ravel()])

        start = np.concatenate([np.ones(n), (positions / self.sigma).ravel()])
        x = minimize(cost, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-10, "gtol": 1e-4, "maxcor": 20}).x
        return x[n:].reshape(n, 3) * self.sigma, x[:n]


def decode_by_hand(density: Values, lengths: Values, grid: Grid) -> Atoms:
    """Atoms of one density (species, nx, ny, nz) in a perpendicular cell, whose heights come out above 0.4."""
    clipped = bool(density.max() <= 1.0)
    atoms = Atoms(cell=lengths, pbc=True)
    for symbol, values in zip(grid.species, density, strict=True):
        channel = Channel(values.astype(np.float64), lengths, grid.sigma, clipped)
        positions, heights = channel.fit(channel.find_peaks())
        positions = positions[heights > 0.4]
        atoms += Atoms([symbol] * len(positions), positions=positions)
    return atoms
