"""Both networks, for every option: shapes, symmetry, conditioning, precision, second derivatives."""

from typing import Any

import pytest
import torch

from ruo2_wgan.config import Model, make_config
from ruo2_wgan.errors import ConfigError
from ruo2_wgan.networks import Critic, Generator, build_networks, count_parameters, use_channels_last
from tests.wgan.specs import make_spec

SMALL: dict[str, Any] = {"latent": 6, "generator_channels": [4, 3], "critic_channels": [3, 4], "lattice_hidden": 5}
OPTIONS = [
    {},
    {"upsampling": "resize", "generator_periodic": "xy", "generator_norm": "none", "output_norm": False},
    {"generator_periodic": "xyz", "critic_periodic": "xy", "critic_norm": "none", "minibatch_std": 2},
    {"conditioning": "integer", "condition_size": 5},
    {"conditioning": "onehot", "condition_size": 9, "lattice": True},
    {"conditioning": "embedding", "condition_size": 5, "minibatch_std": 4, "lattice": True},
]
SHAPES = [(8, 12), (8, 8, 4), (4, 8, 12)]


def model_of(shape: tuple[int, ...], **options: Any) -> Model:
    return make_config({"model": {"dimensions": len(shape), **SMALL, **options}}).model


def make(shape: tuple[int, ...], species: tuple[str, ...] = ("Ru", "O"), **options: Any) -> tuple[Generator, Critic]:
    return build_networks(model_of(shape, **options), make_spec(shape, 3, species), seed=1)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shapes_and_ranges(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    generator, critic = make(shape, **options)
    label = torch.tensor([0, 1, 2, 0])
    made = generator(torch.randn(4, 6), label)
    assert made.density.shape == (4, 2, *shape)
    assert made.density.min() >= 0
    assert made.density.max() <= 1
    judged = critic(made.density, label)
    assert judged.score.shape == (4,)
    for logits in (made.lattice_logits, judged.lattice_logits):
        assert (logits is not None) == options.get("lattice", False)
        assert logits is None or logits.shape == (4, len(shape))


@pytest.mark.parametrize("species", [("O",), ("Ru", "O", "H", "*")])
def test_any_number_of_species(species: tuple[str, ...]) -> None:
    generator, critic = make((8, 8), species)
    density = generator(torch.randn(2, 6)).density
    assert density.shape == (2, len(species), 8, 8)
    assert critic(density).score.shape == (2,)


def test_the_size_of_the_thesis_network() -> None:
    """Counted by hand: kernels of 4^3, a projection to 512 x 2^3, layer norm over all features."""
    spec = make_spec((32, 32, 32))
    generator, critic = build_networks(make_config({}).model, spec, 100)
    kernels = 64 * (2 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    widths, sides = (64, 128, 256, 512), (16, 8, 4, 2)
    layer_norms = sum(2 * width * side**3 for width, side in zip(widths, sides, strict=True))
    assert count_parameters(critic) == kernels + sum(widths) + layer_norms + 512 * 8 + 1
    projection = 513 * 512 * 8
    kernels_back = 64 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 2)
    batch_norms = 2 * (512 + 256 + 128 + 64 + 2)
    assert count_parameters(generator) == projection + kernels_back + batch_norms


def test_weights_are_those_of_the_seed() -> None:
    torch.manual_seed(5)
    one = make((8, 8))
    before = torch.get_rng_state()
    other = make((8, 8))
    assert torch.equal(before, torch.get_rng_state())
    for network, same in zip(one, other, strict=True):
        for weight, its in zip(network.parameters(), same.parameters(), strict=True):
            assert torch.equal(weight, its)
    different = build_networks(model_of((8, 8)), make_spec((8, 8)), seed=2)[1]
    assert not torch.equal(next(different.parameters()), next(one[1].parameters()))


def test_initial_features_keep_their_size_through_the_stages() -> None:
    """Kaiming's law: the variance of what goes into a layer is that of what comes out, whatever the kernel."""
    options = {"generator_channels": [64, 64, 64], "generator_norm": "none", "generator_periodic": "xyz", "latent": 256}
    for upsampling in ("transposed", "even", "resize"):
        generator, _ = make((8, 8, 8), upsampling=upsampling, **options)
        features = generator.project(torch.randn(16, 256)).reshape(16, 64, 1, 1, 1)
        sizes = []
        for stage in [*generator.bottom, *generator.stages][:-2]:
            features = stage(features)
            sizes.append(features.square().mean().item())
        assert 0.3 < sizes[-1] / sizes[0] < 3


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 8)])
def test_a_periodic_critic_does_not_see_where_the_cell_begins(shape: tuple[int, ...]) -> None:
    """It averages nothing over the cell, so only a single voxel left over makes it blind to rolls by its stride."""
    options = {"critic_channels": [3, 4, 4], "critic_norm": "none", "critic_dropout": 0.0, "critic_periodic": "xyz"}
    _, critic = make(shape, **options)
    density = torch.rand(2, 2, *shape, dtype=torch.float64)
    score = critic.double()(density).score
    torch.testing.assert_close(critic(density.roll(8, 2)).score, score)
    walled = make(shape, **{**options, "critic_periodic": "y"})[1].double()
    stages = critic.stages
    moved = stages[0](density.roll(2, 3))
    torch.testing.assert_close(moved, stages[0](density).roll(1, 3))
    if len(shape) == 3:
        assert not torch.allclose(walled.stages[0](density.roll(2, 2)), walled.stages[0](density).roll(1, 2))


