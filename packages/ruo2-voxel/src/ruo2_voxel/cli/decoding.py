"""Commands that turn the grids of a store back: into atoms, and into files for viewers."""

from typing import Any

import click

from ruo2_voxel import terminal
from ruo2_voxel.cli.options import Names, json_option, overwrite_option, progress_option
from ruo2_voxel.cli.output import emit, progress_bar


class Exclusion(click.ParamType[tuple[tuple[str, str], float]]):
    """Two species and a distance."""

    name = "A-B=Å"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[tuple[str, str], float]:
        if isinstance(value, tuple):
            return value
        pair, _, distance = str(value).partition("=")
        one, _, other = pair.partition("-")
        try:
            return (one, other), float(distance)
        except ValueError:
            self.fail(f"must be two species and a distance in Å, as in Ru-O=1.2; found {value!r}", param, ctx)


@click.command()
@click.argument("store")
@click.option("--out", required=True, metavar="FILE", help="File to write; its name tells the format, as in .traj.")
@click.option(
    "--index", "indices", type=int, multiple=True, help="Structure to decode; repeat for several.  [default: all]"
)
@click.option(
    "--threshold",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=0.4,
    help="The least height of an atom's Gaussian.",
)
@click.option(
    "--exclude",
    "exclusions",
    type=Exclusion(),
    multiple=True,
    help="Distance below which two peaks are one atom; repeat.  [default: 0.45 of the sum of covalent radii]",
)
@click.option("--fix-heights", is_flag=True, help="Hold all heights at 1 while places are fitted last.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Threads. The result does not depend on it.  [default: all cores]"
)
@overwrite_option
@progress_option
@json_option
def decode(
    store: str,
    out: str,
    indices: tuple[int, ...],
    threshold: float,
    exclusions: tuple[tuple[tuple[str, str], float], ...],
    fix_heights: bool,
    workers: int | None,
    overwrite: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Find the atoms in the grids of a store, and write them to any file that ASE writes.

    info of each structure holds how far to trust it: the fitted height of each atom's Gaussian (confidence), what the
    atoms leave of the grid (residual, unexplained), shortest distances, and whether all that is plausible.

    \b
    ruo2-voxel decode bh.zarr --out decoded.traj
    ruo2-voxel decode bh.zarr --out one.xyz --index 17 --exclude Ru-O=1.2
    """
    from ruo2_voxel.store.build import available_cores
    from ruo2_voxel.store.decode import decode_store
    from ruo2_voxel.store.reader import open_store

    opened = open_store(store)
    wanted = list(indices) or None
    with progress_bar(len(wanted or range(len(opened))), "structures", progress) as advance:
        report = decode_store(
            opened,
            out,
            wanted,
            n_threads=workers or available_cores(),
            threshold=threshold,
            exclusion=dict(exclusions),
            fit_heights=not fix_heights,
            overwrite=overwrite,
            progress=advance,
        )
    emit(report, as_json, terminal.decode_text)


@click.command()
@click.argument("store")
@click.option("--out", required=True, metavar="FILE", help="NAME.cube or NAME.xsf; one file for each channel.")
@click.option("--index", type=int, default=0, help="Structure to write; negative counts from the end.")
@click.option("--species", type=Names(), help="Channels to write.  [default: all]")
@overwrite_option
def export(store: str, out: str, index: int, species: tuple[str, ...] | None, overwrite: bool) -> None:
    """Write the grids of a structure, and its atoms, as Gaussian cube or XSF files for VESTA, OVITO and VMD.

    \b
    ruo2-voxel export bh.zarr --out bh.cube --index 17      bh-Ru.cube and bh-O.cube
    ruo2-voxel export bh.zarr --out bh.xsf --species O
    """
    from ruo2_voxel.store.export import export_grid
    from ruo2_voxel.store.reader import open_store

    for path in export_grid(open_store(store), index, out, species, overwrite):
        click.echo(path)
