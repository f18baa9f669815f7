"""A file of rutile slabs, to try things on where no sampled structures are at hand."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ruo2_voxel.structures.structure_file import StructureWriter
from ruo2_voxel.structures.surfaces import surface_family


def write_surfaces(
    out: str | os.PathLike[str],
    *,
    facets: Sequence[str] | None = None,
    terminations: Sequence[str] | None = None,
    n_layers: int | None = None,
    vacuum: float = 20.0,
    copies: int = 1,
    rattle: float = 0.0,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the slabs of `surface_family` into one file that ASE can write; returns counts by facet and termination.

    Raises
    ------
    Ruo2Error
        Facets, terminations or numbers that cannot be; a target that is in the way or cannot be written.
    """
    counts: Counter[str] = Counter()
    n_atoms = 0
    slabs = surface_family(
        facets=facets,
        terminations=terminations,
        n_layers=n_layers,
        vacuum=vacuum,
        copies=copies,
        rattle=rattle,
        seed=seed,
    )
    with StructureWriter(out, overwrite) as writer:
        for atoms in slabs:
            writer.write(atoms)
            counts[f"{atoms.info['facet']} {atoms.info['termination']}"] += 1
            n_atoms += len(atoms)
    return {"location": os.fspath(out), "structures": counts.total(), "atoms": n_atoms, "slabs": dict(counts)}
