"""A structure by the distances around each of its atoms, and how far apart two structures are by that measure."""

from itertools import product
from typing import Final

import numpy as np
from ase import Atoms
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

Fingerprint = dict[str, np.ndarray[tuple[int, int], np.dtype[np.float64]]]

CUTOFF: Final = 6.0  # Å
WIDTH: Final = 0.2  # Å, sigma of the Gaussian that a distance becomes; also the spacing of the radii it is taken at
RADII: Final = np.arange(0.0, CUTOFF + 3 * WIDTH, WIDTH)


def fingerprint(atoms: Atoms) -> Fingerprint:
    """Smooth histograms of the distances from each atom to its neighbours, one for each of their species.

    Parameters
    ----------
    atoms
        Any cell; images along the vectors that `pbc` names.

    Returns
    -------
    fingerprint
        Of each species, sorted: shape (its atoms, species * radii), Å. The same for a structure that is translated,
        rotated, mirrored, or whose atoms are in another order, but for the order of rows.

    Notes
    -----
    h_i(s, r) = c sum over neighbours j of species s, over all images, of f(d_ij) exp(-(r - d_ij)^2 / 2 sigma^2), with
    f(d) = (1 + cos(pi d / cutoff)) / 2. c = (4 / pi)^(1/4) sigma, spacing of radii being sigma, makes the vector change
    by f(d) x when one distance changes by a small x.
    """
    species = sorted(set(atoms.symbols))
    kinds = np.array([species.index(symbol) for symbol in atoms.symbols])
    atom, neighbour, distances = _neighbours(atoms)
    taper = 0.5 * (1.0 + np.cos(np.pi * distances / CUTOFF))
    gaussians = taper[:, None] * np.exp(-0.5 * ((RADII - distances[:, None]) / WIDTH) ** 2)
    row = atom * len(species) + kinds[neighbour]
    gather = csr_array(
        (np.ones(len(row)), (row, np.arange(len(row)))), shape=(len(atoms) * len(species), len(distances))
    )
    scale = (4.0 / np.pi) ** 0.25 * WIDTH
    histograms = (scale * (gather @ gaussians)).reshape(len(atoms), -1)
    return {symbol: histograms[kinds == kind] for kind, symbol in enumerate(species)}


def distance(one: Fingerprint, other: Fingerprint, limit: float = np.inf) -> float:
    """How far the atoms of one structure that differs most is from its counterpart in the other, Å.

    Parameters
    ----------
    one, other
        Fingerprints of structures.
    limit
        Å; stop as soon as the distance is known to be beyond, and give infinity.

    Returns
    -------
    distance
        0 for the same structure, infinity for another composition. Atoms of an RuO2 slab displaced at random by 0.01 Å
        (standard deviation of each coordinate) make it 0.05 Å, by 0.05 Å 0.25 Å; one atom at another site, 0.35 Å and
        more.

    Notes
    -----
    Atoms of one species are paired such that the sum of squares of distances between their histograms is least; the
    largest of these distances is given.
    """
    if {name: len(rows) for name, rows in one.items()} != {name: len(rows) for name, rows in other.items()}:
        return float("inf")
    largest = 0.0
    for symbol, rows in one.items():
        apart = cdist(rows, other[symbol])
        if max(apart.min(axis=0).max(), apart.min(axis=1).max()) > limit:  # no pairing can do better
            return float("inf")
        paired = apart[linear_sum_assignment(apart**2)]
        largest = max(largest, float(paired.max()))
    return largest if largest <= limit else float("inf")


def _neighbours(
    atoms: Atoms,
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.int64]],
    np.ndarray[tuple[int], np.dtype[np.int64]],
    np.ndarray[tuple[int], np.dtype[np.float64]],
]:
    """Atom, neighbour and their distance, for each pair below the cutoff, over all images."""
    cell = atoms.cell.complete().array
    positions = atoms.get_positions(wrap=True)
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = np.where(atoms.pbc, np.ceil(CUTOFF / heights), 0).astype(int)
    images = sorted(product(*(range(-n, n + 1) for n in reach)), key=any)  # the cell itself first
    everywhere = (positions + (np.array(images) @ cell)[:, None]).reshape(-1, 3)
    pairs = cKDTree(positions).sparse_distance_matrix(cKDTree(everywhere), CUTOFF, output_type="ndarray")
    pairs = pairs[pairs["i"] != pairs["j"]]
    return pairs["i"], pairs["j"] % len(atoms), pairs["v"]
