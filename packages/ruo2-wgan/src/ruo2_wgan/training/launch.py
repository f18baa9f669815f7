"""Where a run takes place: one device, or one of the ranks that torchrun started.

lightning-fabric owns device placement, precision and the wrapping for several ranks: by hand that is some sixty lines
of process groups, device indices and autocast contexts, all of which have to be right on every kind of machine.
Checkpoints are our own: they are written by one rank, survive a full disk, and are read without Fabric by those who
only sample.
"""

import os
import warnings
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.plugins.precision import DoublePrecision, MixedPrecision, Precision
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy

from ruo2_wgan.config import Config, Training
from ruo2_wgan.errors import ConfigError


class SlowPrecisionWarning(UserWarning):
    """The processor emulates the precision that was asked for."""


class _Float64(DoublePrecision):
    """Double precision all the way: Fabric's own hands results back in the default type, single precision."""

    def convert_output(self, data: Any) -> Any:
        return data


def _precision_of(training: Training, device: str) -> Precision:
    if training.precision == "bf16":
        return MixedPrecision("bf16-mixed", device)
    return _Float64() if training.precision == "float64" else Precision()


def launch(device: str, training: Training) -> Fabric:
    """Join the ranks that torchrun started, or run alone.

    Parameters
    ----------
    device
        "cpu", "cuda", or "auto": a GPU where there is one.
    training
        Precision, and whether updates are recorded.

    Raises
    ------
    ConfigError
        No such device, or one that cannot record an update.
    """
    device = choose_device(device)
    n_ranks, n_local = count_ranks(), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if training.cuda_graphs and (device != "cuda" or n_ranks > 1):
        raise ConfigError(
            f"training.cuda_graphs needs one GPU and one rank; found {device.upper()} and {n_ranks} "
            f"{'rank' if n_ranks == 1 else 'ranks'}. Set training.cuda_graphs=false"
        )
    fast = training.precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = fast
    torch.backends.cudnn.allow_tf32 = fast
    strategy: Strategy | str = "auto"
    if n_ranks > 1:
        strategy = DDPStrategy(process_group_backend="nccl" if device == "cuda" else "gloo")
    fabric = Fabric(
        accelerator=device,
        devices=n_local,
        num_nodes=n_ranks // n_local,
        strategy=strategy,
        plugins=[
            TorchElasticEnvironment() if n_ranks > 1 else LightningEnvironment(),
            _precision_of(training, device),
        ],
    )
    fabric.launch()
    if fabric.is_global_zero and device == "cpu" and training.precision == "bf16" and not computes_bf16():
        warnings.warn(
            "training.precision = bf16: this processor has no instructions for it and emulates them, which takes many "
            "times as long. Set training.precision=float32",
            SlowPrecisionWarning,
            stacklevel=2,
        )
    return fabric


def computes_bf16() -> bool:
    """Whether oneDNN, which convolves on CPUs, has kernels in bfloat16 for this one."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_device(device: str) -> str:
    """The kind of device that "auto", "cpu" or "cuda" means here.

    Raises
    ------
    ConfigError
        There is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: PyTorch must see a GPU; found none. Take --device cpu")
    return device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"


def count_ranks() -> int:
    """Ranks that torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_ranks(config: Config, n_ranks: int) -> None:
    """See that every batch divides among ranks, accumulated parts, and groups that the critic compares.

    Raises
    ------
    ConfigError
        Where it does not.
    """
    training, group = config.training, max(config.model.minibatch_std, 1)
    parts = n_ranks * training.accumulate
    for batch in (training.batch, *(batch for _, batch in training.batch_growth)):
        if batch % (parts * group):
            groups = f", of groups of model.minibatch_std = {group}" if group > 1 else ""
            raise ConfigError(
                f"training.batch must divide among {n_ranks} ranks, in {training.accumulate} parts on each{groups}; "
                f"found {batch}. Take a multiple of {parts * group}"
            )


def dtype_of(training: Training) -> torch.dtype:
    """Of weights and data."""
    return torch.float64 if training.precision == "float64" else torch.float32
