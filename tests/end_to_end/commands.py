"""The commands as a user runs them, in processes of their own."""

import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).parents[2] / "data"
TRAJECTORY = DATA / "ruo2-bh-mini.traj"


def voxel(*arguments: str | Path) -> list[str]:
    """The words of `ruo2-voxel ARGUMENTS`."""
    return [sys.executable, "-m", "ruo2_voxel", *map(str, arguments)]


def run(*arguments: str | Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run `ruo2-voxel ARGUMENTS` in a folder."""
    return subprocess.run(voxel(*arguments), cwd=folder, capture_output=True, text=True, timeout=300, check=False)
