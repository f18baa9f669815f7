"""A broken control: as many atoms in the same cells, at random. Figures that it does well at tell nothing."""

import numpy as np

from ruo2_voxel import voxelize_many
from ruo2_wgan.verdict.atoms.sites import Sites, atoms_of, render_slice
from ruo2_wgan.verdict.structure_set import StructureSet
from ruo2_wgan.verdict.typing import FloatArray


def scatter_atoms(real: StructureSet, seed: int) -> StructureSet:
    """The same numbers of atoms, uniform in the same cells, rendered anew; in slices with the same heights."""
    random = np.random.default_rng(seed)
    spec = real.spec
    scattered = [
        Sites(random.random(each.scaled.shape), each.species, each.across, each.lattice, 0.0) for each in real.sites
    ]
    density: FloatArray
    if spec.dimensions == 3:
        density = voxelize_many([atoms_of(each, spec.species) for each in scattered], spec.grid, real.n_threads)
    else:
        shape = (spec.n_species, *spec.shape)
        heights = [np.exp(-0.5 * (each.across / spec.sigma) ** 2) for each in scattered]
        density = np.stack(
            [
                render_slice(each.scaled, each.species, height, each.lattice, spec.sigma, shape)
                for each, height in zip(scattered, heights, strict=True)
            ]
        )
    return StructureSet(np.minimum(density, 1.0).astype(np.float32), real.lattice, real.asked, spec, real.n_threads)
