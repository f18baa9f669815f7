"""What is written on a figure, and whether it can be read."""

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text


def words_of(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def words_on(figure: Figure) -> list[Text]:
    """Every text that is drawn: of ticks, only those within the limits."""
    words = [*figure.texts, *itertools.chain(*(legend.get_texts() for legend in figure.legends))]
    for axes in figure.axes:
        words += axes.texts
        if axes.axison:
            words += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label]  # type: ignore[attr-defined]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                words += [
                    tick.label1
                    for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
                    if low <= tick.get_loc() <= high and tick.label1.get_visible()
                ]
    return words


def assert_readable(figure: Figure) -> None:
    """No words lie on each other or leave the page."""
    figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in words_on(figure) if text.get_text().strip()]
    page = figure.bbox
    for word, box in boxes:
        assert box.x0 >= 0.0, word
        assert box.y0 >= 0.0, word
        assert box.x1 <= page.x1, word
        assert box.y1 <= page.y1, word
    # Half a point of white around each word is its own.
    clashes = [(a, b) for (a, box), (b, other) in itertools.combinations(boxes, 2) if box.padded(-1.0).overlaps(other)]
    assert not clashes, clashes
