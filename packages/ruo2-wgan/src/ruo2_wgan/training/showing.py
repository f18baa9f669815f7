"""What a run shows of itself on the way: sheets of samples, losses, and signs of collapse."""

import logging
from collections.abc import Mapping

import numpy as np
import torch

from ruo2_voxel import Ruo2Error, save_figure
from ruo2_wgan.config import Config
from ruo2_wgan.data import Rows, apply_operations, draw_operations
from ruo2_wgan.networks import Generator
from ruo2_wgan.pictures import draw_losses, draw_samples
from ruo2_wgan.sampling import deal_labels, draw_latent, sample
from ruo2_wgan.training.chance import seed_of
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.training.watch import Watch

RECENT = 100  # logged steps, whose losses are compared

logger = logging.getLogger("ruo2_wgan")


class Showing:
    """Samples from latent vectors that stay the same through a run, looked at and drawn.

    Parameters
    ----------
    folder
        Of the run.
    config
        How many samples to draw and to look at.
    rows
        Held-out ones are what samples are compared with; training ones where none are held out.
    """

    def __init__(self, folder: RunFolder, config: Config, rows: Rows) -> None:
        self._folder, self._config, self._spec = folder, config, rows.spec
        n = max(config.output.n_samples, config.output.watch)
        self._latent = draw_latent(n, config.model.latent, config.training.seed)
        self._labels = deal_labels(n, config.model, rows.spec)
        self._watch = Watch(torch.from_numpy(self._take_reals(rows)), seed=config.training.seed)

    def look(self, generator: Generator, line: Mapping[str, float]) -> dict[str, float]:
        """Draw the sheet of an epoch; figures of the samples for the line of statistics."""
        samples = sample(generator, self._spec, self._latent, self._labels)
        history = [*self._folder.read_stats()[-RECENT:], line]
        figures = self._watch.look(torch.from_numpy(samples.density[: self._config.output.watch]), history)
        for sign in self._watch.signs(figures):
            logger.warning("step %d: %s", line["step"], sign)
        epoch, step = line["epoch"], line["step"]
        first = samples.first(self._config.output.n_samples)
        path = self._folder.samples / f"epoch-{int(epoch):04d}-step-{step:07d}.png"
        save_figure(draw_samples(first, self._spec.species, f"epoch {int(epoch)}, step {step}"), path)
        return figures

    def draw_losses(self) -> None:
        """Draw all logged steps."""
        stats = self._folder.read_stats()
        try:
            if stats:
                save_figure(draw_losses(stats), self._folder.path / "losses.png")
        except Ruo2Error as error:  # a full disk, say, which must not hide why the run has ended
            logger.warning("losses.png could not be drawn: %s", error)

    def _take_reals(self, rows: Rows) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
        """Real rows to compare with, under random symmetry operations as the training ones are."""
        seed = seed_of(self._config.training.seed, 0)
        source = rows.held_out if len(rows.held_out) >= self._config.output.watch // 4 else rows.train
        n = min(self._config.output.watch, len(source))
        chosen = np.random.default_rng(seed).choice(source, n, replace=False)
        density = torch.from_numpy(rows.read(np.sort(chosen)).astype(np.float32) * np.float32(rows.scale))
        names = self._config.data.augment
        if names:
            random = torch.Generator().manual_seed(seed)
            density, _ = apply_operations(density, None, draw_operations(n, self._spec, names, random))
        return density.numpy()
