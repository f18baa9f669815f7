"""What a configuration comes to: starts with their layers, numbered walkers, moves."""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import read

from ruo2_hopping.calculators import told
from ruo2_hopping.config import Config, Start
from ruo2_hopping.errors import ConfigError, SlabError
from ruo2_hopping.layers import assign_layers
from ruo2_hopping.moves import WeightedMove, load_move
from ruo2_hopping.slabs import build_slab
from ruo2_hopping.walker import Walker


@dataclass(frozen=True, eq=False)
class Origin:
    """A structure that walkers begin with."""

    facet: str
    name: str
    atoms: Atoms  # with tags of its layers


@dataclass(frozen=True, eq=False)
class Plan:
    """A configuration that makes sense."""

    config: Config
    origins: tuple[Origin, ...]
    walkers: tuple[Walker, ...]
    moves: tuple[WeightedMove, ...]

    def walkers_of(self, origin: Origin) -> list[Walker]:
        return [each for each in self.walkers if (each.facet, each.start) == (origin.facet, origin.name)]


def plan_search(config: Config) -> Plan:
    """Build or read the starts, number the walkers, make the moves.

    Raises
    ------
    SlabError
        A facet or termination that is not there, a file that cannot be read, a slab without vacuum or with too few
        layers.
    ConfigError
        Two starts of one name, a move that is not known.
    """
    origins = tuple(_open_start(start, config) for start in config.starts)
    names = [(origin.facet, origin.name) for origin in origins]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"starts: must differ in facet or name; found {' '.join(twice[0])} twice. Give each a name")
    places = itertools.product(origins, config.search.mu_o, range(config.search.walkers))
    walkers = tuple(Walker(run, origin.facet, origin.name, mu_o) for run, (origin, mu_o, _) in enumerate(places))
    moves = tuple(WeightedMove(load_move(each.kind, each.options), each.weight) for each in config.moves)
    return Plan(config, origins, walkers, moves)


def _open_start(start: Start, config: Config) -> Origin:
    if start.file is None:
        atoms = build_slab(start.surface, start.termination, start.repeat, start.layers, start.vacuum)
        facet, name, where = atoms.info["facet"], start.termination, f"({start.surface}) {start.termination}"
    else:
        atoms = _read_start(start.file)
        where = start.file
        facet = str(atoms.info.get("facet", ""))
        name = str(atoms.info.get("start", Path(start.file.partition("@")[0]).stem))
        atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    try:
        tagged = assign_layers(atoms, config.layers.displaced, config.layers.buffer)
    except SlabError as error:
        raise SlabError(f"start {where}: {error}") from None
    return Origin(facet, start.name or name, tagged)


def _read_start(file: str) -> Atoms:
    try:
        structure: Any = read(file)
    except Exception as error:  # readers of ASE raise many kinds
        raise SlabError(f"start {file}: must be a structure file of ASE; {told(error)}") from error
    if not isinstance(structure, Atoms):
        raise SlabError(f"start {file}: must name one frame; found {len(structure)}. Name one, as in slab.traj@0")
    return structure
