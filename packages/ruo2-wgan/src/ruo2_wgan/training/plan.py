"""What a run would be: sizes, memory and steps, before anything is trained."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ruo2_wgan.config import Config, config_tables
from ruo2_wgan.data import open_rows
from ruo2_wgan.networks import build_networks, count_parameters
from ruo2_wgan.training.launch import check_ranks, count_ranks, dtype_of
from ruo2_wgan.training.schedule import Schedule

# Copies of the critic's activations that a critic update holds at its peak: reals and fakes, interpolates, and the
# first and second derivative of these.
CRITIC_COPIES = 5


def plan_run(store: str | Path, config: Config) -> dict[str, Any]:
    """Configuration, parameters, memory and steps of a run, as plain values.

    Raises
    ------
    Ruo2Error
        A store that does not fit the configuration, as when training.
    """
    n_ranks = count_ranks()
    check_ranks(config, n_ranks)
    rows = open_rows(store, config)
    spec = rows.spec
    generator, critic = build_networks(config.model, spec, config.training.seed)
    schedule = Schedule(config, spec.n_train)
    sizes = {"generator": count_parameters(generator), "critic": count_parameters(critic)}
    width = dtype_of(config.training).itemsize
    n = max(config.model.minibatch_std, 1)  # as few rows as the critic can compare
    latent = torch.randn(n, config.model.latent)
    label = torch.zeros(n, dtype=torch.int64) if config.model.conditioning != "none" else None
    density = torch.zeros(n, spec.n_species, *spec.shape)
    part = schedule.largest_batch // n_ranks // config.training.accumulate
    of_critic = _activations(critic, density, label) // n * part * width
    of_generator = _activations(generator, latent, label) // n * part * width
    data_bytes = spec.n_train * spec.n_species * torch.Size(spec.shape).numel() * rows.dtype.itemsize
    # Weights, gradients and the two moments of Adam; the average once more.
    weights = 4 * width * sum(sizes.values()) + (width * sizes["generator"] if config.training.ema else 0)
    return {
        "configuration": config_tables(config),
        "store": str(rows.location),
        "species": list(spec.species),
        "shape": list(spec.shape),
        "training_rows": spec.n_train,
        "held_out_rows": spec.n_held_out,
        "classes": spec.n_classes,
        "parameters": sizes,
        "memory_bytes": {
            "weights_and_optimizers": weights,
            "activations": max(CRITIC_COPIES * of_critic, of_critic + of_generator),
            "data": data_bytes,
        },
        "steps": schedule.n_steps,
        "steps_per_epoch": round(schedule.steps_per_epoch(0), 2),
    }


def _activations(network: nn.Module, *inputs: torch.Tensor | None) -> int:
    """Numbers that the layers of a network put out."""
    counted = 0

    def count(_: nn.Module, __: Any, out: Any) -> None:
        nonlocal counted
        counted += out.numel() if isinstance(out, torch.Tensor) else 0

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(count) for module in leaves]
    try:
        with torch.no_grad():
            network.eval()(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return counted
