"""Labels: a number for each structure, and the class it falls into."""

from typing import Final, Literal

import numpy as np

from ruo2_voxel.errors import Ruo2Error
from ruo2_voxel.typing import FloatArray, IntArray

Method = Literal["equal-width", "quantile"]
METHODS: Final[tuple[Method, ...]] = ("equal-width", "quantile")


def classify(values: FloatArray, n_classes: int = 10, method: Method = "equal-width") -> tuple[IntArray, FloatArray]:
    """Sort values into classes numbered from 0.

    Parameters
    ----------
    values
        Shape (n,), finite, any unit.
    n_classes
        Number of classes, at least 1.
    method
        "equal-width": bounds equally spaced between the lowest and the highest value (thesis, section 3.1).
        "quantile": bounds such that each class holds as nearly as can be the same number.

    Returns
    -------
    classes, edges
        Shapes (n,) int8 and (n_classes + 1,) float64. Class k holds edges[k] <= value < edges[k + 1], the last one
        its upper edge as well.

    Raises
    ------
    Ruo2Error
        No value, a value that is not finite, all values equal, an unknown method.
    """
    values = np.asarray(values, dtype=np.float64)
    if method not in METHODS:
        raise Ruo2Error(f"method must be one of {', '.join(METHODS)}; found {method!r}")
    if not 1 <= n_classes <= 127:
        raise Ruo2Error(f"n_classes must lie between 1 and 127; found {n_classes}")
    if values.size == 0 or not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0]) if values.size else None
        found = "no value" if bad is None else f"{values[bad]} at index {bad}"
        raise Ruo2Error(f"values to classify must be finite numbers; found {found}")
    if n_classes > 1 and values.min() == values.max():
        raise Ruo2Error(
            f"values to classify must differ from each other; found {values.size} times {values[0]:.6g}. "
            f"Use one class, or another label"
        )
    if method == "equal-width":
        edges = np.linspace(values.min(), values.max(), n_classes + 1)
    else:
        edges = np.quantile(values, np.linspace(0.0, 1.0, n_classes + 1))
    classes = np.searchsorted(edges[1:-1], values, side="right").astype(np.int8)
    return classes, edges
