"""Sides of the grids between the stages of a network."""

from ruo2_wgan.errors import ConfigError
from ruo2_wgan.spec import DataSpec


def coarsest_sides(spec: DataSpec, n_stages: int, key: str) -> tuple[int, ...]:
    """Sides of the data's grid halved once a stage.

    Raises
    ------
    ConfigError
        They do not divide; the message names the key of the configuration that sets the number of stages.
    """
    factor = 2**n_stages
    if any(side % factor for side in spec.shape):
        sides = " x ".join(map(str, spec.shape))
        raise ConfigError(
            f"{key} has {n_stages} stages, each of which halves the grid, so its sides must be multiples of {factor}; "
            f"found {sides}. Take fewer stages, or build a store with --grid of such sides"
        )
    return tuple(side // factor for side in spec.shape)
