"""The command `ruo2-voxel`: each command parses, checks and calls one function of the library."""

# Library modules are imported within the commands: --help and usage errors answer at once.

import sys
import warnings
from importlib.metadata import version
from typing import Any

import click

from ruo2_voxel.cli.build import build
from ruo2_voxel.cli.decoding import decode, export
from ruo2_voxel.cli.manifests import manifest
from ruo2_voxel.cli.stores import info, show, slice_, verify
from ruo2_voxel.cli.structures import prepare, surfaces
from ruo2_voxel.errors import Ruo2Error

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}


@click.group(context_settings=SETTINGS)
@click.version_option(version("ruo2-voxel"), prog_name="ruo2-voxel")
def cli() -> None:
    """ASE trajectories to chunked Zarr stores of Gaussian densities on periodic grids, one channel for each species.

    \b
    ruo2-voxel build --db bh.traj --out bh.zarr     voxelize a trajectory
    ruo2-voxel info bh.zarr                         what a store holds
    ruo2-voxel show bh.zarr --out bh.png            look at it
    ruo2-voxel decode bh.zarr --out decoded.traj    grids back into atoms
    """


for command in (build, info, verify, show, slice_, decode, export, prepare, surfaces, manifest):
    cli.add_command(command)


def main() -> None:
    """Entry point: errors that bad input can cause become one line on stderr and exit code 1."""
    warnings.showwarning = _show_warning
    try:
        cli.main(prog_name="ruo2-voxel", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted; what is complete is kept: go on with --resume", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Ruo2Error as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)
