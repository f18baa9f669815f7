"""How batch size, learning rate and epoch follow from the number of steps done."""

import math

from ruo2_wgan.config import Config


class Schedule:
    """Batch, learning rate and epoch as functions of the step.

    An epoch is counted as the thesis counts it: as many steps as there are batches in the training rows. The critic,
    which takes a fresh batch for each of its updates, meets every row `loss.n_critic` times in it.

    Parameters
    ----------
    config
        Of the run.
    n_train
        Training rows in the store.
    """

    def __init__(self, config: Config, n_train: int) -> None:
        self._optimizer = config.optimizer
        self._n_train = n_train
        self._spans = [(0, config.training.batch), *config.training.batch_growth]  # (first step, batch)
        epochs = config.training.epochs
        self.n_steps = config.training.max_steps or self.step_at(epochs * n_train)

    def batch(self, step: int) -> int:
        """Structures in one critic update of a step, over all ranks."""
        return next(batch for first, batch in reversed(self._spans) if first <= step)

    @property
    def largest_batch(self) -> int:
        return max(batch for first, batch in self._spans if first < self.n_steps)

    def rows_before(self, step: int) -> int:
        """Rows that the generator's updates before a step count for."""
        ends = [first for first, _ in self._spans[1:]] + [step]
        spans = zip(self._spans, ends, strict=True)
        return sum(batch * max(0, min(step, end) - first) for (first, batch), end in spans)

    def epoch(self, step: int) -> float:
        """Epochs done before a step."""
        return self.rows_before(step) / self._n_train

    def steps_per_epoch(self, step: int) -> float:
        """Steps that one epoch takes with the batch of a step."""
        return self._n_train / self.batch(step)

    def rate(self, step: int) -> float:
        """Factor of the learning rates at a step: a linear warm-up, then constant, linear or half a cosine."""
        options = self._optimizer
        if step < options.warmup_steps:
            return (step + 1) / options.warmup_steps
        if options.schedule == "constant":
            return 1.0
        done = (step - options.warmup_steps) / max(1, self.n_steps - 1 - options.warmup_steps)
        done = min(done, 1.0)
        left = 1 - done if options.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
        return options.final_lr + (1 - options.final_lr) * left

    def step_at(self, rows: int) -> int:
        """The first step before which at least so many rows are counted."""
        for (first, batch), (end, _) in zip(self._spans, [*self._spans[1:], (math.inf, 0)], strict=True):
            step = first + math.ceil((rows - self.rows_before(first)) / batch)
            if step <= end:
                return step
        raise AssertionError("the last span has no end")
