"""Clipped and quantile classes, what balances them, and the warning where they are not balanced."""

import re
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ruo2_voxel import ClassBalanceWarning, Ruo2Error, classify
from ruo2_voxel.structures.classes import METHODS, Method, check_classes, empty_classes, warn_of_imbalance
from tests.voxel.random_structures import LAW

numbers = st.lists(st.integers(-1000, 1000), min_size=2, max_size=200)
n_classes_each = st.integers(1, 20)
clips = st.tuples(st.floats(0.0, 0.4), st.floats(0.6, 1.0))


@LAW
@given(numbers, n_classes_each, clips)
def test_clipped_classes_are_equally_wide_between_two_quantiles(
    values: list[int], n_classes: int, clip: tuple[float, float]
) -> None:
    low, high = np.quantile(values, clip)
    assume(low < high)
    classes, edges = classify(np.array(values), n_classes, "clipped-equal-width", clip)
    assert (edges[0], edges[-1]) == (min(values), max(values))
    inner = low + (high - low) * np.arange(1, n_classes) / n_classes
    np.testing.assert_allclose(edges[1:-1], inner, rtol=1e-9, atol=1e-9)
    for value, number in zip(values, classes.tolist(), strict=True):
        assert edges[number] <= value
        assert value < edges[number + 1] or (number == n_classes - 1 and value == edges[-1])


@LAW
@given(numbers, n_classes_each)
def test_clipping_nothing_is_equal_width(values: list[int], n_classes: int) -> None:
    assume(min(values) < max(values))
    classes, edges = classify(np.array(values), n_classes, "clipped-equal-width", (0.0, 1.0))
    expected, same_edges = classify(np.array(values), n_classes)
    assert classes.tolist() == expected.tolist()
    np.testing.assert_allclose(edges, same_edges)


def test_clipping_spreads_what_one_outlier_pushed_together() -> None:
    values = np.append(np.linspace(0.0, 1.0, 1000), 1000.0)
    assert np.bincount(classify(values)[0], minlength=10).max() == 1000
    classes, edges = classify(values, method="clipped-equal-width")
    assert np.bincount(classes, minlength=10).max() < 125
    assert classes[-1] == 9
    assert edges[-1] == 1000.0


def test_quantiles_that_coincide_cannot_clip() -> None:
    values = np.append(np.zeros(1000), [1.0, -1.0])
    with pytest.raises(Ruo2Error, match=r"quantiles 0\.01 and 0\.99 that differ; found 0 twice\. Clip less, or use"):
        classify(values, 10, "clipped-equal-width")
    assert classify(values, 1, "clipped-equal-width")[0].tolist() == [0] * 1002


@LAW
@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(2, 12))
def test_quantile_classes_all_hold_values_or_are_refused_with_a_number_that_works(
    values: list[int], n_classes: int
) -> None:
    assume(min(values) < max(values))
    try:
        classes, _ = classify(np.array(values), n_classes, "quantile")
    except Ruo2Error as error:
        pattern = rf"\({len(set(values))} different ones\)\. Use (\d+) classes, or another method$"
        (fewer,) = map(int, re.findall(pattern, str(error)))
        classes, _ = classify(np.array(values), fewer, "quantile")
        n_classes = min(fewer, n_classes - 1)
    assert sorted(set(classes.tolist())) == list(range(n_classes))
    assert empty_classes(classes, n_classes) == []


def test_more_quantile_classes_than_values_are_refused() -> None:
    with pytest.raises(Ruo2Error, match=r"10 quantile classes must all hold values; found 7 that would be empty"):
        classify(np.array([1.0, 2.0, 3.0]), 10, "quantile")


