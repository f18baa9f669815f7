"""What a store holds, in numbers."""

from typing import Any

import numpy as np

from ruo2_voxel.store.plan import BuildOptions
from ruo2_voxel.store.reader import VoxelStore


def summarize(store: VoxelStore) -> dict[str, Any]:
    """Counts, ranges, labels and provenance, as `ruo2-voxel info --json` prints them."""
    attributes = store.attrs
    per_atom = store.energy / np.maximum(store.n_atoms, 1)
    finite = per_atom[np.isfinite(per_atom)]
    lattice = store.lattice
    return {
        "location": store.location,
        "structures": len(store),
        "atoms": attributes["atoms"],
        "atoms_per_structure": [int(store.n_atoms.min()), int(store.n_atoms.max())],
        "density_bytes": len(store) * BuildOptions.from_dict(attributes["options"]).structure_bytes,
        "lattice_angstrom": [
            [float(low), float(high)] for low, high in zip(lattice.min(0), lattice.max(0), strict=True)
        ],
        "energy_per_atom": [float(finite.min()), float(finite.max())] if finite.size else None,
        "info_keys": sorted(store.info),
        **{
            name: attributes[name]
            for name in (
                "classes",
                "split",
                "skipped_frames",
                "without_energy",
                "quantisation",
                "sources",
                "options",
                "seed",
                "cutoff_angstrom",
                "versions",
                "created",
                "schema",
                "schema_version",
            )
        },
    }
