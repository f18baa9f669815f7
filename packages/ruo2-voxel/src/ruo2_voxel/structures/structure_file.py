"""Writing structures into a file of any format that ASE writes: whole, or not at all."""

import os
import warnings
from collections.abc import Iterable
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

DATABASES: Final = ("db", "json")  # ASE's names of the formats that its databases have


class StructureWriter:
    """Takes structures one by one; the file is there once the block ends without an error.

    A .traj is streamed, other formats are held in memory until then. In a database, `info` becomes key-value pairs, and
    what these cannot hold becomes data of the row.

    Parameters
    ----------
    out
        Its name tells ASE the format.
    overwrite
        Replace a file that stands there.

    Raises
    ------
    Ruo2Error
        A name without a format that can hold many structures, a folder that does not exist, a file that is in the way
        or cannot be written; structures that ASE cannot write in that format; at the end of the block, no structure.
    """

    def __init__(self, out: str | os.PathLike[str], overwrite: bool = False) -> None:
        self.path = Path(out)
        self.n_structures = 0
        try:
            self._format = filetype(str(self.path), read=False)
        except UnknownFileTypeError:
            self._format = ""
        known = ioformats.get(self._format)
        if known is None or known.single or not known.can_write:
            raise Ruo2Error(
                f"{self.path}: its name must end like a format in which ASE writes many structures, such as .traj or "
                f".extxyz; found {self._format or 'no format that ASE knows'}"
            )
        if self.path.is_dir() or not self.path.parent.is_dir():
            raise Ruo2Error(f"{self.path}: must be the name of a file in a folder that exists")
        if self.path.exists() and not overwrite:
            raise Ruo2Error(f"{self.path}: must not exist yet. Name another, or replace it with --overwrite")
        self._unfinished = self.path.with_name(f".{os.getpid()}-unfinished-{self.path.name}")
        self._gathered: list[Atoms] = []
        self._trajectory: TrajectoryWriter | None = None

    def __enter__(self) -> Self:
        if self.path.suffix == ".traj":
            try:
                self._trajectory = TrajectoryWriter(self._unfinished)
            except OSError as error:
                raise self._unwritable(error) from error
        return self

    def write(self, atoms: Atoms) -> None:
        self.n_structures += 1
        if self._trajectory is None:
            self._gathered.append(atoms)
            return
        try:
            self._trajectory.write(atoms)
        except Exception as error:  # ASE may raise anything
            raise self._unwritable(error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._trajectory is not None:
                self._trajectory.close()
            if kind is not None:
                return
            if self.n_structures == 0:
                raise SourceError(f"{self.path}: must get at least one structure; found none to write")
            if self._format in DATABASES:
                _write_rows(self._unfinished, self._format, self._gathered)
            elif self._gathered:
                write(self._unfinished, self._gathered, format=self._format)
            self._unfinished.replace(self.path)
        except Ruo2Error:
            raise
        except Exception as failure:  # ASE may raise anything
            raise self._unwritable(failure) from failure
        finally:
            self._unfinished.unlink(missing_ok=True)

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
