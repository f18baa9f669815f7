"""The command `ruo2-hopping`: each command parses, checks and calls one function of the library."""

# Library modules are imported within the commands: --help and usage errors answer at once.

import logging
import sys
from importlib.metadata import version

import click

from ruo2_hopping.cli.calibrate import calibrate
from ruo2_hopping.cli.run import run
from ruo2_hopping.cli.summary import summary
from ruo2_hopping.errors import HoppingError

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}


@click.group(context_settings=SETTINGS)
@click.version_option(version("ruo2-hopping"), prog_name="ruo2-hopping")
def cli() -> None:
    """Grand-canonical basin hopping of oxide surfaces, with any ASE calculator.

    \b
    ruo2-hopping calibrate --calculator chgnet.model.dynamics:CHGNetCalculator
    ruo2-hopping run --surface 110 --repeat 2 1 --mu-o -0.5 --steps 200 --out bh.traj \\
        --calculator chgnet.model.dynamics:CHGNetCalculator
    ruo2-hopping summary bh.traj --out bh.png       what came of it
    """


for command in (run, summary, calibrate):
    cli.add_command(command)


def main() -> None:
    """Entry point: errors that bad input can cause become one line on stderr and exit code 1."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("ruo2_hopping").setLevel(logging.INFO)
    try:
        cli.main(prog_name="ruo2-hopping", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted; what is written is kept: go on with --resume", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except HoppingError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
