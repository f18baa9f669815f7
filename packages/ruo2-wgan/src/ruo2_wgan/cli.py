"""The command `ruo2-wgan`. It can only say what it is until the training commands are there."""

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ruo2-wgan", prog_name="ruo2-wgan")
def main() -> None:
    """Learn structures from a voxel store and propose new ones.

    This version has no commands yet. A later one brings:

    \b
      train      a critic and a generator from a store of ruo2-voxel
      generate   samples from a trained run, as grids or as atoms
      evaluate   samples of any model against held-out structures
      report     one page about a run: verdict, losses, samples
      presets    the ready-made configurations

    What works today is ruo2-voxel, which makes the stores that these commands will read.
    """
