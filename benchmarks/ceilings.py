"""What a device can do at most, and what a training step asks of it in products and sums."""

import functools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ruo2_wgan.config import Loss, Model
from ruo2_wgan.networks import build_networks
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.training.losses import CriticLoss, generator_loss


def measure_ceilings(device: str, quick: bool) -> dict[str, float | str]:
    """Rate of a large square matrix product, in bfloat16 on a GPU, and of copies within the device's memory.

    Multiplications and additions are counted each, and bytes both as they are read and as they are written.
    """
    dtype = torch.float32 if device == "cpu" else torch.bfloat16
    side = 256 if quick else 1024 if device == "cpu" else 8192
    n_bytes = 2**20 if quick else 2**28 if device == "cpu" else 2**31
    seconds = 0.0 if quick else 1.0
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    source = torch.zeros(n_bytes, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return {
        "matrix_dtype": str(dtype).removeprefix("torch."),
        "matrix_TFLOP_per_s": 2 * side**3 / time_of(lambda: left @ right, device, seconds) / 1e12,
        "copy_GB_per_s": 2 * n_bytes / time_of(lambda: target.copy_(source), device, seconds) / 1e9,
    }


def time_of(work: Callable[[], object], device: str, seconds: float) -> float:
    """Seconds that some work takes, mean over rounds of ten, of which the best counts."""
    work()
    best, begin = float("inf"), time.perf_counter()
    while True:
        wait_for(device)
        start = time.perf_counter()
        for _ in range(10):
            work()
        wait_for(device)
        best = min(best, (time.perf_counter() - start) / 10)
        if time.perf_counter() - begin >= seconds:
            return best


def wait_for(device: str) -> None:
    """See that a GPU has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


@functools.cache
def count_flops(model: Model, loss: Loss, spec: DataSpec) -> dict[str, float]:
    """Floating-point operations for one structure: of a critic update, a generator update, and a whole step.

    Convolutions and matrix products only, with all that the derivatives of the penalty take. Nothing is computed: the
    networks are run without numbers.
    """
    n = max(model.minibatch_std, 1)
    with FakeTensorMode():
        generator, critic = build_networks(model, spec, seed=0)
        real, mix = torch.rand(n, spec.n_species, *spec.shape), torch.rand(n)
        latent, lattice = torch.randn(n, model.latent), torch.rand(n, spec.dimensions) if model.lattice else None
        label = torch.zeros(n, dtype=torch.int64) if model.conditioning != "none" else None
        with _Flops() as of_critic:
            with torch.no_grad():
                fake = generator(latent, label).density
            CriticLoss(critic, loss)(real, fake, mix, label, lattice).loss.backward()
        critic.requires_grad_(False)
        with _Flops() as of_generator:
            made = generator(latent, label)
            judged = critic(made.density, label)
            of_real = critic(real, label).score if loss.kind == "relativistic" else None
            generator_loss(judged, made.lattice_logits, loss, of_real).loss.backward()
    critic_flops, generator_flops = (counter.total / n for counter in (of_critic, of_generator))
    return {
        "critic": critic_flops,
        "generator": generator_flops,
        "step": loss.n_critic * critic_flops + generator_flops,
    }


class _Flops(TorchDispatchMode):
    """Adds up operations by torch's formulas. Its own FlopCounterMode also follows modules, by hooks on what they are
    given, which torch.autograd.grad does not bear."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out
