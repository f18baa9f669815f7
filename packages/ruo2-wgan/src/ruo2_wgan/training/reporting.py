"""What a run tells of its steps: a line of statistics at times, with a look at samples once an epoch."""

import math
import time
from collections.abc import Mapping

from ruo2_wgan.data import Batches
from ruo2_wgan.networks import Generator
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.training.schedule import Schedule
from ruo2_wgan.training.showing import Showing

Line = dict[str, float | int]


class Reporter:
    """Writes the statistics of rank zero.

    Parameters
    ----------
    folder
        Of the run.
    showing
        Looks at samples.
    schedule, batches
        Of the run, for epochs, throughput and the time that is spent waiting for data.
    log_every, samples_every
        Steps and epochs.
    first
        Steps done before.
    best
        Least distance of samples from the data so far.
    """

    def __init__(
        self,
        folder: RunFolder,
        showing: Showing,
        schedule: Schedule,
        batches: Batches,
        log_every: int,
        samples_every: float,
        first: int,
        best: float,
    ) -> None:
        self._folder, self._showing, self._schedule, self._batches = folder, showing, schedule, batches
        self._log_every, self._samples_every = log_every, samples_every
        self.best = best
        self._start_clock(first)

    def report(self, step: int, figures: Mapping[str, float], sampler: Generator) -> tuple[Line, bool]:
        """The line of a step, written where one is due, and whether its samples are the nearest to the data so far."""
        line: Line = {"step": step, "epoch": round(self._schedule.epoch(step), 4), **figures}
        look = self._is_look_due(step)
        if not look and step % self._log_every:
            return line, False
        seconds = time.perf_counter() - self._clock
        rows = self._schedule.rows_before(step) - self._schedule.rows_before(self._counted)
        line["structures_per_second"] = rows / seconds  # each once a step, though the critic sees n_critic batches
        line["data_wait"] = (self._batches.seconds_waited - self._waited) / seconds
        if look:
            line |= self._showing.look(sampler, line)
        self._folder.append_stats(line)
        self._start_clock(step)  # which leaves out the time that the look has taken
        nearest = line.get("distance", math.inf) < self.best
        self.best = min(self.best, line.get("distance", math.inf))
        return line, nearest

    def _is_look_due(self, step: int) -> bool:
        """After the last step, and each time that so many epochs are over."""
        before, now = (self._schedule.epoch(each) // self._samples_every for each in (step - 1, step))
        return now > before or step == self._schedule.n_steps

    def _start_clock(self, step: int) -> None:
        self._clock, self._waited, self._counted = time.perf_counter(), self._batches.seconds_waited, step
