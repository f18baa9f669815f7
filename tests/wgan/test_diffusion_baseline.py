"""The diffusion baseline: identities of its preconditioning, its symmetry, and its sampler beside a closed form."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.quality.diffusion import (
    CONFIG,
    N_LEVELS,
    PASS,
    Denoiser,
    Supply,
    draw_noise,
    join,
    main,
    precondition,
    sample,
    sampling_levels,
    take_noise_off,
)
from ruo2_voxel import open_store, verify_store
from ruo2_wgan.data import open_rows

CPU = torch.device("cpu")


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def denoiser() -> Denoiser:
    """With other weights than it begins with, some of which are 0."""
    torch.manual_seed(0)
    denoiser = Denoiser(2, 8).double()
    for weight in denoiser.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return denoiser


def make_fields(n: int, random: torch.Generator) -> Tensor:
    """Normal fields of two species on 8 x 12 x 8 voxels."""
    return join(
        torch.randn(n, 2, 8, 12, 8, generator=random, dtype=torch.float64),
        torch.randn(n, 3, generator=random, dtype=torch.float64),
    )


@pytest.mark.parametrize("level", [0.03, 1.0, 20.0])
def test_the_network_sees_and_gives_values_of_variance_one(level: float, random: torch.Generator) -> None:
    n = 1_000_000
    clean = torch.where(torch.rand(n, generator=random) < 0.2, 2.0, -0.5)  # mean 0 and variance 1, and far from normal
    noisy = clean + level * torch.randn(n, generator=random)
    keep, scale_out, scale_in = precondition(torch.tensor(level))
    target = (clean - keep * noisy) / scale_out
    assert (scale_in * noisy).var().item() == pytest.approx(1.0, abs=0.01)
    assert target.var().item() == pytest.approx(1.0, abs=0.01)
    assert (target * noisy * scale_in).mean().item() == pytest.approx(0.0, abs=0.01)  # which makes c_out the smallest


def test_fields_with_hardly_any_noise_stay_as_they_are(denoiser: Denoiser, random: torch.Generator) -> None:
    fields = make_fields(2, random)
    for level in (1e-3, 1e-6):
        guess = denoiser(fields, torch.full((2, 1, 1, 1, 1), level, dtype=torch.float64))
        assert 0.0 < (guess - fields).abs().max().item() < 10 * level


def test_rolling_the_fields_along_x_and_y_rolls_the_guess(denoiser: Denoiser, random: torch.Generator) -> None:
    fields, level = make_fields(2, random), torch.tensor([0.5, 3.0], dtype=torch.float64).reshape(2, 1, 1, 1, 1)
    guess = denoiser(fields, level)
    for axis in (2, 3):
        assert torch.allclose(denoiser(fields.roll(4, axis), level), guess.roll(4, axis), rtol=0, atol=1e-10)
    assert not torch.allclose(denoiser(fields.roll(4, 4), level), guess.roll(4, 4), rtol=0, atol=1e-3)


def test_a_length_is_one_number_for_all_voxels(denoiser: Denoiser, random: torch.Generator) -> None:
    guess = denoiser(make_fields(2, random), torch.ones(2, 1, 1, 1, 1, dtype=torch.float64))
    assert torch.equal(guess[:, 2:], guess[:, 2:, :1, :1, :1].expand_as(guess[:, 2:]))
    assert guess[:, 2:].std().item() > 0.1


def test_levels_go_down_and_end_without_noise() -> None:
    levels = sampling_levels()
    assert len(levels) == N_LEVELS + 1
    assert levels[0] == pytest.approx(80.0)
    assert levels[-1] == 0.0
    assert all(level > lower for level, lower in pairwise(levels))


def test_with_the_best_denoiser_of_a_gaussian_samples_are_of_that_gaussian(random: torch.Generator) -> None:
    mean, spread = 0.7, 0.6
    noise = torch.randn(4, 5, 6, 6, 6, generator=random, dtype=torch.float64)

    def denoise(noisy: Tensor, level: Tensor) -> Tensor:
        return (spread**2 * noisy + level**2 * mean) / (spread**2 + level**2)

    # Along the flow (x - mean) / (spread^2 + level^2)^(1/2) stays the same.
    start = sampling_levels()[0]
    exact = mean + (start * noise - mean) * spread / (spread**2 + start**2) ** 0.5
    errors = [
        (take_noise_off(denoise, noise, sampling_levels(n)) - exact).abs().max().item()
        for n in (N_LEVELS, 2 * N_LEVELS)
    ]
    assert errors[0] < 0.1
    assert errors[1] < errors[0] / 3  # a method of second order


def test_training_fields_have_mean_0_and_variance_1_and_mean_the_training_rows(
    tiny_store: Path, random: torch.Generator
) -> None:
    rows = open_rows(tiny_store, CONFIG)
    supply = Supply(rows, 0, CPU)
    fields = supply.next(len(rows.train))
    assert torch.allclose(fields.mean((0, 2, 3, 4)), torch.zeros(5), atol=1e-4)
    varied = torch.tensor(np.ptp(rows.lattice[rows.train], axis=0) > 0)
    assert torch.allclose(fields.var((0, 2, 3, 4))[2:], varied.float(), atol=0.01)
    found = supply.read(fields)
    one = rows.read(rows.train).astype(np.float64).sum((2, 3, 4)) * rows.scale
    assert np.allclose(np.sort(found.density.sum((2, 3, 4)), axis=0), np.sort(one, axis=0), atol=1e-2)
    assert np.allclose(np.sort(found.lattice, axis=0), np.sort(rows.lattice[rows.train], axis=0))


def test_noise_of_a_length_is_one_number_of_a_density_one_a_voxel(tiny_store: Path, random: torch.Generator) -> None:
    noise = draw_noise(200, open_rows(tiny_store, CONFIG).spec, random)
    assert torch.allclose(noise.var((0, 2, 3, 4)), torch.ones(5), atol=0.3)
    assert noise[:, :2].flatten(2).std(2).min().item() > 0.8
    assert torch.equal(noise[:, 2:], noise[:, 2:, :1, :1, :1].expand_as(noise[:, 2:]))


def test_every_sample_of_every_seed_has_noise_of_its_own(tiny_store: Path) -> None:
    supply = Supply(open_rows(tiny_store, CONFIG), 0, CPU)
    count = PASS + 3

    def draw(seed: int) -> NDArray[np.float32]:
        blocks = sample(lambda noisy, level: noisy / (1 + level**2), supply, count, seed)
        return np.concatenate([block.density for block in blocks])

    one, again, other = draw(1), draw(1), draw(2)
    assert np.array_equal(one, again)
    assert len(np.unique(np.concatenate([one, other]), axis=0)) == 2 * count


def run(folder: Path, name: str, store: Path, *options: str) -> Result:
    made = ["--out", str(folder / f"{name}.zarr"), "--record", str(folder / f"{name}.json"), *options]
    return CliRunner().invoke(main, ["--data", str(store), "--steps", "3", "--batch", "4", "--width", "8", *made])


@pytest.fixture(scope="module")
def folder(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three samples each, twice of one seed and once of another."""
    folder = tmp_path_factory.mktemp("diffusion")
    for name, seed in (("one", "1"), ("again", "1"), ("other", "2")):
        result = run(folder, name, tiny_store, "--count", "3", "--seed", seed)
        assert result.exit_code == 0, result.output
    return folder


