"""The trajectory that a search writes: appended step by step, and read again to go on."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ase import Atoms
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter

from ruo2_hopping.calculators import told
from ruo2_hopping.errors import OutputError
from ruo2_hopping.history import START
from ruo2_hopping.whole_file import whole_file

LOG = logging.getLogger(__name__)
KEY: Final = "ruo2_hopping"  # of the file's description


@dataclass
class Record:
    """How far a search has come, by its trajectory."""

    description: dict[str, Any]  # what the search was begun with; empty where nothing is written
    n_frames: int = 0  # of complete steps
    starts: dict[tuple[str, str], Atoms] = field(default_factory=dict)  # relaxed, by facet and name
    places: dict[int, Atoms] = field(default_factory=dict)  # where each walker stands: its last accepted structure
    steps: dict[int, int] = field(default_factory=dict)  # that each walker has made
    last_run: int | None = None  # walker of the last step in the file
    counts: dict[str, int] = field(default_factory=dict)  # of the steps: accepted, valid, converged

    def add(self, frame: Atoms) -> None:
        """The last frame of a step."""
        info = frame.info
        if info["run"] == START:
            self.starts[info["facet"], info["start"]] = frame
        elif info["accepted"]:
            self.places[info["run"]] = frame
        self.count(info)

    def count(self, info: Mapping[str, Any]) -> None:
        """A step, by the info of its last frame."""
        if info["run"] != START:
            self.last_run, self.steps[info["run"]] = info["run"], info["step"]
            for name in ("accepted", "valid", "converged"):
                self.counts[name] = self.counts.get(name, 0) + bool(info[name])


class Output:
    """A trajectory open for appending, by one search at a time.

    A step is in the file when all of its frames are: what a killed search has written of a step is taken out when the
    search goes on.

    Parameters
    ----------
    path
        NAME.traj.
    resume
        Whether to go on with what is there. Without, nothing may be there.

    Raises
    ------
    OutputError
        A folder that is missing, a file that is there without `resume`, is not of a search, cannot be read or is
        being written by another one.
    """

    def __init__(self, path: Path, resume: bool = False) -> None:
        self.path = path
        check_output(path, resume)
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(self._lock, path)
            self.record = read_record(path)
            if self.record.n_frames < _count_frames(path):
                self._trim()
        except BaseException:
            os.close(self._lock)
            raise
        self._writer: TrajectoryWriter | None = None

    def describe(self, description: Mapping[str, Any]) -> None:
        """What the first frame will carry with it."""
        self.record.description = dict(description)

    def append(self, frames: Sequence[Atoms]) -> None:
        """All frames of one step, safe on the disk when this returns."""
        if self._writer is None:
            self._writer = TrajectoryWriter(self.path, "a" if self.record.n_frames else "w")
            self._writer.set_description({KEY: self.record.description})
        try:
            for frame in frames:
                self._writer.write(frame)
            os.fsync(self._writer.backend.fd.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                self._writer.backend.fd.close()  # the writer's own way of closing writes more
            self._writer = None
            raise OutputError(
                f"{self.path}: must have room; found {error.strerror}. What is written is kept: go on with --resume"
            ) from error
        self.record.n_frames += len(frames)
        self.record.add(frames[-1])

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if not self.path.stat().st_size:  # nothing came of it
            self.path.unlink()
        os.close(self._lock)

    def __enter__(self) -> "Output":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _trim(self) -> None:
        """Leave out the frames of a step that was not written to its end."""
        LOG.warning("%s: a step that was not written to its end is left out; it is made again", self.path)
        with whole_file(self.path, overwrite=True) as unfinished:
            with TrajectoryWriter(unfinished, "w") as writer, _open(self.path) as trajectory:
                writer.set_description({KEY: self.record.description})
                for number in range(self.record.n_frames):
                    writer.write(trajectory[number])
            if not self.record.n_frames:
                unfinished.write_bytes(b"")
            lock = os.open(unfinished, os.O_RDWR)
            _lock(lock, unfinished)
        os.close(self._lock)
        self._lock = lock


def check_output(path: Path, resume: bool) -> None:
    """See that a trajectory can be written, before anything is computed for it."""
    if path.suffix != ".traj":
        raise OutputError(f"{path}: must be the name of an ASE trajectory, NAME.traj")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} must exist. Make it, or choose another place")
    if path.is_dir():
        raise OutputError(f"{path}: must be the name of a file; found a folder")
    if not resume and path.exists() and path.stat().st_size:
        raise OutputError(f"{path}: must not exist yet. Name another file, or go on with what is there: --resume")


def read_record(path: Path) -> Record:
    """How far the search has come whose trajectory this is; an empty file is that of one which has not begun."""
    record = Record({})
    if not path.stat().st_size:
        return record
    with _open(path) as trajectory:
        record.description = dict((trajectory.description or {}).get(KEY, {})) if len(trajectory) else {}
        if len(trajectory) and not record.description:
            raise OutputError(f"{path}: must be written by ruo2-hopping run to be gone on with. Name another file")
        starts, places = {}, {}  # where their frames are: of all that a search went through, few are still wanted
        for number in range(len(trajectory)):
            try:
                info = trajectory.backend[number].info
            except Exception as error:  # of a file that was cut off with its disk or in a copy
                LOG.warning("%s: frame %d cannot be read (%s); the file ends there", path, number, told(error))
                break
            if not info["final"]:
                continue
            record.n_frames = number + 1
            record.count(info)
            if info["run"] == START:
                starts[info["facet"], info["start"]] = number
            elif info["accepted"]:
                places[info["run"]] = number
        record.starts = {name: trajectory[number] for name, number in starts.items()}
        record.places = {run: trajectory[number] for run, number in places.items()}
    return record


def _open(path: Path) -> TrajectoryReader:
    try:
        return TrajectoryReader(path)
    except Exception as error:  # ulm raises many kinds
        raise OutputError(f"{path}: must be an ASE trajectory; found {told(error)}") from error


def _count_frames(path: Path) -> int:
    if not path.stat().st_size:
        return 0
    with _open(path) as trajectory:
        return len(trajectory)


def _lock(descriptor: int, path: Path) -> None:
    """Keep other searches away from a file, where its file system can."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(f"{path}: must be written by one search at a time; found another one at it") from None
    except OSError as error:
        LOG.warning("%s cannot be locked (%s): see that no other search writes it", path, error.strerror)
