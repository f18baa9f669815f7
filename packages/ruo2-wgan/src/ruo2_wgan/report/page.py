"""One page that says whether a run is any good: everything is in the file, nothing is loaded from elsewhere."""

import os
import re
import shlex
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ruo2_voxel import whole_file
from ruo2_wgan.pictures import draw_loss_panels
from ruo2_wgan.report import charts
from ruo2_wgan.report.figures import APART, COLUMNS, GROUPS, LABEL_FIGURES, format_value, rows_of
from ruo2_wgan.report.images import choose_sheets, draw_neighbour, read_sheet
from ruo2_wgan.report.summary import heading_of, headline_of
from ruo2_wgan.report.viewer import describe_structures
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.verdict.file import find_verdict, read_verdict

MOST_POINTS = 300  # of each line of losses: each is an element of the page
SHEET = re.compile(r"epoch-(\d+)-step-(\d+)")


def write_report(run_or_verdict: str | Path, out: str | os.PathLike[str], overwrite: bool = False) -> dict[str, Any]:
    """Write the verdict on samples as a page that a browser shows without a network.

    Parameters
    ----------
    run_or_verdict
        A run folder with verdict.json in it; or such a file, of any model's samples. Of a run the page tells the
        training as well: losses, sheets of samples, configuration.
    out
        Name of the HTML file, which is written whole or not at all.
    overwrite
        Replace what stands there.

    Returns
    -------
    summary
        `location`, `bytes`, `parts`, the names of what the page has, and `verdict` without its evidence.

    Raises
    ------
    VerdictError
        No verdict is there, or it is damaged or of another format.
    RunError
        A file of the run is damaged.
    Ruo2Error
        Something is in the way at `out`, or it cannot be written.
    """
    verdict = read_verdict(run_or_verdict)
    folder = RunFolder(find_verdict(Path(run_or_verdict)).parent)
    target = Path(out)
    with whole_file(target, overwrite) as unfinished:
        parts = {**_evidence(verdict), **(_training(folder) if folder.is_started else {})}
        parts = {name: part for name, part in parts.items() if part}
        page = _render(verdict, parts).encode()
        unfinished.write_bytes(page)
    told = {name: part for name, part in verdict.items() if name != "evidence"}
    return {"location": str(target), "bytes": len(page), "parts": ["verdict", *parts], "verdict": told}


def _render(verdict: dict[str, Any], parts: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("ruo2_wgan", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = format_value
    ours = files("ruo2_wgan.report")
    return environment.get_template("page.html.j2").render(
        verdict=verdict,
        parts=parts,
        heading=heading_of(verdict),
        headline=headline_of(verdict),
        columns=COLUMNS,
        groups=[(title, rows_of(figures, verdict, verdict["limits"])) for title, figures in GROUPS],
        label_rows=rows_of(LABEL_FIGURES, verdict["labels"]) if verdict["labels"] else [],
        apart=APART,
        colours=charts.COLOURS,
        style=Markup(ours.joinpath("page.css").read_text(encoding="utf-8")),
        scripts=[Markup(ours.joinpath(name).read_text(encoding="utf-8")) for name in ("viewer.js", "stepper.js")],
    )


def _evidence(verdict: dict[str, Any]) -> dict[str, Any]:
    """Parts of the page that a verdict has, by name."""
    evidence, species = verdict["evidence"], verdict["data"]["species"]
    return {
        "structures": describe_structures(verdict) if any(evidence["structures"].values()) else None,
        "neighbours": [(each, draw_neighbour(each, species)) for each in evidence["neighbours"]],
        "distributions": [
            (each["name"], charts.to_svg(charts.draw_histogram(each), f"histogram-{number}", each["name"]))
            for number, each in enumerate(evidence["histograms"])
        ],
        "labels": verdict["labels"],
    }


def _training(folder: RunFolder) -> dict[str, Any]:
    """Parts of the page that a run has."""
    stats = folder.read_stats()
    panels = draw_loss_panels(stats, charts.WIDTH, charts.HEIGHT, MOST_POINTS) if stats else {}
    return {
        "samples": [(_name_sheet(sheet), read_sheet(sheet)) for sheet in choose_sheets(folder.samples)],
        "losses": [
            (title, charts.to_svg(figure, f"losses-{number}", title))
            for number, (title, figure) in enumerate(panels.items())
        ],
        "configuration": folder.config_file.read_text(encoding="utf-8"),
        "provenance": _tell_provenance(folder.read_provenance()),
    }


def _name_sheet(path: Path) -> str:
    found = SHEET.search(path.name)
    return f"epoch {int(found[1]):,}, step {int(found[2]):,}" if found else path.stem


def _tell_provenance(provenance: dict[str, Any]) -> dict[str, str]:
    """A line for each thing that the run tells of itself."""
    resumed = provenance.pop("resumed", [])
    lines = {name: _tell(value) for name, value in provenance.items()}
    return {**lines, **({"resumed": f"{len(resumed)} times"} if resumed else {})}


def _tell(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items() if isinstance(each, str | int | float))
    return shlex.join(map(str, value)) if isinstance(value, list) else str(value)
