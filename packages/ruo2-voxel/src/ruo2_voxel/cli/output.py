"""How results reach the user: text or JSON on stdout, progress on stderr."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click


def emit(result: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    click.echo(json.dumps(result) if as_json else text(result))


@contextlib.contextmanager
def progress_bar(total: int, unit: str, wanted: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left, on stderr if that is a terminal or if asked for."""
    from tqdm import tqdm

    hidden = None if wanted is None else not wanted
    with tqdm(total=total, unit=f" {unit}", disable=hidden, file=sys.stderr, dynamic_ncols=True) as bar:

        def advance(n: int) -> None:
            bar.update(n)

        yield advance
