"""Classes: the values of a label sorted into numbered ranges, and how evenly that spreads the structures."""

import warnings
from typing import Final, Literal

import numpy as np

from ruo2_voxel.errors import Ruo2Error
from ruo2_voxel.typing import FloatArray, IntArray

Method = Literal["equal-width", "clipped-equal-width", "quantile"]
METHODS: Final[tuple[Method, ...]] = ("equal-width", "clipped-equal-width", "quantile")
MOST_CLASSES: Final = 127
MOST_IN_ONE: Final = 0.6  # share of all structures in one class, beyond which a model hardly sees the others


class ClassBalanceWarning(UserWarning):
    """Classes of which one holds most structures, or some hold none."""


def classify(
    values: FloatArray, n_classes: int = 10, method: Method = "equal-width", clip: tuple[float, float] = (0.01, 0.99)
) -> tuple[IntArray, FloatArray]:
    """Sort values into classes numbered from 0.

    Parameters
    ----------
    values
        Shape (n,), finite, any unit.
    n_classes
        Number of classes, from 1 to 127.
    method
        "equal-width": bounds equally spaced between the lowest and the highest value (thesis, section 3.1).
        "clipped-equal-width": equally spaced between two quantiles; the classes at the ends reach to the extremes.
        "quantile": bounds such that each class holds as nearly as can be the same number.
    clip
        The two quantiles of "clipped-equal-width".

    Returns
    -------
    classes, edges
        Shapes (n,) int8 and (n_classes + 1,) float64. Class k holds edges[k] <= value < edges[k + 1], the last one
        its upper edge as well.

    Raises
    ------
    Ruo2Error
        Fewer than two values, a value that is not finite, all values equal; quantiles that coincide, which would leave
        classes empty; an unknown method.
    """
    values = np.asarray(values, dtype=np.float64)
    check_classes(n_classes, method, clip)
    if values.size == 0 or not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0]) if values.size else None
        found = "no value" if bad is None else f"{values[bad]} at index {bad}"
        raise Ruo2Error(f"values to classify must be finite numbers; found {found}")
    lowest, highest = float(values.min()), float(values.max())
    if n_classes > 1 and lowest == highest:
        what = "only one value" if values.size == 1 else f"{values.size} times {values[0]:.6g}"
        raise Ruo2Error(
            f"values to classify must differ from each other; found {what}. Use one class, or another label"
        )
    if method == "quantile":
        edges = _quantile_edges(values, n_classes)
    else:
        low, high = (lowest, highest) if method == "equal-width" else np.quantile(values, clip).tolist()
        if n_classes > 1 and low == high:
            raise Ruo2Error(
                f"clipped classes need quantiles {clip[0]:g} and {clip[1]:g} that differ; found {low:.6g} twice. Clip "
                f"less, or use quantile classes"
            )
        edges = np.linspace(low, high, n_classes + 1)
        edges[0], edges[-1] = lowest, highest
    classes = np.searchsorted(edges[1:-1], values, side="right").astype(np.int8)
    if method == "quantile":
        n_filled = len(np.unique(classes))
        if n_filled < n_classes:
            n_different = len(np.unique(values))
            raise Ruo2Error(
                f"{n_classes} quantile classes must all hold values; found {n_classes - n_filled} that would be empty, "
                f"as many of the {values.size} values are equal ({n_different} different ones). Use "
                f"{_most_quantile_classes(values, n_classes - 1)} classes, or another method"
            )
    return classes, edges


def _most_quantile_classes(values: FloatArray, most: int) -> int:
    """The largest number of quantile classes, up to `most`, that all hold values."""
    for n_classes in range(most, 1, -1):
        inner = _quantile_edges(values, n_classes)[1:-1]
        if len(np.unique(np.searchsorted(inner, values, side="right"))) == n_classes:
            return n_classes
    return 1


def _quantile_edges(values: FloatArray, n_classes: int) -> FloatArray:
    """Values at which classes of as many members as can be begin, and the highest one.

    Edges are values themselves: interpolated ones may round to the wrong side of a value.
    """
    firsts = -(-np.arange(n_classes) * values.size // n_classes)
    ordered = np.sort(values)
    edges: FloatArray = np.append(ordered[np.minimum(firsts, values.size - 1)], ordered[-1])
    return edges


def check_classes(n_classes: int, method: str, clip: tuple[float, float]) -> None:
    """Refuse a number of classes, a method or quantiles that cannot be."""
    if method not in METHODS:
        raise Ruo2Error(f"method must be one of {', '.join(METHODS)}; found {method!r}")
    if not 1 <= n_classes <= MOST_CLASSES:
        raise Ruo2Error(f"n_classes must lie between 1 and {MOST_CLASSES}; found {n_classes}")
    if not 0.0 <= clip[0] < clip[1] <= 1.0:
        raise Ruo2Error(f"clip must be two ascending quantiles from 0 to 1; found {clip[0]:g} and {clip[1]:g}")


def empty_classes(classes: IntArray, n_classes: int) -> list[int]:
    """Numbers of the classes that hold nothing."""
    return np.flatnonzero(np.bincount(classes, minlength=n_classes) == 0).tolist()


def warn_of_imbalance(values: FloatArray, classes: IntArray, n_classes: int, method: Method, label: str) -> None:
    """Warn where a class holds more than 60 % of the structures, or none, and say what would balance them."""
    counts = np.bincount(classes, minlength=n_classes)
    fullest = int(counts.argmax())
    share = counts[fullest] / len(classes)
    n_empty = int(np.count_nonzero(counts == 0))
    if n_classes == 1 or (share <= MOST_IN_ONE and n_empty == 0):
        return
    if share <= MOST_IN_ONE:
        warnings.warn(
            f"classes of the label {label}: {n_empty} of {n_classes} hold none of {len(classes)} structures, so that "
            f"nothing can be learned of them. Take quantile classes, or fewer",
            ClassBalanceWarning,
            stacklevel=2,
        )
        return
    others = []
    for other in METHODS:
        if other == method:
            continue
        try:
            largest = np.bincount(classify(values, n_classes, other)[0]).max() / len(classes)
        except Ruo2Error:
            continue
        if largest < share:
            others.append(f"{other} classes ({largest:.0%} in the largest)")
    advice = f"More even would be {' or '.join(others)}" if others else "No other method would be more even"
    without = f", and {n_empty} of {n_classes} classes hold none" if n_empty else ""
    hint = "" if label == "surface-free-energy" else ", such as surface-free-energy"
    warnings.warn(
        f"class {fullest} of the label {label} holds {share:.0%} of {len(classes)} structures{without}: a model would "
        f"hardly see the others. {advice}; or take a label that varies more{hint}",
        ClassBalanceWarning,
        stacklevel=2,
    )
