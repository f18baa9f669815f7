"""From frames to shards: frames are read, checked and copied in order, and gathered into tables of one shard each."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from ruo2_voxel.density.voxelize import find_faults
from ruo2_voxel.errors import OR_DROP, SourceError, StructureError
from ruo2_voxel.store.plan import BuildOptions, Plan
from ruo2_voxel.store.table import Candidate, Move, Table
from ruo2_voxel.structures.frames import Frame
from ruo2_voxel.structures.labels import Labelled, label_values, why_without
from ruo2_voxel.structures.preparation import Preparer
from ruo2_voxel.structures.screening import Finding, screen_arrays

FRAMES_PER_CHECK: Final = 64
STILL: Final = Move(np.zeros(3), 0)


@dataclass(frozen=True)
class Skip:
    """A frame left out, and why."""

    source_id: int
    frame_id: int
    reason: str


@dataclass(frozen=True)
class Shard:
    """What goes into one shard: structures made of candidates `first` to `end` - 1 (frames times copies, in order)."""

    index: int
    first: int
    end: int
    table: Table | None  # None where every candidate had to be left out
    skipped: tuple[Skip, ...]


def read_shards(plan: Plan, finished: Mapping[int, Mapping[str, Any]]) -> Iterator[Shard]:
    """Shards still to be written; those in `finished`, known by their markers, are passed over and not read."""
    index, first = 0, 0
    candidates: _Candidates | None = None
    while first < plan.n_candidates:
        marker = finished.get(index)
        if marker is not None and marker["first"] == first:
            first, candidates = marker["end"], None
        else:
            candidates = candidates or _Candidates(plan, first)
            shard = candidates.take(index, first)
            yield shard
            first = shard.end
        index += 1


class _Candidates:
    """Structures in order, from candidate `first` on."""

    def __init__(self, plan: Plan, first: int) -> None:
        self._plan = plan
        self._results = _checked(plan, first // plan.options.copies)
        self._next = first
        self._candidate: Candidate | None = None  # whose copies are being made
        self._source_id = 0

    def take(self, index: int, first: int) -> Shard:
        """Gather the next shard."""
        options = self._plan.options
        candidates: list[Candidate] = []
        source_ids: list[int] = []
        copies: list[int] = []
        moves: list[Move] = []
        skipped: list[Skip] = []
        while len(candidates) < options.shard and self._next < self._plan.n_candidates:
            ordinal, copy = divmod(self._next, options.copies)
            if self._candidate is None:
                _, self._source_id, result = next(self._results)
                if isinstance(result, Skip):
                    skipped.append(result)
                    self._next = (ordinal + 1) * options.copies
                    continue
                self._candidate = result
            candidates.append(self._candidate)
            source_ids.append(self._source_id)
            copies.append(copy)
            moves.append(draw_move(options, ordinal, copy))
            self._next += 1
            if copy + 1 == options.copies:
                self._candidate = None
        table = Table.of(candidates, source_ids, copies, moves) if candidates else None
        return Shard(index, first, self._next, table, tuple(skipped))


def draw_move(options: BuildOptions, ordinal: int, copy: int) -> Move:
    """The move of a copy depends on the seed, its frame's ordinal and its number alone."""
    if not (options.translate or options.rotate):
        return STILL
    random = np.random.default_rng((options.seed, ordinal, copy))
    shift = random.random(3) if options.translate else np.zeros(3)
    return Move(shift, int(random.integers(4)) if options.rotate else 0)


