"""How well decoded atoms are those that densities were made of, and what is done to densities before."""

from collections.abc import Callable, Sequence

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

SAME = 0.5  # Å: atoms farther apart are not the same

Densities = NDArray[np.float32]


def to_uint8(densities: Densities) -> NDArray[np.uint8]:
    """As a store holds them."""
    return np.round(np.clip(densities, 0.0, 1.0) * 255.0).astype(np.uint8)


def add_noise(share: float) -> Callable[[Densities], Densities]:
    """Gaussian noise whose standard deviation is that share of the peak of a lone atom."""

    def add(densities: Densities) -> Densities:
        noise = np.random.default_rng(0).standard_normal(densities.shape, dtype=np.float32)
        return densities + np.float32(share) * noise

    return add


def score(found: Sequence[Atoms], expected: Sequence[Atoms]) -> dict[str, float]:
    """Recall, precision, and the root mean square and largest error (Å) of the atoms found; species by species."""
    errors, n_found, n_expected = [np.zeros(0)], 0, 0
    for decoded, atoms in zip(found, expected, strict=True):
        n_found, n_expected = n_found + len(decoded), n_expected + len(atoms)
        for number in np.unique(atoms.numbers):
            here, there = (each.positions[each.numbers == number] for each in (decoded, atoms))
            if len(here):
                vectors = (there[None] - here[:, None]).reshape(-1, 3)
                distances = find_mic(vectors, atoms.cell, pbc=True)[1].reshape(len(here), len(there))
                paired = distances[linear_sum_assignment(np.minimum(distances, SAME))]
                errors.append(paired[paired < SAME])
    all_errors = np.concatenate(errors)
    return {
        "recall": len(all_errors) / n_expected,
        "precision": len(all_errors) / n_found if n_found else 1.0,
        "rms_angstrom": float(np.sqrt(np.mean(all_errors**2))) if len(all_errors) else 0.0,
        "largest_angstrom": float(all_errors.max()) if len(all_errors) else 0.0,
        "missed": n_expected - len(all_errors),
        "extra": n_found - len(all_errors),
    }