def test_a_seed_decides_the_samples(folder: Path) -> None:
    one, again, other = (open_store(folder / f"{name}.zarr") for name in ("one", "again", "other"))
    assert np.array_equal(one.read(range(3)), again.read(range(3)))
    assert np.array_equal(one.lattice, again.lattice)
    assert not np.array_equal(one.read(range(3)), other.read(range(3)))
    assert not np.array_equal(one.lattice, other.lattice)
    assert len(np.unique(one.read(range(3)), axis=0)) == 3


def test_samples_are_a_store_on_the_grid_of_the_data(folder: Path, tiny_store: Path) -> None:
    verify_store(open_store(folder / "one.zarr"))
    store, data = open_store(folder / "one.zarr"), open_store(tiny_store)
    assert store.grid == data.grid
    assert store.attrs["generated"] == {"by": "diffusion.py", "steps": 3, "count": 3, "batch": 4, "width": 8, "seed": 1}
    assert (store.lattice >= data.lattice.min(axis=0) - 1e-9).all()
    assert (store.lattice <= data.lattice.max(axis=0) + 1e-9).all()


def test_the_record_says_what_it_took(folder: Path) -> None:
    record = json.loads((folder / "one.json").read_text())
    assert {"machine", "run", "versions", "gpu", "precision"} <= set(record)
    assert (record["steps"], record["batch"], record["seed"]) == (3, 4, 1)
    assert record["evaluations_per_sample"] == 2 * N_LEVELS - 1
    assert 0.1 < record["final_loss"] < 10.0
    assert min(record["seconds_training"], record["seconds_sampling"]) > 0.0
    assert record["parameters"] == sum(each.numel() for each in Denoiser(2, 8).parameters())
    # A step is forward and backward for 4 rows, a sample one forward an evaluation; backward costs about two forwards.
    forward = record["tflop_of_a_sample"] / record["evaluations_per_sample"]
    assert record["tflop_of_a_step"] == pytest.approx(3 * 4 * forward, rel=0.15)


def test_nothing_is_written_over(folder: Path, tiny_store: Path) -> None:
    result = run(folder, "one", tiny_store)
    assert result.exit_code == 2
    assert "must be new" in result.output
