"""Trains the recipes of the study, each with the same number of floating point operations, and judges their samples.

    python benchmarks/study.py --list
    python benchmarks/study.py recommended batch-large --work /scratch/study
    python benchmarks/study.py --all --jobs 2 --work /scratch/study
    python benchmarks/study.py --all --scale gpu --device cuda --work /scratch/study
    python benchmarks/study.py mirrors --set training.precision=float32     # on a processor without bfloat16

Each recipe becomes benchmarks/results/quality/SCALE/NAME.json; those that are there already stay as they are. What a
run may spend is counted, not timed, so that neither the machine nor what else it does decides who wins: a recipe whose
steps are cheap makes more of them. A study that was stopped goes on where it was.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ceilings import count_flops
from machine import describe_machine, describe_run, package_versions, write_record
from quality.recipes import Recipe, Scale, read_recipe, read_scale, recipe_names
from ruo2_voxel import available_cores
from ruo2_wgan.config import config_tables, config_toml, parse_assignments
from ruo2_wgan.data import open_rows
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.training.schedule import Schedule
from ruo2_wgan.verdict.file import read_verdict

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "quality"
PACKAGES = ("ruo2-wgan", "ruo2-voxel", "torch", "numpy")
COUNTING = threading.Lock()  # torch's counting and making of networks is for one thread
TOLD = ("data", "limits", "samples", "held_out", "control", "labels", "signs")  # of a verdict; not what a report draws


def prepare(recipe: Recipe, work: Path) -> Path:
    """The store of a recipe, built unless another recipe has built it."""
    options = _options(recipe.store)
    name = f"store-{hashlib.sha256(' '.join(options).encode()).hexdigest()[:8]}"
    store = work / f"{name}.zarr"
    if not store.exists():
        build = ["ruo2-voxel", "build", f"--out={store}", "--no-progress", *options]
        _call(build, work / f"{name}.log", available_cores())
    return store


def run(recipe: Recipe, scale: Scale, store: Path, work: Path, device: str, threads: int) -> dict[str, Any]:
    """Train a recipe with what it may spend, judge its samples, and tell what came of it."""
    budget = recipe.budget * scale.tflop * 1e12
    log = work / f"{recipe.name}.log"
    make = _train if recipe.program is None else _run_program
    made, samples = make(recipe, budget, scale.samples, store, work, device, threads)
    verdict = work / f"{recipe.name}.json"
    judge = ["ruo2-wgan", "evaluate", *samples, f"--out={verdict}", "--overwrite", "--no-progress"]
    _call([*judge, f"--workers={threads}", *_options(recipe.judge)], log, threads)
    told = read_verdict(verdict)
    return made | {
        "recipe": {"name": recipe.name, "of": recipe.of, "budget": recipe.budget},
        "scale": {"name": scale.name, "about": scale.about, "tflop": scale.tflop},
        "over": scale.over,
        "changed": {} if recipe.of is None else changes(recipe, read_recipe(recipe.of, scale)),
        "store": {key: str(value) for key, value in recipe.store.items()},
        "seed": recipe.config.training.seed,
        "threads": threads,
        "verdict": {key: told[key] for key in TOLD},
    }


def _train(
    recipe: Recipe, budget: float, count: int, store: Path, work: Path, device: str, threads: int
) -> tuple[dict[str, Any], list[str]]:
    """A run of ruo2-wgan; figures of it, and how its samples are named to `evaluate`."""
    folder, log, settings = (work / f"{recipe.name}{suffix}" for suffix in ("", ".log", ".toml"))
    config = recipe.config
    with COUNTING:
        spec = open_rows(store, config).spec
        flop_per_structure = count_flops(config.model, config.loss, spec)["step"]
    schedule = Schedule(config, spec.n_train)
    n_steps = schedule.step_at(round(budget / flop_per_structure))
    settings.write_text(config_toml(config), encoding="utf-8")
    train = ["ruo2-wgan", "train", f"--data={store}", f"--run={folder}", f"--device={device}", f"--max-steps={n_steps}"]
    train.append("--no-progress")
    # What a study that was stopped has trained stays; a run that has begun knows its configuration itself.
    _call([*train, "--resume", *([] if folder.exists() else [f"--config={settings}"])], log, threads)
    made = {
        "steps": n_steps,
        "GFLOP_per_step": schedule.rows_before(n_steps) / n_steps * flop_per_structure / 1e9,
        "seconds_of_training": _seconds(folder, schedule),
        "device": RunFolder(folder).read_provenance()["device"],
    }
    return made, [str(folder), f"--count={count}", f"--device={device}"]


def _run_program(
    recipe: Recipe, budget: float, count: int, store: Path, work: Path, device: str, threads: int
) -> tuple[dict[str, Any], list[str]]:
    """The same of a program of its own; what a step of it costs, a first run of one step tells."""
    log, samples, record = (work / f"{recipe.name}{suffix}" for suffix in (".log", ".zarr", ".record.json"))
    options = [f"--data={store}", f"--record={record}", f"--device={device}", f"--batch={recipe.config.training.batch}"]

    def call(steps: int, count: int) -> dict[str, Any]:
        shutil.rmtree(samples, ignore_errors=True)
        command = ["python", f"benchmarks/quality/{recipe.program}", f"--out={samples}", *options]
        _call([*command, f"--steps={steps}", f"--count={count}"], log, threads)
        return dict(json.loads(record.read_text(encoding="utf-8")))

    n_steps = max(1, round(budget / 1e12 / call(1, 1)["tflop_of_a_step"]))
    told = call(n_steps, count)
    made = {
        "steps": n_steps,
        "GFLOP_per_step": 1e3 * told["tflop_of_a_step"],
        "GFLOP_per_sample": 1e3 * told["tflop_of_a_sample"],
        "seconds_of_training": told["seconds_training"],
        "seconds_of_sampling": told["seconds_sampling"],
        "device": told["gpu"] or "cpu",
    }
    return made, [f"--samples={samples}", f"--data={store}"]


def changes(recipe: Recipe, of: Recipe) -> dict[str, list[str]]:
    """Settings in which a recipe differs from the one that it changes: the value there, and here."""
    there, here = (
        {
            f"{section}.{name}": str(value)
            for section, table in ({"store": each.store} | config_tables(each.config)).items()
            for name, value in table.items()
        }
        for each in (of, recipe)
    )
    return {key: [there.get(key, "none"), value] for key, value in here.items() if there.get(key) != value}


def _options(table: Mapping[str, Any]) -> list[str]:
    return [f"--{key.replace('_', '-')}={value}" for key, value in sorted(table.items())]


def _call(words: list[str], log: Path, threads: int) -> None:
    """One of our commands, beside this interpreter, with its output in a file."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    with log.open("a", encoding="utf-8") as file:
        done = subprocess.run(command, check=False, cwd=ROOT, env=environment, stdout=file, stderr=file)
    if done.returncode:
        raise click.ClickException(f"{words[0]} {words[1]} failed: see {log}")


