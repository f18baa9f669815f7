"""A recorded update is the plain one. What stands in for a CUDA graph here runs the function again, as a graph does."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from ruo2_wgan.config import Config, make_config
from ruo2_wgan.data import draw_operations
from ruo2_wgan.errors import ConfigError, TrainingError
from ruo2_wgan.networks import build_networks
from ruo2_wgan.training import graphs
from ruo2_wgan.training.chance import draw, start_step
from ruo2_wgan.training.launch import launch
from ruo2_wgan.training.step import Adversaries, Part
from tests.wgan.specs import make_spec
from tests.wgan.training.ranks import SMALL

SHAPE, BATCH, N_STEPS = (8, 8, 4), 8, 3
SPEC = make_spec(SHAPE, 3)
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "vanilla": {},
    "everything": {
        "model": {"conditioning": "embedding", "condition_size": 4, "lattice": True},
        "training": {"ema": 0.9, "accumulate": 2, "channels_last": True},
    },
    "recommended": {
        "model": {"upsampling": "resize", "critic_norm": "none", "minibatch_std": 4, "generator_periodic": "xy"},
        "loss": {"drift": 1e-3},
    },
    "relativistic": {"loss": {"kind": "relativistic"}, "training": {"precision": "bf16"}},
}


def config_of(variant: str, recorded: bool) -> Config:
    """Of tiny networks whose critic drops features, so that random numbers matter."""
    tables = VARIANTS[variant]
    model = {**SMALL, "critic_dropout": 0.5, **tables.get("model", {})}
    training = {"batch": BATCH, **tables.get("training", {}), "cuda_graphs": recorded}
    return make_config({**tables, "model": model, "training": training})


def adversaries_of(config: Config) -> Adversaries:
    """On a CPU, on which a run would refuse to record."""
    fabric = launch("cpu", replace(config.training, cuda_graphs=False))
    return Adversaries(fabric, *build_networks(config.model, SPEC, seed=1), config)


def parts_of(config: Config, random: torch.Generator) -> list[Part]:
    n, model = BATCH // config.training.accumulate, config.model
    return [
        Part(
            torch.rand(n, 2, *SHAPE, generator=random),
            torch.randint(3, (n,), generator=random) if model.conditioning != "none" else None,
            torch.rand(n, 3, generator=random) if model.lattice else None,
            *draw(n, model.latent, random),
            draw_operations(n, SPEC, ["roll", "mirror"], random),
        )
        for _ in range(config.training.accumulate)
    ]


def run_again(run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """In the place of a capture: a replay puts what the function returns where it was returned first."""
    for _ in range(2):
        result = run()

    def replay() -> None:
        result.copy_(run())

    return replay, result


def take_steps(config: Config) -> dict[str, Tensor]:
    """What is learned, with gradients and terms on the way."""
    adversaries, found = adversaries_of(config), {}
    for step in range(N_STEPS):
        random = start_step(7, step, 0, torch.device("cpu"))
        for update in range(2):
            terms, norm = adversaries.update_critic(parts_of(config, random))
            found |= {f"critic {step}.{update} {name}": value for name, value in terms._asdict().items()}
            found[f"critic norm {step}.{update}"] = norm
        terms, norm = adversaries.update_generator(parts_of(config, random))
        found |= {f"generator {step} {name}": value for name, value in terms._asdict().items()}
        found[f"generator norm {step}"] = norm
    kinds = {"generator": adversaries.generator, "critic": adversaries.critic, "average": adversaries.average}
    for kind, network in kinds.items():
        if network is not None:
            found |= {f"{kind} {name}": value for name, value in network.state_dict().items()}
            found |= {f"{kind} gradient {name}": w.grad for name, w in network.named_parameters() if w.grad is not None}
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_recorded_run_is_the_plain_one_bit_for_bit(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in its first updates: the runs before a recording leave buffers and random numbers as they were."""
    monkeypatch.setattr(graphs, "capture", run_again)
    plain, recorded = (take_steps(config_of(variant, recorded)) for recorded in (False, True))
    assert plain.keys() == recorded.keys()
    for name, value in plain.items():
        assert torch.equal(recorded[name], value), name


def test_gradients_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph writes to the addresses that it was recorded with, and the optimizer must find them."""
    monkeypatch.setattr(graphs, "capture", run_again)
    config = config_of("vanilla", recorded=True)
    adversaries, random = adversaries_of(config), torch.Generator().manual_seed(1)
    places = []
    for _ in range(2):
        adversaries.update_critic(parts_of(config, random))
        adversaries.update_generator(parts_of(config, random))
        weights = [*adversaries.critic.parameters(), *adversaries.generator.parameters()]
        places.append([weight.grad.data_ptr() for weight in weights])
    assert places[0] == places[1]


def test_other_shapes_than_the_recorded_ones_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "capture", run_again)
    config = config_of("vanilla", recorded=True)
    adversaries, random = adversaries_of(config), torch.Generator().manual_seed(1)
    (part,) = parts_of(config, random)
    adversaries.update_critic([part])
    with pytest.raises(TrainingError, match=r"shapes of the first one, .*\(8, 2, 8, 8, 4\).*found .*\(1, 2, 8, 8, 4\)"):
        adversaries.update_critic([part._replace(density=part.density[:1])])  # it would fill all eight
    with pytest.raises(TrainingError, match="shapes of the first one"):
        adversaries.update_critic([part._replace(operations=None)])


def test_where_updates_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    training = make_config({"training": {"cuda_graphs": True, "accumulate": 2}}).training
    with pytest.raises(ConfigError, match="needs one GPU and one rank; found CPU and 1 rank"):
        launch("cpu", training)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ConfigError, match="needs one GPU and one rank; found CUDA and 2 ranks"):
        launch("cuda", training)
    with pytest.raises(ConfigError, match=r"batches of one size; found training.batch_growth at the steps \[3\]"):
        make_config({"training": {"cuda_graphs": True, "batch_growth": [[3, 64]]}})
