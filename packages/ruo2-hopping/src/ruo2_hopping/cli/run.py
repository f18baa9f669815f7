"""The command that searches."""

import json
import os
from pathlib import Path
from typing import Any

import click

from ruo2_hopping.cli.options import JsonObject, OxygenEnergy
from ruo2_hopping.cli.progress import step_bar

BUILT_IN = "ruo2_hopping.pair_potential:PairPotential"
# Options and the place of what they say in the configuration.
OF_TABLES = {
    "mu_o": "search",
    "walkers": "search",
    "steps": "search",
    "temperature": "search",
    "seed": "search",
    "snapshots": "search",
    "displaced": "layers",
    "buffer": "layers",
    "fmax": "relaxation",
    "relax_steps": "relaxation",
}
OF_MOVES = ("step_width", "modes", "exchange", "rattle")


# Defaults are those of the configuration, and told here by its words: a flag that is not given leaves a file's value.
@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE.traj", help="Trajectory to write.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE.toml", help="Settings; flags win over it.")
@click.option("--surface", multiple=True, help="Facet of RuO2: 110, 100 or 101; may be repeated.  [default: 110]")
@click.option(
    "--termination", multiple=True, help="O-poor, stoichiometric or O-rich; may be repeated.  [default: stoichiometric]"
)
@click.option(
    "--repeat", nargs=2, type=click.IntRange(min=1), metavar="N M", help="Cells along x and y.  [default: 1 1]"
)
@click.option(
    "--layers",
    type=click.IntRange(min=1),
    help="Ru layers of the slab.  [default: those that move, and a fixed one or two]",
)
@click.option("--vacuum", type=float, metavar="Å", help="Above the slab.  [default: 12]")
@click.option("--start", multiple=True, metavar="FILE", help="A structure instead, as in slab.traj@0; may be repeated.")
@click.option(
    "--mu-o",
    multiple=True,
    type=float,
    metavar="eV",
    help="Chemical potential of oxygen; may be repeated.  [default: 0]",
)
@click.option("--walkers", type=click.IntRange(min=1), help="For each start and chemical potential.  [default: 1]")
@click.option("--steps", type=click.IntRange(min=0), help="Of each walker.  [default: 100]")
@click.option("--temperature", type=float, metavar="K", help="Of Metropolis's rule.  [default: 1000]")
@click.option("--step-width", type=float, metavar="Å", help="Largest component of a displacement.  [default: 1.2]")
@click.option("--modes", type=float, help="Share of the delocalised coordinates in a displacement.  [default: 0.25]")
@click.option("--exchange", type=float, help="Share of moves that put oxygen in or take it out.  [default: 0.25]")
@click.option("--rattle", type=float, help="Share of moves that displace atoms one by one.  [default: 0]")
@click.option("--displaced", type=click.IntRange(min=1), help="Ru layers that moves displace.  [default: 2]")
@click.option("--buffer", type=click.IntRange(min=0), help="Ru layers below that relax.  [default: 2]")
@click.option("--fmax", type=float, metavar="eV/Å", help="Largest force of a relaxed structure.  [default: 0.1]")
@click.option("--relax-steps", type=click.IntRange(min=0), help="Of FIRE after a move, at most.  [default: 200]")
@click.option(
    "--snapshots", type=click.Choice(["all", "minima"]), help="Frames to write of a relaxation.  [default: all]"
)
@click.option("--calculator", metavar="MODULE:CALLABLE", help=f"Of ASE.  [default: {BUILT_IN}, a toy]")
@click.option("--calculator-args", type=JsonObject(), help="Its keyword arguments.  [default: {}]")
@click.option(
    "--oxygen-energy", type=OxygenEnergy(), help="What oxygen is counted from; auto fits it first.  [default: auto]"
)
@click.option("--seed", type=click.IntRange(min=0), help="Of all random numbers.  [default: 0]")
@click.option("--jobs", type=click.IntRange(min=1), help="Walkers at a time.  [default: the cores there are]")
@click.option("--resume", is_flag=True, help="Go on with FILE.traj, or make more steps.")
@click.option("--dry-run", is_flag=True, help="Print the settings as a file for --config, and stop.")
@click.option("--progress/--no-progress", default=None, help="A bar on stderr.  [default: if it is a terminal]")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def run(
    out: Path,
    config: Path | None,
    jobs: int | None,
    resume: bool,
    dry_run: bool,
    progress: bool | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Search surface structures; every structure on the way is appended to a trajectory.

    Walkers begin with each start at each chemical potential. A step moves the top layers or exchanges an oxygen atom,
    relaxes, checks that nothing has come off, and is taken by Metropolis's rule on Omega = E - N_O (E_O + mu_O).

    \b
    ruo2-hopping run --surface 110 --repeat 2 1 --mu-o -0.5 --steps 200 --out bh.traj \\
        --calculator chgnet.model.dynamics:CHGNetCalculator
    ruo2-hopping run --start slab.traj --mu-o -1 --mu-o 0 --walkers 4 --out bh.traj
    ruo2-hopping run --config run.toml --out bh.traj --resume
    """
    from ruo2_hopping import terminal
    from ruo2_hopping.config import config_toml, make_config
    from ruo2_hopping.hopping import hop
    from ruo2_hopping.output import check_output
    from ruo2_hopping.plan import plan_search

    resolved = make_config(_tables(config, flags), str(config or "options"))
    plan = plan_search(resolved)
    check_output(out, resume)
    if dry_run:
        click.echo(terminal.plan_text(plan) + "\n" + config_toml(resolved), nl=False)
        return
    n_steps = len(plan.origins) + len(plan.walkers) * resolved.search.steps
    with step_bar(n_steps, progress) as advance:
        result = hop(resolved, out, resume, jobs or len(os.sched_getaffinity(0)), advance)
    click.echo(json.dumps(result) if as_json else terminal.hop_text(result))
    if result["stopped"]:
        raise SystemExit(1)


def _tables(config: Path | None, flags: dict[str, Any]) -> dict[str, Any]:
    """The file's settings, and the flags' over them."""
    from ruo2_hopping.config import choose_moves, read_config

    tables = read_config(config) if config else {}
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    if starts := _starts(given):
        tables["starts"] = starts
    for name, section in OF_TABLES.items():
        if name in given:
            tables.setdefault(section, {})["steps" if name == "relax_steps" else name] = given[name]
    if moves := {name: given[name] for name in OF_MOVES if name in given}:
        if "moves" in tables:
            raise click.UsageError(
                f"{config} has moves of its own: --{next(iter(moves)).replace('_', '-')} cannot change them"
            )
        tables["moves"] = choose_moves(**moves)
    for name, key in (("calculator", "name"), ("calculator_args", "arguments"), ("oxygen_energy", "oxygen_energy")):
        if name in given:
            tables.setdefault("calculator", {})[key] = given[name]
    return tables


def _starts(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Slabs of all facets and terminations that are named, then files."""
    common: dict[str, Any] = {name: given[name] for name in ("repeat", "layers", "vacuum") if name in given}
    starts: list[dict[str, Any]] = []
    if common or "surface" in given or "termination" in given:
        if "start" in given and not ("surface" in given or "termination" in given):
            raise click.UsageError(f"--{next(iter(common))} is for slabs that are built; --start takes a file as it is")
        starts += [
            {"surface": surface, "termination": termination, **common}
            for surface in given.get("surface", ("110",))
            for termination in given.get("termination", ("stoichiometric",))
        ]
    return starts + [{"file": file} for file in given.get("start", ())]
