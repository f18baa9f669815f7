"""Grand-canonical basin hopping of oxide surfaces in delocalised internal coordinates, with any calculator of ASE."""

from ruo2_hopping.calculators import load_calculator
from ruo2_hopping.calibration import Calibration, calibrate
from ruo2_hopping.checks import Limits, find_fault
from ruo2_hopping.config import (
    Calculator,
    Config,
    Layers,
    MoveChoice,
    Search,
    Start,
    choose_moves,
    config_toml,
    make_config,
    read_config,
)
from ruo2_hopping.errors import (
    CalculatorError,
    ConfigError,
    HoppingError,
    ImpossibleMoveError,
    MissingExtraError,
    OutputError,
    SlabError,
)
from ruo2_hopping.hopping import hop
from ruo2_hopping.relaxation import Relaxation
from ruo2_hopping.slabs import build_slab
from ruo2_hopping.summary import summarise

__all__ = [
    "Calculator",
    "CalculatorError",
    "Calibration",
    "Config",
    "ConfigError",
    "HoppingError",
    "ImpossibleMoveError",
    "Layers",
    "Limits",
    "MissingExtraError",
    "MoveChoice",
    "OutputError",
    "Relaxation",
    "Search",
    "SlabError",
    "Start",
    "build_slab",
    "calibrate",
    "choose_moves",
    "config_toml",
    "find_fault",
    "hop",
    "load_calculator",
    "make_config",
    "read_config",
    "summarise",
]
