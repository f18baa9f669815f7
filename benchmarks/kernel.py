"""Times the voxelizing kernel beside what else one could use, and beside what the machine allows.

    python benchmarks/kernel.py --out benchmarks/results/kernel.json

All on the same random structures, to the same stated error, in one run; ratios hold within it. Every peer is optional.
libmolgrid needs NumPy 1, hence an interpreter of its own. With all of them:

    python -m venv with-peers
    with-peers/bin/pip install -e packages/ruo2-voxel scipy torch==2.13.0 molvoxel freud-analysis finufft pyuul
    python -m venv with-molgrid
    with-molgrid/bin/pip install "numpy<2" molgrid
    with-peers/bin/python benchmarks/kernel.py --molgrid-python with-molgrid/bin/python --out ...
"""

import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from limits import WIDTHS, read_modify_write, time_limits, vectors_touched
from machine import describe_machine, describe_run, hold_libraries_to_one_thread, package_versions, write_record
from ours import (
    ORTHORHOMBIC,
    ORTHORHOMBIC_TWO,
    TRICLINIC,
    Ours,
    cutoff_of,
    grid_of,
    tightest_tol,
    window_of,
)
from peers.by_hand import BY_HAND
from peers.libraries import LIBRARIES
from peers.task import Peer, Renderer, Task
from rounds import Timed, Times, fit_units, time_in_rounds
from ruo2_voxel import Grid
from targets import Target
from workloads import (
    CELL_LENGTH,
    SHEAR,
    SIGMA_IN_VOXELS,
    SPECIES,
    WORKLOADS,
    FloatArray,
    Structure,
    Workload,
    exact_density,
)

PEERS = (*BY_HAND, *LIBRARIES)
OUR_PACKAGES = ("ruo2-voxel", "numpy", "numba", "llvmlite", "ase")
MICROSECONDS = 1e6

WINDOW = 9  # voxels: the window that the targets are stated for
WINDOWED, DEFAULT = f"window {WINDOW}", "default tol"

L1_BOUND = "L1 bound"
READ_MODIFY_WRITE = tuple(read_modify_write(n_vectors) for n_vectors in WIDTHS)


def _of_kind(*kinds: str) -> tuple[str, ...]:
    return tuple(peer.name for peer in PEERS if peer.kind in kinds)


# The libraries are the published renderers of this very sum of Gaussians, made periodic with ghost atoms where they
# are not. finufft is none, yet one can be built on it in ten lines: it is judged apart.
OVER_LIBRARIES = Target("fastest library over ours", _of_kind("library"), (ORTHORHOMBIC,), "at least", 50.0)
OVER_TRANSFORMS = Target("fastest transform over ours", _of_kind("transform"), (ORTHORHOMBIC,), "at least", 50.0)
SHEARED = Target("triclinic over orthorhombic", (TRICLINIC,), (ORTHORHOMBIC,), "at most", 1.5)
TWO_THREADS = Target("one thread over two", (ORTHORHOMBIC,), (ORTHORHOMBIC_TWO,), "at least", 1.8)
OVER_L1_BOUND = Target("ours over the L1 bound", (ORTHORHOMBIC,), (L1_BOUND,), "at most", 2.5)


def _over_gemm(ratio: float) -> Target:
    return Target("NumPy GEMM over ours", ("numpy-gemm",), (ORTHORHOMBIC,), "at least", ratio)


BOTH_SETTINGS = (SHEARED, TWO_THREADS)
TARGETS = {
    "W1": (_over_gemm(29.0), OVER_LIBRARIES, OVER_TRANSFORMS, OVER_L1_BOUND),
    "W2": (_over_gemm(13.0), OVER_LIBRARIES, OVER_TRANSFORMS),
    "W3": (OVER_LIBRARIES, OVER_TRANSFORMS),
}


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    n_rounds: int
    n_structures: int  # a batch of ours
    peer_seconds: float  # peers take as many of the structures as fill these
    copied_bytes: int
    workloads: tuple[Workload, ...] = WORKLOADS


