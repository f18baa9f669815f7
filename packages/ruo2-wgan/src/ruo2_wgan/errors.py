"""The errors that this package raises on purpose: each says where, what must hold, what was found, and what to do."""

from ruo2_voxel import Ruo2Error


class ConfigError(Ruo2Error):
    """A configuration with an unknown key, a value out of range, or parts that do not go together."""


class DataError(Ruo2Error):
    """A store that the configuration cannot be trained on: dimension, shape, labels, too few structures."""


class RunError(Ruo2Error):
    """A run folder that is in the way, missing, or of another configuration."""


class CheckpointError(Ruo2Error):
    """A checkpoint that is missing, truncated, of another configuration, or more than tensors and plain values."""


class TrainingError(Ruo2Error):
    """A training that cannot go on: a loss that is not finite."""


class CalculatorError(Ruo2Error):
    """A calculator of energies that cannot be had: no such module or callable, arguments that it refuses."""


class VerdictError(Ruo2Error):
    """A verdict on samples that is missing, damaged, or of another format."""
