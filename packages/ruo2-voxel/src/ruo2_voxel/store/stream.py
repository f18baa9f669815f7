"""From frames to shards: frames are read, checked and copied in order, and gathered into tables of one shard each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ruo2_voxel.density.voxelize import find_faults
from ruo2_voxel.errors import OR_DROP, SourceError, StructureError
from ruo2_voxel.store.plan import BuildOptions, Plan
from ruo2_voxel.store.table import Move, Table
from ruo2_voxel.structures.frames import Frame

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
        self._frame: Frame | None = None  # whose copies are being made
        self._source_id = 0

    def take(self, index: int, first: int) -> Shard:
        """Gather the next shard."""
        options = self._plan.options
        frames: list[Frame] = []
        source_ids: list[int] = []
        copies: list[int] = []
        moves: list[Move] = []
        skipped: list[Skip] = []
        while len(frames) < options.shard and self._next < self._plan.n_candidates:
            ordinal, copy = divmod(self._next, options.copies)
            if self._frame is None:
                _, self._source_id, result = next(self._results)
                if isinstance(result, Skip):
                    skipped.append(result)
                    self._next = (ordinal + 1) * options.copies
                    continue
                self._frame = result
            frames.append(self._frame)
            source_ids.append(self._source_id)
            copies.append(copy)
            moves.append(draw_move(options, ordinal, copy))
            self._next += 1
            if copy + 1 == options.copies:
                self._frame = None
        table = Table.of(frames, source_ids, copies, moves) if frames else None
        return Shard(index, first, self._next, table, tuple(skipped))


def draw_move(options: BuildOptions, ordinal: int, copy: int) -> Move:
    """The move of a copy depends on the seed, its frame's ordinal and its number alone."""
    if not (options.translate or options.rotate):
        return STILL
    random = np.random.default_rng((options.seed, ordinal, copy))
    shift = random.random(3) if options.translate else np.zeros(3)
    return Move(shift, int(random.integers(4)) if options.rotate else 0)


def _checked(plan: Plan, start: int) -> Iterator[tuple[int, int, Frame | Skip]]:
    """(ordinal, source, frame or the reason to leave it out), one for each frame; raises instead where asked to."""
    skip = plan.options.on_error == "skip"
    unreadable: dict[int, SourceError] = {}
    block: list[tuple[int, Frame]] = []

    def flush() -> Iterator[tuple[int, int, Frame | Skip]]:
        reasons = _faults([frame for _, frame in block], plan.options) if block else {}
        readable = {ordinal: (position, frame) for position, (ordinal, frame) in enumerate(block)}
        for ordinal in sorted(readable.keys() | unreadable.keys()):
            source_id, frame_id = plan.frames.locate(ordinal)
            position, frame = readable.get(ordinal, (-1, None))
            if frame is None:
                _, _, reason = str(unreadable[ordinal]).partition(": ")  # the frame is named beside it
                yield ordinal, source_id, Skip(source_id, frame_id, reason.removesuffix(OR_DROP))
            elif position not in reasons:
                yield ordinal, source_id, frame
            elif skip:
                yield ordinal, source_id, Skip(source_id, frame.index, reasons[position].removesuffix(OR_DROP))
            else:
                raise StructureError(f"{frame.where()}: {reasons[position]}")
        block.clear()
        unreadable.clear()

    for ordinal, frame in plan.frames.iterate(start, unreadable.__setitem__ if skip else None):
        block.append((ordinal, frame))
        if len(block) == FRAMES_PER_CHECK:
            yield from flush()
    yield from flush()


def _faults(frames: list[Frame], options: BuildOptions) -> dict[int, str]:
    """Frames that cannot be used, by position, and why."""
    counts = [len(frame.numbers) for frame in frames]
    with np.errstate(over="ignore"):  # what is too large for a float32 is not finite in a store
        positions = np.concatenate([frame.positions for frame in frames]).astype(np.float32)
    faults = find_faults(
        positions=positions,
        numbers=np.concatenate([frame.numbers for frame in frames]),
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        cells=np.array([frame.cell for frame in frames]),
        grid=options.grid,
    )
    for position, frame in enumerate(frames):
        if position in faults:  # ASE knows no energy of such a structure
            continue
        if options.label in ("energy", "energy-per-atom") and not np.isfinite(frame.energy):
            faults[position] = (
                f"must have an energy for --label {options.label}; found {frame.energy:g}. Use --label none{OR_DROP}"
            )
        elif options.label == "energy-per-atom" and counts[position] == 0:
            faults[position] = "must have atoms for --label energy-per-atom; found none"
        for key in options.split_by:
            if key not in frame.info:
                known = ", ".join(map(str, frame.info)) or "none"
                faults[position] = f"info must have the key {key!r} for --split-by; found the keys {known}"
    return faults