FULL = Plan(n_rounds=20, n_structures=64, peer_seconds=0.02, copied_bytes=2**28)
QUICK = Plan(
    n_rounds=2,
    n_structures=2,
    peer_seconds=0.0,
    copied_bytes=2**22,
    workloads=tuple(replace(workload, n_atoms=workload.n_atoms // 10) for workload in WORKLOADS),
)


def measure_workload(
    workload: Workload, plan: Plan, peers: Sequence[Peer], molgrid_python: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What was measured, and how it compares with the targets."""
    ours = Ours(workload, plan.n_structures)
    exact = {
        ORTHORHOMBIC: exact_density(ours.cubic[0], workload.shape, workload.sigma),
        TRICLINIC: exact_density(ours.sheared[0], workload.shape, workload.sigma),
    }
    record: dict[str, Any] = {"n_atoms": workload.n_atoms, "shape": workload.shape, "sigma_angstrom": workload.sigma}
    judged: list[dict[str, Any]] = []
    tightest = tightest_tol(workload, [ours.cubic[0], ours.sheared[0]], WINDOW)
    for setting, tol in ((WINDOWED, tightest), (DEFAULT, Grid().tol)):
        with ExitStack() as resources:
            task = Task(
                workload=workload,
                tol=tol,
                cutoff=cutoff_of(ours.cubic[0], grid_of(workload, tol)),
                window=max(window_of(ours.cubic[0], grid_of(workload, tol))),
                first=ours.cubic[0],
                exact=exact[ORTHORHOMBIC],
                other_python=molgrid_python,
                resources=resources,
            )
            record[setting], times = measure_task(task, ours, exact, plan, peers, f"{workload.name}, {setting}")
        targets = TARGETS[workload.name] if setting == WINDOWED else ()
        where = {"workload": workload.name, "setting": setting}
        judged += [{**where, **target.judge(times)} for target in (*targets, *BOTH_SETTINGS)]
    return record, judged


def measure_task(
    task: Task, ours: Ours, exact: Mapping[str, FloatArray], plan: Plan, peers: Sequence[Peer], title: str
) -> tuple[dict[str, Any], dict[str, Times]]:
    """Time our ways and the peers in the same rounds; the record and the times."""
    workload, grid = task.workload, grid_of(task.workload, task.tol)
    own = ours.contenders(grid)
    started = {peer: _start(peer, task) for peer in peers}
    others = {
        p.name: _time_peer(r, ours.cubic, plan.peer_seconds) for p, r in started.items() if not isinstance(r, str)
    }
    contenders = {**time_limits(plan.copied_bytes), **own, **others}
    times = time_in_rounds(contenders, plan.n_rounds, title, rounds_between_slow=4)
    step = min((times[name] for name in READ_MODIFY_WRITE), key=lambda of_step: of_step.best)
    times[L1_BOUND] = step.scaled(vectors_touched(workload.n_atoms, task.window))
    errors = ours.largest_errors(own, exact)
    record = {
        "tol": task.tol,
        "cutoff_angstrom": task.cutoff,
        "window": {ORTHORHOMBIC: window_of(ours.cubic[0], grid), TRICLINIC: window_of(ours.sheared[0], grid)},
        "limits": _describe_limits(times, workload),
        "ours": {name: {**_describe_times(times, name), "largest_error": errors[name]} for name in own},
        "peers": [_describe_peer(peer, renderer, times, task) for peer, renderer in started.items()],
    }
    return record, times


def _start(peer: Peer, task: Task) -> Renderer | str:
    """The peer at work, or the reason why it is not."""
    try:
        return peer.start(task)
    except (ImportError, OSError) as error:
        return str(error).splitlines()[0]


def _time_peer(renderer: Renderer, structures: list[Structure], seconds: float) -> Timed:
    renderer.load(structures[:1])
    n = fit_units(renderer.run, seconds, len(structures))
    renderer.load(structures[:n])
    return Timed(renderer.run, n)


def _describe_limits(times: Mapping[str, Times], workload: Workload) -> dict[str, Any]:
    density_bytes = 4 * len(SPECIES) * math.prod(workload.shape)
    return {
        "read_modify_write_ns": {name: times[name].best * 1e9 for name in READ_MODIFY_WRITE},
        "l1_bound_us": times[L1_BOUND].best * MICROSECONDS,
        "copy_GB_per_s": 1e-9 / times["copy"].best,
        "copy_of_a_density_us": density_bytes * times["copy"].best * MICROSECONDS,
    }


def _describe_times(times: Mapping[str, Times], name: str) -> dict[str, Any]:
    """Microseconds a structure, and how many times ours that is, from best rounds and from median ones."""
    own, ours = times[name], times[ORTHORHOMBIC]
    return {
        "us": own.best * MICROSECONDS,
        "us_median": own.median * MICROSECONDS,
        "rounds": len(own.rounds),
        "ratio": own.best / ours.best,
        "ratio_of_medians": own.median / ours.median,
    }


def _describe_peer(peer: Peer, started: Renderer | str, times: Mapping[str, Times], task: Task) -> dict[str, Any]:
    if isinstance(started, str):
        return {"peer": peer.name, "skipped": started}
    record: dict[str, Any] = {"peer": peer.name, "kind": peer.kind, **_describe_times(times, peer.name)}
    if peer.kind != "other function":
        record["largest_error"] = task.largest_error(started.density())
    if started.versions:
        record["versions"] = started.versions
    return record


def _tell_skipped(workload_record: Mapping[str, Any]) -> None:
    for peer in workload_record[WINDOWED]["peers"]:
        if "skipped" in peer:
            click.echo(f"{peer['peer']} is skipped: {peer['skipped']}", err=True)


def _error(row: Mapping[str, Any]) -> str:
    return f"error {row['largest_error']:.1e}" if "largest_error" in row else "another function"


def _table(record: Mapping[str, Any]) -> str:
    lines = []
    for name, workload in record["workloads"].items():
        for setting in (WINDOWED, DEFAULT):
            of = workload[setting]
            lines.append(f"{name}, {setting} (tol {of['tol']:.2g}, window {of['window'][ORTHORHOMBIC][0]})")
            rows = [*of["ours"].items(), *((peer["peer"], peer) for peer in of["peers"] if "us" in peer)]
            lines += [f"  {row:28}{t['us']:12.1f} us{t['ratio']:9.2f} x   {_error(t)}" for row, t in rows]
    for target in record["targets"]:
        measured = "not measured" if target["measured"] is None else f"{target['measured']:.3g}"
        verdict = {True: "met", False: "NOT met", None: ""}[target["met"]]
        lines.append(
            f"{target['workload']}, {target['setting']}: {target['what']}: {measured} "
            f"(target {target['sense']} {target['target']:g}) {verdict}"
        )
    return "\n".join(lines)


@click.command(help=(__doc__ or "").splitlines()[0])
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The JSON file to write.")
@click.option("--quick", is_flag=True, help="A tenth of the atoms and two rounds: whether it works, not how fast.")
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds instead of those planned.")
@click.option(
    "--peer", "names", multiple=True, type=click.Choice([p.name for p in PEERS]), help="Only this peer; repeat."
)
@click.option("--molgrid-python", default=sys.executable, help="Interpreter with molgrid.  [default: this one]")
def main(out: Path, quick: bool, rounds: int | None, names: tuple[str, ...], molgrid_python: str) -> None:
    hold_libraries_to_one_thread()
    plan = QUICK if quick else FULL
    plan = replace(plan, n_rounds=rounds or plan.n_rounds)
    peers = [peer for peer in PEERS if not names or peer.name in names]
    record: dict[str, Any] = {
        "benchmark": "kernel",
        "quick": quick,
        **describe_run(),
        "machine": describe_machine(),
        "versions": package_versions([*OUR_PACKAGES, *(name for peer in peers for name in peer.packages)]),
        "plan": {
            "rounds": plan.n_rounds,
            "structures_a_batch": plan.n_structures,
            "cell_length_angstrom": CELL_LENGTH,
            "shear_of_triclinic_cells": SHEAR,
            "sigma_voxels": SIGMA_IN_VOXELS,
            "species": SPECIES,
        },
        "workloads": {},
        "targets": [],
    }
    for workload in plan.workloads:
        record["workloads"][workload.name], judged = measure_workload(workload, plan, peers, molgrid_python)
        record["targets"] += judged
        if workload is plan.workloads[0]:
            _tell_skipped(record["workloads"][workload.name])
    write_record(record, out)
    click.echo(_table(record))


if __name__ == "__main__":
    main()
