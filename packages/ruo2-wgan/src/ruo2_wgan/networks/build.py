"""Networks for a configuration and its data, initialised."""

import torch
from torch import nn

from ruo2_wgan.config import Model
from ruo2_wgan.errors import ConfigError
from ruo2_wgan.networks.critic import Critic
from ruo2_wgan.networks.generator import Generator
from ruo2_wgan.networks.layers import SLOPE, PeriodicConv, PeriodicConvTranspose, ResizeConv, widen_kernel
from ruo2_wgan.spec import DataSpec


def build_networks(model: Model, spec: DataSpec, seed: int) -> tuple[Generator, Critic]:
    """Generator and critic with Kaiming's initial weights; the same ones for a seed, whatever was drawn before.

    Raises
    ------
    ConfigError
        A model that does not fit the data.
    """
    if model.dimensions != spec.dimensions:
        raise ConfigError(f"model.dimensions must be that of the data, {spec.dimensions}; found {model.dimensions}")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # that of the CPU alone: GPUs' are not forked
        networks = Generator(model, spec), Critic(model, spec)
        for network in networks:
            network.apply(_initialise)
    return networks


def count_parameters(module: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(each.numel() for each in module.parameters() if each.requires_grad)


def use_channels_last(module: nn.Module) -> None:
    """Lay convolution weights out with channels last; those of a layer norm, which have no batch, cannot be."""
    for layer in module.modules():
        if isinstance(layer, PeriodicConv | PeriodicConvTranspose | ResizeConv):
            three = layer.weight.dim() == 5
            layout = torch.channels_last_3d if three else torch.channels_last
            layer.weight.data = layer.weight.data.contiguous(memory_format=layout)


@torch.no_grad()
def _initialise(layer: nn.Module) -> None:
    """Kaiming's for LeakyReLU (arXiv:1502.01852), by the number of inputs of a value; biases begin at 0."""
    if isinstance(layer, PeriodicConv | nn.Linear):
        layer.weight.normal_(std=_spread(layer.weight[0].numel()))
    elif isinstance(layer, ResizeConv):
        layer.weight.normal_(std=_spread(layer.weight[:, 0].numel()))
    elif isinstance(layer, PeriodicConvTranspose) and layer.even:
        kernel = layer.weight.new_empty(*layer.weight.shape[:2], *[3] * (layer.weight.dim() - 2))
        layer.weight.copy_(widen_kernel(kernel.normal_(std=_spread(kernel[:, 0].numel()))))
    elif isinstance(layer, PeriodicConvTranspose):  # the kernel meets only every second voxel along each axis
        layer.weight.normal_(std=_spread(layer.weight[:, 0].numel() // 2 ** (layer.weight.dim() - 2)))
    else:
        return
    if layer.bias is not None:
        layer.bias.zero_()


def _spread(n_inputs: int) -> float:
    return float((2 / (1 + SLOPE**2) / n_inputs) ** 0.5)
