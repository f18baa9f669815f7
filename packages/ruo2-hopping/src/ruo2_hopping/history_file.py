"""A trajectory of basin hopping, read into a history: each frame looked at once, and no structures kept."""

from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from ase.data import chemical_symbols
from ase.io.trajectory import TrajectoryReader

from ruo2_hopping.errors import OutputError
from ruo2_hopping.history import History, Step, Walker

Array = np.ndarray[Any, np.dtype[Any]]

KEYS: Final[dict[str, type]] = {
    "facet": str,
    "start": str,
    "mu_O": float,
    "phase": int,
    "run": int,
    "step": int,
    "substep": int,
    "move": str,
    "accepted": bool,
    "converged": bool,
    "valid": bool,
    "reject_reason": str,
}


def read_history(path: str, oxygen_energy: float | None = None) -> History:
    """Read what a trajectory of basin hopping says of itself, in one pass.

    Parameters
    ----------
    path
        Output of `ruo2-hopping run`, or another ASE trajectory whose frames carry the same info.
    oxygen_energy
        E_O, eV for each O; if not given, that of the file.

    Raises
    ------
    OutputError
        A file that is missing, empty, cut or not a trajectory; frames that lack a key or an energy.
    """
    if oxygen_energy is not None and not np.isfinite(oxygen_energy):
        raise OutputError(f"the oxygen energy must be a finite number of eV; found {oxygen_energy!r}")
    if not Path(path).is_file():
        raise OutputError(f"{path}: must be a trajectory of ruo2-hopping run; found no such file")
    with open(path, "rb") as file:
        reader = _open(path, file)
        if len(reader) == 0:
            raise OutputError(f"{path}: must hold at least one frame; found none. Wait for the first relaxation to end")
        steps, unfinished, marked = _read_steps(path, reader)
        described = reader.description if isinstance(reader.description, dict) else {}
        description = described.get("ruo2_hopping", {})
        if oxygen_energy is None:
            oxygen_energy = description.get("oxygen_energy")
        return History(path, len(reader), steps, unfinished, marked, oxygen_energy, description)


def _open(path: str, file: BinaryIO) -> TrajectoryReader:
    try:
        return TrajectoryReader(file)  # opened here, as ASE would leave it open after an error
    except Exception as error:  # ASE may raise anything
        raise OutputError(
            f"{path}: must be a whole ASE trajectory; it cannot be read ({type(error).__name__}: {error}). "
            "Was it cut? Copy it again, or go back to the last whole copy"
        ) from error


class _End(NamedTuple):
    """What is kept of the latest end of a relaxation."""

    frame: int
    info: dict[str, Any]
    energy: float
    numbers: Array


def _read_steps(path: str, reader: TrajectoryReader) -> tuple[tuple[Step, ...], int, bool]:
    """The steps, the number of relaxations without an end, and whether frames say which is an end."""
    ends: dict[tuple[Walker, int], _End] = {}
    seen: set[tuple[Walker, int]] = set()
    marked = False
    for index in range(len(reader)):
        where = f"frame {index} of {path}"
        try:
            item = reader.backend[index]  # without making Atoms: six times faster
            info, calculator = item.get("info", {}), item.get("calculator")
            energy: Any = None if calculator is None else calculator.get("energy")
            numbers = item.get("numbers", reader.numbers)
        except Exception as error:  # ASE may raise anything
            raise OutputError(
                f"{where}: must be readable; found {type(error).__name__}: {error}. The file was cut or damaged: "
                "copy it again, or go back to the last whole copy"
            ) from error
        if index == 0:
            marked = "final" in info
        _check(where, info, energy, marked)
        walker = Walker(info["phase"], info["facet"], info["start"], float(info["mu_O"]), info["run"])
        key = walker, info["step"]
        seen.add(key)
        if marked and not info["final"]:
            continue
        if marked and key in ends:
            raise OutputError(
                f"{where}: run {walker.run} step {info['step']} must end once; found that frame {ends[key].frame} "
                "ended it already. Do two searches stand in one file? Summarise each by itself"
            )
        ends[key] = _End(index, info, float(energy), numbers)
    steps = [_step(path, walker, end) for (walker, _), end in ends.items()]
    return tuple(sorted(steps, key=lambda step: step.frame)), len(seen) - len(ends), marked


def _step(path: str, walker: Walker, end: _End) -> Step:
    numbers, counts = np.unique(end.numbers, return_counts=True)
    n_atoms = {chemical_symbols[number]: int(n) for number, n in zip(numbers, counts, strict=True)}
    n_oxygen = n_atoms.pop("O", 0)
    if not n_atoms:
        raise OutputError(f"frame {end.frame} of {path}: must have metal atoms; found {n_oxygen} O and nothing else")
    said = {name: end.info[name] for name in ("step", "move", "accepted", "converged", "valid", "reject_reason")}
    return Step(
        walker,
        **said,
        frame=end.frame,
        fire_steps=end.info["substep"],
        energy=end.energy,
        metals="".join(f"{symbol}{n}" for symbol, n in sorted(n_atoms.items())),
        n_metals=sum(n_atoms.values()),
        n_oxygen=n_oxygen,
    )


def _check(where: str, info: dict[str, Any], energy: Any, marked: bool) -> None:
    advice = "Summarise a trajectory that ruo2-hopping run wrote"
    for name, kind in {**KEYS, **({"final": bool} if marked else {})}.items():
        if name not in info:
            found = ", ".join(sorted(info)) or "no keys at all"
            raise OutputError(f"{where}: info must have {name!r}; found {found}. {advice}")
        value = info[name]
        if not isinstance(value, (int, float) if kind is float else kind):
            raise OutputError(f"{where}: info[{name!r}] must be of type {kind.__name__}; found {value!r}. {advice}")
    if not isinstance(energy, int | float) or (info["valid"] and not np.isfinite(energy)):
        found = "none" if energy is None else repr(energy)
        raise OutputError(f"{where}: must have a finite energy; found {found}. {advice}")
