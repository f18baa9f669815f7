"""Writing structures into a file of any format that ASE writes: whole, or not at all."""

import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import ase.db
from ase import Atoms
from ase.db.core import check
from ase.io import write
from ase.io.formats import UnknownFileTypeError, filetype, ioformats
from ase.io.trajectory import TrajectoryWriter

from ruo2_voxel.errors import Ruo2Error, SourceError
from ruo2_voxel.structures.whole_file import whole_file

DATABASES: Final = ("db", "json")  # ASE's names of the formats that its databases have


class StructureWriter:
    """Takes structures one by one; the file is there once the block ends without an error.

    A .traj and extended XYZ are written as structures come, other formats at the end. In a database, `info` becomes
    key-value pairs, and what these cannot hold becomes data of the row.

    Parameters
    ----------
    out
        Its name tells ASE the format.
    overwrite
        Replace a file that stands there.
    n_structures
        How many there will be, if that is known: one may go into a format for one.

    Raises
    ------
    Ruo2Error
        A name without a format that can hold them, a folder that does not exist, a file that is in the way or cannot be
        written; structures that ASE cannot write in that format; at the end of the block, no structure.
    """

    def __init__(self, out: str | os.PathLike[str], overwrite: bool = False, n_structures: int | None = None) -> None:
        self.path = Path(out)
        self.n_structures = 0
        try:
            self._format = filetype(str(self.path), read=False)
        except UnknownFileTypeError:
            self._format = ""
        known = ioformats.get(self._format)
        if known is None or not known.can_write or (known.single and n_structures != 1):
            raise Ruo2Error(
                f"{self.path}: its name must end like a format in which ASE writes many structures, such as .traj or "
                f".extxyz; found {self._format or 'no format that ASE knows'}"
            )
        self._overwrite = overwrite
        self._write_one: Callable[[Atoms], object] | None = None
        self._gathered: list[Atoms] = []

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self._unfinished = opened.enter_context(whole_file(self.path, self._overwrite))
            if self._format == "traj":
                self._write_one = opened.enter_context(TrajectoryWriter(self._unfinished)).write
            elif self._format == "extxyz" and self.path.suffix in (".xyz", ".extxyz"):  # not a compressed one
                file = opened.enter_context(self._unfinished.open("w", encoding="utf-8"))
                self._write_one = partial(write, file, format="extxyz")
            self._closing = opened.pop_all()
        return self

    def write(self, atoms: Atoms) -> None:
        self.n_structures += 1
        if self._write_one is None:
            self._gathered.append(atoms)
            return
        try:
            self._write_one(atoms)
        except Exception as error:  # ASE may raise anything
            raise self._unwritable(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException as failure:
            self._closing.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._closing.__exit__(kind, error, trace)

    def _finish(self) -> None:
        if self.n_structures == 0:
            raise SourceError(f"{self.path}: must get at least one structure; found none to write")
        try:
            if self._format in DATABASES:
                _write_rows(self._unfinished, self._format, self._gathered)
            elif self._gathered:
                write(self._unfinished, self._gathered, format=self._format)
        except Exception as failure:  # ASE may raise anything
            raise self._unwritable(failure) from failure

    def _unwritable(self, error: Exception) -> Ruo2Error:
        if isinstance(error, OSError):
            return Ruo2Error(f"{self.path}: must be writable and have room; found {error.strerror or error}")
        found = " ".join(f"{type(error).__name__}: {error}".split())
        return Ruo2Error(
            f"{self.path}: structures must be such that ASE can write them as {self._format}; found {found}. Write a "
            f".traj instead"
        )


def _write_rows(path: Path, kind: str, structures: Iterable[Atoms]) -> None:
    """Into a database, with the info that ASE's own writer leaves out."""
    with ase.db.connect(path, type=kind, append=False, use_lock_file=False) as database:
        for atoms in structures:
            pairs = {key: value for key, value in atoms.info.items() if _is_pair(key, value)}
            rest = {key: value for key, value in atoms.info.items() if key not in pairs}
            database.write(atoms, key_value_pairs=pairs, data=rest)


def _is_pair(key: Any, value: Any) -> bool:
    """Whether ASE takes it for a key-value pair, and finds it again."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # at keys that a search takes for chemical formulas
            check({key: value})
    except (TypeError, ValueError, UserWarning):
        return False
    return True
