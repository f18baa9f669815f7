"""Steps of one rank of several, or of one process with the whole batch: what `test_ranks` compares."""

import sys
from typing import Any

import torch

from ruo2_wgan.config import Config, make_config
from ruo2_wgan.networks import build_networks
from ruo2_wgan.training.launch import dtype_of, launch
from ruo2_wgan.training.step import Adversaries, Part
from tests.wgan.specs import make_spec

N_STEPS, BATCH, N_CRITIC = 3, 8, 2
SMALL = {
    "latent": 5,
    "generator_channels": [4, 3],
    "critic_channels": [3, 4],
    "lattice_hidden": 4,
    "critic_dropout": 0.0,
}

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "vanilla": {},
    "integer": {"model": {"conditioning": "integer", "condition_size": 4}},
    "onehot": {"model": {"conditioning": "onehot", "condition_size": 6}},
    "embedding": {"model": {"conditioning": "embedding", "condition_size": 4}},
    "lattice": {"model": {"lattice": True}},
    "embedding-lattice": {"model": {"conditioning": "embedding", "condition_size": 4, "lattice": True}},
    "recommended": {
        "model": {"upsampling": "resize", "critic_norm": "none", "minibatch_std": 4, "lattice": True},
        "loss": {"drift": 1e-3},
        "training": {"ema": 0.9},
    },
    "relativistic": {"model": {"lattice": True}, "loss": {"kind": "relativistic"}},
    "accumulated": {"model": {"lattice": True}, "training": {"accumulate": 2}},
}


def config_of(variant: str, precision: str, dimensions: int) -> Config:
    """Of tiny networks."""
    tables: dict[str, Any] = VARIANTS[variant]
    return make_config(
        {
            "model": {"dimensions": dimensions, **SMALL, **tables.get("model", {})},
            "loss": {"n_critic": N_CRITIC, **tables.get("loss", {})},
            "optimizer": {"critic_lr": 1e-5, "generator_lr": 1e-5},
            "training": {"batch": BATCH, "precision": precision, **tables.get("training", {})},
        }
    )


def take_steps(variant: str, precision: str, dimensions: int) -> dict[str, torch.Tensor]:
    """Gradients of every update and all weights after the last, on this rank's rows of the same batches."""
    config = config_of(variant, precision, dimensions)
    fabric = launch("cpu", config.training)
    shape = (8, 8, 4)[:dimensions]
    generator, critic = build_networks(config.model, make_spec(shape, 3), seed=1)
    adversaries = Adversaries(fabric, generator, critic, config)
    random = torch.Generator().manual_seed(7)
    found: dict[str, torch.Tensor] = {}

    def parts() -> list[Part]:
        """Drawn for the whole batch by every rank, of which each takes its own rows: so batches are the same."""
        dtype = dtype_of(config.training)
        whole = Part(
            density=torch.rand(BATCH, 2, *shape, generator=random, dtype=torch.float64).to(dtype),
            label=torch.randint(3, (BATCH,), generator=random),
            lattice=torch.rand(BATCH, dimensions, generator=random, dtype=torch.float64).to(dtype),
            latent=torch.randn(BATCH, 5, generator=random, dtype=torch.float64).to(dtype),
            mix=torch.rand(BATCH, generator=random, dtype=torch.float64).to(dtype),
            operations=None,
        )
        # In parts that one process takes one after the other, each rank has its share of every part, in their order.
        n = BATCH // fabric.world_size // config.training.accumulate
        begin = fabric.global_rank * n
        stride = n * fabric.world_size
        return [
            Part(*(None if each is None else each[at + begin : at + begin + n] for each in whole))
            for at in range(0, BATCH, stride)
        ]

    for step in range(N_STEPS):
        for update in range(N_CRITIC):
            adversaries.update_critic(parts())
            for name, weight in critic.named_parameters():
                found[f"critic gradient {step}.{update} {name}"] = weight.grad.clone()
        adversaries.update_generator(parts())
        for name, weight in generator.named_parameters():
            found[f"generator gradient {step} {name}"] = weight.grad.clone()
    for kind, network in {"generator": generator, "critic": critic, "average": adversaries.average}.items():
        if network is not None:
            found |= {f"{kind} {name}": value.clone() for name, value in network.state_dict().items()}
    return found


if __name__ == "__main__":
    import os

    out, precision, dimension, *variants = sys.argv[1:]
    results = {variant: take_steps(variant, precision, int(dimension)) for variant in variants}
    torch.save(results, f"{out}/rank{os.environ['RANK']}.pt")