@pytest.mark.parametrize("method", METHODS)
def test_one_value_makes_one_class_and_no_more(method: Method) -> None:
    classes, edges = classify(np.array([3.5]), 1, method)
    assert (classes.tolist(), edges.tolist()) == ([0], [3.5, 3.5])
    with pytest.raises(Ruo2Error, match="must differ from each other; found only one value"):
        classify(np.array([3.5]), 10, method)
    with pytest.raises(Ruo2Error, match=r"must differ from each other; found 4 times 3\.5"):
        classify(np.full(4, 3.5), 10, method)
    with pytest.raises(Ruo2Error, match="must be finite numbers; found nan at index 1"):
        classify(np.array([1.0, np.nan]), 10, method)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((0, "equal-width", (0.01, 0.99)), "n_classes must lie between 1 and 127; found 0"),
        ((10, "clipped", (0.01, 0.99)), "one of equal-width, clipped-equal-width, quantile; found 'clipped'"),
        ((10, "quantile", (0.5, 0.5)), "clip must be two ascending quantiles from 0 to 1; found 0.5 and 0.5"),
        ((10, "quantile", (-0.1, 0.5)), "found -0.1 and 0.5"),
        ((10, "quantile", (0.5, 1.1)), "found 0.5 and 1.1"),
        ((10, "quantile", (np.nan, 0.9)), "found nan and 0.9"),
    ],
)
def test_classes_that_cannot_be(options: tuple[int, str, tuple[float, float]], found: str) -> None:
    with pytest.raises(Ruo2Error, match=re.escape(found)):
        check_classes(*options)


def test_empty_classes_are_named_by_their_numbers() -> None:
    assert empty_classes(np.array([0, 2, 2, 5]), 7) == [1, 3, 4, 6]


def warning_of(values: Any, n_classes: int = 10, method: Method = "equal-width", label: str = "energy") -> str | None:
    values = np.array(values, dtype=np.float64)
    classes, _ = classify(values, n_classes, method)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_imbalance(values, classes, n_classes, method, label)
    assert {each.category for each in caught} <= {ClassBalanceWarning}
    return str(caught[0].message) if caught else None


def test_a_class_that_holds_most_is_warned_of_with_what_would_balance_it() -> None:
    values = np.append(np.linspace(0.0, 1.0, 990), np.linspace(1.0, 100.0, 10))
    message = warning_of(values)
    assert message is not None
    assert message.startswith("class 0 of the label energy holds 99% of 1000 structures")
    assert "quantile classes (10% in the largest)" in message
    shares = {name: float(share) for name, share in re.findall(r"([a-z-]+) classes \((\d+)% in", message)}
    for name, share in shares.items():
        classes, _ = classify(values, 10, name)  # type: ignore[arg-type]
        assert share == pytest.approx(100 * np.bincount(classes).max() / 1000, abs=0.5)
    assert message.endswith("a label that varies more, such as surface-free-energy")
    assert warning_of(values, method="quantile") is None


@pytest.mark.parametrize(("n_low", "warned"), [(60, False), (61, True)])
def test_more_than_sixty_percent_in_one_class_are_warned_of(n_low: int, warned: bool) -> None:
    values = [0.0] * n_low + [1.0] * (100 - n_low)
    message = warning_of(values, 2)
    assert (message is not None) == warned
    if message is not None:
        assert message.startswith("class 0 of the label energy holds 61% of 100 structures: a model")


def test_classes_that_hold_none_are_warned_of() -> None:
    message = warning_of([0.0, 0.1, 1.0, 1.1], 4, label="surface-free-energy")
    assert message is not None
    assert message.startswith("classes of the label surface-free-energy: 2 of 4 hold none of 4 structures")
    assert message.endswith("Take quantile classes, or fewer")


def test_where_nothing_would_balance_them_the_warning_says_so() -> None:
    message = warning_of([0.0] * 99 + [1.0], 2)
    assert message is not None
    assert "No other method would be more even" in message


def test_even_classes_and_one_class_are_not_warned_of() -> None:
    assert warning_of(np.linspace(0.0, 1.0, 100)) is None
    assert warning_of([1.0, 2.0, 2.0, 2.0], 1) is None
