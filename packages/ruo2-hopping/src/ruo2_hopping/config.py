"""Everything that decides a search, in frozen dataclasses, and the TOML form of it."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ruo2_hopping.calculators import BUILT_IN
from ruo2_hopping.checks import Limits
from ruo2_hopping.errors import ConfigError
from ruo2_hopping.relaxation import Relaxation

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Start:
    """A structure that walkers begin with: a slab that is built, or one from a file."""

    surface: str = "110"
    termination: str = "stoichiometric"
    repeat: tuple[Count, Count] = (1, 1)
    layers: Count | None = None  # of Ru; enough for a fixed one below the two others, if not given
    vacuum: Positive = 12.0  # Å
    file: str | None = None  # a structure file of ASE, the last frame or PATH@INDEX, instead of all the above
    name: str | None = None  # `start` of its frames; the termination or the name of the file, if not given


@dataclass(frozen=True, config=_STRICT)
class Search:
    """Who walks, how far, how hot."""

    mu_o: Annotated[tuple[Number, ...], Field(min_length=1)] = (0.0,)  # eV, relative to the oxygen energy
    walkers: Count = 1  # for each start and chemical potential
    steps: Whole = 100  # of each walker
    temperature: Positive = 1000.0  # K, of Metropolis's rule
    seed: Whole = 0
    snapshots: Literal["all", "minima"] = "all"  # of a relaxation, which frames are written


@dataclass(frozen=True, config=_STRICT)
class Layers:
    """Metal layers from the top, with the oxygen bound to them; what lies below is fixed."""

    displaced: Count = 2  # moves act on them
    buffer: Whole = 2  # relax, but no move displaces them


@dataclass(frozen=True, config=_STRICT)
class MoveChoice:
    """A kind of move and how often it is made."""

    kind: str  # displace, insert, remove, rattle, or MODULE:CLASS
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, config=_STRICT)
class Calculator:
    """Where energies come from."""

    name: str = BUILT_IN  # MODULE:CALLABLE
    arguments: dict[str, Any] = field(default_factory=dict)
    oxygen_energy: Number | Literal["auto"] = "auto"  # eV per atom; auto: as `ruo2-hopping calibrate` fits it


def choose_moves(
    step_width: float = 1.2, modes: float = 0.25, exchange: float = 0.25, rattle: float = 0.0
) -> tuple[MoveChoice, ...]:
    """The thesis's moves.

    Parameters
    ----------
    step_width
        Å, largest component of a displacement.
    modes
        Share of the delocalised coordinates that a displacement takes part of.
    exchange
        Share of the moves that put an oxygen atom in or take one out, half of them each.
    rattle
        Share of the moves that displace atoms one by one instead.
    """
    if not (min(exchange, rattle) >= 0.0 and exchange + rattle <= 1.0):
        raise ConfigError(
            f"exchange and rattle are shares of all moves: at least 0, at most 1 together; found {exchange:g} and "
            f"{rattle:g}"
        )
    chosen = (
        MoveChoice("displace", max(0.0, 1.0 - exchange - rattle), {"step_width": step_width, "modes": modes}),
        MoveChoice("insert", exchange / 2),
        MoveChoice("remove", exchange / 2),
        MoveChoice("rattle", rattle),
    )
    return tuple(each for each in chosen if each.weight > 0)


@dataclass(frozen=True, config=_STRICT)
class Config:
    """A search."""

    starts: Annotated[tuple[Start, ...], Field(min_length=1)] = (Start(),)
    search: Search = Search()
    layers: Layers = Layers()
    moves: Annotated[tuple[MoveChoice, ...], Field(min_length=1)] = choose_moves()
    relaxation: Relaxation = Relaxation()
    checks: Limits = Limits()
    calculator: Calculator = Calculator()


_ADAPTER = TypeAdapter(Config)


def read_config(path: Path) -> dict[str, Any]:
    """Tables of a TOML file.

    Raises
    ------
    ConfigError
        No such file, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: must be a TOML file; {error.strerror}") from None
    except ValueError as error:  # of TOML and of its encoding
        raise ConfigError(f"{path}: must be TOML; {error}") from None


def make_config(tables: Mapping[str, Any], origin: str = "configuration") -> Config:
    """A configuration of tables; what is missing has its default.

    Raises
    ------
    ConfigError
        A key that is not known, a value that cannot be: all of them, each in its place.
    """
    try:
        return _ADAPTER.validate_python(dict(tables))
    except ValidationError as error:
        told = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}; found {each['input']!r}" for each in error.errors()]
        raise ConfigError(f"{origin}: {'; '.join(told)}") from None


def config_tables(config: Config) -> dict[str, Any]:
    """All keys as plain values, without those that are None."""
    return _without_none(_ADAPTER.dump_python(config, mode="json"))  # type: ignore[no-any-return]


def config_toml(config: Config) -> str:
    """All keys as TOML, from which `read_config` and `make_config` make the same again."""
    return tomli_w.dumps(config_tables(config))


def differing_keys(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Keys in which the tables of two configurations differ, each with both values."""
    return [
        f"{section}.{key}: {left.get(key)!r}, then {right.get(key)!r}"
        for section in one.keys() | other.keys()
        for left, right in [(_table(one.get(section)), _table(other.get(section)))]
        for key in sorted(left.keys() | right.keys())
        if left.get(key) != right.get(key)
    ]


def _table(value: Any) -> dict[str, Any]:
    """A table as it is, a list of tables by number."""
    return value if isinstance(value, dict) else {str(number): each for number, each in enumerate(value or ())}


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return (
        [_without_none(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
    )
