"""Voxel stores of atomic structures: ASE trajectories to Gaussian densities on periodic grids, in chunked Zarr.

>>> from ruo2_voxel import Grid, build, open_store
>>> build("bh.traj", "bh.zarr", Grid(species=("Ru", "O"), shape=(32, 32, 32)))
>>> store = open_store("bh.zarr")
>>> store.density(0).shape
(2, 32, 32, 32)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruo2_voxel.density.decode import Decoded, Merged, decode, decode_many
    from ruo2_voxel.density.grid import AliasingWarning, BlurWarning, Grid
    from ruo2_voxel.density.slices import Slices, slices
    from ruo2_voxel.density.symmetry import move_atoms, rotate_z, translate
    from ruo2_voxel.density.voxelize import voxelize, voxelize_many
    from ruo2_voxel.errors import (
        GridError,
        ManifestError,
        MissingExtraError,
        Ruo2Error,
        SourceError,
        StoreError,
        StructureError,
    )
    from ruo2_voxel.pictures.colours import mix_inks
    from ruo2_voxel.pictures.figure import new_figure, save_figure
    from ruo2_voxel.pictures.isosurface import draw_isosurface
    from ruo2_voxel.store.build import available_cores, build
    from ruo2_voxel.store.decode import decode_store
    from ruo2_voxel.store.export import export_grid, write_grid
    from ruo2_voxel.store.generated import GridBlock, write_grids
    from ruo2_voxel.store.labelling import Labelling, read_labelling
    from ruo2_voxel.store.manifest import read_manifest, verify_manifest
    from ruo2_voxel.store.plan import BuildOptions
    from ruo2_voxel.store.reader import VoxelStore, open_store
    from ruo2_voxel.store.slice_store import SliceStore, build_slices, open_any, open_slices
    from ruo2_voxel.store.slice_view import SliceChoice, SliceView
    from ruo2_voxel.store.verify import verify_store
    from ruo2_voxel.structures.classes import ClassBalanceWarning, classify
    from ruo2_voxel.structures.frames import Frame, Frames, open_frames
    from ruo2_voxel.structures.preparation import (
        Changes,
        Preparation,
        orthogonalize,
        repeat_to_square,
        set_vacuum,
    )
    from ruo2_voxel.structures.screening import Finding, Screening, screen, screen_arrays
    from ruo2_voxel.structures.structure_file import StructureWriter
    from ruo2_voxel.structures.surface_energy import SurfaceReference, calibrate_oxygen, surface_free_energy
    from ruo2_voxel.structures.surfaces import TERMINATIONS, build_surface, bulk_rutile, surface_family
    from ruo2_voxel.structures.whole_file import check_file, whole_file

# Imported when first used: `ruo2-voxel --help` need not wait for a compiler.
_HOMES = {
    "ruo2_voxel.density.decode": ("Decoded", "Merged", "decode", "decode_many"),
    "ruo2_voxel.density.grid": ("AliasingWarning", "BlurWarning", "Grid"),
    "ruo2_voxel.density.slices": ("Slices", "slices"),
    "ruo2_voxel.density.symmetry": ("move_atoms", "rotate_z", "translate"),
    "ruo2_voxel.density.voxelize": ("voxelize", "voxelize_many"),
    "ruo2_voxel.errors": (
        "GridError",
        "ManifestError",
        "MissingExtraError",
        "Ruo2Error",
        "SourceError",
        "StoreError",
        "StructureError",
    ),
    "ruo2_voxel.pictures.colours": ("mix_inks",),
    "ruo2_voxel.pictures.figure": ("new_figure", "save_figure"),
    "ruo2_voxel.pictures.isosurface": ("draw_isosurface",),
    "ruo2_voxel.store.build": ("available_cores", "build"),
    "ruo2_voxel.store.decode": ("decode_store",),
    "ruo2_voxel.store.export": ("export_grid", "write_grid"),
    "ruo2_voxel.store.generated": ("GridBlock", "write_grids"),
    "ruo2_voxel.store.labelling": ("Labelling", "read_labelling"),
    "ruo2_voxel.store.manifest": ("read_manifest", "verify_manifest"),
    "ruo2_voxel.store.plan": ("BuildOptions",),
    "ruo2_voxel.store.reader": ("VoxelStore", "open_store"),
    "ruo2_voxel.store.slice_store": ("SliceStore", "build_slices", "open_any", "open_slices"),
    "ruo2_voxel.store.slice_view": ("SliceChoice", "SliceView"),
    "ruo2_voxel.store.verify": ("verify_store",),
    "ruo2_voxel.structures.classes": ("ClassBalanceWarning", "classify"),
    "ruo2_voxel.structures.frames": ("Frame", "Frames", "open_frames"),
    "ruo2_voxel.structures.preparation": (
        "Changes",
        "Preparation",
        "orthogonalize",
        "repeat_to_square",
        "set_vacuum",
    ),
    "ruo2_voxel.structures.structure_file": ("StructureWriter",),
    "ruo2_voxel.structures.surface_energy": ("SurfaceReference", "calibrate_oxygen", "surface_free_energy"),
    "ruo2_voxel.structures.screening": ("Finding", "Screening", "screen", "screen_arrays"),
    "ruo2_voxel.structures.surfaces": ("TERMINATIONS", "build_surface", "bulk_rutile", "surface_family"),
    "ruo2_voxel.structures.whole_file": ("check_file", "whole_file"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "TERMINATIONS",
    "AliasingWarning",
    "BlurWarning",
    "BuildOptions",
    "Changes",
    "ClassBalanceWarning",
    "Decoded",
    "Finding",
    "Frame",
    "Frames",
    "Grid",
    "GridBlock",
    "GridError",
    "Labelling",
    "ManifestError",
    "Merged",
    "MissingExtraError",
    "Preparation",
    "Ruo2Error",
    "Screening",
    "SliceChoice",
    "SliceStore",
    "SliceView",
    "Slices",
    "SourceError",
    "StoreError",
    "StructureError",
    "StructureWriter",
    "SurfaceReference",
    "VoxelStore",
    "available_cores",
    "build",
    "build_slices",
    "build_surface",
    "bulk_rutile",
    "calibrate_oxygen",
    "check_file",
    "classify",
    "decode",
    "decode_many",
    "decode_store",
    "draw_isosurface",
    "export_grid",
    "mix_inks",
    "move_atoms",
    "new_figure",
    "open_any",
    "open_frames",
    "open_slices",
    "open_store",
    "orthogonalize",
    "read_labelling",
    "read_manifest",
    "repeat_to_square",
    "rotate_z",
    "save_figure",
    "screen",
    "screen_arrays",
    "set_vacuum",
    "slices",
    "surface_family",
    "surface_free_energy",
    "translate",
    "verify_manifest",
    "verify_store",
    "voxelize",
    "voxelize_many",
    "whole_file",
    "write_grid",
    "write_grids",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
