"""The command that draws samples of a run."""

import json
from pathlib import Path
from typing import Any

import click

from ruo2_wgan.cli.sampling import sampling_options


@click.command()
@click.argument("run")
@click.option("--count", type=click.IntRange(min=1), required=True, help="Samples in all.")
@click.option("--out", required=True, metavar="PATH", help="NAME.zarr for grids; NAME.traj, .xyz, ... for atoms.")
@sampling_options
@click.option("--sheet", metavar="PNG", help="Draw the first 64 samples; with classes, each class has a row.")
@click.option("--overwrite", is_flag=True, help="Replace what stands at --out, once the samples are complete.")
@click.option(
    "--progress/--no-progress", default=None, help="Progress bar on stderr.  [default: if stderr is a terminal]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
def generate(
    run: str,
    count: int,
    out: str,
    sheet: str | None,
    overwrite: bool,
    progress: bool | None,
    as_json: bool,
    **drawn: Any,
) -> None:
    """Draw samples of a run: densities with lattice lengths, or atoms decoded from them.

    RUN is the folder of a run, or one of its checkpoints. Sample number i of a seed is the same whatever the count. A
    store of samples is read by all commands of ruo2-voxel: info, show, decode, export.

    \b
    ruo2-wgan generate run --count 1000 --out fake.zarr
    ruo2-wgan generate run --count 100 --label 0 --out stable.traj
    ruo2-wgan generate run --count 80 --label all --out fake.zarr --sheet labels.png
    """
    from ruo2_wgan.cli.progress import sample_bar
    from ruo2_wgan.generate import generate as run_generate
    from ruo2_wgan.terminal import generate_text

    with sample_bar(count, progress) as advance:
        result = run_generate(Path(run), out, count, **drawn, sheet=sheet, overwrite=overwrite, progress=advance)
    click.echo(json.dumps(result) if as_json else generate_text(result))
