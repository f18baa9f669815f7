"""Any other format that ASE reads: no faster and no leaner than ASE's own reader of it."""

from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import islice
from typing import cast

from ase import Atoms
from ase.io import iread

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures.frame import Frame, unreadable


class AnyFile:
    """One file that `ase.io.iread` reads, whose structures have been counted by reading them once.

    Parameters
    ----------
    path
        Compressed or not.
    format
        ASE's name of the format.

    Raises
    ------
    SourceError
        ASE does not know the format, or cannot read the first structure.
    """

    backwards = False

    def __init__(self, path: str, format: str) -> None:
        self.path = path
        self.n_frames = 0
        self.broken: tuple[int, str] | None = None
        self._format = format
        try:
            with closing(self._structures()) as structures:
                for _ in structures:
                    self.n_frames += 1
        except Exception as error:  # ASE may raise anything
            found = f"{type(error).__name__}: {error}"
            if self.n_frames == 0:
                raise SourceError(f"{path}: must be what ASE takes it for, {format}; found {found}") from error
            self.broken = self.n_frames, f"frame {self.n_frames} must be a structure that ASE can read; found {found}"
            self.n_frames += 1

    def read(self, indices: range) -> Iterator[Frame | SourceError]:
        """The structures of these ascending indices."""
        with closing(self._structures()) as structures:
            here = 0
            for index in indices:
                try:
                    frame = Frame.from_atoms(next(islice(structures, index - here, None)), self.path, index)
                except Exception as error:  # ASE may raise anything, and after that has no next structure
                    raise unreadable(self.path, index, error) from error
                here = index + 1
                yield frame

    def _structures(self) -> Generator[Atoms, None, None]:
        structures = iread(self.path, ":", format=self._format, do_not_split_by_at_sign=True)
        return cast(Generator[Atoms, None, None], structures)
