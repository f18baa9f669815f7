"""The order of a search: who takes a step when, and whose turn it is to be written."""

import functools
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from ruo2_hopping.output import Output
from ruo2_hopping.plan import Origin, Plan
from ruo2_hopping.walker import Method, Outcome, Walker, relax_start, take_step
from ruo2_hopping.workers import Failure, Workers, do_all

LOG = logging.getLogger(__name__)
AHEAD: Final = 4  # steps of a walker that may wait for its turn to be written

Progress = Callable[[int], None]


def make_tour(plan: Plan, method: Method, output: Output, workers: Workers, progress: Progress) -> dict[int, str]:
    """Take all steps that are still to be taken, from what is in the output on.

    Returns
    -------
    stopped
        Walkers that could not go on, by their number, and why.

    Notes
    -----
    In the file walkers take turns, one step each, in the order of their numbers, whoever was done first: what is
    written depends neither on how fast which process was nor on when a search was stopped.
    """
    progress(len(output.record.starts) + sum(output.record.steps.values()))
    stopped = _relax_starts(plan, method, output, workers, progress)
    going = [walker for walker in plan.walkers if walker.run not in stopped]
    return stopped | _Round(going, plan.config.search.steps, method, output, workers, progress).walk()


def _relax_starts(plan: Plan, method: Method, output: Output, workers: Workers, progress: Progress) -> dict[int, str]:
    """Step 0, of each start once; walkers that have nowhere to begin, and why."""
    starts = output.record.starts
    todo = [origin for origin in plan.origins if (origin.facet, origin.name) not in starts]
    tasks = [functools.partial(relax_start, each.atoms, each.facet, each.name, method) for each in todo]
    stopped: dict[int, str] = {}
    for origin, result in zip(todo, do_all(workers, tasks), strict=True):
        if isinstance(result, Failure):
            stopped |= _stop_all(plan, origin, result.reason)
        else:
            output.append(result.frames)
            progress(1)
    for origin in plan.origins:
        place = starts.get((origin.facet, origin.name))
        if place is not None and not place.info["valid"]:
            stopped |= _stop_all(plan, origin, f"the start is not sound when relaxed: {place.info['reject_reason']}")
    return stopped


def _stop_all(plan: Plan, origin: Origin, reason: str) -> dict[int, str]:
    LOG.warning("all walkers from %s of (%s) stop: %s", origin.name, origin.facet, reason)
    return {walker.run: reason for walker in plan.walkers_of(origin)}


class _Round:
    """Walkers on their way."""

    def __init__(
        self,
        going: list[Walker],
        total: int,
        method: Method,
        output: Output,
        workers: Workers,
        progress: Progress,
    ) -> None:
        self.total, self.method, self.output, self.workers, self.progress = total, method, output, workers, progress
        record = output.record
        self.places = {
            walker.run: record.places.get(walker.run, record.starts[walker.facet, walker.start]) for walker in going
        }
        self.waiting: dict[int, deque[Outcome | Failure]] = {walker.run: deque() for walker in going}
        self.busy: set[int] = set()
        self.stopped: dict[int, str] = {}
        # After the last one in the file: a search goes on as if it had never been stopped.
        last = -1 if record.last_run is None else record.last_run
        self.turns = deque(sorted(going, key=lambda walker: (walker.run <= last, walker.run)))

    def walk(self) -> dict[int, str]:
        """Go on until no walker can."""
        while True:
            self._write_in_turn()
            if not self.turns:
                return self.stopped
            self._hand_out()
            for run, result in self.workers.wait():
                self.busy.discard(run)
                self.waiting[run].append(result)
                if isinstance(result, Outcome):
                    self.places[run] = result.place

    def _written(self, walker: Walker) -> int:
        return self.output.record.steps.get(walker.run, 0)

    def _write_in_turn(self) -> None:
        """Write what waits, until the next in turn is one that is still at its step."""
        while self.turns:
            walker = self.turns[0]
            if self._written(walker) >= self.total:
                self.turns.popleft()
            elif not self.waiting[walker.run]:
                return
            elif isinstance(result := self.waiting[walker.run].popleft(), Failure):
                self.stopped[walker.run] = result.reason
                LOG.warning("walker %d stops at step %d: %s", walker.run, self._written(walker) + 1, result.reason)
                self.turns.popleft()
            else:
                self.output.append(result.frames)
                self.progress(1)
                self.turns.rotate(-1)

    def _hand_out(self) -> None:
        """Give free workers the next steps of those who have the fewest waiting; among equals, whose turn is first."""
        able = [walker for walker in self.turns if self._may_go_on(walker)]
        able.sort(key=lambda walker: len(self.waiting[walker.run]))
        for walker in able[: self.workers.n - len(self.busy)]:
            step = self._written(walker) + len(self.waiting[walker.run]) + 1
            self.workers.submit(
                walker.run, functools.partial(take_step, walker, step, self.places[walker.run], self.method)
            )
            self.busy.add(walker.run)

    def _may_go_on(self, walker: Walker) -> bool:
        waiting = self.waiting[walker.run]
        if walker.run in self.busy or len(waiting) >= AHEAD or (waiting and isinstance(waiting[-1], Failure)):
            return False
        return self._written(walker) + len(waiting) < self.total
