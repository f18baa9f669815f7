"""A verdict as text: every figure in its column, 80 characters wide."""

import pytest

from ruo2_wgan.report import verdict_text
from ruo2_wgan.report.figures import GROUPS, UNDEFINED, format_value
from tests.wgan.report.example import make_verdict


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_figure_stands_in_its_column(dimensions: int) -> None:
    verdict = make_verdict(dimensions)
    del verdict["evidence"]
    lines = verdict_text(verdict).splitlines()
    assert max(map(len, lines)) <= 80
    header = next(line for line in lines if "nearer to" in line)
    ends = [header.index(title) + len(title) for title in ("samples", "held-out", "control")]
    rows = iter(line for line in lines if line.startswith("  "))
    next(rows)  # the header
    for figure in (figure for _, figures in GROUPS for figure in figures):
        line = next(rows)
        assert line.startswith(f"  {figure.name} ")
        for name, end in zip(("samples", "held_out", "control"), ends, strict=True):
            value = verdict[name]
            for part in figure.key.split("."):
                value = value[part]
            assert line[:end].endswith(f" {format_value(value, figure.unit)}"), (figure.key, name)


def test_what_is_not_defined_is_a_dash() -> None:
    verdict = make_verdict()
    verdict["samples"]["frechet"] = None
    verdict["control"]["valid_unique_new"] = None
    del verdict["held_out"]["recall"]
    text = verdict_text(verdict)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.startswith("  ")}
    assert rows["Fréchet"] == [UNDEFINED, "0.0780", "1.93"]
    assert rows["recall"] == ["79.2", "%", UNDEFINED, "20.3", "%"]
    assert f"of the control {UNDEFINED}." in " ".join(text.split())


def test_headline_signs_and_labels() -> None:
    verdict = make_verdict()
    text = verdict_text(verdict)
    assert "91.3 % of the samples are valid, unique and new; of held-out structures 97.3 %" in " ".join(text.split())
    assert "- The samples are less varied than the data: coverage 0.84" in text
    assert "Classes of energy-per-atom" in text
    verdict["labels"], verdict["signs"] = None, []
    verdict["made"]["step"] = None
    text = verdict_text(verdict)
    assert "rank correlation" not in text
    assert "No signs" in text
    assert text.startswith("run: 1,000 samples, beside 300 held-out structures of bh.zarr")
