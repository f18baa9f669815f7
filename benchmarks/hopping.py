"""What a search costs beside its calculator, and what walkers side by side save.

    python benchmarks/hopping.py --out benchmarks/results/hopping.json

A slab of RuO2(110), p(2x1). The sampler's share of a step of relaxation is measured with a calculator that costs
nothing: moves, checks, FIRE itself, snapshots and writing. CHGNet's step of the same slab stands beside it, if it is
installed. --quick takes the built-in pair potential in its place, with which nothing fits.
"""

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from machine import describe_machine, describe_run, hold_libraries_to_one_thread, package_versions, write_record
from rounds import Timed, time_in_rounds
from ruo2_hopping import Config, Relaxation, Search, Start, hop
from ruo2_hopping.calculators import load_calculator
from ruo2_hopping.checks import find_fault
from ruo2_hopping.errors import CalculatorError
from ruo2_hopping.output import Output
from ruo2_hopping.plan import plan_search
from ruo2_hopping.relaxation import relax
from ruo2_hopping.walker import Method, relax_start, take_step
from targets import Target

PACKAGES = ("ruo2-hopping", "ase", "numpy", "chgnet", "torch")
CHGNET = "chgnet.model.dynamics:CHGNetCalculator", {"use_device": "cpu"}
TOY = "ruo2_hopping.pair_potential:PairPotential", dict[str, Any]()
START = Start(surface="110", repeat=(2, 1))
FIRE_STEPS = 50  # of each relaxation

TARGETS = (
    Target("sampler over the calculator, a step of relaxation", ("sampler, all of it",), ("CHGNet",), "at most", 0.05),
    Target("one process over two", ("search, one process",), ("search, two processes",), "at least", 1.8),
)


class Free(Calculator):
    """Costs nothing, and never lets a relaxation converge: the same small force on every atom, up or down in turn."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        forces = np.zeros((len(atoms), 3))
        forces[:, 2] = 0.2 * (-1.0) ** np.arange(len(atoms))
        self.results = {"energy": 0.0, "forces": forces}


def parts(folder: Path) -> dict[str, Timed]:
    """Of the sampler: contenders whose units are steps of relaxation, or whole moves and checks."""
    config = Config(starts=(START,), relaxation=Relaxation(fmax=1e-6, steps=FIRE_STEPS, start_steps=0))
    plan = plan_search(config)
    method = Method(plan.moves, config.checks, config.relaxation, -5.0, 1000.0, 0)
    walker, calculator = plan.walkers[0], Free()
    place = relax_start(plan.origins[0].atoms, "110", "stoichiometric", method, calculator).place
    rng, steps, files = np.random.default_rng(0), count(1), count()
    frames = take_step(walker, 1, place, method, calculator).frames
    output = Output(folder / f"{next(files)}.traj")
    output.describe({})

    def search() -> None:
        output.append(take_step(walker, next(steps), place, method, calculator).frames)

    moves: dict[str, Callable[[], object]] = {
        each.move.name: lambda each=each: each.move.propose(place, rng) for each in plan.moves
    }
    return {
        **{f"move: {name}": Timed(run, 1) for name, run in moves.items()},
        "check": Timed(lambda: find_fault(place, config.checks), 1),
        "FIRE and snapshot": Timed(lambda: relax(place, calculator, config.relaxation, FIRE_STEPS), FIRE_STEPS),
        "write a frame": Timed(lambda: output.append(frames), len(frames)),
        "sampler, all of it": Timed(search, FIRE_STEPS),
    }


def evaluation(name: str, arguments: dict[str, Any]) -> Timed:
    """The calculator on the slab, never twice on the same one."""
    calculator, rng = load_calculator(name, arguments), np.random.default_rng(0)
    slab: Atoms = plan_search(Config(starts=(START,))).origins[0].atoms

    def evaluate() -> None:
        atoms = slab.copy()
        atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
        atoms.calc = calculator
        atoms.get_forces()

    return Timed(evaluate, 1)


def searches(folder: Path, name: str, arguments: dict[str, Any], steps: int, fire_steps: int) -> dict[str, Timed]:
    """The same search with one process and with two, from beginning to end, processes started and all."""
    files = count()
    settings = {"name": name, "arguments": arguments, "oxygen_energy": -5.5}
    config = Config(
        starts=(START,),
        search=Search(mu_o=(-1.0, 0.0), steps=steps),
        relaxation=Relaxation(fmax=1e-3, steps=fire_steps, start_steps=0),
        calculator=settings,  # type: ignore[arg-type]
    )

    def search(jobs: int) -> Timed:
        return Timed(lambda: hop(config, folder / f"search-{next(files)}.traj", jobs=jobs), 2 * steps * fire_steps)

    return {"search, one process": search(1), "search, two processes": search(2)}


@click.command(help=__doc__)
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--quick", is_flag=True, help="Tiny, to see that it works.")
def main(out: Path, quick: bool) -> None:
    hold_libraries_to_one_thread()
    name, arguments = TOY if quick else CHGNET
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        contenders = parts(folder)
        try:
            contenders["CHGNet"] = evaluation(name, arguments)
        except CalculatorError as error:
            click.echo(f"without CHGNet: {error}", err=True)
            name, arguments = TOY
        times = time_in_rounds(contenders, 2 if quick else 9, "parts")
        times |= time_in_rounds(
            searches(folder, name, arguments, *((1, 3) if quick else (3, 10))), 1 if quick else 2, "searches"
        )
    record = {
        "machine": describe_machine(),
        "run": describe_run(),
        "versions": package_versions(PACKAGES),
        "calculator": name,
        "fire_steps": FIRE_STEPS,
        "atoms": len(plan_search(Config(starts=(START,))).origins[0].atoms),
        "microseconds": {name: {"best": 1e6 * each.best, "median": 1e6 * each.median} for name, each in times.items()},
        "ratios": [target.judge(times) for target in TARGETS],
    }
    for ratio in record["ratios"]:
        click.echo(f"{ratio['what']}: {ratio['measured']}")
    write_record(record, out)


if __name__ == "__main__":
    main()
