"""What a running search shows on stderr: a bar, and the lines of the log above it."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def step_bar(total: int, wanted: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar over the steps of all walkers, with the time left, on stderr if that is a terminal or if asked for."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    hidden = None if wanted is None else not wanted
    with (
        tqdm(total=total, unit=" steps", disable=hidden, file=sys.stderr, dynamic_ncols=True) as bar,
        logging_redirect_tqdm(),
    ):
        first = True

        def advance(n: int) -> None:
            nonlocal first
            if first:  # what was there already has taken no time
                bar.initial, bar.n, first = n, n, False
                bar.refresh()
            else:
                bar.update(n)

        yield advance
