"""What users type for their input: paths, globs, and `file@start:stop:step`, turned into files and frame indices."""

import glob
import os
import re
from collections.abc import Iterator, Sequence

from ruo2_voxel.errors import SourceError

Path = str | os.PathLike[str]
Specs = Path | Sequence[Path]

_NUMBER = r"[+-]?\d+"
_INDEX = re.compile(rf"{_NUMBER}|(?:{_NUMBER})?(?::(?:{_NUMBER})?){{1,2}}", re.ASCII)  # 5, -1, 3:, ::10


def expand_specs(specs: Specs) -> Iterator[tuple[str, str]]:
    """Existing files in the order given, sorted within a glob, each with its index text ("" for all).

    Raises
    ------
    SourceError
        No spec at all, a file that does not exist, a folder, a glob that matches no file.
    """
    listed = [specs] if isinstance(specs, str | os.PathLike) else list(specs)
    if not listed:
        raise SourceError("source: must name at least one file of structures; found none")
    for spec in listed:
        yield from _expand(os.fspath(spec))


def _expand(spec: str) -> Iterator[tuple[str, str]]:
    """Files of one spec; a file of exactly that name comes before any reading of '@' or '*'."""
    path, index = spec, ""
    if not os.path.exists(spec):
        head, _, tail = spec.rpartition("@")
        if head and _INDEX.fullmatch(tail):
            path, index = head, tail
    if os.path.exists(path) or not glob.has_magic(path):
        _require_file(path)
        yield path, index
        return
    matches = sorted(match for match in glob.glob(path, recursive=True) if os.path.isfile(match))
    if not matches:
        raise SourceError(f"{path}: must match at least one file; found none. Check its folder")
    for match in matches:
        yield match, index


def _require_file(path: str) -> None:
    """Refuse a folder, and what does not exist."""
    if os.path.isdir(path):
        raise SourceError(f"{path}: must be a file of structures; found a folder. Name its files, as in {path}/*.traj")
    if not os.path.exists(path):
        hint = ". After @ stands start:stop:step; conditions on a database are its selection" if "@" in path else ""
        raise SourceError(f"{path}: must be a file of structures; found no such file{hint}")


def select(path: str, index: str, n_frames: int) -> range:
    """Frame indices that an index text picks out of `n_frames`, as slices do in ASE and Python.

    Raises
    ------
    SourceError
        A single index beyond the end, a step of zero.
    """
    every = range(n_frames)
    if not index:
        return every
    if ":" in index:
        start, stop, step = ([int(part) if part else None for part in index.split(":")] + [None])[:3]
        if step == 0:
            raise SourceError(f"{path}@{index}: the step must not be 0")
        return every[start:stop:step]
    single = int(index)
    if not -n_frames <= single < n_frames:
        raise SourceError(f"{path}@{index}: must lie within the file; found {n_frames} structures, counted from 0")
    return every[single:][:1]
