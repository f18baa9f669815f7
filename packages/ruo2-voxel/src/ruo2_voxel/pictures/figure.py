"""A figure without global state, and its way to a file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ruo2_voxel.errors import MissingExtraError, Ruo2Error
from ruo2_voxel.structures.whole_file import whole_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 160
METADATA: dict[str, dict[str, None]] = {  # without the date, the same picture has the same bytes
    ".png": {},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}


def new_figure(width: float = 10.0, height: float = 6.0) -> "Figure":
    """An empty figure on white paper, outside matplotlib.pyplot.

    Parameters
    ----------
    width, height
        Inches; a PNG has 160 pixels to each.

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


def save_figure(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure, as PNG, PDF or SVG by the ending of its name; whole or not at all.

    Raises
    ------
    Ruo2Error
        Another ending, a folder that does not exist, a target that cannot be written.
    """
    import matplotlib

    target = Path(path)
    ending = target.suffix.lower()
    if ending not in METADATA:
        raise Ruo2Error(
            f"{target}: a picture's name must end in .png, .pdf or .svg, got {target.suffix or 'no ending'}"
        )
    with whole_file(target, overwrite=True) as unfinished, matplotlib.rc_context({"svg.hashsalt": "ruo2-voxel"}):
        figure.savefig(unfinished, format=ending[1:], dpi=DPI, metadata=METADATA[ending])
