"""The structures of a store, found again in its grids and written to a file of ASE's."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ruo2_voxel.density.decode import Decoded, Pair, decode_many
from ruo2_voxel.errors import StoreError
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.structures.structure_file import StructureWriter
from ruo2_voxel.typing import IntArray

BLOCK = 64  # structures read and decoded at a time


def decode_store(
    store: VoxelStore,
    out: str | os.PathLike[str],
    indices: Sequence[int] | IntArray | None = None,
    n_threads: int = 1,
    threshold: float = 0.4,
    exclusion: Mapping[Pair, float] | None = None,
    fit_heights: bool = True,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Decode the grids of a store and write the atoms, block by block, to a file in any format that ASE writes.

    Parameters
    ----------
    store
        An open store.
    out
        The file to write; its name tells the format, as for `ase.io.write`. Trajectories (.traj) and extended xyz are
        written as they are decoded, other formats at the end.
    indices
        Which structures; all if None.
    n_threads, threshold, exclusion, fit_heights
        As for `decode_many`.
    overwrite
        Replace a file that is there.
    progress
        Called with the number of structures just written.

    Returns
    -------
    report
        Structures, atoms, mean residual, and how many structures are plausible, hold merged or crowded peaks, or other
        numbers of atoms than the store says they were made of.

    Raises
    ------
    StoreError
        An index beyond the store.
    Ruo2Error
        As for `StructureWriter`: a format that ASE cannot write them in, a file in the way.

    Notes
    -----
    `info` of each structure holds what `Decoded` says and, as `structure`, its index in the store; of generated grids,
    the class asked for as `energy_class`.
    """
    wanted = np.arange(len(store)) if indices is None else np.asarray(indices, dtype=np.int64)
    if wanted.size and not (-len(store) <= wanted.min() and wanted.max() < len(store)):
        raise StoreError(f"{store.location}: indices must lie within {len(store)} structures; found {wanted.tolist()}")
    wanted = wanted % max(len(store), 1)
    path = Path(out)
    clipped = store.attrs["quantisation"]["combine"] == "clip"
    report: dict[str, Any] = {"location": str(path), "structures": len(wanted), "atoms": 0}
    report |= dict.fromkeys(("plausible", "with_merged_peaks", "with_crowded_peaks", "with_other_counts"), 0)
    residuals = []
    with StructureWriter(path, overwrite, len(wanted)) as writer:
        for begin in range(0, len(wanted), BLOCK):
            block = wanted[begin : begin + BLOCK]
            decoded = decode_many(
                store.read(block), store.cell[block], store.grid, n_threads, threshold, exclusion, fit_heights, clipped
            )
            for index, each in zip(block.tolist(), decoded, strict=True):
                each.atoms.info["structure"] = index
                if store.generated is not None and store.energy_class[index] >= 0:
                    each.atoms.info["energy_class"] = int(store.energy_class[index])
                writer.write(each.atoms)
                _count(each, None if store.generated is not None else int(store.n_atoms[index]), report)
                residuals.append(each.residual)
            if progress is not None:
                progress(len(block))
    report["mean_residual"] = float(np.mean(residuals)) if residuals else 0.0
    return report


def _count(decoded: Decoded, n_atoms: int | None, report: dict[str, Any]) -> None:
    report["atoms"] += len(decoded.atoms)
    report["plausible"] += decoded.plausible
    report["with_merged_peaks"] += bool(decoded.merged)
    report["with_crowded_peaks"] += bool(decoded.crowded)
    report["with_other_counts"] += n_atoms is not None and len(decoded.atoms) != n_atoms
