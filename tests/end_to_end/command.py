"""The command `ruo2-voxel`, run as its entry point runs it: in this process, or in one of its own."""

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

from ruo2_voxel.cli import main

ROOT = Path(__file__).parents[2]
MINI = ROOT / "data" / "ruo2-bh-mini.traj"
PROGRAM = [sys.executable, "-m", "ruo2_voxel"]


@dataclass
class Result:
    """What a command gave back."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Result:
    """Run the command here, which saves the start of another interpreter; warnings are printed, as usual."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="default"):
        patch.setattr(sys, "argv", ["ruo2-voxel", *map(str, arguments)])
        patch.setattr(warnings, "showwarning", warnings.showwarning)  # the command sets it
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as exit_:
                code = int(exit_.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def start(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    """Start the command in a process of its own."""
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen([*PROGRAM, *map(str, arguments)], env=os.environ | {"PYTHONWARNINGS": "error"}, **options)
