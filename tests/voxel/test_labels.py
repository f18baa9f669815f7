"""Classes are numbered from the lowest value up, hold what their edges say, and give the tables of the thesis."""

from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ruo2_voxel import Ruo2Error, classify
from ruo2_voxel.structures.classes import METHODS, Method
from tests.voxel.random_structures import LAW

# Printed lower bounds of the ten classes, and the upper end. The printed extremes are rounded, so bounds hold to 0.1.
TABLE_3_1_MEV = (-1220.2, -1201.3, -1182.5, -1163.6, -1144.7, -1125.8, -1106.9, -1088.0, -1069.2, -1050.3, -1031.4)
TABLE_3_2_EV = (
    *(-520021.6, -519387.2, -518752.9, -518118.6, -517484.3, -516849.9, -516215.6, -515581.3, -514946.9, -514312.6),
    -513678.3,
)

different = st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=200, unique=True)
n_classes_each = st.integers(1, 20)


@pytest.mark.parametrize("printed", [TABLE_3_1_MEV, TABLE_3_2_EV], ids=["3.1", "3.2"])
def test_the_extremes_of_the_thesis_give_its_classes(printed: tuple[float, ...]) -> None:
    classes, edges = classify(np.array([printed[0], *printed, printed[-1]]))
    np.testing.assert_allclose(edges, printed, atol=0.1)
    assert classes[0] == 0
    assert classes[-1] == 9
    middles = (np.array(printed[1:]) + np.array(printed[:-1])) / 2
    assert classify(np.array([printed[0], *middles, printed[-1]]))[0].tolist() == [0, *range(10), 9]


@LAW
@given(different, n_classes_each, st.sampled_from(METHODS))
def test_a_class_holds_the_values_between_its_edges(values: list[int], n_classes: int, method: Method) -> None:
    assume(method == "equal-width" or len(values) >= n_classes)
    classes, edges = classify(np.array(values), n_classes, method)
    assert classes.dtype == np.int8
    assert edges.shape == (n_classes + 1,)
    assert (edges[0], edges[-1]) == (min(values), max(values))
    for value, number in zip(values, classes.tolist(), strict=True):
        assert edges[number] <= value
        assert value < edges[number + 1] or (number == n_classes - 1 and value == edges[-1])


@LAW
@given(different, n_classes_each)
def test_edges_of_equal_width_are_equally_far_apart(values: list[int], n_classes: int) -> None:
    _, edges = classify(np.array(values), n_classes)
    np.testing.assert_allclose(np.diff(edges), (max(values) - min(values)) / n_classes, rtol=1e-6)


@LAW
@given(different, n_classes_each)
def test_quantile_classes_of_different_values_differ_by_one_structure(values: list[int], n_classes: int) -> None:
    assume(len(values) >= n_classes)
    classes, _ = classify(np.array(values), n_classes, "quantile")
    counts = np.bincount(classes, minlength=n_classes)
    assert counts.max() - counts.min() <= 1


@LAW
@given(different, n_classes_each, st.sampled_from(METHODS), st.randoms(use_true_random=False))
def test_the_class_of_a_value_depends_on_the_set_of_values_alone(
    values: list[int], n_classes: int, method: Method, random: Random
) -> None:
    assume(method == "equal-width" or len(values) >= n_classes)
    order = list(range(len(values)))
    random.shuffle(order)
    classes, edges = classify(np.array(values), n_classes, method)
    shuffled, same_edges = classify(np.array(values)[order], n_classes, method)
    assert shuffled.tolist() == classes[order].tolist()
    assert same_edges.tolist() == edges.tolist()
    doubled, _ = classify(2.0 * np.array(values), n_classes, method)
    assert doubled.tolist() == classes.tolist()


@LAW
@given(different, n_classes_each)
def test_higher_values_are_never_in_lower_classes(values: list[int], n_classes: int) -> None:
    classes, _ = classify(np.sort(values), n_classes)
    assert (np.diff(classes) >= 0).all()
    assert classes[0] == 0
    assert classes[-1] == n_classes - 1


def test_one_class_holds_values_that_are_all_equal() -> None:
    classes, edges = classify(np.full(3, -7.0), 1)
    assert classes.tolist() == [0, 0, 0]
    assert edges.tolist() == [-7.0, -7.0]


@pytest.mark.parametrize(
    ("values", "options", "found"),
    [
        ([], {}, "found no value"),
        ([1.0, np.nan, 2.0], {}, "found nan at index 1"),
        ([1.0, 2.0, -np.inf], {}, "found -inf at index 2"),
        ([3.5, 3.5, 3.5], {}, "found 3 times 3.5. Use one class, or another label"),
        ([1.0, 2.0], {"n_classes": 0}, "n_classes must lie between 1 and 127; found 0"),
        ([1.0, 2.0], {"n_classes": 128}, "n_classes must lie between 1 and 127; found 128"),
        (
            [1.0, 2.0],
            {"method": "even"},
            "method must be one of equal-width, clipped-equal-width, quantile; found 'even'",
        ),
    ],
)
def test_what_cannot_be_classified_is_refused(values: list[float], options: dict[str, int], found: str) -> None:
    with pytest.raises(Ruo2Error, match=found):
        classify(np.array(values), **options)  # type: ignore[arg-type]
