"""`ruo2-voxel build`: structures become a store."""

from typing import Any

import click
from click.core import ParameterSource

from ruo2_voxel import terminal
from ruo2_voxel.cli.options import (
    GridShape,
    Names,
    Quantiles,
    json_option,
    on_error_option,
    preparation_options,
    progress_option,
    selection_option,
    take_preparation,
)
from ruo2_voxel.cli.output import emit, progress_bar
from ruo2_voxel.errors import ManifestError

# What may stand beside --manifest, which says everything else.
BESIDE_MANIFEST = ("manifest", "out", "workers", "scheduler", "resume", "overwrite", "dry_run", "progress", "as_json")


@click.command()
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
    "--manifest",
    metavar="FILE",
    help="Build what a dataset manifest describes, check its files first and the counts at the end.",
)
@selection_option
@click.option(
    "--species", type=Names(), default="Ru,O", help="Channels in order; * stands for every species not named."
)
@click.option("--catch-all", is_flag=True, help="Add a last channel for every species not named (the same as ,*).")
@click.option("--grid", "shape", type=GridShape(), default="32", help="Voxels along the three cell vectors.")
@click.option("--sigma", type=float, metavar="Å", help="Width of the Gaussians exp(-r²/2σ²).  [default: 0.45]")
@click.option("--alpha", type=float, metavar="Å^-2", help="The same as exp(-αr²): sigma = 1/sqrt(2 alpha).")
@click.option(
    "--tol", type=float, default=1e-4, help="Largest error of a density value; decides where Gaussians are cut off."
)
@preparation_options
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
    default="auto",
    metavar="LABEL",
    help="What energy_class sorts: energy-per-atom, energy, surface-free-energy, info:KEY for a number in atoms.info, "
    "or none; auto is energy-per-atom if every structure has an energy.",
)
@click.option("--classes", "n_classes", type=click.IntRange(1, 127), default=10, help="Classes of the label.")
@click.option(
    "--class-method",
    type=click.Choice(["equal-width", "clipped-equal-width", "quantile"]),
    default="equal-width",
    help="Equally wide between the extremes, or between the quantiles of --clip; or equally full.",
)
@click.option("--clip", type=Quantiles(), default="0.01,0.99", help="Quantiles of clipped-equal-width.")
@click.option("--allow-empty-classes", is_flag=True, help="Keep a named label by which some classes hold nothing.")
@click.option("--bulk-energy", type=float, metavar="eV", help="Of bulk RuO2 per formula unit: surface-free-energy.")
@click.option("--oxygen-energy", type=float, metavar="eV", help="Of oxygen per atom, half of O2: surface-free-energy.")
@click.option(
    "--metal-energy",
    type=float,
    metavar="eV",
    help="Of bulk Ru per atom, instead of --oxygen-energy: calibrates that to the measured formation enthalpy of RuO2.",
)
@click.option(
    "--delta-mu", type=float, metavar="eV", help="Chemical potential of oxygen per atom, relative to its energy."
)
@click.option(
    "--split-by",
    type=Names(),
    default=(),
    help="Keys of atoms.info that tell related structures apart; whole groups are held out, with all that hold "
    "near-copies of theirs.",
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
@on_error_option
@click.option("--resume", is_flag=True, help="Go on with an unfinished build of the same files and options.")
@click.option("--overwrite", is_flag=True, help="Replace what stands at --out, once the new store is complete.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, with sizes and memory, and write nothing.")
@progress_option
@json_option
def build(
    out: str,
    manifest: str | None,
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
    ruo2-voxel build --db gap.traj --out gap.zarr --orthogonal --square --vacuum 12 --alpha 5 --copies 4 --translate
    ruo2-voxel build --manifest data_manifests/ruo2-bh-mini.toml --out bh.zarr
    """
    from ruo2_voxel.store.build import run

    if resume and overwrite:
        raise click.UsageError("--resume goes on with what is there, --overwrite begins anew: give one of them")
    if manifest is not None:
        plan = _plan_from_manifest(manifest, out, workers, progress)
    else:
        plan = _plan_from_options(out, workers, options)
    if dry_run:
        emit(plan.summary(), as_json, terminal.plan_text)
        return
    with progress_bar(plan.n_candidates, "structures", progress) as advance:
        result = run(plan, resume=resume, overwrite=overwrite, scheduler=scheduler, progress=advance)
    if manifest is not None:
        from ruo2_voxel.store.manifest import count_slices, read_manifest

        result["slices"] = count_slices(read_manifest(manifest), out)
    emit(result, as_json, terminal.build_text)


def _plan_from_manifest(manifest: str, out: str, workers: int | None, progress: bool | None) -> Any:
    from ruo2_voxel.store.manifest import plan_from_manifest, read_manifest

    context = click.get_current_context()
    others = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in BESIDE_MANIFEST
        and context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
    ]
    if others:
        raise click.UsageError(f"--manifest says what to read and how to build it: leave out {', '.join(others)}")
    description = read_manifest(manifest)
    with progress_bar(description.expected.n_frames, "frames checked", progress) as advance:
        return plan_from_manifest(description, out, workers=workers, progress=advance)


def _plan_from_options(out: str, workers: int | None, options: dict[str, Any]) -> Any:
    from ruo2_voxel.density.grid import Grid
    from ruo2_voxel.store.build import plan_build
    from ruo2_voxel.store.plan import BuildOptions

    sources, more_sources, selection = (options.pop(name) for name in ("sources", "more_sources", "selection"))
    species, catch_all, shape, tol = (options.pop(name) for name in ("species", "catch_all", "shape", "tol"))
    sigma, alpha, split_from = (options.pop(name) for name in ("sigma", "alpha", "split_from"))
    if sigma is not None and alpha is not None:
        raise click.UsageError("--sigma and --alpha say the same thing: give one of them")
    given = click.get_current_context().get_parameter_source
    if given("held_out") is not ParameterSource.DEFAULT and not options["split_by"]:
        raise click.UsageError("--held-out is the share of groups told apart by --split-by: give that as well")
    if options["copies"] > 1 and not (options["translate"] or options["rotate"]):
        raise click.UsageError("--copies are all alike without --translate or --rotate: give one of them")
    if split_from is not None:
        if options["split_by"]:
            raise click.UsageError("--split-from names the keys as well: give it or --split-by")
        options |= _split_of(split_from)
    options["reference"] = _take_reference(options)
    options["preparation"] = take_preparation(options)
    channels = (*species, "*") if catch_all and "*" not in species else species
    grid = (
        Grid.from_alpha(alpha, species=channels, shape=shape, tol=tol)
        if alpha is not None
        else Grid(species=channels, shape=shape, sigma=0.45 if sigma is None else sigma, tol=tol)
    )
    if not sources:
        raise click.UsageError("--db is missing: name the files to read, or a --manifest")
    return plan_build(
        [*sources, *more_sources], out, BuildOptions(grid=grid, **options), selection=selection, workers=workers
    )


def _take_reference(options: dict[str, Any]) -> Any:
    """The energies that surface free energies refer to; None for other labels."""
    names = ("bulk_energy", "oxygen_energy", "metal_energy", "delta_mu")
    bulk, oxygen, metal, delta_mu = (options.pop(name) for name in names)
    if options["label"] != "surface-free-energy":
        if any(value is not None for value in (bulk, oxygen, metal, delta_mu)):
            raise click.UsageError(
                "--bulk-energy, --oxygen-energy, --metal-energy and --delta-mu go with --label surface-free-energy"
            )
        return None
    if bulk is None or (oxygen is None) == (metal is None):
        raise click.UsageError(
            "--label surface-free-energy needs --bulk-energy, and either --oxygen-energy or --metal-energy"
        )
    from ruo2_voxel.structures.surface_energy import SurfaceReference, calibrate_oxygen

    return SurfaceReference(bulk, calibrate_oxygen(bulk, metal) if oxygen is None else oxygen, delta_mu or 0.0)


def _split_of(manifest_path: str) -> dict[str, Any]:
    """Options that hold out what a manifest holds out."""
    from ruo2_voxel.store.manifest import read_manifest, split_options

    options = split_options(read_manifest(manifest_path))
    if not options:
        raise ManifestError(f"{manifest_path}: --split-from needs a manifest with a [split]; found none")
    return options
