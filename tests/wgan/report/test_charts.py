"""Figures as elements of a page: nothing loaded, no id twice, the curves that were drawn."""

import re

import numpy as np

from ruo2_wgan.pictures import draw_loss_panels
from ruo2_wgan.report.charts import COLOURS, draw_histogram, to_svg
from tests.wgan.report.example import make_verdict
from tests.wgan.report.html_page import parse


def test_ids_are_found_and_are_unique_among_charts_of_a_page() -> None:
    stats = [{"step": k, "epoch": k / 9, "wasserstein": 1.0 / k, "gradient_penalty": 2.0 * k} for k in range(1, 40)]
    figures = draw_loss_panels(stats, 3.0, 2.0)
    assert len(figures) == 2
    page = parse("".join(to_svg(figure, f"chart-{k}", title) for k, (title, figure) in enumerate(figures.items())))
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert ids
    assert len(ids) == len(set(ids))
    used = [name for element in page.all() for value in element.attributes.values() for name in _targets(value or "")]
    assert used
    assert set(used) == set(ids)
    assert [svg.attributes["aria-label"] for svg in page.all("svg")] == list(figures)
    assert not page.all("style")  # its rules would hold for the whole page


def test_a_chart_loads_nothing_and_has_no_letters_of_its_own() -> None:
    text = to_svg(draw_histogram(make_verdict()["evidence"]["histograms"][0]), "h", "Ru-O <distance>")
    assert "http" not in text
    assert "font-family" not in text
    (svg,) = parse(text).all("svg")
    assert svg.attributes["aria-label"] == "Ru-O <distance>"
    assert svg.all("text")


def test_a_histogram_draws_what_the_verdict_says() -> None:
    histogram = make_verdict()["evidence"]["histograms"][0]
    area, *lines = draw_histogram(histogram).axes[0].patches
    assert area.get_fill()
    for name, line in zip(("train", "control", "held_out", "samples"), lines, strict=True):
        values, edges, _ = line.get_data()
        np.testing.assert_array_equal(values, histogram[name])
        np.testing.assert_array_equal(edges, histogram["edges"])
    text = to_svg(draw_histogram(histogram), "h", "")
    for colour in COLOURS.values():
        assert f"stroke: {colour}" in text


def test_a_histogram_without_training_structures() -> None:
    histogram = make_verdict()["evidence"]["histograms"][0]
    del histogram["train"]
    assert len(draw_histogram(histogram).axes[0].patches) == 4


def test_an_empty_histogram_is_drawn() -> None:
    empty = {"edges": [0.0, 1.0, 2.0], "unit": "Å", **{name: [0.0, 0.0] for name in COLOURS}}
    assert draw_histogram(empty).axes[0].get_ylim() == (0.0, 1.15)


def _targets(value: str) -> list[str]:
    return [one or other for one, other in re.findall(r"url\(#([\w-]+)\)|^#([\w-]+)$", value)]
