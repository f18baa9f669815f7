"""The sheet that fits samples: of slices or of structures, class by class where they have classes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ruo2_wgan.pictures.slices import draw_slices
from ruo2_wgan.pictures.volumes import draw_volumes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ruo2_wgan.sampling import Samples

COLUMNS = 8  # slices in a row


def draw_samples(samples: "Samples", species: Sequence[str], title: str, columns: int = COLUMNS) -> "Figure":
    """A sheet of samples.

    Parameters
    ----------
    samples
        Slices or structures, with labels or without.
    species
        Element symbols in the order of the channels.
    title
        Above the sheet.
    columns
        Slices in a row.

    Returns
    -------
    figure
        With labels, a row of slices for each class, as many as every class has (thesis, figs. 4.12 to 4.23); structures
        have their class in the caption.

    Raises
    ------
    DataError
        No samples.
    """
    density, lattice, label = samples
    if density.ndim == 5:
        named = [f"class {of}" for of in label.tolist()] if (label >= 0).any() else None
        return draw_volumes(density, species, lattice, title, captions=named)
    if not (label >= 0).any():
        return draw_slices(density, species, lattice, title, columns=columns)
    classes, counts = np.unique(label, return_counts=True)
    columns = min(columns, int(counts.min()))
    chosen = np.concatenate([np.flatnonzero(label == of)[:columns] for of in classes])
    return draw_slices(
        density[chosen],
        species,
        lattice[chosen],
        title,
        columns=columns,
        row_names=[f"class {of}" for of in classes.tolist()],
    )
