"""The command `ruo2-voxel`: each command parses, checks and calls one function of the library."""

# Library modules are imported within the commands: --help and usage errors answer at once.

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import click
from click.core import ParameterSource

from ruo2_voxel import terminal
from ruo2_voxel.errors import ManifestError, Ruo2Error

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "show_default": True}


class _Grid(click.ParamType[tuple[int, int, int]]):
    """One number of voxels or three."""

    name = "N|NX,NY,NZ"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        try:
            sides = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            sides = ()
        if len(sides) not in (1, 3) or min(sides) < 1:
            self.fail(f"must be one number of voxels or three, as in 32 or 32,32,64; found {value!r}", param, ctx)
        return (sides * 3)[:3]  # type: ignore[return-value]


class _Planes(click.ParamType[tuple[int, int, int]]):
    """Three positions on the grid."""

    name = "I,J,K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        try:
            i, j, k = (int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"must be three positions, counted in voxels from 0, as in 0,4,16; found {value!r}", param, ctx)
        return i, j, k


class _Names(click.ParamType[tuple[str, ...]]):
    """Comma-separated names."""

    name = "A,B,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return (
            value if isinstance(value, tuple) else tuple(part.strip() for part in str(value).split(",") if part.strip())
        )


_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
_progress_option = click.option(
    "--progress/--no-progress", default=None, help="Progress bar on stderr.  [default: if stderr is a terminal]"
)


@click.group(context_settings=SETTINGS)
@click.version_option(version("ruo2-voxel"), prog_name="ruo2-voxel")
def cli() -> None:
    """ASE trajectories to chunked Zarr stores of Gaussian densities on periodic grids, one channel for each species.

    \b
    ruo2-voxel build --db bh.traj --out bh.zarr     voxelize a trajectory
    ruo2-voxel info bh.zarr                         what a store holds
    ruo2-voxel show bh.zarr --out bh.png            look at it
    """


