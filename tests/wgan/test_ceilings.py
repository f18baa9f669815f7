"""Operations of a training step, as torch counts them, are those of the convolutions counted by hand."""

from itertools import pairwise

import pytest

from benchmarks.ceilings import count_flops, measure_ceilings
from ruo2_wgan.config import make_config
from tests.wgan.specs import make_spec


def products(widths: list[int], side: int, kernel: int) -> list[float]:
    """Multiplications and additions of strided convolutions between these widths, from a cube of voxels downwards."""
    return [
        2 * kernel**3 * n_in * n_out * (side // 2 ** (stage + 1)) ** 3
        for stage, (n_in, n_out) in enumerate(pairwise(widths))
    ]


def test_a_step_of_the_thesis_network() -> None:
    config = make_config({})
    convolutions = products([2, 64, 128, 256, 512], 32, 4)
    first, score = convolutions[0], 2 * 512 * 8
    critic = sum(convolutions) + score
    project = 2 * 512 * 512 * 8
    generator = sum(convolutions) + project  # transposed, the same stages backwards
    # Reals and fakes: forward, derivatives by weights, and by features but not by the grids themselves.
    pairs = 2 * (critic + critic + critic - first)
    # Interpolates: forward, derivative by the grid, of that both derivatives of each stage, and once more the way of
    # the forward pass back, by weights and by features.
    penalty = 6 * critic
    flops = count_flops(config.model, config.loss, make_spec((32, 32, 32)))
    assert flops["critic"] == pytest.approx(generator + pairs + penalty, rel=1e-4)
    assert flops["critic"] == pytest.approx(12.96e9, rel=1e-3)
    # Forward and both derivatives, but of the latent vector none; through the critic there and back, by its features.
    assert flops["generator"] == pytest.approx(3 * generator - project + 2 * critic, rel=1e-4)
    assert flops["generator"] == pytest.approx(5.04e9, rel=1e-3)
    assert flops["step"] == 5 * flops["critic"] + flops["generator"]


def test_groups_and_the_relativistic_loss_are_counted_for_one_structure() -> None:
    """R1 and R2 take a penalty of reals and fakes alike; a real is then judged beside each fake."""
    model = {"critic_norm": "none", "critic_dropout": 0.0, "generator_norm": "none", "output_norm": False}
    spec = make_spec((16, 16, 16))
    config = make_config({"model": model, "loss": {"kind": "relativistic", "n_critic": 1}})
    flops = count_flops(config.model, config.loss, spec)
    convolutions = products([2, 64, 128, 256, 512], 16, 4)
    critic = sum(convolutions) + 2 * 512
    project = 2 * 512 * 512
    generator = sum(convolutions) + project
    assert flops["critic"] == pytest.approx(generator + 2 * 6 * critic, rel=1e-3)
    assert flops["generator"] == pytest.approx(3 * generator - project + 3 * critic, rel=1e-3)


def test_ceilings_are_measured_on_any_device() -> None:
    found = measure_ceilings("cpu", quick=True)
    assert found["matrix_dtype"] == "float32"
    assert found["matrix_TFLOP_per_s"] > 0
    assert found["copy_GB_per_s"] > 0
