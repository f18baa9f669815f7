"""Types and options that several commands share."""

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]


class GridShape(click.ParamType[tuple[int, int, int]]):
    """One number of voxels or three."""

    name = "N|NX,NY,NZ"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        try:
            sides = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            sides = ()
        if len(sides) not in (1, 3) or min(sides) < 1:
            self.fail(f"must be one number of voxels or three, as in 32 or 32,32,64; found {value!r}", param, ctx)
        return (sides * 3)[:3]  # type: ignore[return-value]


class Planes(click.ParamType[tuple[int, int, int]]):
    """Three positions on the grid."""

    name = "I,J,K"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int, int]:
        if isinstance(value, tuple):
            return value
        try:
            i, j, k = (int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"must be three positions, counted in voxels from 0, as in 0,4,16; found {value!r}", param, ctx)
        return i, j, k


class Names(click.ParamType[tuple[str, ...]]):
    """Comma-separated names."""

    name = "A,B,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return (
            value if isinstance(value, tuple) else tuple(part.strip() for part in str(value).split(",") if part.strip())
        )


class Positions(click.ParamType[str | tuple[int, ...]]):
    """Where to slice: "even", "all" or voxels."""

    name = "even|all|I,J,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | tuple[int, ...]:
        if isinstance(value, tuple) or value in ("even", "all"):
            return value  # type: ignore[no-any-return]
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"must be even, all, or voxels counted from 0, as in 10 or 4,12; found {value!r}", param, ctx)


class Quantiles(click.ParamType[tuple[float, float]]):
    """Two numbers from 0 to 1."""

    name = "LOW,HIGH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            low, high = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"must be two quantiles, as in 0.01,0.99; found {value!r}", param, ctx)
        return low, high


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
progress_option = click.option(
    "--progress/--no-progress", default=None, help="Progress bar on stderr.  [default: if stderr is a terminal]"
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what stands at --out, once it is complete.")
on_error_option = click.option(
    "--on-error",
    type=click.Choice(["raise", "skip"]),
    default="raise",
    help="At a frame that cannot be used: stop, or leave it out and record why.",
)
selection_option = click.option(
    "--select", "selection", metavar="QUERY", help="Rows of ASE databases to read, as in ase db: 'phase=1,energy<-250'."
)
PREPARING = ("orthogonal", "max_shear", "square", "max_atoms", "max_length", "max_aspect", "min_length", "vacuum")


def preparation_options(command: Command) -> Command:
    """What `take_preparation` reads, and --screen."""
    for option in reversed(
        (
            click.option("--orthogonal", is_flag=True, help="Make cells orthorhombic, by the smallest supercell."),
            click.option(
                "--max-shear", type=float, default=0.0, help="Allow --orthogonal to strain, by so many Å for each Å."
            ),
            click.option("--square", is_flag=True, help="Repeat cells in x and y until they are nearly square."),
            click.option("--max-atoms", type=int, default=2000, help="Largest cell that --square may make."),
            click.option("--min-length", type=float, default=0.0, metavar="Å", help="Its shortest side, where it can."),
            click.option("--max-length", type=float, default=20.0, metavar="Å", help="Its longest side."),
            click.option("--max-aspect", type=float, default=1.1, help="Ratio of sides that is square enough."),
            click.option("--vacuum", type=float, metavar="Å", help="Set the gap along the third cell vector."),
            click.option(
                "--screen",
                type=click.Choice(["off", "report", "drop"]),
                default="off",
                help="Look for broken slabs, floating atoms, O2, peroxides and atoms too close: record them, or leave "
                "such frames out.",
            ),
        )
    ):
        command = option(command)
    return command


def take_preparation(options: dict[str, Any]) -> Any:
    """Take the options of `preparation_options` out, as a Preparation."""
    from ruo2_voxel.structures.preparation import Preparation

    return Preparation(**{name: options.pop(name) for name in PREPARING})
