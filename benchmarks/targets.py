"""The kernel's targets: ratios within one run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rounds import Times, fastest


@dataclass(frozen=True)
class Target:
    """The fastest contender of `above` takes at least, or at most, so many times as long as the fastest of `below`."""

    what: str
    above: tuple[str, ...]
    below: tuple[str, ...]
    sense: Literal["at least", "at most"]
    ratio: float

    def judge(self, times: Mapping[str, Times]) -> dict[str, Any]:
        """The target, what was measured and whether it is met, by best rounds; None where a side was not timed."""
        above, below = fastest(times, self.above), fastest(times, self.below)
        record: dict[str, Any] = {"what": self.what, "sense": self.sense, "target": self.ratio}
        if above is None or below is None:
            return {**record, "measured": None, "measured_from_medians": None, "met": None}
        measured = times[above].best / times[below].best
        return {
            **record,
            "contenders": [above, below],
            "measured": measured,
            "measured_from_medians": times[above].median / times[below].median,
            "met": measured >= self.ratio if self.sense == "at least" else measured <= self.ratio,
        }
