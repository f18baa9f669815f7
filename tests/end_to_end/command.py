"""The commands `ruo2-voxel` and `ruo2-hopping`, run as their entry points run them."""

import contextlib
import io
import os
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ruo2_hopping.cli
import ruo2_voxel.cli

ROOT = Path(__file__).parents[2]
MINI = ROOT / "data" / "ruo2-bh-mini.traj"
PROGRAM = [sys.executable, "-m", "ruo2_voxel"]
MAINS = {"ruo2-voxel": ruo2_voxel.cli.main, "ruo2-hopping": ruo2_hopping.cli.main}


@dataclass
class Result:
    """What a command gave back."""

    code: int
    out: str
    err: str


def run(*arguments: object, program: str = "ruo2-voxel") -> Result:
    """Run the command here, which saves the start of another interpreter; warnings are printed, as usual."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="default"):
        patch.setattr(sys, "argv", [program, *map(str, arguments)])
        patch.setattr(warnings, "showwarning", warnings.showwarning)  # the command sets it
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                MAINS[program]()
                code = 0
            except SystemExit as exit_:
                code = int(exit_.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def start(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    """Start the command in a process of its own."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], env=os.environ | {"PYTHONWARNINGS": "error"}, **options)
