"""The order of rows: what every rank may count on."""

import numpy as np
import pytest

from ruo2_wgan.data.order import Order

CASES = [
    pytest.param({"n": 1000, "n_ranks": 1}, id="rows, one rank"),
    pytest.param({"n": 1003, "n_ranks": 4}, id="rows, four ranks"),
    pytest.param({"n": 1003, "n_ranks": 3, "block": 64, "window": 200}, id="blocks in windows"),
    pytest.param({"n": 130, "n_ranks": 2, "block": 64, "window": 8192}, id="fewer blocks than would deal evenly"),
]


def ranks(case: dict[str, int], seed: int = 7) -> list[Order]:
    return [Order(seed=seed, rank=rank, **case) for rank in range(case["n_ranks"])]


@pytest.mark.parametrize("case", CASES)
def test_ranks_share_an_epoch_evenly_and_meet_no_row_twice(case: dict[str, int]) -> None:
    each = case["n"] // case["n_ranks"]
    for epoch in (0, 3):
        taken = [order.take(epoch * order.per_epoch, order.per_epoch) for order in ranks(case)]
        assert [len(rows) for rows in taken] == [each] * case["n_ranks"]
        together = np.concatenate(taken)
        assert len(np.unique(together)) == len(together)
        assert together.min() >= 0
        assert together.max() < case["n"]


@pytest.mark.parametrize("case", CASES)
def test_rows_depend_on_the_position_alone(case: dict[str, int]) -> None:
    whole = ranks(case)[0].take(0, 2500)
    parts, order = [], ranks(case)[0]
    for size in (1, 700, 3, 1300, 496):  # over the ends of epochs
        parts.append(order.take(sum(map(len, parts)), size))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(ranks(case)[0].take(1234, 100), whole[1234:1334])


@pytest.mark.parametrize("case", CASES)
def test_epochs_and_seeds_and_ranks_have_orders_of_their_own(case: dict[str, int]) -> None:
    order = ranks(case)[0]
    first = order.take(0, order.per_epoch)
    assert not np.array_equal(first, order.take(order.per_epoch, order.per_epoch))
    assert not np.array_equal(first, ranks(case, seed=8)[0].take(0, order.per_epoch))
    assert not np.array_equal(first, np.sort(first))


def test_rows_left_over_differ_between_epochs() -> None:
    orders = ranks({"n": 103, "n_ranks": 2, "block": 8, "window": 16})
    seen = {row for epoch in range(20) for order in orders for row in order.take(epoch * 51, 51).tolist()}
    assert seen == set(range(103))


def test_a_window_is_made_of_whole_blocks_and_shuffled_in_itself() -> None:
    order = Order(1024, 7, block=64, window=256)
    for number in range(8):  # two epochs
        taken = order.take(number * 256, 256)
        blocks, counts = np.unique(taken // 64, return_counts=True)
        assert counts.tolist() == [64] * 4
        assert len(blocks) == 4
        assert np.count_nonzero(np.diff(taken) == 1) < 32  # no block is left in the order of the store


@pytest.mark.parametrize("case", CASES)
def test_windows_say_where_their_rows_stand(case: dict[str, int]) -> None:
    order = ranks(case)[-1]
    expected = order.take(0, 2 * order.per_epoch)
    found = []
    for position in range(2 * order.per_epoch):
        number, place = order.window_of(position)
        found.append(order.window_rows(number)[order.window_places(number)[place]])
    np.testing.assert_array_equal(found, expected)
