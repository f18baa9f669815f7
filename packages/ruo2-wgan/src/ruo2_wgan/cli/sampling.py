"""Options that choose samples of a run, the same for drawing and for judging them."""

from collections.abc import Callable
from typing import Any

import click

Command = Callable[..., Any]


class Label(click.ParamType[int | None]):
    """A class, or all of them."""

    name = "N|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value is None or isinstance(value, int) or value == "all":
            return None if value == "all" else value
        try:
            return int(value)
        except ValueError:
            self.fail(f"must be a class, counted from 0, or all; found {value!r}", param, ctx)


def sampling_options(command: Command) -> Command:
    """Add --label, --seed, --ema, --checkpoint and --device, keywords of `generate` and `evaluate_run`."""
    options = (
        click.option("--label", type=Label(), help="Class of the samples of a run.  [default: all, in turn]"),
        click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the latent vectors."),
        click.option(
            "--ema/--no-ema", default=None, help="Averaged generator, or the last one.  [default: --ema if it is there]"
        ),
        click.option("--checkpoint", type=click.Choice(["last", "best"]), default="last", help="Of the run."),
        click.option(
            "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="cpu", help="Where to draw samples."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command
