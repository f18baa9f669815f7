"""Grids of a store as Gaussian cube and XSF files, which VESTA, OVITO, VMD and ASE open."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.cube import write_cube
from ase.io.xsf import write_xsf

from ruo2_voxel.density.decode import decode
from ruo2_voxel.density.grid import CATCH_ALL
from ruo2_voxel.errors import GridError, StoreError
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.structures.whole_file import whole_file
from ruo2_voxel.typing import FloatArray

ENDINGS = (".cube", ".xsf")
COMMENT = "density of {} by ruo2-voxel"


def export_grid(
    store: VoxelStore,
    index: int,
    out: str | os.PathLike[str],
    species: Sequence[str] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write the grids of one structure, and its atoms, for a viewer: a file for each channel.

    With generated grids, which have none, go the atoms that `decode` finds in them.

    Parameters
    ----------
    store
        An open store.
    index
        Which structure; negative counts from the end.
    out
        NAME.cube or NAME.xsf. A single channel goes to that file, several to NAME-Ru.cube, NAME-O.cube, and so on; the
        catch-all to NAME-other.cube.
    species
        Channels to write; all if None.
    overwrite
        Replace files that are there.

    Returns
    -------
    paths
        Of what was written.

    Raises
    ------
    StoreError
        An index beyond the store, a species without a channel, a name with another ending, a file that is in the way.
    """
    path, names = Path(out), store.grid.species
    wanted = list(names if species is None else species)
    if not wanted or not set(wanted) <= set(names):
        raise StoreError(f"{store.location}: species must be among {','.join(names)}; found {','.join(wanted)}")
    if not -len(store) <= index < len(store):
        raise StoreError(f"{store.location}: index must lie within {len(store)} structures; found {index}")
    density = store.density(index)
    atoms = store.atoms(index) if store.generated is None else _found_atoms(store, index)
    paths = []
    for name in wanted:
        label = "other" if name == CATCH_ALL else name
        target = path if len(wanted) == 1 else path.with_name(f"{path.stem}-{label}{path.suffix}")
        write_grid(density[names.index(name)], atoms, target, COMMENT.format(label), overwrite)
        paths.append(target)
    return paths


def _found_atoms(store: VoxelStore, index: int) -> Atoms:
    """What a viewer can show beside a generated grid, which comes without atoms."""
    clipped = store.attrs["quantisation"]["combine"] == "clip"
    return decode(store.read([index])[0], store.cell[index], store.grid, clipped=clipped).atoms


def write_grid(
    values: FloatArray,
    atoms: Atoms,
    out: str | os.PathLike[str],
    comment: str = "",
    overwrite: bool = False,
) -> None:
    """Write one grid that spans a structure's cell, node 0 on its corner, as .cube or .xsf.

    Parameters
    ----------
    values
        Shape (nx, ny, nz).
    atoms
        The structure; its calculator and constraints are left out.
    out
        Name of the file, which tells the format.
    comment
        The first line of a cube file.
    overwrite
        Replace a file that is there.

    Raises
    ------
    StoreError
        A name with another ending, a file that is in the way.
    GridError
        Values that are not a grid.

    Notes
    -----
    An XSF grid is a general one: its last plane along each axis repeats the first, so it has one node more than the
    periodic grid, and its vectors are those of the cell. A cube file lists the nodes once.
    """
    path = Path(out)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise StoreError(f"{path}: the name must end in {' or '.join(ENDINGS)}; found {path.suffix or 'no ending'}")
    if np.ndim(values) != 3:
        raise GridError(f"a grid to write must have the axes (x, y, z), got shape {np.shape(values)}")
    bare = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    with whole_file(path, overwrite) as unfinished:
        if ending == ".cube":
            with unfinished.open("w", encoding="utf-8") as file:
                write_cube(file, bare, np.asarray(values, dtype=np.float64), comment=comment or "density")
        else:
            closed = np.pad(values, (0, 1), mode="wrap")
            write_xsf(unfinished, [bare], closed, origin=np.zeros(3), span_vectors=np.array(bare.cell))
