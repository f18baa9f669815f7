"""The command that judges samples."""

import json
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ruo2_wgan.cli.sampling import sampling_options


@click.command()
@click.argument("run", required=False)
@click.option("--samples", metavar="PATH", help="Instead of a run: NAME.zarr with grids, or a file of atoms.")
@click.option("--data", metavar="STORE", help="Real structures.  [default: the store that the run was trained on]")
@click.option("--out", metavar="JSON", help="The verdict.  [default: RUN/verdict.json]")
@click.option("--count", type=click.IntRange(min=2), default=1000, help="Samples to draw of a run.")
@sampling_options
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Which slices to cut of --data: data.planes=xz."
)
@click.option(
    "--reference", type=click.IntRange(min=10), default=2000, help="Training structures whose distributions count."
)
@click.option("--calculator", metavar="MODULE:CALLABLE", help="ASE calculator for energies, to test classes by.")
@click.option("--calculator-args", metavar="JSON", default="{}", help="Its arguments, as a JSON object.")
@click.option("--relax", type=click.IntRange(min=0), default=0, help="Steps of relaxation before energies are taken.")
@click.option(
    "--energies", type=click.IntRange(min=1), default=200, help="Structures of each column whose energy is taken."
)
@click.option("--workers", type=click.IntRange(min=1), help="Threads.  [default: all cores]")
@click.option("--overwrite", is_flag=True, help="Replace what stands at --out.")
@click.option(
    "--progress/--no-progress", default=None, help="Progress bars on stderr.  [default: if stderr is a terminal]"
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict on stdout, without its evidence.")
def evaluate(
    run: str | None,
    samples: str | None,
    data: str | None,
    out: str | None,
    assignments: tuple[str, ...],
    reference: int,
    calculator: str | None,
    calculator_args: str,
    relax: int,
    energies: int,
    workers: int | None,
    overwrite: bool,
    progress: bool | None,
    as_json: bool,
    **drawn: Any,
) -> None:
    """Judge the samples of RUN, or those of any other program: are they good, different, and new?

    Every figure stands beside the same one for held-out structures, the best that can be hoped for, and for a broken
    control, as many atoms at random. The verdict is a JSON file with all figures and with what a report shows. Where
    the store has classes of energies, a calculator tells whether samples have those that were asked for.

    \b
    ruo2-wgan evaluate run
    ruo2-wgan evaluate run --count 200 --calculator chgnet.model.dynamics:CHGNetCalculator
    ruo2-wgan evaluate --samples fake.zarr --data bh.zarr --out verdict.json
    ruo2-wgan evaluate --samples others.xyz --data bh.zarr --out verdict.json
    """
    if (run is None) == (samples is None):
        raise click.UsageError("name either a RUN or a file of --samples")
    if samples is not None and (data is None or out is None):
        raise click.UsageError("with --samples, name the real structures with --data and the verdict with --out")

    _refuse_idle_options(run is not None)

    from ruo2_voxel import available_cores, check_file
    from ruo2_wgan.cli.progress import stage_bars
    from ruo2_wgan.evaluate import EnergyChoice, evaluate_file, evaluate_run
    from ruo2_wgan.report import verdict_text
    from ruo2_wgan.verdict.file import write_verdict

    file = Path(out) if out is not None else _place_in(Path(run or "."))
    replace = overwrite or out is None  # a run has one verdict, the latest
    check_file(file, replace)
    choice = EnergyChoice(calculator, _read_arguments(calculator_args), relax, energies) if calculator else None
    with stage_bars(progress) as stage:
        options: dict[str, Any] = {"energies": choice, "n_reference": reference, "stage": stage}
        options["n_threads"] = workers or available_cores()
        if run is not None:
            verdict = evaluate_run(run, data=data, **drawn, **options)
        else:
            assert samples is not None
            assert data is not None
            verdict = evaluate_file(samples, data, _config_for(samples, assignments), **options)
    write_verdict(verdict, file, replace)
    short = {name: value for name, value in verdict.items() if name != "evidence"}
    click.echo(json.dumps(short) if as_json else f"{verdict_text(verdict)}\n\nThe verdict is {file}")


def _refuse_idle_options(of_run: bool) -> None:
    """Options that would do nothing: a run knows its slices, and samples of a file are all there."""
    context = click.get_current_context()
    idle = ("assignments",) if of_run else ("count", "label", "seed", "ema", "checkpoint", "device")
    for option in context.command.params:
        if option.name in idle and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            belongs = "--samples" if of_run else "a RUN"
            raise click.UsageError(f"{option.opts[0]} goes with {belongs} only")


def _place_in(run: Path) -> Path:
    """Of the verdict on a run, or on one of its checkpoints."""
    from ruo2_wgan.verdict.file import NAME

    return (run if run.is_dir() else run.parent.parent) / NAME


def _read_arguments(text: str) -> dict[str, Any]:
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError as error:
        raise click.UsageError(f"--calculator-args: must be a JSON object; found {text!r} ({error})") from None
    if not isinstance(arguments, dict):
        raise click.UsageError(f"--calculator-args: must be a JSON object; found {text!r}")
    return arguments


def _config_for(samples: Any, assignments: tuple[str, ...]) -> Any:
    """Of the data: dimensions as the samples have, slices as asked for."""
    from ruo2_wgan.config import parse_assignments, resolve_config
    from ruo2_wgan.verdict.structure_set import find_dimensions

    dimensions = {"model": {"dimensions": find_dimensions(samples)}}
    return resolve_config([("samples", dimensions), ("--set", parse_assignments(assignments))])
