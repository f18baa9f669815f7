"""Ready-made configurations, one small TOML file each."""

import difflib
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from ruo2_wgan.config import merge_tables
from ruo2_wgan.errors import ConfigError

# Ours first, then in the order of the thesis.
NAMES = (
    "recommended-2d",
    "recommended-3d",
    "embedding-lattice-3d",
    "vanilla-2d",
    "integer-2d",
    "onehot-2d",
    "embedding-2d",
    "lattice-2d",
    "vanilla-3d",
    "integer-3d",
    "onehot-3d",
    "embedding-3d",
    "lattice-3d",
)


@dataclass(frozen=True)
class Preset:
    """A configuration and what it is for."""

    name: str
    about: str
    thesis: str  # section and figures that it reproduces
    when: str  # it is taken: what follows "take it"
    text: str  # a file for --config that means the same
    tables: dict[str, Any]  # what differs from the defaults, for `resolve_config`


def read_preset(name: str) -> Preset:
    """A preset by its name.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
        raise ConfigError(f"--preset {name}: must be a preset; {meant}")
    text = files(__name__).joinpath(f"{name}.toml").read_text()
    tables = tomllib.loads(text)
    about, thesis, when = (tables.pop(key) for key in ("about", "thesis", "when"))
    _, _, settings = text.partition("\n\n")  # the description ends with an empty line
    text = f"# {name}: {about}.\n# Take it {when}.\n\n{settings}"
    if base := tables.pop("preset", None):
        tables = merge_tables(read_preset(base).tables, tables)
    return Preset(name, about, thesis, when, text, tables)


def read_presets() -> list[Preset]:
    """All of them."""
    return [read_preset(name) for name in NAMES]
