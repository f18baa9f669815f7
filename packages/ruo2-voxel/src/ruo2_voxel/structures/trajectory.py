"""ASE trajectories, read fast: bit for bit what ASE gives, and by ASE itself where a frame is out of the ordinary."""

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from ase.constraints import dict2constraint
from ase.io.jsonio import decode
from ase.io.trajectory import TrajectoryReader
from ase.io.ulm import read_header

from ruo2_voxel.errors import OR_DROP, SourceError
from ruo2_voxel.structures.frame import Frame, fixed_atoms, unreadable
from ruo2_voxel.structures.ulm import UlmItems
from ruo2_voxel.typing import Array, IntArray

MAGIC = b"- of UlmASE-Trajectory  ", b"AFFormatASE-Trajectory  "
_FIRST_ITEM = 48  # bytes of the header before it
_MOST_HEADERS = 64

# Keys of an item that is stored in another way than today's writer does.
_UNUSUAL = frozenset(("numbers", "positions", "tags", "cell.", "pbc.", "info.", "constraints.", "calculator"))


class _Header(NamedTuple):
    """What a frame has of its own or else shares with the first one."""

    numbers: IntArray
    pbc: Array
    fixed: Array | None = None
    adds_energy: bool = False  # a constraint adds to the potential energy, which ASE calculates


class TrajectoryFile:
    """One .traj file: its table of offsets (8 bytes a frame) and the header of its first frame, but no open file.

    Parameters
    ----------
    path
        An uncompressed trajectory.

    Raises
    ------
    SourceError
        Not a trajectory, a header that is cut or damaged, a first frame that cannot be read.
    """

    backwards = True

    def __init__(self, path: str) -> None:
        self.path = path
        with self._open() as file:
            magic = file.read(24)
            if not any(known.startswith(magic) for known in MAGIC):
                raise SourceError(f"{path}: must be an ASE trajectory, as its name says; found something else")
            n_bytes = os.fstat(file.fileno()).st_size
            try:
                self._offsets = np.array(read_header(file)[-1], dtype=np.int64)
            except (ValueError, OSError, OverflowError, MemoryError):
                raise SourceError(
                    f"{path}: truncated: its table of offsets must lie within the file; found {n_bytes} bytes. "
                    "Copy the file again"
                ) from None
            self.n_frames = len(self._offsets)
            whole = self._count_whole(file, n_bytes)
        self.broken: tuple[int, str] | None = None
        if whole < self.n_frames:
            self.broken = (
                whole,
                f"truncated: its header promises {self.n_frames} structures, but the data of frame {whole} lie beyond "
                f"the end of the file ({n_bytes} bytes)",
            )
        if whole > 0:
            self._header = self._read_header()

    def _count_whole(self, file: BinaryIO, n_bytes: int) -> int:
        """How many frames there are before one whose JSON text, its last bytes, lies beyond the end of the file."""
        misplaced = np.flatnonzero((self._offsets < _FIRST_ITEM) | (self._offsets > n_bytes - 8))
        whole = int(misplaced[0]) if len(misplaced) else self.n_frames
        if whole:
            offset = int(self._offsets[whole - 1])
            file.seek(offset)
            size = int.from_bytes(file.read(8), "little", signed=True)
            whole -= size > n_bytes - offset - 8
        return whole

    def _read_header(self) -> _Header:
        try:
            with self._open() as file:  # opened here, as ASE would leave it open after an error
                reader = TrajectoryReader(file)
                numbers = np.array(reader.numbers, dtype=int)
                return _header(numbers, np.array(reader.pbc, dtype=bool), reader.constraints)
        except Exception as error:  # ASE may raise anything
            raise unreadable(self.path, 0, error) from error

    def _open(self) -> BinaryIO:
        try:
            return open(self.path, "rb")
        except OSError as error:
            raise SourceError(f"{self.path}: must be readable; found: {error.strerror}") from error

    def read(self, indices: range) -> Iterator[Frame | SourceError]:
        """The frames of these indices, in that order; in place of one that cannot be read, the error that says why."""
        with self._open() as file:
            reading = _Reading(file, self.path, self._header)
            for index in indices:
                try:
                    result: Frame | SourceError = reading.frame(index, int(self._offsets[index]))
                except SourceError as error:
                    result = error
                yield result


