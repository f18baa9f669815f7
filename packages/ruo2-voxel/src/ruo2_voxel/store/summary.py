"""What a store holds, in numbers."""

from typing import Any

import numpy as np

from ruo2_voxel.store.plan import BuildOptions
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.store.slice_store import SliceStore
from ruo2_voxel.typing import FloatArray


def summarize_any(store: VoxelStore | SliceStore) -> dict[str, Any]:
    """The summary of a store, of structures or of slices."""
    return summarize_slices(store) if isinstance(store, SliceStore) else summarize(store)


def summarize_slices(store: SliceStore) -> dict[str, Any]:
    """Counts, ranges, labels and provenance of a store of slices."""
    n_bytes = len(store) * int(np.prod(store.layout.row_shape)) * np.dtype(store.dtype).itemsize
    kept = ("slices", "structures", "slicing", "classes", "split", "sources", "options", "versions", "created")
    return {
        "location": store.location,
        **{name: store.attrs[name] for name in (*kept, "schema", "schema_version")},
        "density_bytes": n_bytes,
        "generated": store.generated,
        "lattice_angstrom": _ranges(store.lattice),
    }


def _ranges(values: FloatArray) -> list[list[float]]:
    return [[float(low), float(high)] for low, high in zip(values.min(0), values.max(0), strict=True)]


def summarize(store: VoxelStore) -> dict[str, Any]:
    """Counts, ranges, labels and provenance, as `ruo2-voxel info --json` prints them."""
    attributes = store.attrs
    per_atom = store.energy / np.maximum(store.n_atoms, 1)
    finite = per_atom[np.isfinite(per_atom)]
    return {
        "location": store.location,
        "structures": len(store),
        "atoms": attributes["atoms"],
        "atoms_per_structure": [int(store.n_atoms.min()), int(store.n_atoms.max())],
        "density_bytes": len(store) * BuildOptions.from_dict(attributes["options"]).structure_bytes,
        "lattice_angstrom": _ranges(store.lattice),
        "energy_per_atom": [float(finite.min()), float(finite.max())] if finite.size else None,
        "info_keys": sorted(store.info),
        "generated": store.generated,
        **{
            name: attributes[name]
            for name in (
                "classes",
                "split",
                "skipped_frames",
                "findings_by_kind",
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
