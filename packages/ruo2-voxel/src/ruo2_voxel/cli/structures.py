"""Commands on files of structures: prepare their cells, build slabs to try things on."""

from typing import Any

import click

from ruo2_voxel import terminal
from ruo2_voxel.cli.options import (
    Names,
    json_option,
    on_error_option,
    overwrite_option,
    preparation_options,
    progress_option,
    selection_option,
    take_preparation,
)
from ruo2_voxel.cli.output import emit, progress_bar


@click.command()
@click.argument("source", metavar="IN")
@click.argument("out", metavar="OUT")
@selection_option
@preparation_options
@on_error_option
@overwrite_option
@progress_option
@json_option
def prepare(
    source: str,
    out: str,
    selection: str | None,
    screen: Any,
    on_error: Any,
    overwrite: bool,
    progress: bool | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write prepared copies of structures: orthorhombic, nearly square cells, another vacuum, defects found.

    The same options of build do this on the way into a store. Energy and magnetic moment grow with the number of
    atoms; tags, fixed atoms and info are carried along; what was done stands in info.

    \b
    ruo2-voxel prepare gap.traj gap-extended.traj --orthogonal --square --vacuum 12
    ruo2-voxel prepare bh.traj sound.traj --screen drop
    """
    from ruo2_voxel.structures.frames import open_frames
    from ruo2_voxel.structures.prepared_file import prepare_file

    preparation = take_preparation(options)
    if preparation.changes_nothing and screen == "off":
        raise click.UsageError("nothing to do: give --orthogonal, --square, --vacuum or --screen")
    frames = open_frames(source, selection=selection)
    with progress_bar(len(frames), "frames", progress) as advance:
        result = prepare_file(
            frames,
            out,
            preparation,
            screening=screen,
            on_error=on_error,
            overwrite=overwrite,
            progress=advance,
        )
    emit(result, as_json, terminal.prepare_text)


@click.command()
@click.option("--out", required=True, metavar="FILE", help="File to write; its name tells the format, as in .traj.")
@click.option("--facets", type=Names(), help="As in 110,111.  [default: 001,100,101,110,111]")
@click.option("--terminations", type=Names(), help="As in O-poor,stoichiometric.  [default: all that a facet has]")
@click.option("--layers", type=click.IntRange(min=1), help="Ru planes of each slab.  [default: enough for bulk inside]")
@click.option("--vacuum", type=float, default=20.0, metavar="Å", help="Gap along z.")
@click.option("--copies", type=click.IntRange(min=1), default=1, help="Structures to make of each slab.")
@click.option("--rattle", type=float, default=0.0, metavar="Å", help="Standard deviation of random displacements.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the displacements.")
@overwrite_option
@json_option
def surfaces(
    out: str,
    facets: tuple[str, ...] | None,
    terminations: tuple[str, ...] | None,
    layers: int | None,
    vacuum: float,
    copies: int,
    rattle: float,
    seed: int,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Build p(1x1) slabs of rutile RuO2, without energies: all low-index facets, all terminations.

    \b
    ruo2-voxel surfaces --out gap-like.traj
    ruo2-voxel surfaces --out many.traj --facets 110,111 --copies 20 --rattle 0.1
    """
    from ruo2_voxel.structures.surface_file import write_surfaces

    result = write_surfaces(
        out,
        facets=facets,
        terminations=terminations,
        n_layers=layers,
        vacuum=vacuum,
        copies=copies,
        rattle=rattle,
        seed=seed,
        overwrite=overwrite,
    )
    emit(result, as_json, terminal.surfaces_text)
