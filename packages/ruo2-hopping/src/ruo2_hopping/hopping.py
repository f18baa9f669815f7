"""A search for surface structures: what a user calls."""

import functools
import logging
import os
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ase.calculators.calculator import BaseCalculator

from ruo2_hopping.calculators import load_calculator, packages_of
from ruo2_hopping.calibration import calibrate
from ruo2_hopping.config import Config, config_tables, differing_keys
from ruo2_hopping.errors import OutputError
from ruo2_hopping.output import Output
from ruo2_hopping.plan import plan_search
from ruo2_hopping.tour import Progress, make_tour
from ruo2_hopping.walker import Method
from ruo2_hopping.workers import Processes, ThisProcess, Workers

LOG = logging.getLogger(__name__)
PACKAGES: Final = ("ruo2-hopping", "ase", "numpy")  # whose versions a trajectory tells, beside the calculator's


def hop(
    config: Config, out: str | Path, resume: bool = False, jobs: int = 1, progress: Progress = lambda n: None
) -> dict[str, Any]:
    """Search surface structures by grand-canonical basin hopping.

    Parameters
    ----------
    config
        Starts, walkers, moves, limits, calculator.
    out
        NAME.traj, to which every frame is appended.
    resume
        Go on with a trajectory that a killed search has left, or make more steps than it was to have; nothing else of
        the configuration may differ. With a calculator whose numbers depend on the structure alone, the trajectory
        becomes what an uninterrupted search would have given.
    jobs
        Walkers at a time, each in a process of its own; 1 keeps all in this one.
    progress
        Called with the number of steps just written, and first with that of all that were there already.

    Returns
    -------
    result
        Plain values: location, frames, walkers, steps, how many of these were accepted, valid and converged, the oxygen
        energy, walkers that stopped and why, seconds.

    Raises
    ------
    HoppingError
        A configuration that cannot be, a file in the way, a calculator that cannot be had.
    """
    begin = time.perf_counter()
    plan = plan_search(config)
    make = functools.partial(load_calculator, config.calculator.name, config.calculator.arguments)
    with Output(Path(out), resume) as output:
        oxygen_energy = _settle(output.record.description, config, make)
        output.describe(_description(config, oxygen_energy))
        search = config.search
        method = Method(
            plan.moves,
            config.checks,
            config.relaxation,
            oxygen_energy,
            search.temperature,
            search.seed,
            search.snapshots,
        )
        with _hire(min(jobs, max(len(plan.walkers), len(plan.origins))), make) as workers:
            stopped = make_tour(plan, method, output, workers, progress)
        record = output.record
    return {
        "location": str(out),
        "frames": record.n_frames,
        "walkers": len(plan.walkers),
        "steps": sum(record.steps.values()),
        **{name: record.counts.get(name, 0) for name in ("accepted", "valid", "converged")},
        "oxygen_energy_eV": oxygen_energy,
        "stopped": [{"run": run, "step": record.steps.get(run, 0) + 1, "reason": why} for run, why in stopped.items()],
        "seconds": time.perf_counter() - begin,
    }


def _settle(description: Mapping[str, Any], config: Config, make: Callable[[], BaseCalculator]) -> float:
    """The oxygen energy, which a search that goes on knows; and see that it goes on as it began."""
    if description:
        began, now = dict(description["config"]), config_tables(config)
        began["search"] = began["search"] | {"steps": now["search"]["steps"]}
        if changed := differing_keys(began, now):
            raise OutputError(
                f"--resume: must go on as the search began, with nothing changed but the number of steps; found "
                f"{'; '.join(changed)}"
            )
        return float(description["oxygen_energy"])
    if config.calculator.oxygen_energy != "auto":
        return float(config.calculator.oxygen_energy)
    calculator = make()
    LOG.info("calibrating the oxygen energy with %s", config.calculator.name)
    return calibrate(calculator).oxygen_energy


def _description(config: Config, oxygen_energy: float) -> dict[str, Any]:
    versions = {name: version(name) for name in PACKAGES} | packages_of(config.calculator.name)
    return {"config": config_tables(config), "oxygen_energy": oxygen_energy, "versions": versions}


def _hire(jobs: int, make: Callable[[], BaseCalculator]) -> Workers:
    if jobs == 1:
        return ThisProcess(make)
    return Processes(jobs, make, threads=max(1, len(os.sched_getaffinity(0)) // jobs))
