"""Verdicts on a run, or on the samples of any other program: what is judged, and beside which data."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ruo2_voxel import VoxelStore, read_labelling
from ruo2_wgan.config import Config
from ruo2_wgan.data import Rows, open_rows
from ruo2_wgan.errors import ConfigError, RunError
from ruo2_wgan.generate import check_label, find_checkpoint, load_generator, sample_blocks
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.verdict.energy.energies import load_calculator
from ruo2_wgan.verdict.energy.energy_test import EnergyTest
from ruo2_wgan.verdict.findings import Stage
from ruo2_wgan.verdict.structure_set import FEWEST, StructureSet, read_structures
from ruo2_wgan.verdict.verdict import N_REFERENCE, judge


class OtherStoreWarning(UserWarning):
    """A run is judged beside another store than it was trained on."""


@dataclass(frozen=True)
class EnergyChoice:
    """By which calculator classes are tested."""

    calculator: str  # MODULE:CALLABLE
    arguments: Mapping[str, Any] = field(default_factory=dict)
    relax_steps: int = 0
    most: int = 200  # structures of each column


def evaluate_run(
    run: str | Path,
    *,
    data: str | os.PathLike[str] | None = None,
    count: int = 1000,
    label: int | None = None,
    seed: int = 0,
    ema: bool | None = None,
    checkpoint: str = "last",
    device: str = "cpu",
    energies: EnergyChoice | None = None,
    n_reference: int = N_REFERENCE,
    n_threads: int = 1,
    stage: Stage | None = None,
) -> dict[str, Any]:
    """Draw samples of a run and judge them beside the store that it was trained on.

    Parameters
    ----------
    run
        Folder of a run, or one of its checkpoints.
    data
        The store, if it is no longer where it was.
    count
        Samples.
    label, seed, ema, checkpoint, device
        As for `generate`.
    energies
        How classes are tested by energies; not if None.
    n_reference, n_threads, stage
        As for `judge`.

    Returns
    -------
    verdict
        Of `judge`.

    Raises
    ------
    Ruo2Error
        As for `generate`; no store, or one of another grid.
    """
    path = find_checkpoint(run, checkpoint)
    generator, config, spec, step = load_generator(path, ema, device)
    check_label(label, spec, config)
    if count < FEWEST:
        raise ConfigError(f"count: must be {FEWEST} or more samples to compare; found {count}")
    rows = _open_rows_of(path, config, data)
    if _form(rows.spec) != _form(spec):
        raise RunError(
            f"{path}: the store must have the species, grid and classes that the run was trained on; {rows.location} "
            f"has others. Name that store with --data"
        )
    energy_test = _energy_test(energies, rows)
    advance = stage("drawing samples", count) if stage else None
    blocks = sample_blocks(generator, config, spec, count, label, seed, advance)
    density, lattice, labels = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    samples = StructureSet(density, lattice, labels, spec, n_threads)
    made = {"samples": str(run), "step": step, "seed": seed, "checkpoint": path.name}
    return judge(samples, rows, made, energy_test=energy_test, n_reference=n_reference, stage=stage)


def evaluate_file(
    samples: str | os.PathLike[str],
    data: str | os.PathLike[str],
    config: Config,
    *,
    energies: EnergyChoice | None = None,
    n_reference: int = N_REFERENCE,
    n_threads: int = 1,
    stage: Stage | None = None,
) -> dict[str, Any]:
    """Judge samples of any program: a store of grids, or a file of atoms that ASE reads.

    Parameters
    ----------
    samples
        NAME.zarr, or any other name for a file of atoms.
    data
        The store of real structures.
    config
        Of which only the dimensions count, and which slices are cut of a store of structures.
    energies
        How classes are tested by energies; not if None.
    n_reference, n_threads, stage
        As for `judge`.

    Returns
    -------
    verdict
        Of `judge`.

    Raises
    ------
    Ruo2Error
        Nothing there; too few samples; another grid, other species.
    """
    rows = open_rows(data, config)
    energy_test = _energy_test(energies, rows)
    structures = read_structures(samples, rows.spec, n_threads)
    made = {"samples": str(samples), "step": None, "seed": None, "checkpoint": None}
    return judge(structures, rows, made, energy_test=energy_test, n_reference=n_reference, stage=stage)


def _energy_test(choice: EnergyChoice | None, rows: Rows) -> EnergyTest | None:
    if choice is None:
        return None
    if not isinstance(rows.store, VoxelStore) or rows.spec.dimensions == 2:
        raise ConfigError("energies are those of structures in three dimensions; found slices. Leave --calculator out")
    labelling = read_labelling(rows.store)
    calculator = load_calculator(choice.calculator, choice.arguments)
    return EnergyTest(choice.calculator, calculator, labelling, choice.relax_steps, choice.most)


def _form(spec: DataSpec) -> tuple[Any, ...]:
    return spec.species, spec.shape, spec.sigma, spec.class_edges


def _open_rows_of(checkpoint: Path, config: Config, data: str | os.PathLike[str] | None) -> Rows:
    """The store that a run was trained on, or the one that is named."""
    folder = RunFolder(checkpoint.parent.parent)
    trained_on: Mapping[str, Any] = folder.read_provenance().get("store", {})
    if data is None and not trained_on:
        raise RunError(
            f"{checkpoint}: the store that the run was trained on must be known; found none in "
            f"{folder.path}/provenance.json. Name it with --data"
        )
    rows = open_rows(data if data is not None else trained_on["location"], config)
    if trained_on and rows.identity["sha256"] != trained_on["sha256"]:
        warnings.warn(
            f"{rows.location} is not the store that the run was trained on, {trained_on['location']}: what is held out "
            f"here may have been trained on",
            OtherStoreWarning,
            stacklevel=3,
        )
    return rows
