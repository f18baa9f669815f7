"""Parts and updates: accumulation is the whole batch, averages follow, random numbers depend on the step alone."""

import shutil
import warnings

import pytest
import torch

from ruo2_wgan.networks import build_networks
from ruo2_wgan.training.chance import draw, seed_of, start_step
from ruo2_wgan.training.step import average_of
from tests.wgan.specs import make_spec
from tests.wgan.training import ranks
from tests.wgan.training.ranks import config_of, take_steps


def test_accumulated_parts_give_the_gradient_of_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without batch norm, whose statistics are those of a part."""
    options = {"model": {"generator_norm": "none", "output_norm": False, "lattice": True}}
    monkeypatch.setitem(ranks.VARIANTS, "whole", options)
    monkeypatch.setitem(ranks.VARIANTS, "in parts", {**options, "training": {"accumulate": 4}})
    whole, parts = (take_steps(name, "float64", 2) for name in ("whole", "in parts"))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-11, msg=name)


def test_an_average_follows_faster_at_first_and_then_at_its_pace() -> None:
    generator, _ = build_networks(config_of("vanilla", "float32", 2).model, make_spec((8, 8)), 1)
    average, expected = average_of(generator, 0.6), None
    for step in range(12):
        for weight in generator.parameters():
            weight.data.fill_(float(step * step))
        generator.bottom[0].running_mean.fill_(float(-step))
        average.update_parameters(generator)
        decay = min(0.6, (1 + step) / (10 + step))
        expected = float(step * step) if expected is None else decay * expected + (1 - decay) * step * step
    for weight in average.module.parameters():
        torch.testing.assert_close(weight, torch.full_like(weight, expected))
        assert not weight.requires_grad
    assert -11 < average.module.bottom[0].running_mean[0] < -5


def test_random_numbers_follow_from_seed_step_and_rank() -> None:
    device = torch.device("cpu")

    def numbers(seed: int, step: int, rank: int) -> tuple[float, float, float]:
        random = start_step(seed, step, rank, device)
        draws = draw(3, 4, random)
        return draws.latent.sum().item(), draws.mix.sum().item(), torch.rand(1).item()

    first = numbers(1, 2, 3)
    torch.rand(100)
    assert numbers(1, 2, 3) == first
    others = [numbers(0, 2, 3), numbers(1, 0, 3), numbers(1, 2, 0), numbers(2, 1, 3)]
    assert len({first, *others}) == 5
    assert len({value for values in [first, *others] for value in values}) == 15
    assert seed_of(1, 2) != seed_of(2, 1) != seed_of(12)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="torch.compile needs a compiler")
@pytest.mark.parametrize("kind", ["wgan-gp", "relativistic"])
def test_a_compiled_loss_is_the_loss(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Penalty and its gradient are taken inside what is compiled: done carelessly, they are a few percent off."""
    options = {"model": {"lattice": True, "conditioning": "embedding", "condition_size": 4}, "loss": {"kind": kind}}
    monkeypatch.setitem(ranks.VARIANTS, "plain", options)
    monkeypatch.setitem(ranks.VARIANTS, "compiled", {**options, "training": {"compile": True}})
    plain = ranks.take_steps("plain", "float32", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler's own
        compiled = ranks.take_steps("compiled", "float32", 2)
    for name, value in plain.items():
        if "gradient 0" in name:
            torch.testing.assert_close(compiled[name], value, rtol=0, atol=1e-5, msg=name)
