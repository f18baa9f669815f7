"""Whole groups are held out, as many as fit, and the same ones on every machine."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruo2_voxel import Ruo2Error
from ruo2_voxel.structures.splits import Group, choose_held_out, group_text
from tests.voxel.random_structures import LAW

groups = st.dictionaries(
    st.tuples(st.text(max_size=3), st.text(max_size=3)), st.integers(1, 50), min_size=2, max_size=12
)
fractions = st.floats(0.01, 1.0)
seeds = st.integers(0, 2**32)


@LAW
@given(groups, fractions, seeds)
def test_what_is_held_out_stays_within_the_fraction_or_is_the_smallest_group(
    sizes: dict[Group, int], fraction: float, seed: int
) -> None:
    chosen = choose_held_out(sizes, fraction, seed)
    n_held_out = sum(sizes[group] for group in chosen)
    assert chosen < sizes.keys()
    assert chosen
    if n_held_out > fraction * sum(sizes.values()):
        (group,) = chosen
        assert sizes[group] == min(sizes.values())


@LAW
@given(groups, fractions, seeds)
def test_no_group_is_left_that_would_still_fit(sizes: dict[Group, int], fraction: float, seed: int) -> None:
    chosen = choose_held_out(sizes, fraction, seed)
    room = fraction * sum(sizes.values()) - sum(sizes[group] for group in chosen)
    if len(chosen) < len(sizes) - 1:
        assert all(sizes[group] > room for group in sizes.keys() - chosen)


@LAW
@given(groups, fractions, seeds, st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_groups(
    sizes: dict[Group, int], fraction: float, seed: int, random: Random
) -> None:
    order = list(sizes)
    random.shuffle(order)
    assert choose_held_out({group: sizes[group] for group in order}, fraction, seed) == choose_held_out(
        sizes, fraction, seed
    )


def test_the_choice_of_a_seed_never_changes() -> None:
    sizes = {(phase, str(run)): 10 for phase in ("a", "b") for run in range(5)}
    assert choose_held_out(sizes, 0.2, 0) == {("a", "3"), ("b", "1")}
    assert choose_held_out(sizes, 0.2, 1) == {("b", "4"), ("a", "2")}


def test_the_boundary_between_keys_matters() -> None:
    one, other = ("ab", "c"), ("a", "bc")
    assert {choose_held_out({one: 1, other: 1}, 0.5, seed) for seed in range(20)} == {
        frozenset({one}),
        frozenset({other}),
    }


def test_nothing_is_held_out_of_a_fraction_of_zero() -> None:
    assert choose_held_out({("a",): 3}, 0.0, 0) == frozenset()


@pytest.mark.parametrize("sizes", [{}, {("a",): 7}])
def test_fewer_than_two_groups_cannot_be_split(sizes: dict[Group, int]) -> None:
    with pytest.raises(Ruo2Error, match=f"at least two groups of structures; found {len(sizes)}"):
        choose_held_out(sizes, 0.1, 0)


@pytest.mark.parametrize(
    ("value", "text"),
    [("r110", "r110"), (-0.25, "-0.25"), (3, "3"), (True, "true"), (None, "null"), ([1, 2], "[1, 2]")],
)
def test_groups_are_named_by_text(value: object, text: str) -> None:
    assert group_text(value) == text