class _Reading:
    """One pass over a trajectory, with what its frames have in common."""

    def __init__(self, file: BinaryIO, path: str, header: _Header) -> None:
        self._file = file
        self._path = path
        self._header = header
        self._headers: dict[tuple[Any, ...], _Header] = {}
        self._items = UlmItems(file)
        self._slow: TrajectoryReader | None = None

    def frame(self, index: int, offset: int) -> Frame:
        """One frame, by ASE's reader if there is anything out of the ordinary about it."""
        try:
            frame = self._fast(index, offset)
        except EOFError:
            raise SourceError(
                f"frame {index} of {self._path}: its data must lie within the file; found its end, or a wrong offset. "
                f"Copy the file again{OR_DROP}"
            ) from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, OSError):
            frame = None
        return self._by_ase(index) if frame is None else frame

    def _by_ase(self, index: int) -> Frame:
        try:
            if self._slow is None:
                self._slow = TrajectoryReader(self._file)
            return Frame.from_atoms(self._slow[index], self._path, index)
        except Exception as error:  # ASE may raise anything
            raise unreadable(self._path, index, error) from error

    def _fast(self, index: int, offset: int) -> Frame | None:
        """The frame if all of it is stored as today's writer does, else None."""
        item = self._items.load(offset)
        header = self._own_header(item) if index and "numbers." in item else self._header
        positions = self._items.array(item["positions."], np.float64)
        cell = np.array(item["cell"], dtype=np.float64)
        tags = self._items.array(item["tags."], int) if "tags." in item else None
        calculator = item.get("calculator.", {})
        energy, moment = calculator.get("energy", np.nan), calculator.get("magmom", np.nan)
        info = item.get("info", {})
        ordinary = (
            _UNUSUAL.isdisjoint(item)
            and positions.shape == (len(header.numbers), 3)
            and cell.shape == (3, 3)
            and (tags is None or tags.shape == header.numbers.shape)
            and calculator.keys().isdisjoint(("energy.", "magmom."))
            and isinstance(energy, float)
            and isinstance(moment, float)
            and isinstance(info, dict)
            and not (header.adds_energy and "energy" in calculator)
        )
        if not ordinary:
            return None
        return Frame(
            header.numbers,
            positions,
            cell,
            header.pbc,
            energy,
            info,
            tags,
            self._path,
            index,
            header.fixed,
            magnetic_moment=moment,
        )

    def _own_header(self, item: dict[Any, Any]) -> _Header:
        """The item's own header; the same object again for the same bytes."""
        place = item["numbers."]
        constraints = item.get("constraints", "[]")
        key = self._items.raw(place), place["ndarray"][1], tuple(item["pbc"]), constraints
        header = self._headers.get(key)
        if header is None:
            header = _header(self._items.array(place, int), np.array(item["pbc"], dtype=bool), constraints)
            if len(self._headers) > _MOST_HEADERS:
                self._headers.clear()
            self._headers[key] = header
        return header


def _header(numbers: IntArray, pbc: Array, constraints: str) -> _Header:
    """Header of arrays that frames will share, hence made read-only."""
    if numbers.ndim != 1 or pbc.shape != (3,):
        raise ValueError("numbers must have one dimension, and pbc three elements")
    held = [dict2constraint(dictionary) for dictionary in decode(constraints)]
    fixed = fixed_atoms(held, len(numbers))
    for shared in (numbers, pbc, fixed):
        if shared is not None:
            shared.flags.writeable = False
    return _Header(numbers, pbc, fixed, any(hasattr(constraint, "adjust_potential_energy") for constraint in held))
