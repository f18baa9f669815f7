"""A file that is there whole or not at all: written under another name, then renamed."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ruo2_hopping.errors import OutputError


@contextlib.contextmanager
def whole_file(path: Path, overwrite: bool = False) -> Iterator[Path]:
    """A name beside `path`, with its ending, to write to; on leaving without an error it becomes `path`.

    Raises
    ------
    OutputError
        A folder that does not exist, something at `path` that may not be replaced, a disk that takes no more.
    """
    if not path.parent.is_dir():
        raise OutputError(f"{path}: the folder {path.parent} must exist. Make it, or choose another place")
    if path.is_dir():
        raise OutputError(f"{path}: must be the name of a file; found a folder")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: must not exist yet. Name another, or replace it with --overwrite")
    unfinished = path.with_name(f".{os.getpid()}.unfinished.{path.name}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: must be writable and have room; found {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
