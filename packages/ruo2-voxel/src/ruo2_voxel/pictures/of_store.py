"""The pictures of a store, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ruo2_voxel.density.symmetry import move_atoms
from ruo2_voxel.errors import StoreError
from ruo2_voxel.pictures.before_after import draw_before_and_after
from ruo2_voxel.pictures.classes import draw_classes
from ruo2_voxel.pictures.figure import save_figure
from ruo2_voxel.pictures.histogram import name_label
from ruo2_voxel.pictures.overview import draw_overview
from ruo2_voxel.pictures.sheet import COLUMNS, ROWS, draw_slice_sheet, draw_structure_sheet
from ruo2_voxel.pictures.space import draw_space
from ruo2_voxel.store.provenance import DATABASES, read_source_frame
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.store.slice_store import SliceStore
from ruo2_voxel.structures.preparation import Changes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AnyStore = VoxelStore | SliceStore


@dataclass(frozen=True)
class Picture:
    """How to draw a picture of a store of structures, with which options of `draw_store`; and of a store of slices."""

    draw: "Callable[..., Figure]"
    options: tuple[str, ...] = ()
    of_slices: "Callable[..., Figure] | None" = None


def draw_store(
    store: AnyStore,
    path: str | Path,
    picture: str = "overview",
    index: int | None = None,
    level: float | None = None,
    planes: tuple[int, int, int] | None = None,
) -> None:
    """Write a picture of a store.

    Parameters
    ----------
    store
        An open store, of structures or of slices.
    path
        .png, .pdf or .svg, in a folder that exists.
    picture
        One of `PICTURES`. Of a store of slices: "classes" or "slices".
    index
        Which structure; that of lowest energy per atom (the first, without energies) if None. Not for "classes".
    level
        Density on the isosurfaces, between 0 and 1; 0.5 if None. For "overview" and "space".
    planes
        Voxels along x, y and z at which to cut; the densest planes if None. For "overview".

    Raises
    ------
    StoreError
        A picture that there is not, or not of such a store, or that takes no such option; an index beyond the store;
        classes of a store without a label; the file of a structure before preparation gone or changed.
    MissingExtraError
        The extra [pictures] is not installed.
    """
    if picture not in PICTURES:
        raise StoreError(f"{store.location}: picture must be one of {', '.join(PICTURES)}; found {picture!r}")
    chosen = PICTURES[picture]
    given = {"index": index, "level": level, "planes": planes}
    options = {name: value for name, value in given.items() if value is not None}
    draw, taken = chosen.draw, chosen.options
    if isinstance(store, SliceStore):
        if chosen.of_slices is None:
            fitting = " or ".join(f"--picture {name}" for name, each in PICTURES.items() if each.of_slices)
            raise StoreError(
                f"{store.location}: the picture {picture} needs a store of structures; found one of slices. Draw "
                f"{fitting}, or draw the store that they were cut from"
            )
        draw, taken = chosen.of_slices, ()
    unused = [f"--{name}" for name in options if name not in taken]
    if unused:
        raise StoreError(f"{store.location}: the picture {picture} takes no {' and no '.join(unused)}; leave it out")
    save_figure(draw(store, **options), path)


def _draw_overview(
    store: VoxelStore, index: int | None = None, level: float = 0.5, planes: tuple[int, int, int] | None = None
) -> "Figure":
    index = _find_structure(store, index)
    if store.generated is not None:  # there are neither atoms to compare with nor energies
        if planes is not None:
            raise StoreError(f"{store.location}: the overview of generated grids takes no --planes; leave it out")
        return _draw_space(store, index, level)
    classes = store.attrs["classes"]
    values = store.label if classes else _energies_per_atom(store)
    return draw_overview(
        store.density(index),
        store.atoms(index),
        store.grid.species,
        values=values,
        edges=classes["edges"] if classes else None,
        marked=float(values[index]),
        values_name=name_label(classes["label"], classes["units"]) if classes else "energy (eV/atom)",
        title=_name_structure(store, index),
        positions=planes,
        level=level,
    )


def _draw_classes(store: AnyStore) -> "Figure":
    classes = store.attrs["classes"]
    if store.generated is not None:
        raise StoreError(f"{store.location}: must have a label for its classes to be drawn; found generated grids")
    if not classes:
        raise StoreError(
            f"{store.location}: must have a label for its classes to be drawn; found none. Build it with --label "
            f"energy-per-atom, surface-free-energy or info:KEY"
        )
    return draw_classes(
        np.array(classes["counts"]),
        np.array(classes["edges"]),
        classes["label"],
        classes["method"],
        classes["units"],
        noun="slice" if isinstance(store, SliceStore) else "structure",
        n_without=int(np.count_nonzero(store.energy_class < 0)),
    )


def _draw_preparation(store: VoxelStore, index: int | None = None) -> "Figure":
    if store.generated is not None:
        raise StoreError(f"{store.location}: must hold structures that were prepared; found generated grids")
    index = _find_structure(store, index)
    before = read_source_frame(store.sources[int(store.source_id[index])], int(store.frame_id[index])).atoms()
    after = store.atoms(index)
    # Undo the moves of the copy: the turn first, which came last.
    turns, shift = int(store.array("quarter_turns")[index]), store.array("translation")[index]
    positions, cell = move_atoms(after.positions, after.cell.array, np.zeros(3), -turns)
    after.positions, _ = move_atoms(positions, cell, -shift, 0)
    after.cell = cell
    rows: Any = store.array("supercell")[index].tolist()
    vacuum = store.array("vacuum")[index]
    changes = Changes(
        supercell=tuple(tuple(row) for row in rows),  # type: ignore[arg-type]
        shear=float(store.array("shear")[index]),
        vacuum_before=float(vacuum[0]),
        vacuum_after=float(vacuum[1]),
        lift=float(store.array("lift")[index]),
    )
    return draw_before_and_after(before, after, changes, f"preparation of {_name_frame(store, index)}")


def _draw_structure_sheet(store: VoxelStore, index: int | None = None) -> "Figure":
    index = _find_structure(store, index)
    title = _name_structure(store, index)
    return draw_structure_sheet(store.density(index), store.cell[index], store.grid.species, title)


def _draw_slice_sheet(store: SliceStore) -> "Figure":
    n = min(len(store), COLUMNS * ROWS)
    shown = np.sort(np.random.default_rng(0).choice(len(store), n, replace=False))
    known = store.attrs["plane_names"]
    names = [known[max(plane, 0)] for plane in store.plane[shown]]  # on paper both planes look alike
    kinds = [f"class {number}" if number >= 0 else "no class" for number in store.energy_class[shown]]
    captions = [
        f"{kind}\n{name}-plane {position}" if position >= 0 else f"{kind}\ngenerated"
        for kind, name, position in zip(kinds, names, store.position[shown], strict=True)
    ]
    title = f"{n} of {len(store):,} slices, at random"
    return draw_slice_sheet(store.densities(shown), store.lattice[shown], names, captions, store.grid.species, title)


def _draw_space(store: VoxelStore, index: int | None = None, level: float = 0.5) -> "Figure":
    index = _find_structure(store, index)
    title = _name_structure(store, index)
    return draw_space(store.density(index), store.cell[index], store.grid.species, level, title)


PICTURES: Final = {
    "overview": Picture(_draw_overview, ("index", "level", "planes")),
    "classes": Picture(_draw_classes, (), _draw_classes),
    "preparation": Picture(_draw_preparation, ("index",)),
    "slices": Picture(_draw_structure_sheet, ("index",), _draw_slice_sheet),
    "space": Picture(_draw_space, ("index", "level")),
}


def _energies_per_atom(store: VoxelStore) -> Any:
    return store.energy / np.maximum(store.n_atoms, 1)


def _find_structure(store: VoxelStore, index: int | None) -> int:
    """Its number, counted from the beginning."""
    if index is None:
        per_atom = _energies_per_atom(store)
        return int(np.nanargmin(per_atom)) if np.isfinite(per_atom).any() else 0
    if not -len(store) <= index < len(store):
        raise StoreError(f"{store.location}: index must lie within {len(store)} structures; found {index}")
    return index % len(store)


def _name_structure(store: VoxelStore, index: int) -> str:
    copy = f", copy {int(store.copy[index])}" if store.attrs["options"]["copies"] > 1 else ""
    return f"structure {index}: {_name_frame(store, index)}{copy}"


def _name_frame(store: VoxelStore, index: int) -> str:
    if store.generated is not None:
        return "generated"
    source = store.sources[int(store.source_id[index])]
    noun = "row" if source["format"] in DATABASES else "frame"
    return f"{noun} {int(store.frame_id[index])} of {Path(source['path']).name}"
