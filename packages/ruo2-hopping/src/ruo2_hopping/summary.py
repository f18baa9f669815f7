"""What came of a search: its steps counted, the lowest structures, the minima."""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from ruo2_hopping.history import START, History, Step, Walker
from ruo2_hopping.history_file import read_history
from ruo2_hopping.minima import Minimum, find_minima


def summarise(path: str, oxygen_energy: float | None = None, unconverged: bool = False) -> dict[str, Any]:
    """Count and compare the relaxations of a trajectory of basin hopping.

    Parameters
    ----------
    path
        Output of `ruo2-hopping run`, or another ASE trajectory whose frames carry the same info.
    oxygen_energy
        E_O, eV for each O, of which grand potentials are made; if not given, that of the file.
    unconverged
        Look for minima among relaxations that did not converge, too.

    Returns
    -------
    summary
        As `summarise_history` gives it.

    Raises
    ------
    OutputError
        What `read_history` refuses.
    """
    history = read_history(path, oxygen_energy)
    return summarise_history(history, find_minima(history, unconverged=unconverged))


def summarise_history(history: History, minima: list[Minimum]) -> dict[str, Any]:
    """Count and compare the relaxations of a search.

    Parameters
    ----------
    history
        A search.
    minima
        Of it.

    Returns
    -------
    summary
        Numbers, strings, None, and lists and dictionaries of these. Energies in eV. Steps are those of walkers, without
        the relaxations of starts. "lowest" has, for each slab and each mu_O of its walkers, the valid end of lowest
        grand potential there, whoever found it; it is empty where no oxygen energy is known.
    """
    walkers = history.walkers()
    steps = [step for own in walkers.values() for step in own]
    valid = [step for step in history.steps if step.valid]
    kinds = sorted({step.move for step in steps})
    slabs = sorted({step.slab for step in history.steps})
    return {
        "file": history.path,
        "frames": history.n_frames,
        "relaxations": len(history.steps),
        "unfinished": history.unfinished,
        "ends_are_marked": history.marked,
        "oxygen_energy": history.oxygen_energy,
        "slabs": {slab: _ranges([step for step in valid if step.slab == slab]) for slab in slabs},
        **_counts(steps),
        "fire_steps": {
            "median": median(step.fire_steps for step in history.steps) if history.steps else None,
            "most": max((step.fire_steps for step in history.steps), default=None),
        },
        "moves": {kind: _counts([step for step in steps if step.move == kind]) for kind in kinds},
        "rejected": dict(Counter(_kind(step.reject_reason) for step in steps if not step.valid).most_common()),
        "walkers": [_of_walker(history, walker, own) for walker, own in walkers.items()],
        "lowest": [
            _place(history, step, mu_o) for slab in slabs for mu_o, step in lowest_of_slab(history, slab).items()
        ],
        "minima": {
            "unique": len(minima),
            "ends": sum(minimum.found for minimum in minima),
            "found_most": max((minimum.found for minimum in minima), default=0),
        },
    }


def lowest_of_slab(history: History, slab: str) -> dict[float, Step]:
    """The valid end of lowest grand potential at each mu_O of the walkers on a slab, whoever found it."""
    ends = [step for step in history.steps if step.slab == slab]
    valid = [step for step in ends if step.valid]
    if history.oxygen_energy is None or not valid:
        return {}
    levels = sorted({step.walker.mu_o for step in ends if step.walker.run != START})
    return {mu_o: _lowest(history, valid, mu_o) for mu_o in levels or [0.0]}


def _lowest(history: History, ends: Sequence[Step], mu_o: float) -> Step:
    """By grand potential; only where the oxygen energy is known."""
    return min(ends, key=lambda step: history.omega(step, mu_o) or 0.0)


def _counts(steps: Sequence[Step]) -> dict[str, int]:
    return {
        "steps": len(steps),
        "accepted": sum(step.accepted for step in steps),
        "valid": sum(step.valid for step in steps),
        "converged": sum(step.converged for step in steps),
    }


def _ranges(valid: Sequence[Step]) -> dict[str, Any]:
    """Of the valid ends of a slab; None where it has none."""
    ratios = [step.oxygen_per_metal for step in valid]
    energies = [step.energy_per_atom for step in valid]
    return {
        "valid_ends": len(valid),
        "oxygen_per_metal": [min(ratios), max(ratios)] if valid else None,
        "energy_per_atom": [min(energies), max(energies)] if valid else None,
    }


def _kind(reason: str) -> str:
    return reason.partition(":")[0].strip() or "no reason given"


def _of_walker(history: History, walker: Walker, steps: Sequence[Step]) -> dict[str, Any]:
    start, valid = history.start_of(walker), [step for step in steps if step.valid]
    known = history.oxygen_energy is not None
    return {
        "phase": walker.phase,
        "facet": walker.facet,
        "start": walker.start,
        "mu_O": walker.mu_o,
        "run": walker.run,
        **_counts(steps),
        "start_omega": history.omega(start, walker.mu_o) if start else None,
        "lowest": _place(history, _lowest(history, valid, walker.mu_o), walker.mu_o) if known and valid else None,
    }


def _place(history: History, step: Step, mu_o: float) -> dict[str, Any]:
    """A structure, and where it was found."""
    return {
        "slab": step.slab,
        "mu_O": mu_o,
        "omega": history.omega(step, mu_o),
        "formula": step.formula,
        "oxygen_per_metal": step.oxygen_per_metal,
        "energy_per_atom": step.energy_per_atom,
        "converged": step.converged,
        "phase": step.walker.phase,
        "start": step.walker.start,
        "found_at_mu_O": step.walker.mu_o,
        "run": step.walker.run,
        "step": step.step,
        "frame": step.frame,
    }
