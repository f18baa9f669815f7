"""Structures out of files: one sequence over trajectories, databases, XYZ and whatever else ASE reads, streamed."""

import hashlib
import lzma
import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from ase.io.formats import UnknownFileTypeError, filetype, get_compression, ioformats

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures.database import DatabaseFile
from ruo2_voxel.structures.formats import AnyFile
from ruo2_voxel.structures.frame import Frame, frames_from_atoms
from ruo2_voxel.structures.specs import Specs, expand_specs, select
from ruo2_voxel.structures.trajectory import MAGIC, TrajectoryFile
from ruo2_voxel.structures.xyz import XyzFile

__all__ = ["Frame", "Frames", "SourceFile", "frames_from_atoms", "open_frames"]

OnError = Callable[[int, SourceError], None]


class StructureFile(Protocol):
    """One opened file, whatever its format."""

    n_frames: int
    broken: tuple[int, str] | None  # first frame that is cut or damaged so that none after it can be found, and why
    backwards: bool  # whether descending indices can be read

    def read(self, indices: range) -> Iterator[Frame | SourceError]:
        """One result for each index; an error in place of a frame that cannot be read while the next ones can."""


@dataclass(eq=False)
class SourceFile:
    """A file that frames are read from.

    Parameters
    ----------
    path
        As the user gave it, or as a glob found it.
    format
        ASE's name of it.
    n_frames
        Structures in the file; of a database the rows that match the selection.
    selected
        Which of them are read, in this order.
    """

    path: str
    format: str
    n_frames: int
    selected: range
    content: StructureFile = field(repr=False)
    _sha256: str = field(default="", init=False, repr=False)

    def sha256(self) -> str:
        """Checksum of the file as it is when first asked for, as hexadecimal digits."""
        if not self._sha256:
            with open(self.path, "rb") as file:
                self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return self._sha256


class Frames:
    """Structures of one or more files, in order; nothing but the frame at hand is in memory.

    It can be iterated over again and again, from several threads at once, and pickled: it holds no open file.
    """

    def __init__(self, files: tuple[SourceFile, ...]) -> None:
        self.files = files
        self._firsts = [0, *accumulate(len(file.selected) for file in files)]

    def __len__(self) -> int:
        return self._firsts[-1]

    def __iter__(self) -> Iterator[Frame]:
        return (frame for _, frame in self.iterate())

    def locate(self, ordinal: int) -> tuple[int, int]:
        """Which of `files` the frame with that ordinal comes from, and its index there."""
        file = bisect_right(self._firsts, ordinal) - 1
        return file, self.files[file].selected[ordinal - self._firsts[file]]

    def iterate(self, start: int = 0, on_error: OnError | None = None) -> Iterator[tuple[int, Frame]]:
        """Frames with their ordinals, which count the selected frames of all files together.

        Parameters
        ----------
        start
            First ordinal; frames before it are not parsed, and in .traj and .db files not even passed over.
        on_error
            Called with the ordinal and the error of each frame that cannot be read, which is then left out;
            without it such an error is raised.

        Raises
        ------
        SourceError
            A frame that cannot be read, a file that has changed or gone since it was opened.
        """
        if not 0 <= start <= len(self):
            raise IndexError(f"start must lie within 0 and {len(self)}; found {start}")
        for file, first in zip(self.files, self._firsts, strict=False):
            done = max(start - first, 0)
            if done >= len(file.selected):
                continue
            for ordinal, result in enumerate(file.content.read(file.selected[done:]), first + done):
                if isinstance(result, Frame):
                    yield ordinal, result
                elif on_error is None:
                    raise result
                else:
                    on_error(ordinal, result)


def open_frames(specs: Specs, *, selection: str | None = None) -> Frames:
    """Open files of structures, count what they hold, and check what can be checked without parsing all of it.

    Parameters
    ----------
    specs
        A path, a glob (sorted, `**` too), either with `@5` or `@start:stop:step` behind, or a list of those.
        .traj is fastest; .db, .json, XYZ (plain, .gz, .bz2, .xz) and all else that `ase.io.iread` reads will do.
    selection
        Which rows of databases to read, as for `ase.db`: "phase=1,energy<-250".

    Raises
    ------
    SourceError
        A file that is missing, empty, truncated or not what its name says; nothing selected; a selection without a
        database; a negative step in a format that can only be read forwards.
    """
    files = tuple(_open_file(path, index, selection) for path, index in expand_specs(specs))
    if selection and not any(isinstance(file.content, DatabaseFile) for file in files):
        raise SourceError(f"selection {selection!r}: needs an ASE database (.db) among the sources; found none")
    if not any(file.selected for file in files):
        counts = ", ".join(f"{file.path} holds {file.n_frames}" for file in files[:5])
        raise SourceError(f"source: must select at least one structure; found none ({counts})")
    return Frames(files)


def _open_file(path: str, index: str, selection: str | None) -> SourceFile:
    """Open one file and check that what is asked of it can be read."""
    format = _format_of(path)
    content = _content_of(path, format, selection)
    if content.n_frames == 0:
        what = f"a row that matches {selection!r}" if selection and isinstance(content, DatabaseFile) else "a structure"
        raise SourceError(f"{path}: must hold at least {what}; found 0 structures")
    selected = select(path, index, content.n_frames)
    if selected.step < 0 and not content.backwards:
        raise SourceError(
            f"{path}@{index}: the step must be positive, as {format} can only be read forwards. Convert the file to "
            ".traj to read it backwards"
        )
    if content.broken is not None:
        first, reason = content.broken
        from_end = any(part.startswith("-") for part in index.split(":"))
        if from_end or (selected and max(selected[0], selected[-1]) >= first):
            advice = f"Read what comes before with {path}@:{first}" if first else "Copy the file again"
            raise SourceError(f"{path}: {reason}. {advice}")
    return SourceFile(path, format, content.n_frames, selected, content)


def _format_of(path: str) -> str:
    """ASE's name of the format, by name and first bytes."""
    try:
        if Path(path).stat().st_size == 0:
            raise SourceError(f"{path}: must hold at least a structure; found 0 structures, the file is empty")
        with open(path, "rb") as file:
            if file.read(len(MAGIC[0])) in MAGIC:
                return "traj"  # what ASE finds as well, after matching the patterns of 90 formats
        format: str = filetype(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise SourceError(f"{path}: must be a readable file; found {type(error).__name__}: {error}") from error
    except UnknownFileTypeError as error:
        raise SourceError(f"{path}: must be of a format that ASE knows; found neither by name nor content") from error
    if format not in ioformats:
        raise SourceError(
            f"{path}: must be of a format that ASE knows; found .{format}. `ase info --formats` lists them"
        )
    return format


def _content_of(path: str, format: str, selection: str | None) -> StructureFile:
    """The leanest reader for that format."""
    if format == "extxyz":
        return XyzFile(path)
    if get_compression(path)[1] is None:
        if format == "traj":
            return TrajectoryFile(path)
        if format in ("db", "json"):
            return DatabaseFile(path, selection)
    return AnyFile(path, format)
