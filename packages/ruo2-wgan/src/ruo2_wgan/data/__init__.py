"""Batches of real structures: what of a store is trained on, in which order, by which way to the device."""

from ruo2_wgan.data.batches import Batch, Batches
from ruo2_wgan.data.lattice import scale_lattice, unscale_lattice
from ruo2_wgan.data.rows import Rows, open_rows
from ruo2_wgan.data.symmetry import Operations, apply_operations, draw_operations

__all__ = [
    "Batch",
    "Batches",
    "Operations",
    "Rows",
    "apply_operations",
    "draw_operations",
    "open_rows",
    "scale_lattice",
    "unscale_lattice",
]
