"""The picture of a store: one of its structures, and where that stands among the energies of all."""

from pathlib import Path

import numpy as np

from ruo2_voxel.errors import StoreError
from ruo2_voxel.pictures.figure import save_figure
from ruo2_voxel.pictures.overview import draw_overview
from ruo2_voxel.store.reader import VoxelStore


def draw_store(
    store: VoxelStore,
    path: str | Path,
    index: int | None = None,
    level: float = 0.5,
    planes: tuple[int, int, int] | None = None,
) -> None:
    """Write a picture of one structure of a store.

    Parameters
    ----------
    store
        An open store.
    path
        .png, .pdf or .svg, in a folder that exists.
    index
        Which structure; that of lowest energy per atom (the first, without energies) if None.
    level
        Density on the isosurfaces, between 0 and 1.
    planes
        Voxels along x, y and z at which to cut; the densest planes if None.

    Raises
    ------
    StoreError
        An index beyond the store.
    MissingExtraError
        The extra [pictures] is not installed.
    """
    per_atom = store.energy / np.maximum(store.n_atoms, 1)
    known = np.isfinite(per_atom)
    if index is None:
        index = int(np.nanargmin(per_atom)) if known.any() else 0
    if not -len(store) <= index < len(store):
        raise StoreError(f"{store.location}: index must lie within {len(store)} structures; found {index}")
    index %= len(store)
    classes = store.attrs["classes"]
    edges = classes["edges"] if classes and classes["label"] == "energy-per-atom" else None
    source = Path(store.sources[int(store.source_id[index])]["path"]).name
    figure = draw_overview(
        store.density(index),
        store.atoms(index),
        store.grid.species,
        energies=per_atom[known],
        edges=edges,
        marked_energy=float(per_atom[index]) if known[index] else None,
        title=f"structure {index}: frame {int(store.frame_id[index])} of {source}",
        positions=planes,
        level=level,
    )
    save_figure(figure, path)
