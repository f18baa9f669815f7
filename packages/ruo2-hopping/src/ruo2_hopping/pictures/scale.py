"""What stands on the vertical axes: Omega above the lowest of its slab and mu_O, else energy per atom."""

from collections.abc import Mapping, Sequence

import numpy as np

from ruo2_hopping.history import History, Step, Walker
from ruo2_hopping.summary import lowest_of_slab


class Scale:
    """Values of the ends of a search.

    Parameters
    ----------
    history
        A search, with an oxygen energy or without one.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.label = "energy, eV/atom" if history.oxygen_energy is None else "Ω above the lowest, eV"
        slabs = {step.slab for step in history.steps}
        self._lowest = {
            (slab, mu_o): history.omega(step, mu_o) or 0.0
            for slab in slabs
            for mu_o, step in lowest_of_slab(history, slab).items()
        }

    def values(self, steps: Sequence[Step], slab: str, mu_o: float) -> list[float]:
        """Of ends on one slab, whatever mu_O they were found at."""
        lowest = self._lowest.get((slab, mu_o))
        if lowest is None:
            return [step.energy_per_atom for step in steps]
        return [(self.history.omega(step, mu_o) or 0.0) - lowest for step in steps]

    def limits(self, slab: str, walkers: Mapping[Walker, Sequence[Step]]) -> tuple[float, float]:
        """Of an axis that holds all accepted structures of walkers and most of the refused ones."""
        accepted: list[float] = []
        refused: list[float] = []
        for walker, steps in walkers.items():
            way = self.way(walker, steps)
            for step, value in zip(way, self.values(way, slab, walker.mu_o), strict=True):
                if step.valid:
                    (accepted if step.accepted else refused).append(value)
        most = [float(np.quantile(refused, 0.9, method="lower"))] if refused else []
        low = min([*accepted, *refused], default=0.0)
        high = max([*accepted, *most], default=1.0)
        return low, max(high, low + 1e-3)

    def way(self, walker: Walker, steps: Sequence[Step]) -> list[Step]:
        """The steps of a walker, after its start."""
        start = self.history.start_of(walker)
        return [*([start] if start else []), *steps]

    def lowest(self, slab: str, walkers: Mapping[Walker, Sequence[Step]]) -> Step:
        """The lowest valid end of walkers of one mu_O, or of their starts; any end if none is valid."""
        ends = [step for walker, steps in walkers.items() for step in self.way(walker, steps)]
        mu_o = next(iter(walkers)).mu_o
        return min(ends, key=lambda step: (not step.valid, self.values([step], slab, mu_o)))
