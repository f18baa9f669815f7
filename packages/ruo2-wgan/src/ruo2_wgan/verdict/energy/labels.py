"""Whether samples have the class that their generator was asked for, by the energies that they turn out to have."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.stats import spearmanr, wasserstein_distance

from ruo2_voxel import Labelling
from ruo2_wgan.errors import DataError
from ruo2_wgan.verdict.energy.energies import Energies, Failure

MOST_FAILURES: Final = 20  # told one by one
Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


def judge_labels(asked: Ints, energies: Energies, structures: Sequence[Atoms], labelling: Labelling) -> dict[str, Any]:
    """Compare the classes asked for with the labels found.

    Parameters
    ----------
    asked
        Shape (samples,), the class of each; -1 where none was asked for.
    energies
        Of the samples, by the method of the data's own energies.
    structures
        The samples; a label may count their atoms or need the area of their cells.
    labelling
        Of the store that the generator learned from.

    Returns
    -------
    verdict
        Plain values for JSON, None where there is nothing to tell:

        n, failed, failures
            Samples; those without a label; the first 20 of these, each with `sample` and `error`.
        exact, within_one
            Share of the samples with a class asked for and a label whose label lies in that class, or in it or a
            neighbour. A label beyond the data's is in no class, and so neither.
        spearman
            Rank correlation of class asked for and label, over the same samples; None unless both vary.
        confusion
            Counts of the same samples, rows the class asked for, columns the class found; labels beyond the data's are
            in no column.
        below, above
            Samples with a label beyond the lowest or the highest of the data.
        label_w1
            Wasserstein-1 distance from the samples' labels to the data's, in the label's unit. Classes weigh among the
            data as often as they were asked for, so that 0 can be reached whatever was asked for; where no class was,
            all data weigh alike.
        label_mean
            Of the samples, in the label's unit.

    Raises
    ------
    DataError
        Not one class and one energy for each structure, or a class that the store has not.
    """
    asked = np.asarray(asked, dtype=np.int64)
    _check(asked, energies, len(structures), labelling)
    values = labelling.values(structures, energies.values)
    found = np.isfinite(values)
    failures = [*energies.failures, *_without_label(energies, values, labelling)]
    failures.sort()
    classes, below, above = labelling.sort(values)
    verdict: dict[str, Any] = {
        "n": len(structures),
        "failed": len(failures),
        "failures": [failure._asdict() for failure in failures[:MOST_FAILURES]],
    }
    judged = found & (asked >= 0)
    verdict |= _agreement(asked[judged], values[judged], classes[judged], labelling.n_classes)
    verdict |= {
        "below": int(below.sum()),
        "above": int(above.sum()),
        "label_w1": _distance(values[found], asked[found], labelling),
        "label_mean": float(values[found].mean()) if found.any() else None,
    }
    return verdict


def _check(asked: Ints, energies: Energies, n: int, labelling: Labelling) -> None:
    if asked.shape != (n,) or energies.values.shape != (n,):
        raise DataError(
            f"there must be one class and one energy for each of {n} samples; found shapes {asked.shape} and "
            f"{energies.values.shape}"
        )
    check_asked(asked, labelling)


def check_asked(asked: Ints, labelling: Labelling) -> None:
    """See that classes are of a store.

    Raises
    ------
    DataError
        One that it has not.
    """
    strange = asked[(asked < -1) | (asked >= labelling.n_classes)]
    if len(strange):
        raise DataError(
            f"classes asked for must lie from 0 to {labelling.n_classes - 1}, or be -1 for none; found {strange[0]}. "
            f"Name the store that the generator was trained on"
        )


def _without_label(energies: Energies, values: Floats, labelling: Labelling) -> list[Failure]:
    """Samples that have an energy, and yet no label."""
    why = f"an energy, but no {labelling.label}: it needs metal and oxygen only, in a cell with an area"
    return [Failure(int(sample), why) for sample in np.flatnonzero(np.isfinite(energies.values) & np.isnan(values))]


def _agreement(asked: Ints, values: Floats, found: Ints, n_classes: int) -> dict[str, Any]:
    """Of samples with a class asked for and a label; `found` is -1 where that lies in no class."""
    if not len(asked):
        return dict.fromkeys(("exact", "within_one", "spearman", "confusion"))
    inside = found >= 0
    confusion = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(confusion, (asked[inside], found[inside]), 1)
    vary = len(np.unique(asked)) > 1 and len(np.unique(values)) > 1
    return {
        "exact": float(np.mean(asked == found)),
        "within_one": float(np.mean(inside & (abs(asked - found) <= 1))),
        "spearman": float(spearmanr(asked, values).statistic) if vary else None,
        "confusion": confusion.tolist(),
    }


def _distance(values: Floats, asked: Ints, labelling: Labelling) -> float | None:
    """From the samples' labels to the data's, classes of the data weighing as often as they were asked for."""
    known = labelling.known_classes
    held = np.bincount(known, minlength=labelling.n_classes)
    wanted = np.bincount(asked[asked >= 0], minlength=labelling.n_classes)
    weights = (wanted / np.maximum(held, 1))[known] + np.count_nonzero(asked < 0) / len(known)
    if not len(values) or not weights.any():  # no sample, or all asked to be of a class that no structure is of
        return None
    return float(wasserstein_distance(values, labelling.known, v_weights=weights))