def _checked(plan: Plan, start: int) -> Iterator[tuple[int, int, Candidate | Skip]]:
    """(ordinal, source, structure or the reason to leave it out), one for each frame; raises instead where asked to."""
    skip = plan.options.on_error == "skip"
    refine = _Refinery(plan.options)
    unreadable: dict[int, SourceError] = {}
    block: list[tuple[int, Frame]] = []

    def flush() -> Iterator[tuple[int, int, Candidate | Skip]]:
        results = dict(zip((ordinal for ordinal, _ in block), refine([frame for _, frame in block]), strict=True))
        frames = dict(block)
        for ordinal in sorted(frames.keys() | unreadable.keys()):
            source_id, frame_id = plan.frames.locate(ordinal)
            if ordinal in unreadable:
                _, _, reason = str(unreadable[ordinal]).partition(": ")  # the frame is named beside it
                yield ordinal, source_id, Skip(source_id, frame_id, reason.removesuffix(OR_DROP))
                continue
            result, frame = results[ordinal], frames[ordinal]
            if isinstance(result, Candidate):
                yield ordinal, source_id, result
            elif skip or isinstance(result, _Dropped):
                yield ordinal, source_id, Skip(source_id, frame.index, result.reason.removesuffix(OR_DROP))
            else:
                raise StructureError(f"{frame.where()}: {result.reason}")
        block.clear()
        unreadable.clear()

    for ordinal, frame in plan.frames.iterate(start, unreadable.__setitem__ if skip else None):
        block.append((ordinal, frame))
        if len(block) == FRAMES_PER_CHECK:
            yield from flush()
    yield from flush()


@dataclass(frozen=True)
class _Fault:
    """Why a frame cannot be used."""

    reason: str


class _Dropped(_Fault):
    """Why a frame is not wanted, though it could be used."""


class _Refinery:
    """Frames in, structures ready for a store out: checked, screened, prepared."""

    def __init__(self, options: BuildOptions) -> None:
        self._options = options
        self._prepare = Preparer(options.preparation).frame

    def __call__(self, frames: list[Frame]) -> list[Candidate | _Fault]:
        faults = _faults(frames, self._options) if frames else {}
        return [
            _Fault(faults[position]) if position in faults else self._refine(frame)
            for position, frame in enumerate(frames)
        ]

    def _refine(self, frame: Frame) -> Candidate | _Fault:
        findings: list[Finding] = []
        try:
            if self._options.screen != "off":
                findings = screen_arrays(frame.numbers, frame.positions, frame.cell, frame.pbc)
            if findings and self._options.screen == "drop":
                return _Dropped("; ".join(f"{finding.kind}: {finding.reason}" for finding in findings))
            prepared, changes = self._prepare(frame)
        except StructureError as error:
            return _Fault(f"{error}{OR_DROP}")
        return Candidate(prepared, changes, _findings_text(findings))


def _findings_text(findings: Sequence[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings]) if findings else ""


def _faults(frames: list[Frame], options: BuildOptions) -> dict[int, str]:
    """Frames that cannot be used, by position, and why."""
    counts = np.array([len(frame.numbers) for frame in frames])
    numbers = np.concatenate([frame.numbers for frame in frames])
    cells = np.array([frame.cell for frame in frames])
    with np.errstate(over="ignore"):  # what is too large for a float32 is not finite in a store
        positions = np.concatenate([frame.positions for frame in frames]).astype(np.float32)
    faults = find_faults(
        positions=positions,
        numbers=numbers,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        cells=cells,
        grid=options.grid,
    )
    if options.label not in ("auto", "none"):
        energies = np.array([frame.energy for frame in frames])
        of = Labelled(energies, counts, numbers, cells, [frame.info for frame in frames])
        labels = label_values(of, options.label, options.reference)
        for position in np.flatnonzero(~np.isfinite(labels)).tolist():
            frame = frames[position]
            why = why_without(options.label, options.reference, frame.energy, frame.info)
            faults.setdefault(position, f"{why}{OR_DROP}")  # ASE knows no energy of a structure that has a fault
    for position, frame in enumerate(frames):
        for key in options.split_by:
            if key not in frame.info and position not in faults:
                known = ", ".join(map(str, frame.info)) or "none"
                faults[position] = f"info must have the key {key!r} for --split-by; found the keys {known}"
    return faults
