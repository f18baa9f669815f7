"""A denoising-diffusion model of structures, beside which one sees what a GAN buys and what it costs.

    python benchmarks/quality/diffusion.py --data bh.zarr --out fake.zarr --record diffusion.json
    ruo2-wgan evaluate --samples fake.zarr --data bh.zarr --out verdict.json

A U-Net, periodic in x and y, learns to take noise of any level off densities and lattice lengths together; samples are
noise that is taken off step by step. Preconditioning, noise levels and sampler are those of Karras et al. 2022
(arXiv:2206.00364); their sigma, the standard deviation of the noise, is `level` here: sigma is the width of an atom.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode
from tqdm import tqdm

sys.path.append(str(Path(__file__).resolve().parents[1]))  # of the modules that all benchmarks share

from machine import describe_machine, describe_run, package_versions, write_record
from ruo2_voxel import GridBlock, write_grids
from ruo2_wgan.config import resolve_config
from ruo2_wgan.data import Batches, Rows, open_rows, unscale_lattice
from ruo2_wgan.networks.build import count_parameters
from ruo2_wgan.networks.layers import PeriodicConv, ResizeConv
from ruo2_wgan.presets import read_preset
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.training.chance import start_step

CONFIG = resolve_config([("preset", read_preset("recommended-3d").tables)])  # what is done with the data
PERIODIC, AXES = (True, True, False), 3
WIDENING = (1, 2, 4)  # channels at the full, half and quarter resolution, in widths
GROUP, WAVES = 8, 16  # channels that are normalised together; waves that tell the network the noise level
LEVEL_CENTRE, LEVEL_WIDTH = 0.5, 1.2  # of the logarithm of the levels in training
LEVEL_HIGH, LEVEL_LOW, LEVEL_POWER, N_LEVELS = 80.0, 0.02, 7.0, 18  # that a sample goes down
RATE, WARMUP = 2e-3, 50  # Adam's, rising for so many steps and falling to 0 along a line
LENGTH_WEIGHT = 0.05  # in the loss, beside 1 of densities: with more, three numbers keep voxels from being learned
MEASURED, LAST, PASS = 1024, 100, 32  # rows that have mean 0; steps that have the final loss; samples made at a time

Denoise = Callable[[Tensor, Tensor], Tensor]  # fields and levels, as `Denoiser.forward`


class Block(nn.Module):
    """What comes in, and a convolution of it that knows the noise level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(width // GROUP, width), PeriodicConv(width, width, 3, 1, PERIODIC)
        self.of_level = nn.Linear(2 * WAVES, width)

    def forward(self, features: Tensor, waves: Tensor) -> Tensor:
        known = self.norm(features) + self.of_level(waves)[:, :, None, None, None]
        return features.add(self.conv(nn.functional.silu(known)))


class UNet(nn.Module):
    """One resolution, and around its middle a U-Net of the coarser ones."""

    def __init__(self, width: int, *coarser: int) -> None:
        super().__init__()
        self.before, self.after = Block(width), Block(width)
        self.middle = nn.ModuleList()
        if coarser:
            down, up = PeriodicConv(width, coarser[0], 2, 2, PERIODIC), ResizeConv(coarser[0], width, PERIODIC)
            self.middle.extend([down, UNet(*coarser), up])

    def forward(self, features: Tensor, waves: Tensor) -> Tensor:
        features = self.before(features, waves)
        if self.middle:
            down, unet, up = self.middle
            features = features + up(unet(down(features), waves))
        out: Tensor = self.after(features, waves)
        return out


class Denoiser(nn.Module):
    """Guesses fields without their noise: densities, and for each lattice length one more field, of one value.

    Fields have mean 0 and variance 1, so that sigma_data of the source's table 1 is 1.
    """

    def __init__(self, n_species: int, width: int, bf16: bool = False) -> None:
        super().__init__()
        self._bf16, channels = bf16, n_species + AXES
        self.enter = PeriodicConv(channels, width, 3, 1, PERIODIC)
        self.unet = UNet(*(width * factor for factor in WIDENING))
        self.norm, self.leave = nn.GroupNorm(width // GROUP, width), PeriodicConv(width, channels, 3, 1, PERIODIC)
        self.apply(_initialise)

    def forward(self, noisy: Tensor, level: Tensor) -> Tensor:
        """Of fields (b, channels, nx, ny, nz) with noise of levels (b, 1, 1, 1, 1)."""
        keep, scale_out, scale_in = precondition(level)
        angles = level.log().flatten(1) / 4 * torch.arange(1, WAVES + 1, device=level.device)
        with torch.autocast(noisy.device.type, torch.bfloat16, enabled=self._bf16):
            inner = self.unet(self.enter(scale_in * noisy), torch.cat([angles.sin(), angles.cos()], 1))
            raw = self.leave(nn.functional.silu(self.norm(inner))).to(noisy.dtype)
        return keep * noisy + scale_out * join(raw[:, :-AXES], raw[:, -AXES:].mean((2, 3, 4)))


def _initialise(layer: nn.Module) -> None:
    """Kaiming's weights; but blocks let all through at first, and a whole denoiser, to which `apply` comes last, 0."""
    if isinstance(layer, PeriodicConv | ResizeConv):  # an upsampling one has its inputs along the first axis
        nn.init.kaiming_normal_(layer.weight, mode="fan_in" if isinstance(layer, PeriodicConv) else "fan_out")
        nn.init.zeros_(layer.get_parameter("bias"))
    elif isinstance(layer, Block | Denoiser):
        nn.init.zeros_((layer.conv if isinstance(layer, Block) else layer.leave).weight)


def precondition(level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """c_skip, c_out and c_in: at every noise level the network sees, and is to give, values of variance 1."""
    total = (1 + level**2).sqrt()
    return 1 / total**2, level / total, 1 / total


def join(density: Tensor, lengths: Tensor) -> Tensor:
    """Fields of densities (b, species, nx, ny, nz) and of lengths (b, 3)."""
    return torch.cat([density, lengths[:, :, None, None, None].expand(-1, -1, *density.shape[2:])], 1)


def draw_noise(n: int, spec: DataSpec, random: torch.Generator) -> Tensor:
    """Fields of variance 1. A length has one number: of many, the mean would tell it at almost any noise level."""
    density = torch.randn(n, spec.n_species, *spec.shape, generator=random, device=random.device)
    return join(density, torch.randn(n, AXES, generator=random, device=random.device))


def sampling_levels(n: int = N_LEVELS) -> list[float]:
    """Noise levels on the way down, and 0 (the source's equation 5)."""
    roots = np.linspace(LEVEL_HIGH ** (1 / LEVEL_POWER), LEVEL_LOW ** (1 / LEVEL_POWER), n)
    return [*(roots**LEVEL_POWER).tolist(), 0.0]


def take_noise_off(denoise: Denoise, noise: Tensor, levels: Sequence[float]) -> Tensor:
    """What noise of variance 1 becomes along the probability flow, by Heun's method (the source's algorithm 1)."""

    def slope(at: Tensor, level: float) -> Tensor:
        return (at - denoise(at, at.new_full((len(at), 1, 1, 1, 1), level))) / level

    fields = levels[0] * noise
    for level, lower in itertools.pairwise(levels):
        first = slope(fields, level)
        moved = fields + (lower - level) * first
        fields = moved if lower == 0 else fields + (lower - level) * (first + slope(moved, lower)) / 2
    return fields


class Supply:
    """Training rows as fields of mean 0 and variance 1, and back."""

    def __init__(self, rows: Rows, seed: int, device: torch.device) -> None:
        self.spec, self.device = rows.spec, device
        self._batches = Batches(rows, CONFIG, device, seed=seed)
        density, _, lengths = self._batches.next(min(MEASURED, rows.spec.n_train))
        spread, self._mean = torch.std_mean(join(density, lengths), (0, 2, 3, 4), keepdim=True)
        self._spread = torch.where(spread > 0, spread, 1)  # cells may all be equally long

    def next(self, size: int) -> Tensor:
        """Fields (size, channels, nx, ny, nz)."""
        density, _, lengths = self._batches.next(size)
        return (join(density, lengths) - self._mean) / self._spread

    def read(self, fields: Tensor) -> GridBlock:
        """Densities and lattice lengths (Å) that fields mean, held to [0, 1] and to the range of the data."""
        found = (self._mean + self._spread * fields).clamp(0, 1).cpu()
        lattice = unscale_lattice(self.spec, found[:, -AXES:].double().mean((2, 3, 4)))
        return GridBlock(found[:, :-AXES].numpy(), lattice.numpy(), np.full(len(found), -1))


def train(denoiser: Denoiser, supply: Supply, steps: int, batch: int, seed: int) -> tuple[nn.Module, dict[str, float]]:
    """Train a denoiser; its average over about the last twentieth of the steps, and what they took."""
    average = AveragedModel(denoiser, multi_avg_fn=get_ema_multi_avg_fn(max(0.0, 1 - 20 / steps)))
    adam = torch.optim.Adam(denoiser.parameters(), RATE)
    schedule = LambdaLR(adam, lambda step: min((step + 1) / WARMUP, 1 - step / steps))
    losses: list[Tensor] = []

    def take_step() -> None:
        random = start_step(seed, len(losses), 0, supply.device)
        fields, noise = supply.next(batch), draw_noise(batch, supply.spec, random)
        level = fields.new_empty(batch, 1, 1, 1, 1).log_normal_(LEVEL_CENTRE, LEVEL_WIDTH, generator=random)
        guess = denoiser(fields + level * noise, level)
        errors = ((guess - fields) / precondition(level)[1]).square()  # of what the network itself gives
        loss = errors[:, :-AXES].mean() + LENGTH_WEIGHT * errors[:, -AXES:].mean()
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        adam.step()
        schedule.step()
        average.update_parameters(denoiser)
        losses.append(loss.detach())

    begin = time.perf_counter()
    with FlopCounterMode(display=False) as counter:
        take_step()
    for _ in tqdm(range(1, steps), initial=1, total=steps, unit=" steps", disable=None):
        take_step()
    took = {"final_loss": torch.stack(losses[-LAST:]).mean().item(), "seconds_training": time.perf_counter() - begin}
    return average.eval(), took | {"tflop_of_a_step": counter.get_total_flops() / 1e12}


@torch.no_grad()
def sample(denoise: Denoise, supply: Supply, count: int, seed: int) -> Iterator[GridBlock]:
    """Samples in blocks."""
    for first in range(0, count, PASS):
        noise = draw_noise(min(PASS, count - first), supply.spec, start_step(seed, first, 1, supply.device))
        yield supply.read(take_noise_off(denoise, noise, sampling_levels()))


@click.command(help=__doc__, context_settings={"show_default": True})
@click.option("--data", required=True, help="Store of structures.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Store for the samples, a new NAME.zarr.")
@click.option("--record", type=click.Path(path_type=Path), required=True, help="JSON of what it took.")
@click.option("--steps", type=click.IntRange(1), default=4000)
@click.option("--count", type=click.IntRange(1), default=1000, help="Samples.")
@click.option("--batch", type=click.IntRange(1), default=8)
@click.option("--width", type=click.IntRange(8), default=16, help="Channels at the full resolution, a multiple of 8.")
@click.option("--seed", type=click.IntRange(0), default=0)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu")
@click.option("--precision", type=click.Choice(["bf16", "float32"]), default="bf16")
def main(data: str, out: Path, record: Path, device: str, precision: str, **numbers: int) -> None:
    if out.exists():
        raise click.BadParameter(f"must be new; found {out}", param_hint="--out")
    steps, count, batch, width, seed = (numbers[name] for name in ("steps", "count", "batch", "width", "seed"))
    rows, on = open_rows(data, CONFIG), torch.device(device)
    torch.manual_seed(seed)
    denoiser, supply = Denoiser(rows.spec.n_species, width, precision == "bf16").to(on), Supply(rows, seed, on)
    average, took = train(denoiser, supply, steps, batch, seed)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        average(draw_noise(1, rows.spec, start_step(seed, 0, 2, on)), torch.ones(1, 1, 1, 1, 1, device=on))
    begin = time.perf_counter()
    with tqdm(total=count, unit=" samples", disable=None) as bar:
        blocks, made_by = sample(average, supply, count, seed), {"by": Path(__file__).name, **numbers}
        write_grids(out, blocks, rows.spec.grid, made_by, progress=bar.update)
    took |= {"seconds_sampling": time.perf_counter() - begin, "evaluations_per_sample": 2 * N_LEVELS - 1}
    took["tflop_of_a_sample"] = took["evaluations_per_sample"] * counter.get_total_flops() / 1e12
    about = {"machine": describe_machine(), "run": describe_run(), "versions": package_versions(("ruo2-wgan", "torch"))}
    gpu = torch.cuda.get_device_name() if device == "cuda" else None
    settings = {**numbers, "gpu": gpu, "precision": precision, "parameters": count_parameters(denoiser)}
    write_record({**about, **settings, **took}, record)


if __name__ == "__main__":
    main()
