"""Small searches with known answers: frames as `ruo2-hopping run` writes them, of slabs that no potential has seen."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io.trajectory import TrajectoryWriter

OXYGEN_ENERGY = -5.5
REASONS = ("molecular oxygen: O5-O6 1.24 Å", "molecular oxygen: O4-O7 1.30 Å", "desorbed: O6 3.1 Å from any metal")


def slab(n_oxygen: int = 8, seed: int = 0) -> Atoms:
    """Four Ru and some O, none nearer than 1.6 Å to another, in a cell of 5 x 6 x 18 Å."""
    rng = np.random.default_rng(seed)
    cell = np.array([5.0, 6.0, 18.0])
    positions = np.empty((0, 3))
    while len(positions) < 4 + n_oxygen:
        trial = rng.uniform([0, 0, 2], [5, 6, 10])
        apart = positions - trial
        apart -= np.round(apart / cell) * cell
        if (np.linalg.norm(apart, axis=1) > 1.6).all():
            positions = np.vstack([positions, trial])
    atoms = Atoms(f"Ru4O{n_oxygen}", positions, cell=cell, pbc=True)
    atoms.set_tags(np.digitize(positions[:, 2], [4.0, 7.0]))
    return atoms


def moved(atoms: Atoms, how: str, rng: np.random.Generator) -> Atoms:
    """The same structure, otherwise told."""
    same = atoms.copy()
    if how == "translated":
        same.positions += rng.uniform(-20, 20, 3)
    elif how == "wrapped elsewhere":
        same.positions += rng.integers(-3, 4, (len(same), 3)) @ same.cell.array
    elif how == "mirrored":
        same.positions[:, 0] *= -1
    elif how == "turned over":
        same.positions[:, 1:] *= -1
    elif how == "rotated":
        same.rotate(37.0, (1, 2, 3), rotate_cell=True)
    elif how == "in another order":
        same = same[rng.permutation(len(same))]
    return same


def frame(atoms: Atoms, energy: float, **info: Any) -> Atoms:
    """One frame: by default the accepted end of the first step of run 0."""
    told = {
        **{"facet": "110", "start": "stoichiometric", "mu_O": -0.5, "phase": 1, "run": 0, "step": 1, "substep": 0},
        **{"final": True, "move": "displace", "accepted": True, "converged": True, "valid": True, "reject_reason": ""},
        **info,
    }
    n_oxygen = atoms.symbols.count("O")
    made = atoms.copy()
    made.info = {**told, "omega": energy - n_oxygen * (OXYGEN_ENERGY + told["mu_O"])}
    made.calc = SinglePointCalculator(made, energy=energy, forces=np.full((len(made), 3), 0.01))
    return made


def random_search(seed: int, n_steps: int = 3) -> list[Atoms]:
    """Two starts, three walkers of each; relaxations of one to four frames; fates and energies at random."""
    rng = np.random.default_rng(seed)
    frames = []

    def relax(n_oxygen: int, **info: Any) -> None:
        n_frames = rng.integers(1, 5)
        for substep in range(n_frames):
            atoms = slab(n_oxygen, int(rng.integers(4)))
            energy = float(-7.5 * len(atoms) + rng.normal())
            frames.append(frame(atoms, energy, substep=substep, final=substep == n_frames - 1, **info))

    starts = {"O-poor": 6, "O-rich": 10}
    for start, n_oxygen in starts.items():
        relax(n_oxygen, start=start, mu_O=0.0, run=-1, step=0, move="start")
    for step in range(1, n_steps + 1):
        for run in range(6):
            start = ("O-poor", "O-rich")[run % 2]
            valid = rng.random() < 0.7
            relax(
                starts[start] + int(rng.integers(-1, 2)),
                start=start,
                mu_O=(-0.5, -0.25, 0.0)[run // 2],
                run=run,
                step=step,
                move=str(rng.choice(["displace", "insert", "remove"])),
                valid=bool(valid),
                accepted=bool(valid and rng.random() < 0.5),
                converged=bool(rng.random() < 0.8),
                reject_reason="" if valid else str(rng.choice(REASONS)),
            )
    return frames


def write(path: Any, frames: Iterable[Atoms], oxygen_energy: float | None = OXYGEN_ENERGY) -> str:
    """A trajectory of frames, described as a search unless the oxygen energy is None; its path."""
    with TrajectoryWriter(path) as writer:
        if oxygen_energy is not None:
            writer.set_description({"ruo2_hopping": {"version": "0.1.0", "oxygen_energy": oxygen_energy}})
        for each in frames:
            writer.write(each)
    return str(path)
