"""The command `ruo2-wgan`: each command parses, checks and calls one function of the library."""

# torch is imported within the commands: --help and usage errors answer at once.

import sys
import warnings
from importlib.metadata import version
from typing import Any

import click

from ruo2_voxel import Ruo2Error
from ruo2_wgan.cli.evaluate import evaluate
from ruo2_wgan.cli.generate import generate
from ruo2_wgan.cli.presets import presets
from ruo2_wgan.cli.report import report
from ruo2_wgan.cli.train import train

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}


@click.group(context_settings=SETTINGS)
@click.version_option(version("ruo2-wgan"), prog_name="ruo2-wgan")
def cli() -> None:
    """Wasserstein GANs that learn structures from a store of ruo2-voxel, and propose new ones.

    \b
    ruo2-wgan presets                                                      what can be trained
    ruo2-wgan train --data bh.zarr --preset recommended-2d --run run       train
    ruo2-wgan generate run --count 64 --out fake.zarr                      samples as grids
    ruo2-wgan evaluate run                                                 are they any good?
    ruo2-wgan report run --out report.html                                 the answer, as a page
    """


for command in (train, generate, evaluate, report, presets):
    cli.add_command(command)


def main() -> None:
    """Entry point: errors that bad input can cause become one line on stderr and exit code 1."""
    warnings.showwarning = _show_warning
    try:
        cli.main(prog_name="ruo2-wgan", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted; go on from the last checkpoint with --resume", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Ruo2Error as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    click.echo(f"warning: {message}", err=True)
