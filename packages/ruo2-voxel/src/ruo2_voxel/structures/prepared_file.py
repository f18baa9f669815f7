"""From files of structures to one file of prepared structures."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal

from ase import Atoms

from ruo2_voxel.errors import OR_DROP, SourceError, StructureError
from ruo2_voxel.structures.frame import Frame
from ruo2_voxel.structures.frames import Frames
from ruo2_voxel.structures.preparation import UNCHANGED, Changes, Preparation, Preparer
from ruo2_voxel.structures.screening import Finding, screen_arrays
from ruo2_voxel.structures.structure_file import StructureWriter


def prepare_file(
    frames: Frames,
    out: str | os.PathLike[str],
    preparation: Preparation,
    *,
    screening: Literal["off", "report", "drop"] = "off",
    on_error: Literal["raise", "skip"] = "raise",
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Write prepared copies of structures into one file.

    Parameters
    ----------
    frames
        As `open_frames` gives them.
    out
        File to write; its name tells ASE the format. A .traj is streamed, others are held in memory first.
    preparation
        What to do to each cell. What was done stands in `info` under supercell, shear, vacuum and lift.
    screening
        "report" writes what was found into `info` under findings; "drop" leaves such structures out.
    on_error
        At a frame that cannot be used: "raise", or "skip" it.
    overwrite
        Replace a file that stands at `out`.
    progress
        Called with 1 for each frame.

    Returns
    -------
    summary
        Counts: frames, structures, atoms, cells of the supercells, findings by kind, frames skipped and the reasons.

    Raises
    ------
    Ruo2Error
        A target that is in the way or cannot be written, or no structure left; a frame that cannot be used. The target
        is written whole or not at all.
    """
    summary = _Summary()
    with StructureWriter(out, overwrite) as writer:
        for atoms in _prepared(frames, preparation, screening, on_error, summary, progress):
            writer.write(atoms)
    return {"location": os.fspath(out), "frames": len(frames), **summary.as_dict()}


class _Summary:
    def __init__(self) -> None:
        self.structures = 0
        self.atoms = 0
        self.supercells: Counter[str] = Counter()
        self.sheared = 0
        self.findings: Counter[str] = Counter()
        self.skipped: list[dict[str, Any]] = []

    def add(self, frame: Frame, changes: Changes) -> None:
        self.structures += 1
        self.atoms += len(frame.numbers)
        self.supercells[f"{changes.n_cells}"] += 1
        self.sheared += changes.shear > 0.0

    def leave_out(self, frame_name: str, reason: str) -> None:
        self.skipped.append({"frame": frame_name, "reason": reason})

    def as_dict(self) -> dict[str, Any]:
        return {
            "structures": self.structures,
            "atoms": self.atoms,
            "structures_by_number_of_cells": dict(sorted(self.supercells.items(), key=lambda item: int(item[0]))),
            "sheared": self.sheared,
            "findings_by_kind": dict(sorted(self.findings.items())),
            "skipped_frames": len(self.skipped),
            "skipped": self.skipped[:10],
        }


def _prepared(
    frames: Frames,
    preparation: Preparation,
    screening: str,
    on_error: str,
    summary: _Summary,
    progress: Callable[[int], None] | None,
) -> Iterator[Atoms]:
    prepare = Preparer(preparation).frame

    def unreadable(ordinal: int, error: SourceError) -> None:
        name, _, reason = str(error).partition(": ")
        summary.leave_out(name, reason.removesuffix(OR_DROP))

    for _, frame in frames.iterate(on_error=unreadable if on_error == "skip" else None):
        if progress is not None:
            progress(1)
        findings: list[Finding] = []
        try:
            if screening != "off":
                findings = screen_arrays(frame.numbers, frame.positions, frame.cell, frame.pbc)
            summary.findings.update({finding.kind for finding in findings})
            if findings and screening == "drop":
                summary.leave_out(frame.where(), "; ".join(f"{each.kind}: {each.reason}" for each in findings))
                continue
            prepared, changes = prepare(frame)
        except StructureError as error:
            if on_error == "raise":
                raise StructureError(f"{frame.where()}: {error}{OR_DROP}") from error
            summary.leave_out(frame.where(), str(error))
            continue
        summary.add(prepared, changes)
        atoms = prepared.atoms()
        atoms.info.update(_record(changes, findings))
        yield atoms


def _record(changes: Changes, findings: list[Finding]) -> dict[str, Any]:
    """What was done and found, as it stands in `info`."""
    record: dict[str, Any] = {}
    if changes is not UNCHANGED:
        record["supercell"] = [list(row) for row in changes.supercell]
        record["shear"] = changes.shear
        if changes.vacuum_before == changes.vacuum_before:  # not NaN
            record |= {"vacuum": [changes.vacuum_before, changes.vacuum_after], "lift": changes.lift}
    if findings:
        record["findings"] = [f"{each.kind}: {each.reason}" for each in findings]
    return record
