"""Samples of a trained run: grids in a store, or the atoms that they are decoded into."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ruo2_voxel import GridBlock, StructureWriter, decode_many, save_figure, write_grids
from ruo2_wgan.config import Config
from ruo2_wgan.errors import CheckpointError, ConfigError
from ruo2_wgan.networks import Generator, build_networks
from ruo2_wgan.pictures import draw_samples
from ruo2_wgan.sampling import Samples, deal_labels, draw_latent, sample
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.training.checkpoint import read_checkpoint
from ruo2_wgan.training.launch import choose_device
from ruo2_wgan.training.run_folder import RunFolder

BLOCK = 256  # samples in memory at a time
ON_SHEET = 64
Progress = Callable[[int], None]


def generate(
    run: str | Path,
    out: str | os.PathLike[str],
    count: int,
    *,
    label: int | None = None,
    seed: int = 0,
    ema: bool | None = None,
    checkpoint: str = "last",
    device: str = "cpu",
    sheet: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Draw samples of a run and write them.

    Parameters
    ----------
    run
        Folder of a run, or one of its checkpoints.
    out
        NAME.zarr, a store of grids that `ruo2_voxel` reads; or a file of atoms, whose name tells ASE the format, as
        .traj. Slices cannot become atoms.
    count
        Samples in all.
    label
        Class of all of them; all classes in turn if None.
    seed
        Sample i of a seed is the same whatever the count.
    ema
        Take the averaged generator, or not; where there is one if None.
    checkpoint
        "last" or "best".
    device
        "cpu", "cuda" or "auto".
    sheet
        Where to draw the first samples; with labels, those of a class in a row.
    overwrite
        Replace what stands at `out`.
    progress
        Called with the number of samples just made.

    Returns
    -------
    summary
        Location, samples, step, seed, samples of each label, lattice lengths (Å) from lowest to highest and where they
        come from; of atoms how many there are and how many structures are plausible.

    Raises
    ------
    Ruo2Error
        No run or checkpoint, a label that it has not, no averaged generator, slices that are to become atoms, or
        something in the way at `out`.
    """
    path = find_checkpoint(run, checkpoint)
    generator, config, spec, step = load_generator(path, ema, device)
    check_label(label, spec, config)
    store = str(out).rstrip("/").endswith(".zarr")
    if not store and spec.dimensions == 2:
        raise ConfigError(f"{out}: slices cannot become atoms; found a two-dimensional run. Name a .zarr")
    labelled = config.model.conditioning != "none"
    blocks = sample_blocks(generator, config, spec, count, label, seed, progress)
    summary: dict[str, Any] = {"location": str(out), "samples": count, "step": step, "seed": seed}
    summary["lattice_from"] = "predicted" if config.model.lattice else "medians of the data"
    kept = _Kept(labelled)
    if store:
        made_by = {"by": "ruo2-wgan", "checkpoint": str(path), "step": step, "seed": seed}
        _write_store(out, kept.watch(blocks), spec, made_by, overwrite)
    else:
        summary |= _write_atoms(out, kept.watch(blocks), count, spec, overwrite)
    summary |= kept.summary()
    if sheet is not None:
        summary["sheet"] = str(sheet)
        title = f"samples of step {step}, seed {seed}"  # not how many: a sheet has room for some
        save_figure(draw_samples(kept.first, spec.species, title), sheet)
    return summary


def find_checkpoint(run: str | Path, which: str = "last") -> Path:
    """The checkpoint that a path means: itself, or that of the run in a folder."""
    path = Path(run)
    return path if path.is_file() else RunFolder(path).find_checkpoint(which)


def load_generator(path: Path, ema: bool | None = None, device: str = "cpu") -> tuple[Generator, Config, DataSpec, int]:
    """The generator of a checkpoint, its configuration, its data, and the steps that it was trained for.

    Raises
    ------
    CheckpointError
        A file that is none, or has no averaged generator where one is asked for.
    """
    device = choose_device(device)
    state, config, spec = read_checkpoint(path, device)
    average = state["average"]
    if ema and average is None:
        raise CheckpointError(f"{path}: must hold an averaged generator for --ema; this run had training.ema = 0")
    generator, _ = build_networks(config.model, spec, config.training.seed)
    weights = state["generator"]
    if average is not None and ema is not False:
        weights = {name.removeprefix("module."): value for name, value in average.items() if name != "n_averaged"}
    generator.load_state_dict(weights)
    return generator.to(device).eval(), config, spec, state["step"]


class _Kept:
    """What remains of samples that pass by: the first ones, counts of labels, and ranges of lengths."""

    def __init__(self, labelled: bool) -> None:
        self._labelled = labelled
        self._labels: list[int] = []
        self._lattice: list[Any] = []
        self.first: Samples

    def watch(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        for number, block in enumerate(blocks):
            if number == 0:
                self.first = block.first(ON_SHEET)
            self._labels += block.label.tolist()
            self._lattice.append(block.lattice)
            yield block

    def summary(self) -> dict[str, Any]:
        lattice = np.concatenate(self._lattice)
        found: dict[str, Any] = {"lattice_angstrom": np.stack([lattice.min(axis=0), lattice.max(axis=0)], 1).tolist()}
        if self._labelled:
            found["labels"] = {label: self._labels.count(label) for label in sorted(set(self._labels))}
        return found


def sample_blocks(
    generator: Generator,
    config: Config,
    spec: DataSpec,
    count: int,
    label: int | None,
    seed: int,
    progress: Progress | None = None,
) -> Iterator[Samples]:
    """Samples of a run in blocks, as `generate` writes them."""
    for first in range(0, count, BLOCK):
        n = min(BLOCK, count - first)
        labels = deal_labels(n, config.model, spec, label, first)
        yield sample(generator, spec, draw_latent(n, config.model.latent, seed, first), labels, progress)


def _write_store(
    out: str | os.PathLike[str],
    blocks: Iterator[Samples],
    spec: DataSpec,
    made_by: dict[str, Any],
    overwrite: bool,
) -> None:
    written = (GridBlock(block.density, block.lattice, block.label) for block in blocks)
    write_grids(out, written, spec.grid, made_by, slices=spec.dimensions == 2, overwrite=overwrite)


def _write_atoms(
    out: str | os.PathLike[str], blocks: Iterator[Samples], count: int, spec: DataSpec, overwrite: bool
) -> dict[str, Any]:
    atoms = plausible = number = 0
    with StructureWriter(out, overwrite, count) as writer:
        for block in blocks:
            for found, label in zip(
                decode_many(block.density, block.lattice, spec.grid), block.label.tolist(), strict=True
            ):
                found.atoms.info["sample"] = number
                if label >= 0:
                    found.atoms.info["label"] = label
                writer.write(found.atoms)
                atoms, plausible, number = atoms + len(found.atoms), plausible + found.plausible, number + 1
    return {"atoms": atoms, "plausible": plausible}


def check_label(label: int | None, spec: DataSpec, config: Config) -> None:
    """See that a run can be asked for a class.

    Raises
    ------
    ConfigError
        It has no classes, or not that one.
    """
    if label is None:
        return
    if config.model.conditioning == "none":
        raise ConfigError(f"--label {label}: the run must be conditioned on classes; it has model.conditioning = none")
    if not 0 <= label < spec.n_classes:
        raise ConfigError(f"--label {label}: must lie from 0 to {spec.n_classes - 1}; found {label}")
