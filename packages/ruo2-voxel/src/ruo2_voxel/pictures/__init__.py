"""Pictures of structures, densities and data sets; they need the optional extra [pictures]."""

from ruo2_voxel.pictures.before_after import draw_before_and_after
from ruo2_voxel.pictures.classes import draw_classes
from ruo2_voxel.pictures.figure import new_figure, save_figure
from ruo2_voxel.pictures.histogram import draw_histogram
from ruo2_voxel.pictures.isosurface import draw_isosurface, find_isosurface
from ruo2_voxel.pictures.overview import draw_overview
from ruo2_voxel.pictures.sheet import draw_slice_sheet, draw_structure_sheet
from ruo2_voxel.pictures.slices import draw_overlay, draw_slice, find_densest_planes
from ruo2_voxel.pictures.space import draw_space
from ruo2_voxel.pictures.structure import draw_structure

__all__ = [
    "draw_before_and_after",
    "draw_classes",
    "draw_histogram",
    "draw_isosurface",
    "draw_overlay",
    "draw_overview",
    "draw_slice",
    "draw_slice_sheet",
    "draw_space",
    "draw_structure",
    "draw_structure_sheet",
    "find_densest_planes",
    "find_isosurface",
    "new_figure",
    "save_figure",
]
