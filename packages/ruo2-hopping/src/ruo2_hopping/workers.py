"""Who does the steps: this process, or several at a time, each with a calculator of its own."""

import logging
import multiprocessing
import os
import signal
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Final, NamedTuple

from ase.calculators.calculator import BaseCalculator

from ruo2_hopping.errors import CalculatorError, ImpossibleMoveError

LOG = logging.getLogger(__name__)
TRIES: Final = 2  # of a step whose calculator fails, each with a new calculator
THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Task = Callable[[BaseCalculator], Any]  # for other processes, one that can be pickled
MakeCalculator = Callable[[], BaseCalculator]


class Failure(NamedTuple):
    """A task that could not be done."""

    reason: str


class Done(NamedTuple):
    """A task that was done, or that failed."""

    key: int
    result: Any  # what the task returned, or a Failure


class Workers(ABC):
    """Something that does tasks."""

    n: int  # tasks at a time

    @abstractmethod
    def submit(self, key: int, task: Task) -> None:
        """Begin a task, of at most `n` at a time."""

    @abstractmethod
    def wait(self) -> list[Done]:
        """Tasks that have been done since, at least one."""

    @abstractmethod
    def close(self) -> None:
        """Leave off."""

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def do_all(workers: Workers, tasks: Sequence[Task]) -> Iterator[Any]:
    """Results of tasks, or Failures, in the order of the tasks, as many at a time as there are workers."""
    done: dict[int, Any] = {}
    waiting = deque(enumerate(tasks))
    running = 0
    for number in range(len(tasks)):
        while number not in done:
            while waiting and running < workers.n:
                workers.submit(*waiting.popleft())
                running += 1
            finished = workers.wait()
            running -= len(finished)
            done.update(finished)
        yield done.pop(number)


class _Bench:
    """A calculator that is made when it is wanted, and anew when it has failed."""

    def __init__(self, make: MakeCalculator) -> None:
        self._make = make
        self._calculator: BaseCalculator | None = None

    def do(self, task: Task) -> Any:
        for attempt in range(1, TRIES + 1):
            try:
                if self._calculator is None:
                    self._calculator = self._make()
                return task(self._calculator)
            except ImpossibleMoveError as error:
                return Failure(str(error))
            except CalculatorError as error:
                self._calculator = None
                LOG.warning("%s%s", error, "; tried once more" if attempt < TRIES else "")
                reason = str(error)
        return Failure(reason)


class ThisProcess(Workers):
    """Tasks one after the other, here."""

    n = 1

    def __init__(self, make: MakeCalculator) -> None:
        self._bench, self._tasks = _Bench(make), deque[tuple[int, Task]]()

    def submit(self, key: int, task: Task) -> None:
        self._tasks.append((key, task))

    def wait(self) -> list[Done]:
        key, task = self._tasks.popleft()
        return [Done(key, self._bench.do(task))]

    def close(self) -> None:
        self._tasks.clear()


class _Worker:
    """One process and the line to it."""

    def __init__(self, make: MakeCalculator) -> None:
        context = multiprocessing.get_context("spawn")  # libraries with threads of their own do not survive a fork
        self.line, its = context.Pipe()
        self.process = context.Process(target=_serve, args=(its, make), daemon=True)
        self.process.start()
        its.close()
        self.key = -1
        self.task: Task | None = None
        self.tries = 0

    def give(self, key: int, task: Task, tries: int = 1) -> None:
        self.key, self.task, self.tries = key, task, tries
        self.line.send(task)


class Processes(Workers):
    """As many processes as are wanted; one that dies is noticed, and what it was at is tried once more.

    Parameters
    ----------
    n
        Processes.
    make
        Makes a calculator in each of them; it can be pickled.
    threads
        For each process's libraries.
    """

    def __init__(self, n: int, make: MakeCalculator, threads: int = 1) -> None:
        self.n, self._make = n, make
        before = {name: os.environ.get(name) for name in THREADS}
        os.environ.update({name: value or str(threads) for name, value in before.items()})  # who has set one knows why
        self._workers = [_Worker(make) for _ in range(n)]

    def submit(self, key: int, task: Task) -> None:
        next(each for each in self._workers if each.task is None).give(key, task)

    def wait(self) -> list[Done]:
        done: list[Done] = []
        while not done:
            lines = {each.line: each for each in self._workers if each.task is not None}
            for line in wait(list(lines)):
                done += self._take(lines[line])  # type: ignore[index]
        return done

    def _take(self, worker: _Worker) -> list[Done]:
        """What a process has sent, or what becomes of its death."""
        key, task, tries = worker.key, worker.task, worker.tries
        assert task is not None
        try:
            kind, result = worker.line.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            reason = f"the process of the calculator died ({_end_of(worker.process.exitcode)})"
            again = tries < TRIES
            LOG.warning("%s%s", reason, "; tried once more" if again else "")
            successor = _Worker(self._make)
            self._workers[self._workers.index(worker)] = successor
            if again:
                successor.give(key, task, tries + 1)
                return []
            return [Done(key, Failure(reason))]
        if kind == "bug":
            raise RuntimeError(f"in a process of its own:\n{result}")
        worker.task = None
        return [Done(key, result)]

    def close(self) -> None:
        for each in self._workers:
            each.process.terminate()
            each.process.join()
            each.line.close()


def _serve(line: Connection, make: MakeCalculator) -> None:
    """What a process does: one task after the other, until there is no one to do them for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is for the parent, which ends its processes
    bench = _Bench(make)
    try:
        while True:
            task = line.recv()
            try:
                line.send(("done", bench.do(task)))
            except Exception:
                line.send(("bug", traceback.format_exc()))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _end_of(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"
