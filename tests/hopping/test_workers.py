import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ruo2_hopping.workers import Failure, Processes, ThisProcess, Workers, do_all
from tests.hopping import toys


@pytest.fixture(params=[ThisProcess, functools.partial(Processes, 2)], ids=["here", "two processes"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    make: Callable[[object], Workers] = request.param
    with make(toys.Counting) as workers:
        yield workers


@pytest.fixture
def processes() -> Iterator[Workers]:
    with Processes(2, toys.Counting) as workers:
        yield workers


def answers(*numbers: int) -> list[functools.partial[int]]:
    return [functools.partial(toys.answer, number) for number in numbers]


def test_results_come_in_the_order_of_the_tasks(workers: Workers) -> None:
    assert list(do_all(workers, answers(*range(12)))) == [2 * number for number in range(12)]
    assert list(do_all(workers, [])) == []


def test_a_calculator_that_fails_is_made_anew_once(workers: Workers, tmp_path: Path) -> None:
    tasks = [functools.partial(toys.fail_once, tmp_path / "trace"), *answers(1)]
    assert list(do_all(workers, tasks)) == [7, 2]


def test_one_that_fails_again_is_named_and_others_go_on(workers: Workers) -> None:
    assert list(do_all(workers, [toys.fail, *answers(1, 2), toys.fail, *answers(3)])) == [
        Failure("no energy today"),
        *(2, 4),
        Failure("no energy today"),
        6,
    ]


def test_what_is_impossible_is_not_tried_again(workers: Workers, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert list(do_all(workers, [functools.partial(toys.find_impossible, trace)])) == [Failure("no room")]
    assert trace.read_text() == "x"


def test_a_bug_is_not_taken_for_a_calculator_that_fails(workers: Workers) -> None:
    with pytest.raises((KeyError, RuntimeError), match="a bug"):
        list(do_all(workers, [toys.stumble]))


def test_a_process_that_dies_once_is_replaced(processes: Workers, tmp_path: Path) -> None:
    tasks = [functools.partial(toys.die_once, tmp_path / "trace"), *answers(1, 2, 3)]
    assert list(do_all(processes, tasks)) == [7, 2, 4, 6]


def test_a_process_that_dies_again_is_named_and_others_go_on(processes: Workers) -> None:
    assert list(do_all(processes, [toys.die, *answers(1, 2, 3)])) == [
        Failure("the process of the calculator died (signal SIGKILL)"),
        *(2, 4, 6),
    ]
    assert list(do_all(processes, answers(4, 5))) == [8, 10]  # both are there again
