"""What the commands print for people: a heading, then one line for each thing worth knowing."""

from typing import Any

from ruo2_hopping.plan import Plan


def plan_text(plan: Plan) -> str:
    """Comments of a file for --config: starts and walkers."""
    search = plan.config.search
    lines = [f"# walkers: {len(plan.walkers)}, each of {search.steps} steps; nothing was computed (--dry-run)"]
    for origin in plan.origins:
        tags = origin.atoms.get_tags()
        counts = ", ".join(
            f"{int((tags == tag).sum())} {word}" for tag, word in ((2, "displaced"), (1, "buffer"), (0, "fixed"))
        )
        sides = " x ".join(f"{length:.2f}" for length in origin.atoms.cell.lengths())
        lines.append(
            f"# ({origin.facet}) {origin.name}: {origin.atoms.get_chemical_formula()}, {sides} Å; atoms: {counts}"
        )
    return "\n".join(lines)


def hop_text(result: dict[str, Any]) -> str:
    """Of what `hop` returns."""
    steps = result["steps"]
    shares = ", ".join(f"{result[name] / steps:.0%} {name}" for name in ("accepted", "valid", "converged") if steps)
    lines = [
        f"{result['location']}: {steps} steps of {result['walkers']} walkers, {result['frames']} frames, "
        f"in {result['seconds']:.1f} s",
        *([f"  of steps  {shares}"] if steps else []),
        f"  oxygen    counted from {result['oxygen_energy_eV']:.4f} eV per atom",
        *(f"  stopped   walker {each['run']} at step {each['step']}: {each['reason']}" for each in result["stopped"]),
    ]
    return "\n".join(lines)


def summary_text(result: dict[str, Any]) -> str:
    """Of `summarise_history`."""
    unfinished = f", {result['unfinished']} more unfinished" if result["unfinished"] else ""
    lines = [
        f"{result['file']}: {result['frames']} frames, {result['relaxations']} relaxations{unfinished}, "
        f"{len(result['walkers'])} walkers"
    ]
    if not result["ends_are_marked"]:
        lines.append("  ends      frames do not say which are final: the last of each relaxation is taken for its end")
    lines += [f"  slab      {_slab_text(slab, ranges)}" for slab, ranges in result["slabs"].items()]
    if result["steps"]:
        lines.append(f"  steps     {_counts_text(result)}")
    if result["relaxations"]:
        fire = result["fire_steps"]
        lines.append(f"  FIRE      {fire['median']:g} steps (median), {fire['most']} at most")
    lines += [f"  {kind:<9} {_counts_text(counts)}" for kind, counts in result["moves"].items()]
    if result["rejected"]:
        lines.append("  rejected  " + ", ".join(f"{n} {kind}" for kind, n in result["rejected"].items()))
    minima = result["minima"]
    lines.append(
        f"  minima    {minima['unique']} different among {minima['ends']} ends"
        + (f", one of them found {minima['found_most']} times" if minima["found_most"] > 1 else "")
    )
    if result["oxygen_energy"] is None:
        lines.append(
            "  Omega     not told: the file names no oxygen energy; give one with --oxygen-energy, eV for each O"
        )
        return "\n".join([*lines, *_walker_lines(result["walkers"])])
    lines.append(f"  Omega     of E_O = {result['oxygen_energy']:.4f} eV; the lowest of each slab and mu_O, eV:")
    lines += [f"  {each['mu_O']:9.2f} {_lowest_text(each)}" for each in result["lowest"]]
    return "\n".join([*lines, *_walker_lines(result["walkers"])])


def _counts_text(counts: dict[str, Any]) -> str:
    n = counts["steps"]
    shares = ", ".join(f"{100 * counts[name] / n:3.0f} % {name}" for name in ("accepted", "valid", "converged"))
    return f"{n:5d}: {shares}"


def _slab_text(slab: str, ranges: dict[str, Any]) -> str:
    if not ranges["valid_ends"]:
        return f"{slab}, no valid structure"
    (fewest, most), (low, high) = ranges["oxygen_per_metal"], ranges["energy_per_atom"]
    return f"{slab}, O to metal {fewest:.2f} to {most:.2f}, {low:.3f} to {high:.3f} eV/atom"


def _lowest_text(place: dict[str, Any]) -> str:
    where = f"run {place['run']} step {place['step']}" if place["run"] >= 0 else f"the {place['start']} start"
    elsewhere = place["run"] >= 0 and place["found_at_mu_O"] != place["mu_O"]
    at = f" at mu_O {place['found_at_mu_O']:g}" if elsewhere else ""
    loose = "" if place["converged"] else ", not converged"
    name = f"{place['slab'].partition(' ')[0]} {place['formula']}"
    return f"{place['omega']:10.3f}  {name:<14}  {where}{at}, frame {place['frame']}{loose}"


def _walker_lines(walkers: list[dict[str, Any]]) -> list[str]:
    """A table, without phase where there is but one; the last column is what hopping won over the start."""
    if not walkers:
        return []
    several = len({walker["phase"] for walker in walkers}) > 1
    wide = max(len("start"), *(len(walker["start"]) for walker in walkers))
    known = any(walker["lowest"] for walker in walkers)
    head = f"  {'phase ' if several else ''} run  facet  {'start':<{wide}}   mu_O  steps  accepted  valid  converged"
    lines = [head + ("    lowest Omega - start" if known else "")]
    for walker in walkers:
        line = (
            f"  {walker['phase']:5d} " if several else "  "
        ) + f"{walker['run']:4d}  {walker['facet']:<5}  {walker['start']:<{wide}}  {walker['mu_O']:5.2f}"
        line += f"  {walker['steps']:5d}  {walker['accepted']:8d}  {walker['valid']:5d}  {walker['converged']:9d}"
        if walker["lowest"]:
            line += f"  {walker['lowest']['omega']:14.3f}"
            if walker["start_omega"] is not None:
                line += f" {walker['lowest']['omega'] - walker['start_omega']:+7.2f}"
        lines.append(line)
    return lines
