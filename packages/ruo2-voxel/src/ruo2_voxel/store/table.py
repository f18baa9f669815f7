"""Structures on their way into one shard: laid one behind the other, as they are voxelized and as they are stored."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Self

import numpy as np
from ase.io.jsonio import encode

from ruo2_voxel.density.symmetry import move_atoms
from ruo2_voxel.structures.frames import Frame
from ruo2_voxel.structures.preparation import UNCHANGED, Changes
from ruo2_voxel.typing import Array, FloatArray, IntArray

TEXTS: Final = ("infos", "findings")  # columns of JSON, a line each


@dataclass(frozen=True)
class Move:
    """What sets a copy apart from its frame: a shift in scaled coordinates, then quarter turns about z."""

    shift: FloatArray
    quarter_turns: int


@dataclass(frozen=True)
class Candidate:
    """A structure ready for a store, before it is moved: what preparation did to it, and what screening found, as JSON.

    The text is empty where nothing was found.
    """

    frame: Frame
    changes: Changes = UNCHANGED
    findings: str = ""


@dataclass(frozen=True)
class Table:
    """Structures of one shard. Positions are rounded to float32 before anything is made of them.

    So a store's grids are, to the last bit, what its own atoms give.
    """

    positions: FloatArray  # (atoms, 3) float32, Å
    numbers: IntArray  # (atoms,) uint8
    tags: IntArray  # (atoms,) int32
    fixed: Array  # (atoms,) bool
    counts: IntArray  # (structures,) int64
    cells: FloatArray  # (structures, 3, 3) float64, Å
    pbc: Array  # (structures, 3) bool
    energies: FloatArray  # (structures,) float64, eV
    magnetic_moments: FloatArray  # (structures,) float64, Bohr magnetons
    source_ids: IntArray  # (structures,) int32
    frame_ids: IntArray  # (structures,) int64
    copies: IntArray  # (structures,) int32
    shifts: FloatArray  # (structures, 3) float64, scaled
    quarter_turns: IntArray  # (structures,) int8
    supercells: IntArray  # (structures, 2, 2) int32: see Changes, as the next four
    shears: FloatArray  # (structures,) float64
    vacuums: FloatArray  # (structures, 2) float64, Å: before and after
    lifts: FloatArray  # (structures,) float64, Å
    infos: Array  # (structures,) object: JSON text of atoms.info
    findings: Array  # (structures,) object: JSON text, empty where nothing was found

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def of(
        cls, candidates: Sequence[Candidate], source_ids: Sequence[int], copies: Sequence[int], moves: Sequence[Move]
    ) -> Self:
        """Lay structures, each moved as its copy asks, one behind the other."""
        frames = [candidate.frame for candidate in candidates]
        changes = [candidate.changes for candidate in candidates]
        moved = [
            move_atoms(frame.positions, frame.cell, move.shift, move.quarter_turns)
            if move.quarter_turns or move.shift.any()
            else (frame.positions, frame.cell)
            for frame, move in zip(frames, moves, strict=True)
        ]
        counts = np.array([len(frame.numbers) for frame in frames], dtype=np.int64)
        return cls(
            positions=np.concatenate([positions for positions, _ in moved]).astype(np.float32),
            numbers=np.concatenate([frame.numbers for frame in frames]).astype(np.uint8),
            tags=np.concatenate([_or_zeros(frame.tags, frame) for frame in frames]).astype(np.int32),
            fixed=np.concatenate([_or_zeros(frame.fixed, frame) for frame in frames]).astype(bool),
            counts=counts,
            cells=np.array([cell for _, cell in moved]),
            pbc=np.array([frame.pbc for frame in frames], dtype=bool),
            energies=np.array([frame.energy for frame in frames]),
            magnetic_moments=np.array([frame.magnetic_moment for frame in frames]),
            source_ids=np.array(source_ids, dtype=np.int32),
            frame_ids=np.array([frame.index for frame in frames], dtype=np.int64),
            copies=np.array(copies, dtype=np.int32),
            shifts=np.array([move.shift for move in moves]),
            quarter_turns=np.array([move.quarter_turns for move in moves], dtype=np.int8),
            supercells=np.array([each.supercell for each in changes], dtype=np.int32),
            shears=np.array([each.shear for each in changes]),
            vacuums=np.array([(each.vacuum_before, each.vacuum_after) for each in changes]),
            lifts=np.array([each.lift for each in changes]),
            infos=np.array([_encode(frame.info) for frame in frames], dtype=object),
            findings=np.array([candidate.findings for candidate in candidates], dtype=object),
        )

    def to_bytes(self) -> bytes:
        """Everything, as an .npz file without pickles."""
        arrays: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in TEXTS:
            arrays[name] = np.frombuffer("\n".join(arrays[name]).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        with np.load(io.BytesIO(data)) as archive:
            arrays = {name: archive[name] for name in archive.files}
        for name in TEXTS:
            arrays[name] = np.array(arrays[name].tobytes().decode().split("\n"), dtype=object)
        return cls(**arrays)


def _or_zeros(values: Array | None, frame: Frame) -> Array:
    return np.zeros(len(frame.numbers), dtype=np.int64) if values is None else values


def _encode(info: dict[str, Any]) -> str:
    """One line of JSON; what ASE's own encoder cannot take becomes its text."""
    try:
        return json.dumps(info)
    except TypeError:
        pass
    try:
        return str(encode(info))
    except TypeError:
        return json.dumps({str(key): _plain(value) for key, value in info.items()})


def _plain(value: Any) -> Any:
    try:
        return json.loads(encode(value))
    except TypeError:
        return str(value)
