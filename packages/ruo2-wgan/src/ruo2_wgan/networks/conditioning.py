"""Three ways to tell the networks the class of a structure (thesis 3.3.2), behind one interface."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ruo2_wgan.config import Model
from ruo2_wgan.errors import ConfigError
from ruo2_wgan.spec import DataSpec


class Condition(nn.Module):
    """A class as a vector beside z, or as a channel beside the species."""

    size: int  # of the vector

    def vector(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        """For the generator: shape (b, size), for labels of shape (b,)."""
        raise NotImplementedError

    def channel(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        """For the critic: shape (b, 1, *sides)."""
        raise NotImplementedError


class IntegerCondition(Condition):
    """The class as a number, repeated."""

    def __init__(self, size: int, sides: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self._sides = size, sides

    def vector(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        return label.to(dtype)[:, None].expand(-1, self.size)

    def channel(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        return label.to(dtype).reshape(-1, 1, *[1] * len(self._sides)).expand(-1, 1, *self._sides)


class OneHotCondition(Condition):
    """The class as a one-hot vector, repeated; as a channel it is laid out voxel by voxel and cut at the end."""

    def __init__(self, n_classes: int, size: int, sides: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self._n_classes, self._sides = size, n_classes, sides

    def vector(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        return self._repeat(label, self.size, dtype)

    def channel(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        return self._repeat(label, math.prod(self._sides), dtype).reshape(-1, 1, *self._sides)

    def _repeat(self, label: Tensor, length: int, dtype: torch.dtype) -> Tensor:
        one_hot = functional.one_hot(label, self._n_classes).to(dtype)
        return one_hot.repeat(1, math.ceil(length / self._n_classes))[:, :length]


class EmbeddingVector(Condition):
    """The class as a learned vector, for the generator."""

    def __init__(self, n_classes: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.embedding = nn.Embedding(n_classes, size)

    def vector(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        found: Tensor = self.embedding(label)
        return found.to(dtype)


class EmbeddingChannel(Condition):
    """The class as a learned vector that a linear layer lays out over the grid, for the critic."""

    def __init__(self, n_classes: int, size: int, sides: tuple[int, ...]) -> None:
        super().__init__()
        self.size, self._sides = size, sides
        self.embedding = nn.Embedding(n_classes, size)
        self.linear = nn.Linear(size, math.prod(sides))

    def channel(self, label: Tensor, dtype: torch.dtype) -> Tensor:
        laid_out: Tensor = self.linear(self.embedding(label))
        return laid_out.reshape(-1, 1, *self._sides).to(dtype)


def make_condition(model: Model, spec: DataSpec, for_critic: bool) -> Condition | None:
    """What a configuration asks for; None without conditioning.

    Raises
    ------
    ConfigError
        The data have no classes; a one-hot vector that cannot be repeated to the size.
    """
    if model.conditioning == "none":
        return None
    n, size, sides = spec.n_classes, model.condition_size, spec.shape
    if not n:
        raise ConfigError(
            f"model.conditioning = {model.conditioning} needs structures with classes; found a store without labels. "
            f"Build it with --label, or set model.conditioning=none"
        )
    if model.conditioning == "integer":
        return IntegerCondition(size, sides)
    if model.conditioning == "onehot":
        if size % n:
            raise ConfigError(
                f"model.condition_size must be a multiple of the {n} classes, so that a one-hot vector can be "
                f"repeated; found {size}. Take {max(n, size // n * n)}"
            )
        return OneHotCondition(n, size, sides)
    return EmbeddingChannel(n, size, sides) if for_critic else EmbeddingVector(n, size)
