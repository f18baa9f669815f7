"""Samples of a generator: the same ones for a seed, however many are asked for and whatever else is in the batch."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from ruo2_wgan.config import Model
from ruo2_wgan.data import unscale_lattice
from ruo2_wgan.networks import Generator
from ruo2_wgan.spec import DataSpec

# Rows that go through the network at once, always as many: how a product of matrices is summed up depends on their
# size, so that another number of rows would change the last bits of each.
PASS = 32


class Samples(NamedTuple):
    """n samples, in memory of the host."""

    density: NDArray[np.float32]  # (n, species, ...), in [0, 1]
    lattice: NDArray[np.float64]  # (n, axes), Å
    label: NDArray[np.int64]  # (n,), -1 without classes

    def first(self, n: int) -> "Samples":
        """The first n of them."""
        return Samples(self.density[:n], self.lattice[:n], self.label[:n])


def draw_latent(n: int, length: int, seed: int, first: int = 0) -> torch.Tensor:
    """Latent vectors number `first` to `first + n` of a seed, shape (n, length): each has random numbers of its own."""
    rows = [np.random.default_rng([seed, number]).standard_normal(length) for number in range(first, first + n)]
    return torch.from_numpy(np.stack(rows) if rows else np.empty((0, length)))


def deal_labels(n: int, model: Model, spec: DataSpec, label: int | None = None, first: int = 0) -> NDArray[np.int64]:
    """Classes of samples number `first` to `first + n`: one for all, or all in turn; -1 of a model without any."""
    if model.conditioning == "none":
        return np.full(n, -1, dtype=np.int64)
    if label is not None:
        return np.full(n, label, dtype=np.int64)
    return np.arange(first, first + n, dtype=np.int64) % spec.n_classes


def sample(
    generator: Generator,
    spec: DataSpec,
    latent: torch.Tensor,
    labels: NDArray[np.int64],
    progress: Callable[[int], None] | None = None,
) -> Samples:
    """Densities and lattice lengths for latent vectors and labels.

    Parameters
    ----------
    generator
        On any device; put into evaluation mode for the time, so that a sample does not depend on its batch.
    spec
        Of the data that it was trained on. Without lattice heads, lengths are the data's medians, of the class where
        there is one.
    latent
        Shape (n, latent).
    labels
        Shape (n,); -1 for none.
    progress
        Called with the number of samples just made.
    """
    weight = next(generator.parameters())
    was_training = generator.training
    generator.eval()
    density = np.empty((len(latent), spec.n_species, *spec.shape), dtype=np.float32)
    lattice = _typical_lattice(spec, labels)
    try:
        with torch.inference_mode():
            for begin in range(0, len(latent), PASS):
                n = min(PASS, len(latent) - begin)
                rows = torch.arange(PASS) % n + begin  # the last pass is filled up
                wanted = torch.from_numpy(labels)[rows]
                made = generator(
                    latent[rows].to(weight.device, weight.dtype),
                    wanted.to(weight.device) if labels[0] >= 0 else None,
                )
                density[begin : begin + n] = made.density[:n].float().cpu().numpy()
                if made.lattice_logits is not None:
                    lengths = unscale_lattice(spec, made.lattice_logits[:n].double().sigmoid())
                    lattice[begin : begin + n] = lengths.cpu().numpy()
                if progress is not None:
                    progress(n)
    finally:
        generator.train(was_training)
    return Samples(density, lattice, labels)


def _typical_lattice(spec: DataSpec, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array(spec.lattice_typical)[labels + 1].reshape(-1, spec.dimensions)
