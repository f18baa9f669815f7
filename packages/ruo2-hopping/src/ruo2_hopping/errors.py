"""The errors that this package raises on purpose: each says where, what must hold, what was found, and what to do."""


class HoppingError(ValueError):
    """Base of every error that bad input, a bad file or a bad calculator can cause."""


class SlabError(HoppingError):
    """A slab that cannot be built, or in which nothing can hop: no such facet, no vacuum, too few layers."""


class ConfigError(HoppingError):
    """A configuration that cannot be."""


class CalculatorError(HoppingError):
    """A calculator that cannot be had, or that failed."""


class OutputError(HoppingError):
    """A trajectory that is missing, in the way, damaged, or not of a search."""


class ImpossibleMoveError(HoppingError):
    """A move that a structure does not allow: no oxygen to take out, no room to put one in."""


class MissingExtraError(HoppingError):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs the optional extra [{extra}]: pip install 'ruo2-hopping[{extra}]'")
