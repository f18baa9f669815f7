"""Timing in rounds: every contender once a round, so that what disturbs the machine disturbs all alike."""

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

SLOW = 0.25  # seconds


@dataclass(frozen=True)
class Timed:
    """Work to be timed, and how many times it does what is asked about (structures, say)."""

    run: Callable[[], object]
    units: int


@dataclass(frozen=True)
class Times:
    """Seconds a unit, one entry for each round that the contender took part in."""

    rounds: tuple[float, ...]

    @property
    def best(self) -> float:
        return min(self.rounds)

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def scaled(self, factor: float) -> "Times":
        """Those of `factor` units."""
        return Times(tuple(factor * seconds for seconds in self.rounds))


def fastest(times: Mapping[str, Times], among: Iterable[str]) -> str | None:
    """The contender with the best round among those that were timed; None if there are none."""
    return min((name for name in among if name in times), key=lambda name: times[name].best, default=None)


def time_in_rounds(
    contenders: Mapping[str, Timed], n_rounds: int, title: str, rounds_between_slow: int = 1
) -> dict[str, Times]:
    """Run each contender once for nothing, then once in every round, in an order drawn anew for each round.

    Those that take longer than SLOW in the first round may be left out of all rounds but every so many.
    """
    for timed in contenders.values():
        timed.run()
    names = list(contenders)
    per_unit: dict[str, list[float]] = {name: [] for name in names}
    slow: set[str] = set()
    rng = np.random.default_rng(n_rounds)
    gc.collect()
    gc.disable()
    try:
        for n in tqdm(range(n_rounds), desc=title, unit="round", leave=False, disable=None):
            for name in rng.permutation(names).tolist():
                if name in slow and n % rounds_between_slow != 0:
                    continue
                begin = time.perf_counter()
                contenders[name].run()
                seconds = time.perf_counter() - begin
                per_unit[name].append(seconds / contenders[name].units)
                if n == 0 and seconds > SLOW:
                    slow.add(name)
    finally:
        gc.enable()
    return {name: Times(tuple(of_rounds)) for name, of_rounds in per_unit.items()}


def fit_units(run_one: Callable[[], object], seconds: float, at_most: int) -> int:
    """How many units a timed run should have to last so many seconds, judged from the second of two runs."""
    run_one()
    begin = time.perf_counter()
    run_one()
    return max(1, min(at_most, round(seconds / (time.perf_counter() - begin))))
