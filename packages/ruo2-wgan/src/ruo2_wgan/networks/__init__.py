"""Critic and generator, in two and three dimensions from one description."""

from ruo2_wgan.networks.build import build_networks, count_parameters, use_channels_last
from ruo2_wgan.networks.critic import Critic, Judged
from ruo2_wgan.networks.generator import Generated, Generator

__all__ = ["Critic", "Generated", "Generator", "Judged", "build_networks", "count_parameters", "use_channels_last"]