@cli.command()
@click.option(
    "--db",
    "sources",
    multiple=True,
    metavar="PATH[@SLICE]",
    help="Structures to read: .traj, .db, extxyz (also .gz, .bz2, .xz) or anything else ASE reads; a quoted glob; "
    "frames as in bh.traj@::10. Repeat for several.",
)
@click.argument("more_sources", nargs=-1, metavar="[PATH]...")
@click.option(
    "--out",
    required=True,
    metavar="STORE",
    help="Store to write: a path, or an fsspec URL such as s3://bucket/bh.zarr.",
)
@click.option(
    "--select", "selection", metavar="QUERY", help="Rows of ASE databases to read, as in ase db: 'phase=1,energy<-250'."
)
@click.option(
    "--species", type=_Names(), default="Ru,O", help="Channels in order; * stands for every species not named."
)
@click.option("--catch-all", is_flag=True, help="Add a last channel for every species not named (the same as ,*).")
@click.option("--grid", "shape", type=_Grid(), default="32", help="Voxels along the three cell vectors.")
@click.option("--sigma", type=float, metavar="Å", help="Width of the Gaussians exp(-r²/2σ²).  [default: 0.45]")
@click.option("--alpha", type=float, metavar="Å^-2", help="The same as exp(-αr²): sigma = 1/sqrt(2 alpha).")
@click.option(
    "--tol", type=float, default=1e-4, help="Largest error of a density value; decides where Gaussians are cut off."
)
@click.option("--copies", type=click.IntRange(min=1), default=1, help="Structures to make of each frame.")
@click.option("--translate", is_flag=True, help="Move each copy at random, by fractions of a voxel too.")
@click.option("--rotate", is_flag=True, help="Turn each copy about z by a random multiple of 90 degrees.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of random moves and of the split.")
@click.option(
    "--dtype", type=click.Choice(["uint8", "float16", "float32"]), default="uint8", help="How densities are stored."
)
@click.option(
    "--combine",
    type=click.Choice(["clip", "none"]),
    default="clip",
    help="Clip values above 1, where Gaussians overlap.",
)
@click.option("--chunk", type=click.IntRange(min=1), default=16, help="Structures in a chunk.")
@click.option("--shard", type=click.IntRange(min=1), default=1024, help="Structures in a shard, which is one file.")
@click.option("--compress", is_flag=True, help="Compress densities with zstd: for archives, slower to read at random.")
@click.option(
    "--label",
    type=click.Choice(["auto", "energy-per-atom", "energy", "none"]),
    default="auto",
    help="What energy_class sorts; auto is energy-per-atom if every structure has an energy.",
)
@click.option(
    "--classes", "n_classes", type=click.IntRange(1, 127), default=10, help="Equally wide classes of the label."
)
@click.option(
    "--split-by",
    type=_Names(),
    default=(),
    help="Keys of atoms.info that tell related structures apart; whole groups are held out.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    default=0.1,
    help="Share of structures to hold out, with --split-by.",
)
@click.option("--split-from", metavar="MANIFEST", help="Hold out the groups that a dataset manifest names, instead.")
@click.option(
    "--workers", type=click.IntRange(min=1), help="Threads. The result does not depend on it.  [default: all cores]"
)
@click.option(
    "--scheduler", metavar="ADDRESS", help="Write the shards on an existing Dask cluster (extra [distributed])."
)
@click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    help="At a frame that cannot be used: stop, or leave it out and record why.",
)
@click.option("--resume", is_flag=True, help="Go on with an unfinished build of the same files and options.")
@click.option("--overwrite", is_flag=True, help="Replace what stands at --out, once the new store is complete.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, with sizes and memory, and write nothing.")
@_progress_option
@_json_option
def build(
    sources: tuple[str, ...],
    more_sources: tuple[str, ...],
    out: str,
    selection: str | None,
    species: tuple[str, ...],
    catch_all: bool,
    shape: tuple[int, int, int],
    sigma: float | None,
    alpha: float | None,
    tol: float,
    split_from: str | None,
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    overwrite: bool,
    dry_run: bool,
    progress: bool | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Voxelize structures into a store.

    The store holds densities and the atoms they were made of, energies and their classes, lattice lengths, splits, and
    where everything came from. It is plain Zarr: xarray.open_zarr(STORE, consolidated=False) opens it.

    A build that is stopped, however rudely, leaves nothing that looks like a store; --resume goes on where it was.

    \b
    ruo2-voxel build --db bh.traj --out bh.zarr
    ruo2-voxel build --db 'runs/*.traj@::5' --db extra.db --select 'converged=True' --out all.zarr
    ruo2-voxel build --db gap.traj --out gap.zarr --alpha 2.5 --copies 4 --translate --rotate
    """
    from ruo2_voxel.density.grid import Grid
    from ruo2_voxel.store.build import plan_build, run
    from ruo2_voxel.store.plan import BuildOptions

    if sigma is not None and alpha is not None:
        raise click.UsageError("--sigma and --alpha say the same thing: give one of them")
    if resume and overwrite:
        raise click.UsageError("--resume goes on with what is there, --overwrite begins anew: give one of them")
    given = click.get_current_context().get_parameter_source
    if given("held_out") is not ParameterSource.DEFAULT and not options["split_by"]:
        raise click.UsageError("--held-out is the share of groups told apart by --split-by: give that as well")
    if options["copies"] > 1 and not (options["translate"] or options["rotate"]):
        raise click.UsageError("--copies are all alike without --translate or --rotate: give one of them")
    if split_from is not None:
        if options["split_by"]:
            raise click.UsageError("--split-from names the keys as well: give it or --split-by")
        options |= _split_of(split_from)
    channels = (*species, "*") if catch_all and "*" not in species else species
    grid = (
        Grid.from_alpha(alpha, species=channels, shape=shape, tol=tol)
        if alpha is not None
        else Grid(species=channels, shape=shape, sigma=0.45 if sigma is None else sigma, tol=tol)
    )
    if not sources:
        raise click.UsageError("--db is missing: name the files to read")
    plan = plan_build(
        [*sources, *more_sources], out, BuildOptions(grid=grid, **options), selection=selection, workers=workers
    )
    if dry_run:
        _emit(plan.summary(), as_json, terminal.plan_text)
        return
    with _progress_bar(plan.n_candidates, "structures", progress) as advance:
        result = run(plan, resume=resume, overwrite=overwrite, scheduler=scheduler, progress=advance)
    _emit(result, as_json, terminal.build_text)


@cli.command()
@click.argument("store")
@_json_option
def info(store: str, as_json: bool) -> None:
    """What a store holds, and where it came from."""
    from ruo2_voxel.store.reader import open_store
    from ruo2_voxel.store.summary import summarize

    _emit(summarize(open_store(store)), as_json, terminal.info_text)


@cli.command()
@click.argument("store")
@click.option("--samples", type=click.IntRange(min=0), default=64, help="Structures to voxelize anew and compare.")
@click.option("--all", "every", is_flag=True, help="Voxelize all of them anew.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the choice of samples.")
@_progress_option
@_json_option
def verify(store: str, samples: int, every: bool, seed: int, progress: bool | None, as_json: bool) -> None:
    """Check a store: its schema, every checksum, and sampled grids against the atoms they were made of."""
    from ruo2_voxel.store.reader import open_store
    from ruo2_voxel.store.verify import verify_store

    opened = open_store(store)
    with _progress_bar(opened.n_chunks, "chunks", progress) as advance:
        report = verify_store(opened, None if every else samples, seed, advance)
    _emit(report, as_json, terminal.verify_text)


@cli.command()
@click.argument("store")
@click.option("--out", required=True, metavar="PICTURE", help="Picture to write: .png, .pdf or .svg.")
@click.option("--index", type=int, help="Structure to show; negative counts from the end.  [default: lowest energy]")
@click.option("--level", type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True), default=0.5, help="Isosurface.")
@click.option("--planes", type=_Planes(), help="Voxels at which to cut across x, y and z.  [default: the densest]")
def show(store: str, out: str, index: int | None, level: float, planes: tuple[int, int, int] | None) -> None:
    """Draw a structure of a store: slices of each channel beside the atoms, isosurfaces, the energies of all."""
    from ruo2_voxel.pictures.of_store import draw_store
    from ruo2_voxel.store.reader import open_store

    draw_store(open_store(store), out, index=index, level=level, planes=planes)
    click.echo(out)


@cli.group()
def manifest() -> None:
    """Dataset manifests: where data come from, and whether the files at hand are those."""


@manifest.command("verify")
@click.argument("path", metavar="MANIFEST")
@_json_option
def manifest_verify(path: str, as_json: bool) -> None:
    """Check the files of a dataset against its manifest: checksums, counts, info keys, split."""
    from ruo2_voxel.store.manifest import read_manifest, verify_manifest

    report = verify_manifest(read_manifest(path))
    _emit(report.as_dict(), as_json, terminal.manifest_text)
    if not report.ok:
        raise ManifestError(f"{path}: {len(report.problems)} of its promises do not hold")


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


def _emit(result: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    click.echo(json.dumps(result) if as_json else text(result))


def _split_of(manifest_path: str) -> dict[str, Any]:
    """Options that hold out what a manifest holds out."""
    from ruo2_voxel.store.manifest import read_manifest
    from ruo2_voxel.structures.splits import group_text

    split = read_manifest(manifest_path).split
    if split is None:
        raise ManifestError(f"{manifest_path}: --split-from needs a manifest with a [split]; found none")
    return {"split_by": split.by, "held_out_groups": tuple(tuple(map(group_text, group)) for group in split.held_out)}


@contextlib.contextmanager
def _progress_bar(total: int, unit: str, wanted: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left, on stderr if that is a terminal or if asked for."""
    from tqdm import tqdm

    hidden = None if wanted is None else not wanted
    with tqdm(total=total, unit=f" {unit}", disable=hidden, file=sys.stderr, dynamic_ncols=True) as bar:

        def advance(n: int) -> None:
            bar.update(n)

        yield advance
