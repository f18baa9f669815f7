"""What a running command shows on stderr: a bar, and the lines of the log above it."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

Advance = Callable[[Mapping[str, float | int], int], None]


def show_log() -> None:
    """Lines of the package's log on stderr."""
    logger = logging.getLogger("ruo2_wgan")
    logger.setLevel(logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)


@contextlib.contextmanager
def training_bar(wanted: bool | None) -> Iterator[Advance]:
    """A bar over the steps, with epoch, losses, structures a second and the time left."""
    hidden = None if wanted is None else not wanted
    shown: dict[str, float | int] = {}
    with tqdm(unit="step", disable=hidden, dynamic_ncols=True, smoothing=0.05) as bar, _above(bar):

        def advance(line: Mapping[str, float | int], n_steps: int) -> None:
            step = int(line["step"])
            if bar.total is None:  # a resumed run does not begin at 0
                bar.total, bar.initial, bar.n = n_steps, step - 1, step - 1
            shown.update({"critic": line["critic_loss"], "generator": line["generator_loss"]})
            if "structures_per_second" in line:  # once every few steps: it stands until the next one
                shown["structures/s"] = line["structures_per_second"]
            bar.set_description(f"epoch {line['epoch']:.1f}", refresh=False)
            bar.set_postfix({name: f"{value:.3g}" for name, value in shown.items()}, refresh=False)
            bar.update(step - bar.n)

        yield advance


@contextlib.contextmanager
def sample_bar(total: int, wanted: bool | None) -> Iterator[Callable[[int], None]]:
    """A bar over samples."""
    hidden = None if wanted is None else not wanted
    with tqdm(total=total, unit=" samples", disable=hidden, dynamic_ncols=True) as bar:

        def advance(n: int) -> None:
            bar.update(n)

        yield advance


@contextlib.contextmanager
def stage_bars(wanted: bool | None) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """A bar for each stage of a work, one after the other in the same line."""
    hidden = None if wanted is None else not wanted
    with contextlib.ExitStack() as last:

        def begin(name: str, total: int) -> Callable[[int], None]:
            last.close()
            bar = last.enter_context(tqdm(desc=name, total=total, disable=hidden, dynamic_ncols=True, leave=False))

            def advance(n: int) -> None:
                bar.update(n)

            return advance

        yield begin


def _above(bar: "tqdm[object]") -> contextlib.AbstractContextManager[None]:
    """Lines of the log go above the bar, not through it."""
    return logging_redirect_tqdm([logging.getLogger("ruo2_wgan")]) if not bar.disable else contextlib.nullcontext()
