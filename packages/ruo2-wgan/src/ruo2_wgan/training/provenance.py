"""What a run was made with: versions, machine, data, command."""

import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from ruo2_wgan.data import Rows

PACKAGES = ("ruo2-wgan", "ruo2-voxel", "torch", "lightning-fabric", "numpy", "ase", "zarr")


def describe_run(rows: Rows, device: torch.device, n_ranks: int, seed: int) -> dict[str, Any]:
    """Plain values for provenance.json."""
    return {
        "command": sys.argv,
        "seed": seed,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "store": {"location": _absolute(rows.location), **rows.identity},
        "device": describe_device(device),
        "ranks": n_ranks,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def _absolute(location: str) -> str:
    return location if "://" in location else str(Path(location).resolve())


def describe_device(device: torch.device) -> dict[str, Any]:
    """Name and versions of what computes; the version of cuDNN matters, for some had silent errors in bfloat16."""
    if device.type == "cuda":
        return {
            "kind": "cuda",
            "name": torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
        }
    return {"kind": device.type, "name": platform.processor() or platform.machine(), "threads": torch.get_num_threads()}
