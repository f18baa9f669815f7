"""Batches, rates and epochs against sums done step by step."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruo2_wgan.config import make_config
from ruo2_wgan.training.schedule import Schedule


def schedule_of(n_train: int = 1000, optimizer: dict[str, object] | None = None, **training: object) -> Schedule:
    return Schedule(make_config({"training": training, "optimizer": optimizer or {}}), n_train)


@given(
    growth=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 64)), max_size=4, unique_by=lambda pair: pair[0]),
    n_train=st.integers(1, 3000),
    epochs=st.integers(1, 4),
)
def test_rows_and_steps_are_what_counting_gives(growth: list[tuple[int, int]], n_train: int, epochs: int) -> None:
    schedule = schedule_of(n_train, batch=8, batch_growth=sorted(growth), epochs=epochs)
    rows = step = 0
    while rows < epochs * n_train:
        assert schedule.rows_before(step) == rows
        rows += schedule.batch(step)
        step += 1
    assert schedule.n_steps == step
    assert schedule.epoch(step) == pytest.approx(rows / n_train)


def test_max_steps_comes_before_epochs() -> None:
    assert schedule_of(batch=10, epochs=7, max_steps=13).n_steps == 13


def test_the_largest_batch_is_one_that_is_reached() -> None:
    assert schedule_of(batch=10, batch_growth=[(5, 20), (100, 40)], max_steps=50).largest_batch == 20


def test_a_rate_warms_up_and_falls() -> None:
    linear = schedule_of(optimizer={"warmup_steps": 10, "schedule": "linear", "final_lr": 0.1}, max_steps=110, batch=1)
    assert [linear.rate(step) for step in (0, 4, 9, 10)] == pytest.approx([0.1, 0.5, 1.0, 1.0])
    assert linear.rate(109) == pytest.approx(0.1)
    assert linear.rate(10 + 33) == pytest.approx(1 - 0.9 * 33 / 99)
    cosine = schedule_of(optimizer={"schedule": "cosine"}, max_steps=101, batch=1)
    assert [cosine.rate(step) for step in (0, 25, 50, 100)] == pytest.approx(
        [1, (1 + math.cos(math.pi / 4)) / 2, 0.5, 0], abs=1e-12
    )
    assert {schedule_of(max_steps=9).rate(step) for step in range(9)} == {1.0}
