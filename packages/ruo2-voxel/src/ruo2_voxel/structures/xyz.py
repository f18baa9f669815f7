"""(Extended) XYZ files, plain or compressed: walked line by line, so that no more than one structure is in memory.

ASE's own reader keeps the place of every frame. Here frames that are not wanted are passed over unparsed, and the
lines of one that is go to ASE by themselves.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, BinaryIO

from ase.io.extxyz import read_xyz
from ase.io.formats import get_compression

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures.frame import Frame, unreadable

_OPENERS: dict[str, Callable[[str, str], Any]] = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
_MARK_EVERY = 1024  # frames between the places that are remembered in a file that can be sought in
DECOMPRESSION_ERRORS = (EOFError, OSError, zlib.error, lzma.LZMAError)


class XyzFile:
    """One .xyz or .extxyz file, maybe with .gz, .bz2 or .xz, whose frames have been counted; no open file.

    Parameters
    ----------
    path
        Its name tells the compression.
    """

    backwards = False

    def __init__(self, path: str) -> None:
        self.path = path
        self.n_frames = 0
        self.broken: tuple[int, str] | None = None
        self._compression = get_compression(path)[1]
        self._marks = [0]
        with self._open() as file:
            lines = _Lines(file)
            try:
                while lines.take(keep=False) is not None:
                    self.n_frames += 1
                    if self.n_frames % _MARK_EVERY == 0 and self._compression is None:
                        self._marks.append(lines.place())
            except _CutError as error:
                self.broken = self.n_frames, str(error)
                self.n_frames += 1

    def read(self, indices: range) -> Iterator[Frame | SourceError]:
        """The frames of these ascending indices; in place of one that cannot be read, the error that says why."""
        if not indices:
            return
        mark = min(indices[0] // _MARK_EVERY, len(self._marks) - 1)
        here = mark * _MARK_EVERY
        with self._open() as file:
            file.seek(self._marks[mark])
            lines = _Lines(file)
            for index in indices:
                try:
                    for _ in range(index - here):
                        lines.take(keep=False)
                    taken = lines.take(keep=True)
                except _CutError as error:
                    raise SourceError(f"{self.path}: must not change while it is read; found, now: {error}") from None
                here = index + 1
                yield self._parse(taken or [], index)

    def _parse(self, lines: list[bytes], index: int) -> Frame | SourceError:
        try:
            atoms = next(read_xyz(io.StringIO(b"".join(lines).decode()), 0))
            return Frame.from_atoms(atoms, self.path, index)
        except Exception as error:  # ASE may raise anything
            return unreadable(self.path, index, error)

    def _open(self) -> BinaryIO:
        try:
            if self._compression is None:
                return open(self.path, "rb")
            return io.BufferedReader(_OPENERS[self._compression](self.path, "rb"), 1 << 18)
        except OSError as error:
            raise SourceError(f"{self.path}: must be readable; found: {error.strerror}") from error


class _CutError(Exception):
    """Lines that make no whole frame."""


class _Lines:
    """A file of frames, each a number of atoms, a comment, the atoms, and up to three cell vectors (VEC1 ...)."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._head: bytes | None = None  # read already, to see that it is no cell vector

    def place(self) -> int:
        """Where the next frame begins."""
        return self._file.tell() - len(self._head or b"")

    def take(self, keep: bool) -> list[bytes] | None:
        """The next frame's lines (an empty list unless they are to be kept), or None at the end of the file."""
        try:
            return self._take(keep)
        except DECOMPRESSION_ERRORS as error:
            raise _CutError(f"must be readable to its end; found {type(error).__name__}: {error}") from None

    def _take(self, keep: bool) -> list[bytes] | None:
        head = self._file.readline() if self._head is None else self._head
        if not head.strip():
            if any(line.strip() for line in self._file):
                raise _CutError("a blank line must not come between frames; found text after one")
            return None
        try:
            n_lines = int(head) + 1
        except ValueError:
            n_lines = 0
        if n_lines < 1:
            found = head[:40].decode(errors="replace").strip()
            raise _CutError(f"a frame must begin with its number of atoms; found {found!r}")
        if keep:
            lines = [head, *islice(self._file, n_lines)]
            complete = len(lines) == n_lines + 1
        else:
            lines = []
            complete = next(islice(self._file, n_lines - 1, None), None) is not None
        if not complete:
            raise _CutError(f"truncated: a frame must have {n_lines - 1} atoms; found the end of the file before")
        self._head = self._file.readline()
        while self._head.lstrip().startswith(b"VEC"):
            lines.append(self._head)
            self._head = self._file.readline()
        return lines if keep else []
