"""The page: what the verdict and the run say stands in it, nothing is loaded from elsewhere, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ruo2_voxel import Ruo2Error
from ruo2_wgan.cli import cli
from ruo2_wgan.config import config_toml, make_config
from ruo2_wgan.errors import RunError, VerdictError
from ruo2_wgan.report import write_report
from ruo2_wgan.report.figures import GROUPS, LABEL_FIGURES, UNDEFINED, format_value
from ruo2_wgan.verdict.file import read_verdict
from tests.wgan.report.example import make_verdict
from tests.wgan.report.html_page import Element, parse

COLUMNS = ("samples", "held_out", "control")


def make_run(folder: Path, dimensions: int = 3, **changes: Any) -> Path:
    """A run folder with a verdict, statistics, sheets and provenance."""
    (folder / "samples").mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps(make_verdict(dimensions) | changes))
    (folder / "config.toml").write_text(config_toml(make_config({"training": {"seed": 77}})))
    stats = [{"step": k, "epoch": k / 10, "critic_loss": 1.0 / k, "generator_loss": 0.5} for k in range(1, 31)]
    stats[-1] |= {"diversity": 0.9, "stripe_index": 1.1, "distance": 0.2}
    (folder / "stats.jsonl").write_text("".join(json.dumps(line) + "\n" for line in stats))
    provenance = {"command": ["ruo2-wgan", "train", "--run", "a b"], "device": {"kind": "cpu"}, "resumed": [{}, {}]}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    for k in range(1, 12):
        picture = Image.fromarray(np.full((20, 30, 3), 20 * k, dtype=np.uint8))
        picture.save(folder / "samples" / f"epoch-{k:04d}-step-{100 * k:07d}.png")
    return folder


def write_page(verdict: dict[str, Any], folder: Path) -> Element:
    (folder / "a.json").write_text(json.dumps(verdict))
    write_report(folder / "a.json", folder / "page.html", overwrite=True)
    return parse((folder / "page.html").read_text(encoding="utf-8"))


def table_of(page: Element, within: str) -> dict[str, list[str]]:
    """Values of each row of the tables of figures in a section."""
    (section,) = page.all("section", id=within)
    rows = {}
    for table in section.all("table", class_="figures"):
        for row in table.all("tr"):
            if names := row.all("th", scope="row"):
                rows[names[0].text.partition(" (")[0].strip()] = [cell.text.strip() for cell in row.all("td")[:3]]
    return rows


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_figure_of_the_verdict_stands_in_a_table(dimensions: int, tmp_path: Path) -> None:
    verdict = make_verdict(dimensions)
    verdict["samples"]["frechet"] = verdict["labels"]["control"]["spearman"] = None
    page = write_page(verdict, tmp_path)
    rows = table_of(page, "verdict")
    figures = [figure for _, group in GROUPS for figure in group]
    assert len(rows) == len(figures)
    for figure in figures:
        values = [verdict[column] for column in COLUMNS]
        for part in figure.key.split("."):
            values = [value[part] for value in values]
        assert rows[figure.name] == [format_value(value, figure.unit) for value in values]
    of_labels = table_of(page, "labels")
    for figure in LABEL_FIGURES:
        values = [verdict["labels"][column][figure.key] for column in COLUMNS]
        assert of_labels[figure.name] == [format_value(value, figure.unit) for value in values]


def test_the_headline_the_signs_and_the_confusion(tmp_path: Path) -> None:
    verdict = make_verdict()
    page = write_page(verdict, tmp_path)
    (headline,) = page.all("section", class_="headline")
    assert "91.3 %" in headline.all("p", class_="large")[0].text
    assert [bar.text.strip() for bar in headline.all("dd")] == ["91.3 %", "97.3 %", "21.3 %"]
    assert [each.text for each in page.all("ul", class_="signs")[0].all("li")] == verdict["signs"]
    tables = [table for figure in page.all("figure", class_="confusion") for table in figure.all("table")]
    for table, column in zip(tables, COLUMNS, strict=True):
        counts = [[int(cell.text) for cell in row.all("td")] for row in table.all("tr")[1:]]
        assert counts == verdict["labels"][column]["confusion"]


def test_labels_that_nobody_asked_for(tmp_path: Path) -> None:
    verdict = make_verdict()
    verdict["labels"]["samples"] |= dict.fromkeys(("exact", "within_one", "spearman", "confusion"))
    page = write_page(verdict, tmp_path)
    tables = [len(figure.all("table")) for figure in page.all("figure", class_="confusion")]
    assert tables == [0, 1, 1]
    assert table_of(page, "labels")["exact"] == [UNDEFINED, "93.9 %", "35.7 %"]


def test_neighbours_and_structures(tmp_path: Path) -> None:
    verdict = make_verdict()
    page = write_page(verdict, tmp_path)
    cards = page.all("article", class_="neighbour")
    assert ["copy" in card.all("h3")[0].text for card in cards] == [
        each["copy"] for each in verdict["evidence"]["neighbours"]
    ]
    assert [caption.text for caption in cards[1].all("figcaption")] == ["all 0.916", "Ru 0.941", "O 0.892"]
    (data,) = page.all("script", id="scene")
    scene = json.loads(data.text)
    options = [option.text for option in page.all("select")[0].all("option")]
    assert [option.partition(",")[0] for option in options] == [each["name"] for each in scene["structures"]]
    assert ["not valid" in option for option in options] == [not each["valid"] for each in scene["structures"]]
    assert "at y = 0" not in page.text
    assert "at y = 0" in write_page(make_verdict(2), tmp_path).text


def test_a_run_tells_its_training(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    summary = write_report(run, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = parse(text)
    assert summary["bytes"] == (tmp_path / "page.html").stat().st_size
    assert {"samples", "losses", "configuration", "provenance"} <= set(summary["parts"])
    captions = [each.text for each in page.all("div", class_="stepper")[0].all("figcaption")]
    assert len(captions) == 8
    assert (captions[0], captions[-1]) == ("epoch 1, step 100", "epoch 11, step 1,100")
    titles = [each.all("figcaption")[0].text for each in page.all("section", id="losses")[0].all("figure")]
    assert titles[0] == "losses"
    assert "samples beside the data, 1 is best" in titles
    assert "seed = 77" in page.all("pre")[0].text
    assert "ruo2-wgan train --run 'a b'" in page.text
    assert "2 times" in page.text
    same = write_report(run / "verdict.json", tmp_path / "same.html")
    assert same["parts"] == summary["parts"]


def test_a_verdict_alone_and_one_without_evidence(tmp_path: Path) -> None:
    page = write_page(make_verdict(), tmp_path)
    ids = {section.attributes.get("id") for section in page.all("section")}
    assert ids == {None, "verdict", "structures", "neighbours", "distributions", "labels", "made"}
    evidence = {"histograms": [], "neighbours": [], "structures": {"samples": [], "held_out": []}}
    bare = make_verdict() | {"labels": None, "signs": [], "evidence": evidence}
    bare["made"] |= {"step": None, "seed": None, "checkpoint": None}
    page = write_page(bare, tmp_path)
    assert {section.attributes.get("id") for section in page.all("section")} == {None, "verdict", "made"}
    links = [link.attributes["href"] for link in page.all("nav")[0].all("a")]
    assert links == ["#verdict", "#made"]


def test_nothing_is_loaded_from_elsewhere_and_no_id_is_there_twice(tmp_path: Path) -> None:
    write_report(make_run(tmp_path / "run"), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = parse(text)
    for element in page.all():
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            address = element.attributes.get(name) or "#"
            assert address.startswith(("data:", "#")), (element.tag, address)
    for needle in ("http://", "https://", "url(//", "@import", "fetch(", "XMLHttpRequest", "WebSocket"):
        assert needle not in text, needle
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert (policy.attributes["content"] or "").startswith("default-src 'none';")
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    linked = [(link.attributes["href"] or "")[1:] for link in page.all("a")]
    assert set(linked) <= set(ids)


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    nasty = """</script><img src=x onerror="bad()">&<b>'"""
    verdict = make_verdict()
    verdict["made"] |= {"samples": nasty, "data": nasty, "checkpoint": nasty, "versions": {nasty: nasty}}
    verdict["signs"] = [nasty]
    verdict["labels"] |= {"label": nasty, "unit": nasty, "calculator": nasty}
    verdict["labels"]["samples"]["failures"] = [{"sample": 1, "error": nasty}]
    verdict["evidence"]["histograms"][0] |= {"name": nasty, "unit": nasty}
    verdict["evidence"]["neighbours"][0]["views"][0]["name"] = nasty
    verdict["evidence"]["structures"]["samples"][0] |= {"valid": False, "why": [nasty]}
    page = write_page(verdict, tmp_path)
    assert not page.all("b", onerror="bad()")
    assert all((image.attributes["src"] or "").startswith("data:") for image in page.all("img"))
    assert len(page.all("script")) == 3
    assert page.all("h1")[0].text == nasty
    assert page.all("ul", class_="signs")[0].all("li")[0].text == nasty
    scene = json.loads(page.all("script", id="scene")[0].text)
    assert scene["structures"][0]["caption"].endswith(nasty)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "damaged at line 1"),
        (json.dumps(make_verdict())[:5000], "damaged at line 1"),
        ("[]", "found JSON without format, made"),
        ("{}", "found JSON without format, made"),
        ('{"format": 1, "made": {}}', "found JSON without data, limits"),
        (json.dumps(make_verdict() | {"format": 2}), "must be a verdict of format 1; found format 2"),
        ("\udcff", "must be a readable JSON file"),
    ],
)
def test_what_is_no_verdict_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "verdict.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(VerdictError, match=says):
        write_report(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_no_verdict_is_there(tmp_path: Path) -> None:
    with pytest.raises(VerdictError, match=f"Run ruo2-wgan evaluate {tmp_path} first"):
        write_report(tmp_path, tmp_path / "page.html")
    with pytest.raises(VerdictError, match="Name a run folder or a verdict"):
        read_verdict(tmp_path / "missing.json")


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(Ruo2Error, match="must not exist yet"):
        write_report(run, page)
    with (run / "stats.jsonl").open("a") as file:
        file.write('{"step": 31, "cri')
    with pytest.raises(RunError, match=r"stats.jsonl, line 31"):
        write_report(run, page, overwrite=True)
    (run / "stats.jsonl").unlink()
    (run / "provenance.json").write_text("{")
    with pytest.raises(RunError, match=r"provenance.json: must be a JSON object"):
        write_report(run, page, overwrite=True)
    assert page.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"run", "page.html"}
    (run / "provenance.json").unlink()
    assert "losses" not in write_report(run, page, overwrite=True)["parts"]
    with pytest.raises(Ruo2Error, match="must exist"):
        write_report(run, tmp_path / "no" / "page.html")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "run")
    result = CliRunner().invoke(cli, ["report", "run", "--out", "page.html"])
    assert result.exit_code == 0, result.exception
    assert "91.3 % of the samples are valid, unique and new" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("page.html: verdict, structures, ")
    refused = CliRunner().invoke(cli, ["report", "run", "--out", "page.html"])
    assert isinstance(refused.exception, Ruo2Error)
    result = CliRunner().invoke(cli, ["report", "run", "--out", "page.html", "--overwrite", "--json"])
    summary = json.loads(result.stdout)
    assert summary["bytes"] == (tmp_path / "page.html").stat().st_size
    assert summary["verdict"]["samples"]["valid"] == 0.934
    assert "evidence" not in summary["verdict"]
