"""A file that is there whole or not at all: written under another name, then renamed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ruo2_voxel.errors import Ruo2Error


def check_file(path: Path, overwrite: bool = False) -> None:
    """See that a file can be written, before minutes of work are.

    Raises
    ------
    Ruo2Error
        A folder that does not exist, something at `path` that may not be replaced.
    """
    if not path.parent.is_dir():
        raise Ruo2Error(f"{path}: the folder {path.parent} must exist. Make it, or choose another place")
    if path.is_dir():
        raise Ruo2Error(f"{path}: must be the name of a file; found a folder")
    if os.path.lexists(path) and not overwrite:
        raise Ruo2Error(f"{path}: must not exist yet. Name another, or replace it with --overwrite")


@contextlib.contextmanager
def whole_file(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A name beside `path`, with its ending, to write to; on leaving without an error it becomes `path`.

    Raises
    ------
    Ruo2Error
        What `check_file` refuses, or a disk that takes no more.
    """
    check_file(path, overwrite)
    unfinished = path.with_name(f".{os.getpid()}.unfinished.{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise Ruo2Error(f"{path}: must be writable and have room; found {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()
