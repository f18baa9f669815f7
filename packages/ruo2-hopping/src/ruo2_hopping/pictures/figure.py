"""A figure without global state, and its way to a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ruo2_hopping.errors import MissingExtraError, OutputError
from ruo2_hopping.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI: Final = 160
ENDINGS: Final = (".png", ".pdf", ".svg")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of so many inches, outside matplotlib.pyplot.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "matplotlib":
            raise
        raise MissingExtraError("drawing pictures", "pictures") from error
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: "Figure", path: str) -> None:
    """Write a figure, whole or not at all; what stands there is replaced.

    Raises
    ------
    OutputError
        An ending that is not .png, .pdf or .svg, a folder that does not exist, a file that cannot be written.
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        raise OutputError(f"{target}: a picture's name must end in {', '.join(ENDINGS)}; found {ending or 'no ending'}")
    with whole_file(target, overwrite=True) as unfinished:
        figure.savefig(unfinished, format=ending[1:], dpi=DPI)
