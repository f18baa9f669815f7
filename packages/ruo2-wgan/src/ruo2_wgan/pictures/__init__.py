"""Pictures of runs: losses, and sheets of slices and of structures in space."""

from ruo2_wgan.pictures.losses import draw_loss_panels, draw_losses
from ruo2_wgan.pictures.samples import draw_samples
from ruo2_wgan.pictures.slices import draw_slices
from ruo2_wgan.pictures.volumes import draw_volumes

__all__ = ["draw_loss_panels", "draw_losses", "draw_samples", "draw_slices", "draw_volumes"]
