"""Figures of matplotlib as parts of a page: SVG that takes its letters and its width from there."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
from markupsafe import Markup

from ruo2_voxel import new_figure
from ruo2_wgan.pictures.sheet import FAINT, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 3.5, 2.1  # inches; a page shows them about as wide as a phone is
COLOURS = {"samples": "#1f5f8b", "held_out": INK, "control": "#c2410c", "train": FAINT}
LINES: dict[str, tuple[float, Any]] = {  # width and style of each, the last above all
    "train": (1.0, "-"),
    "control": (1.0, (0, (2, 1.5))),
    "held_out": (1.2, "-"),
    "samples": (1.4, "-"),
}
LONG_NUMBER = re.compile(r"(\.\d\d)\d+")
NAMED = re.compile(r"#([\w-]+)")
FONT_FAMILY = re.compile(r"font-family:[^;]*;?\s*")


def draw_histogram(histogram: Mapping[str, Any]) -> "Figure":
    """Samples as an area, held-out structures and control as lines, training ones faint.

    Parameters
    ----------
    histogram
        Of a verdict: `edges` with their `unit`, and densities over them by the names of `COLOURS`, of which `train` may
        be missing.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.subplots()
    edges = np.asarray(histogram["edges"], dtype=float)
    axes.stairs(histogram["samples"], edges, fill=True, color=COLOURS["samples"], alpha=0.25)
    for name, (width, style) in LINES.items():
        if name in histogram:
            axes.stairs(histogram[name], edges, color=COLOURS[name], linewidth=width, linestyle=style)
    known = np.concatenate([histogram[name] for name in LINES if name in histogram and name != "control"])
    top = float(known.max()) or 1.0  # the control may be narrow and tall: it is cut
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0.0, 1.15 * top), yticks=[])
    axes.set_xlabel(histogram["unit"], color=INK, fontsize=8.5)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=FAINT, linewidth=0.8)
    axes.tick_params(labelsize=8, colors=INK, length=3, width=0.6)
    figure.tight_layout(pad=0.3)
    return figure


def to_svg(figure: "Figure", name: str, label: str) -> Markup:
    """A figure as an element of a page.

    Parameters
    ----------
    figure
        Of matplotlib.
    name
        Begins all ids in it: no other element of the page may have the same.
    label
        Told to those who do not see it.

    Returns
    -------
    svg
        Without a size of its own, a background, or anything that is loaded from elsewhere.
    """
    import matplotlib

    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("metadata", "style")):
                parent.remove(child)
    named = {element.get("id") for element in root.iter()}
    used = {match for element in root.iter() for value in element.attrib.values() for match in NAMED.findall(value)}
    used &= named  # the others are colours
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            attribute.rpartition("}")[2]: _tidy(value, used, name)
            for attribute, value in element.attrib.items()
            if attribute != "id" or value in used
        }
        if "id" in element.attrib:
            element.attrib["id"] = f"{name}-{element.attrib['id']}"
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": label}
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _tidy(value: str, used: set[str], name: str) -> str:
    """Shorter numbers, the page's letters, and references that begin with the name."""
    value = FONT_FAMILY.sub("", LONG_NUMBER.sub(r"\1", value))
    return NAMED.sub(lambda match: f"#{name}-{match[1]}" if match[1] in used else match[0], value)
