"""Pictures of structures, densities and data sets; they need the optional extra [pictures]."""

from ruo2_voxel.pictures.figure import new_figure, save_figure
from ruo2_voxel.pictures.histogram import draw_energy_histogram
from ruo2_voxel.pictures.isosurface import draw_isosurface, find_isosurface
from ruo2_voxel.pictures.overview import draw_overview
from ruo2_voxel.pictures.slices import draw_slice, find_densest_planes
from ruo2_voxel.pictures.structure import draw_structure

__all__ = [
    "draw_energy_histogram",
    "draw_isosurface",
    "draw_overview",
    "draw_slice",
    "draw_structure",
    "find_densest_planes",
    "find_isosurface",
    "new_figure",
    "save_figure",
]