@pytest.mark.parametrize("conditioning", ["integer", "onehot", "embedding"])
def test_the_class_reaches_both_networks(conditioning: str) -> None:
    generator, critic = make((8, 8), conditioning=conditioning, condition_size=6, critic_dropout=0.0)
    latent = torch.randn(1, 6).expand(3, -1)
    generator.eval()
    made = generator(latent, torch.tensor([0, 1, 2])).density
    scores = critic(made[:1].expand(3, -1, -1, -1), torch.tensor([0, 1, 2])).score
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(made[one], made[other])
        assert not torch.allclose(scores[one], scores[other])
    (made.sum() + scores.sum()).backward()
    if conditioning == "embedding":
        assert generator.condition.embedding.weight.grad.abs().sum(dim=1).min() > 0
        assert critic.condition.embedding.weight.grad.abs().sum(dim=1).min() > 0


def test_one_hot_vectors_and_channels_by_hand() -> None:
    generator, critic = make(
        (4, 4), generator_channels=[3], critic_channels=[3], conditioning="onehot", condition_size=6
    )
    label = torch.tensor([2])
    assert generator.condition.vector(label, torch.float32).tolist() == [[0, 0, 1, 0, 0, 1]]
    assert critic.condition.channel(label, torch.float32).flatten().tolist() == [0, 0, 1] * 5 + [0]
    integer = make((4, 4), generator_channels=[3], critic_channels=[3], conditioning="integer", condition_size=2)
    assert integer[0].condition.vector(label, torch.float32).tolist() == [[2, 2]]
    assert integer[1].condition.channel(label, torch.float32).unique().tolist() == [2]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_second_derivatives_of_the_critic_are_right(options: dict[str, Any]) -> None:
    """Against finite differences along random directions, which dropout would spoil."""
    _, critic = make((4, 8), **options, critic_dropout=0.0)
    critic.double()
    label = torch.tensor([0, 1, 2, 0])
    density = torch.rand(4, 2, 4, 8, dtype=torch.float64, requires_grad=True)
    weights = [*critic.stages.parameters(), *critic.score.parameters()]

    def penalty(real: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        (slope,) = torch.autograd.grad(critic(real, label).score.sum(), real, create_graph=True)
        return torch.linalg.vector_norm(slope.flatten(1), dim=1)

    assert torch.autograd.gradcheck(penalty, (density, *weights), atol=1e-6, fast_mode=True)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_scores_and_densities_are_float32_under_bfloat16(options: dict[str, Any]) -> None:
    generator, critic = make((8, 8), **options, critic_dropout=0.0)
    latent, label = torch.randn(4, 6), torch.tensor([0, 1, 2, 0])
    expected = critic(generator(latent, label).density, label).score
    with torch.autocast("cpu", torch.bfloat16):
        made = generator(latent, label)
        judged = critic(made.density, label)
    assert made.density.dtype == judged.score.dtype == torch.float32
    assert (judged.score - expected).abs().max() < 0.1 * expected.abs().max()
    seen = []
    critic.score.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        critic(made.density, label)
    assert seen == [torch.float32]


def test_only_plainly_transposed_convolutions_start_with_stripes() -> None:
    """Power at a period of two voxels over that at the next longer one, of untrained generators."""
    ratio = {}
    for upsampling in ("resize", "even", "transposed"):
        generator, _ = make((32, 32), upsampling=upsampling, generator_channels=[16, 16, 16, 16], latent=64)
        generator.eval()
        density = generator(torch.randn(64, 64)).density
        power = torch.fft.fft(density, dim=2).abs().square().mean((0, 1, 3))
        ratio[upsampling] = (power[16] / power[15]).item()
    assert ratio["resize"] < 1.5
    assert ratio["even"] < 1.5
    assert ratio["transposed"] > 3


def test_channels_last_changes_the_layout_and_nothing_else() -> None:
    generator, critic = make((8, 8, 8))
    density = torch.rand(2, 2, 8, 8, 8)
    critic.eval()
    before = critic(density).score
    use_channels_last(critic)
    use_channels_last(generator)
    assert critic.stages[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    assert generator.stages[0].weight.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(critic(density).score, before)


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ((8, 10), {}, "model.generator_channels has 2 stages.*multiples of 4; found 8 x 10"),
        ((8, 8), {"critic_channels": [2] * 4}, "model.critic_channels has 4 stages.*multiples of 16"),
        ((8, 8), {"conditioning": "onehot", "condition_size": 7}, "multiple of the 3 classes.*found 7. Take 6"),
        ((8, 8), {"dimensions": 3}, "model.dimensions must be that of the data, 2; found 3"),
    ],
)
def test_models_that_do_not_fit_are_refused(shape: tuple[int, ...], options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make(shape, **options)


def test_conditioning_without_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model.conditioning = integer needs structures with classes"):
        build_networks(model_of((8, 8), conditioning="integer"), make_spec((8, 8)), 1)


def test_a_conditioned_network_needs_labels() -> None:
    generator, critic = make((8, 8), conditioning="integer")
    with pytest.raises(TypeError, match="needs labels"):
        generator(torch.randn(2, 6))
    with pytest.raises(TypeError, match="needs labels"):
        critic(torch.rand(2, 2, 8, 8))
