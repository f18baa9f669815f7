"""One configuration of training on one store, without the folder of a run: its steps, their time, their gradients."""

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from ceilings import count_flops
from ruo2_wgan.config import parse_assignments, resolve_config
from ruo2_wgan.data import Batches, open_rows
from ruo2_wgan.networks import build_networks
from ruo2_wgan.presets import read_preset
from ruo2_wgan.training.chance import start_step
from ruo2_wgan.training.launch import launch
from ruo2_wgan.training.step import Adversaries
from ruo2_wgan.training.supply import Supply
from step_profile import profile_steps

SEED = 100


class Session:
    """A run of a case, which names preset, device and assignments as `--set` takes them."""

    def __init__(self, store: str, case: dict[str, Any]) -> None:
        layers = [("preset", read_preset(case["preset"]).tables), ("--set", parse_assignments(case["set"]))]
        self.config = config = resolve_config(layers)
        torch.backends.cudnn.benchmark = case.get("cudnn_benchmark", False)
        fabric = launch(case["device"], config.training)
        rows = open_rows(store, config)
        self.adversaries = Adversaries(fabric, *build_networks(config.model, rows.spec, SEED), config)
        self.device, self.spec = fabric.device, rows.spec
        self._rank, n_ranks = fabric.global_rank, fabric.world_size
        self.batches = Batches(rows, config, fabric.device, seed=SEED, rank=self._rank, n_ranks=n_ranks)
        self._supply = Supply(self.batches, config, rows.spec)
        self._size = config.training.batch // n_ranks // config.training.accumulate

    def step(self, number: int) -> dict[str, float]:
        """One step; returns terms of both losses, for which the device is waited for, as training does once a step."""
        random = start_step(SEED, number, self._rank, self.device)
        for _ in range(self.config.loss.n_critic):
            parts = self._supply.for_critic(self._size, random)
            of_critic, norm = self.adversaries.update_critic(parts)
        of_generator, _ = self.adversaries.update_generator(self._supply.for_generator(parts, random))
        named = {**of_critic._asdict(), "norm": norm, "generator_loss": of_generator.loss}
        return dict(zip(named, torch.stack(list(named.values())).tolist(), strict=True))

    def close(self) -> None:
        """Stop reading ahead."""
        self.batches.close()


def measure_case(store: str, case: dict[str, Any], seconds: float, profiled: bool = False) -> dict[str, Any]:
    """Throughput of one configuration, after steps that are not counted; on request what its steps consist of."""
    if case["device"] == "cuda":
        torch.cuda.reset_peak_memory_stats()
    session = Session(store, case)
    config, batches = session.config, session.batches
    for number in range(2):
        session.step(number)
    waited, begin, n_steps = batches.seconds_waited, time.perf_counter(), 0
    while n_steps < 2 or time.perf_counter() - begin < seconds:
        session.step(2 + n_steps)
        n_steps += 1
        if n_steps == case.get("steps"):  # of ranks, which must stop together
            break
    took = time.perf_counter() - begin
    rate = n_steps * config.training.batch / took
    found = {
        "structures_per_second": rate,
        "TFLOP_per_s": rate * count_flops(config.model, config.loss, session.spec)["step"] / 1e12,
        "seconds_per_step": took / n_steps,
        "data_wait": (batches.seconds_waited - waited) / took,
        "steps": n_steps,
    }
    if case["device"] == "cuda":
        found["peak_memory_GiB"] = torch.cuda.max_memory_allocated() / 2**30
    if profiled:
        found["profile"] = profile_steps(session.step, case["device"])
    session.close()
    return found


def compare_gradients(store: str, one: dict[str, Any], other: dict[str, Any]) -> dict[str, float]:
    """How far two configurations are from each other after the same updates of the same weights, on the same rows.

    Returns
    -------
    differences
        Relative ones of the terms, and of the gradients of all weights of a network together.
    """
    (terms, gradients), (their_terms, their_gradients) = (_after_two_steps(store, case) for case in (one, other))
    found = {name: abs(their_terms[name] - value) / max(abs(value), 1e-12) for name, value in terms.items()}
    for name, gradient in gradients.items():
        distance = (their_gradients[name] - gradient).norm() / gradient.norm()
        found[f"{name}_gradient"] = float(distance)
    if not all(map(math.isfinite, found.values())):
        raise ArithmeticError(f"differences must be finite; found {found}")
    return found


def _after_two_steps(store: str, case: dict[str, Any]) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Terms and gradients of the second step, of weights that hardly move: what is recorded is replayed by then."""
    still = ["optimizer.critic_lr=1e-12", "optimizer.generator_lr=1e-12", "loss.n_critic=1"]
    session = Session(store, {**case, "set": [*case["set"], *still]})
    for number in range(2):
        terms = session.step(number)
    session.close()
    adversaries = session.adversaries
    return terms, {"critic": _gradient(adversaries.critic), "generator": _gradient(adversaries.generator)}


def _gradient(network: nn.Module) -> Tensor:
    """Of all weights, in double precision."""
    return torch.cat([weight.grad.double().flatten() for weight in network.parameters() if weight.grad is not None])
