"""A verdict as text for a terminal of 80 columns."""

import textwrap
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from ruo2_wgan.report.figures import COLUMNS, GROUPS, LABEL_FIGURES, Row, format_value, rows_of

WIDTH = 80
NAME, VALUE = 36, 11  # columns of characters


def verdict_text(verdict: Mapping[str, Any]) -> str:
    """A verdict for people: what it is about, the headline, a table, and the signs.

    Parameters
    ----------
    verdict
        Of format 1; its evidence is not needed.

    Returns
    -------
    text
        Lines of 80 characters at most, but for names of files. At the right of each figure stands which of the held-out
        structures and the control the samples are nearer to, where these two differ by more than a tenth.
    """
    lines = [f"{verdict['made']['samples']}: {heading_of(verdict)}", "", *_wrap(headline_of(verdict)), ""]
    lines.append(" " * NAME + "".join(f"{title:>{VALUE}}" for title in COLUMNS.values()) + "  nearer to")
    for title, figures in GROUPS:
        lines += [title, *map(_line, rows_of(figures, verdict, verdict["limits"]))]
    if verdict["labels"]:
        lines += [f"Classes of {verdict['labels']['label']}", *map(_line, rows_of(LABEL_FIGURES, verdict["labels"]))]
    lines += ["", "Signs" if verdict["signs"] else "No signs: nothing stands out as wrong beside held-out structures."]
    for sign in verdict["signs"]:
        lines += _wrap(sign, "- ")
    return "\n".join(lines)


def report_text(summary: Mapping[str, Any]) -> str:
    """Of `write_report`: the verdict, and where the page is."""
    size = f"{summary['bytes'] / 1e6:.1f} MB" if summary["bytes"] >= 1e6 else f"{summary['bytes'] / 1e3:.0f} kB"
    return f"{verdict_text(summary['verdict'])}\n\n{summary['location']}: {', '.join(summary['parts'])}; {size}"


def heading_of(verdict: Mapping[str, Any]) -> str:
    """How many samples there are, and what they are compared with."""
    made, n_held_out = verdict["made"], verdict["data"]["n_held_out"]
    data = PurePath(made["data"]).name
    step = "" if made["step"] is None else f" of step {made['step']:,}"
    return f"{verdict['samples']['n']:,} samples{step}, beside {n_held_out:,} held-out structures of {data}"


def headline_of(verdict: Mapping[str, Any]) -> str:
    """The one figure to know."""
    shares = {name: format_value(verdict[name].get("valid_unique_new"), "%") for name in COLUMNS}
    return (
        f"{shares['samples']} of the samples are valid, unique and new; of held-out structures {shares['held_out']}, "
        f"of the control {shares['control']}."
    )


def _line(row: Row) -> str:
    unit = f" ({row.figure.unit})" if row.figure.unit not in ("", "%") else ""
    values = "".join(f"{value:>{VALUE}}" for value in row.values)
    return f"  {row.figure.name + unit:<{NAME - 2}}{values}  {row.nearer}".rstrip()


def _wrap(sentence: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(sentence, WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet))