def _seconds(folder: Path, schedule: Schedule) -> float:
    """That training took, of one run or of several that went on from each other."""
    seconds, done = 0.0, 0
    for line in (folder / "stats.jsonl").read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        rows = schedule.rows_before(told["step"]) - schedule.rows_before(done)
        seconds += rows / told["structures_per_second"]
        done = told["step"]
    return seconds


@click.command(help=__doc__)
@click.argument("names", nargs=-1, metavar="[RECIPE]...")
@click.option("--all", "everything", is_flag=True, help="All recipes.")
@click.option("--list", "listing", is_flag=True, help="Tell what recipes there are, and what each changes.")
@click.option(
    "--scale", "scale_name", default="two-cores", show_default=True, help="Of benchmarks/quality/scales/, or a file."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=RESULTS,
    help="Folder for results.  [default: benchmarks/results/quality]",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("study"),
    show_default=True,
    help="Folder for stores and runs.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Runs at a time, which share the cores."
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="For all recipes, whatever they say; recorded."
)
@click.option("--again", is_flag=True, help="Judge anew what was judged; what was trained stays.")
def main(
    names: tuple[str, ...],
    everything: bool,
    listing: bool,
    scale_name: str,
    out: Path,
    work: Path,
    jobs: int,
    device: str,
    assignments: tuple[str, ...],
    again: bool,
) -> None:
    scale = replace(read_scale(scale_name), over=parse_assignments(assignments))
    known = recipe_names()
    if unknown := sorted(set(names) - set(known)):
        raise click.UsageError(f"no recipe {', '.join(unknown)}; --list tells all")
    recipes = [read_recipe(name, scale) for name in (known if everything or listing else names)]
    if listing:
        for recipe in recipes:
            click.echo(f"{recipe.name:<20} of {recipe.of or '-':<16} {recipe.title}")
        return
    if not recipes:
        raise click.UsageError("name recipes, or --all; --list tells what there is")
    results = out / scale.name
    todo = [each for each in recipes if again or not (results / f"{each.name}.json").exists()]
    work.mkdir(parents=True, exist_ok=True)
    stores = [prepare(recipe, work.resolve()) for recipe in todo]
    threads = max(1, available_cores() // jobs)

    def study(recipe: Recipe, store: Path) -> None:
        found = run(recipe, scale, store, work.resolve(), device, threads)
        words = [recipe.name, "--scale", scale_name, *(f"--set={each}" for each in assignments)]  # that do it alone
        found["run"] = describe_run() | {"command": " ".join(["python benchmarks/study.py", *words])}
        found |= {"machine": describe_machine(), "versions": package_versions(PACKAGES)}
        write_record(found, results / f"{recipe.name}.json")
        good = found["verdict"]["samples"]["valid_unique_new"]
        click.echo(f"{recipe.name}: {found['steps']} steps, {good:.0%} valid, unique and new")

    with ThreadPoolExecutor(jobs) as pool:
        for done in [pool.submit(study, *each) for each in zip(todo, stores, strict=True)]:
            done.result()


if __name__ == "__main__":
    main()
