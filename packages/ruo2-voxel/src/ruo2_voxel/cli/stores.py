"""Commands on stores: what is in them, whether that is sound, how it looks, and slices of it."""

from typing import Any

import click

from ruo2_voxel import terminal
from ruo2_voxel.cli.options import Names, Planes, Positions, json_option, overwrite_option, progress_option
from ruo2_voxel.cli.output import emit, progress_bar


@click.command()
@click.argument("store")
@json_option
def info(store: str, as_json: bool) -> None:
    """What a store, of structures or of slices, holds, and where it came from."""
    from ruo2_voxel.store.slice_store import open_any
    from ruo2_voxel.store.summary import summarize_any

    emit(summarize_any(open_any(store)), as_json, terminal.info_text)


@click.command()
@click.argument("store")
@click.option("--samples", type=click.IntRange(min=0), default=64, help="Structures to voxelize anew and compare.")
@click.option("--all", "every", is_flag=True, help="Voxelize all of them anew.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the choice of samples.")
@progress_option
@json_option
def verify(store: str, samples: int, every: bool, seed: int, progress: bool | None, as_json: bool) -> None:
    """Check a store: its schema, every checksum, and sampled grids against the atoms they were made of.

    Of a store of slices schema and checksums.
    """
    from ruo2_voxel.store.slice_store import SliceStore, open_any
    from ruo2_voxel.store.verify import verify_slices, verify_store

    opened = open_any(store)
    with progress_bar(opened.n_chunks, "chunks", progress) as advance:
        if isinstance(opened, SliceStore):
            report = verify_slices(opened, advance)
        else:
            report = verify_store(opened, None if every else samples, seed, advance)
    emit(report, as_json, terminal.verify_text)


@click.command()
@click.argument("store")
@click.option("--out", required=True, metavar="PICTURE", help="Picture to write: .png, .pdf or .svg.")
@click.option(
    "--picture",
    type=click.Choice(["overview", "classes", "preparation", "slices", "space"]),
    default="overview",
    help="What to draw.",
)
@click.option("--index", type=int, help="Structure to show; negative counts from the end.  [default: lowest energy]")
@click.option(
    "--level",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    help="Density on isosurfaces.  [default: 0.5]",
)
@click.option("--planes", type=Planes(), help="Voxels at which to cut across x, y and z.  [default: the densest]")
def show(store: str, out: str, picture: str, **options: Any) -> None:
    """Draw what is in a store, of structures or of slices.

    \b
    overview     a structure: slices of each channel beside the atoms, isosurfaces, its place among all
    classes      how many structures, or slices, each class holds
    preparation  a structure before and after its cell was prepared; reads the file that the store was built from
    slices       the xz- and yz-planes of a structure; of a store of slices, some at random
    space        the isosurfaces of a structure alone
    """
    from ruo2_voxel.pictures.of_store import draw_store
    from ruo2_voxel.store.slice_store import open_any

    draw_store(open_any(store), out, picture, **options)
    click.echo(out)


@click.command("slice")
@click.argument("store")
@click.option("--out", required=True, metavar="STORE", help="Store of slices to write.")
@click.option("--planes", type=Names(), default="xz,yz", help="Planes to cut: xz, yz or both.")
@click.option("--positions", type=Positions(), default="even", help="Voxels at which to cut, counted from 0.")
@click.option("--drop-empty", is_flag=True, help="Leave out slices without a Gaussian.")
@click.option("--manifest", metavar="FILE", help="Cut the slices that a dataset manifest asks for, and count them.")
@click.option("--compress", is_flag=True, help="Compress slices with zstd.")
@overwrite_option
@progress_option
@json_option
def slice_(
    store: str,
    out: str,
    planes: tuple[Any, ...],
    positions: str | tuple[int, ...],
    drop_empty: bool,
    manifest: str | None,
    compress: bool,
    overwrite: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Cut a store into slices along z: a store for two-dimensional models.

    Each slice keeps the lattice lengths of its two axes, and the class and the split of its structure. Training can as
    well cut slices on the fly (ruo2_voxel.SliceView), without a second store.

    \b
    ruo2-voxel slice bh.zarr --out slices.zarr                     xz and yz, at every even position
    ruo2-voxel slice bh.zarr --out slices.zarr --positions 10
    """
    from ruo2_voxel.store.manifest import count_slices, read_manifest, recipe_of
    from ruo2_voxel.store.reader import open_store
    from ruo2_voxel.store.slice_store import build_slices, open_slices
    from ruo2_voxel.store.slice_view import SliceChoice, SliceView
    from ruo2_voxel.store.summary import summarize_any

    choice = SliceChoice(planes, positions, drop_empty)
    if manifest is not None:
        description = read_manifest(manifest)
        count_slices(description, store)
        choice = recipe_of(description).slices or choice
    view = SliceView(open_store(store), choice)
    with progress_bar(len(view), "slices", progress) as advance:
        build_slices(view, out, compress=compress, overwrite=overwrite, progress=advance)
    emit(summarize_any(open_slices(out)), as_json, terminal.info_text)
