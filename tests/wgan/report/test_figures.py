"""Figures: where samples lie between held-out structures and control, how values are written, what limits say."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruo2_wgan.report.figures import GROUPS, UNDEFINED, describe_limits, format_value, place_between, rows_of
from tests.wgan.report.example import LIMITS, OF_HELD_OUT, OF_SAMPLES, figures_of, make_verdict

values = st.floats(-100, 100)


@given(values, values.filter(lambda way: abs(way) > 0.1), st.floats(-2, 3))
def test_a_place_is_a_share_of_the_way(held_out: float, way: float, share: float) -> None:
    place = place_between(held_out + share * way, held_out, held_out + way)
    if abs(way) > 0.11 * max(abs(held_out), abs(held_out + way)):
        assert place == pytest.approx(share, abs=1e-9)
    elif abs(way) < 0.09 * max(abs(held_out), abs(held_out + way)):
        assert place is None


@pytest.mark.parametrize("missing", [None, math.nan, math.inf])
def test_there_is_no_place_without_a_value(missing: float | None) -> None:
    for at in range(3):
        three: list[float | None] = [0.4, 0.2, 0.9]
        three[at] = missing
        assert place_between(*three) is None
    assert place_between(0.4, 0.2, 0.2) is None
    assert place_between(0.0, 0.0, 0.0) is None


def test_nearer_is_what_is_less_far() -> None:
    verdict = make_verdict()
    rows = {row.figure.key: row for _, figures in GROUPS for row in rows_of(figures, verdict, verdict["limits"])}
    for key, row in rows.items():
        if row.nearer and "." not in key:
            ours, held_out, control = (verdict[name][key] for name in ("samples", "held_out", "control"))
            assert (abs(ours - held_out) < abs(ours - control)) == (row.nearer == "held-out"), key
    assert rows["lattice_mae"].nearer == "control"
    assert rows["lattice_w1"].nearer == rows["unique"].nearer == ""  # where the control is as good
    assert rows["valid"].nearer == "held-out"
    assert rows["memorisation_ratio"].nearer == ""  # the control is not broken in this respect


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.913, "%", "91.3 %"),
        (1.0, "%", "100.0 %"),
        (0.05, "", "0.0500"),
        (2.345, "Å", "2.35"),
        (123.4, "", "123"),
        (12345.6, "", "12,346"),
        (-0.5, "", "\N{MINUS SIGN}0.500"),
        (0.0, "", "0.00"),
        (None, "", UNDEFINED),
        (None, "%", UNDEFINED),
        (math.nan, "Å", UNDEFINED),
    ],
)
def test_values_are_written_with_three_digits(value: float | None, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


def test_every_figure_of_a_verdict_has_a_row() -> None:
    keys = [figure.key for _, figures in GROUPS for figure in figures]
    of_verdict = figures_of(OF_SAMPLES, 10)
    expected = {name for name in of_verdict if name not in ("n", "invalid")}
    expected |= {f"invalid.{reason}" for reason in of_verdict["invalid"]}
    assert set(keys) == expected
    assert len(keys) == len(set(keys))


def test_limits_stand_in_the_sentences() -> None:
    of = dict.fromkeys(("samples", "held_out", "control"), figures_of(OF_HELD_OUT, 10))
    about = {row.figure.key: row.about for _, figures in GROUPS for row in rows_of(figures, of, LIMITS)}
    assert about["invalid.unexplained"].startswith("More than 40 %")
    assert "Ru-Ru 2.4, Ru-O 1.7, O-O 1.2 Å" in about["invalid.distance"]
    assert "14 to 20 Ru, 20 to 35 O" in about["invalid.atoms"]
    assert "up to 2.6 Å" in about["invalid.link"]
    assert "0.25 Å" in about["copied"]
    assert set(describe_limits({}).values()) == {UNDEFINED}
