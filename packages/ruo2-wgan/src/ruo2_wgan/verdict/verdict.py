"""The verdict on samples: every figure of theirs beside that of held-out structures and of a broken control."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from ruo2_wgan.data import Rows
from ruo2_wgan.verdict.control import scatter_atoms
from ruo2_wgan.verdict.energy.energy_test import EnergyTest
from ruo2_wgan.verdict.energy.labels import check_asked
from ruo2_wgan.verdict.evidence import gather_evidence
from ruo2_wgan.verdict.findings import COPY, Reference, Stage
from ruo2_wgan.verdict.reals import Reals
from ruo2_wgan.verdict.signs import read_signs
from ruo2_wgan.verdict.structure_set import StructureSet
from ruo2_wgan.verdict.typing import IntArray

FORMAT = 1
N_REFERENCE = 2000  # training structures whose distributions count
N_CONTROL = 200
PACKAGES = ("ruo2-wgan", "ruo2-voxel", "torch", "numpy", "ase")


def judge(
    samples: StructureSet,
    rows: Rows,
    made: Mapping[str, Any],
    *,
    energy_test: EnergyTest | None = None,
    n_reference: int = N_REFERENCE,
    seed: int = 0,
    stage: Stage | None = None,
) -> dict[str, Any]:
    """Judge samples of any model against a store.

    Parameters
    ----------
    samples
        On the grid of the store.
    rows
        Of the store: training ones to compare with, held-out ones to be compared as the samples are.
    made
        Where the samples come from: plain values for the key `made`.
    energy_test
        Whether they have the classes that they were asked for; not looked at if None.
    n_reference
        Training structures whose distributions count, at most; neighbours are sought among all.
    seed
        Of what is drawn: which of them, which held-out ones, the control.
    stage
        Called as work begins, with its name and size; returns what is to be called as it goes on.

    Returns
    -------
    verdict
        Plain values that JSON knows; docs/evaluation.md has the keys.

    Raises
    ------
    DataError
        Too few rows to compare; classes asked for that the store has not.

    Notes
    -----
    Held-out structures are as many as there are samples, or all. Each is compared with the half of the held-out rows
    that it does not belong to; samples with one half or the other in turn.
    """
    begun = time.monotonic()
    stage = stage or (lambda name, total: lambda n: None)
    reals = Reals(rows)
    if energy_test is not None:
        check_asked(samples.asked, energy_test.labelling)
    random = np.random.default_rng(seed)
    reference = Reference(reals, _draw(reals.train, n_reference, random), samples.n_threads, stage)
    chosen = _draw(reals.held_out, len(samples), random)
    held_out = reals.take(chosen, samples.n_threads)
    other_half = np.isin(chosen, reals.halves()[0]).astype(np.int64)
    few = np.sort(random.permutation(len(held_out))[:N_CONTROL])
    sets = {
        "samples": (samples, np.arange(len(samples)) % 2),
        "held_out": (held_out, other_half),
        "control": (scatter_atoms(held_out.select(few), seed), other_half[few]),
    }
    columns = reference.examine(sets, stage)
    figures = {name: reference.figures(column) for name, column in columns.items()}
    labels = energy_test.judge({name: of for name, (of, _) in sets.items()}, stage) if energy_test else None
    spec = rows.spec
    return {
        "format": FORMAT,
        "made": {
            **made,
            "data": reals.location,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - begun, 1),
            "versions": {name: version(name) for name in PACKAGES},
        },
        "data": {
            "species": list(spec.species),
            "shape": list(spec.shape),
            "dimensions": spec.dimensions,
            "sigma_angstrom": spec.sigma,
            "n_train": len(reals.train),
            "n_reference": len(reference.geometry),
            "n_held_out": len(reals.held_out),
            "held_out_from": reals.held_out_from,
            "features": len(reference.space),
        },
        "limits": {**reference.limits.as_dict(spec.species), "copy_angstrom": COPY},
        **figures,
        "labels": labels,
        "signs": read_signs(figures, labels),
        "evidence": gather_evidence(columns, reference),
    }


def _draw(rows: IntArray, n: int, random: np.random.Generator) -> IntArray:
    """So many of the rows, or all, in order."""
    return np.sort(random.choice(rows, min(n, len(rows)), replace=False))
