"""Where a store comes from: software, sources, options, time."""

import datetime
import hashlib
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from ruo2_voxel.errors import StoreError
from ruo2_voxel.structures.frames import Frame, Frames, open_frames

DATABASES: Final = ("db", "json")  # formats whose frame ids are the ids of rows
PACKAGES: Final = ("ruo2-voxel", "ase", "numpy", "numba", "zarr", "numcodecs")


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that have a part in the bytes of a store."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # run from a source tree
            versions[name] = "unknown"
    return versions


def describe_sources(frames: Frames) -> list[dict[str, Any]]:
    """Each source file with its checksum and the frames taken from it."""
    return [
        {
            "path": file.path,
            "format": file.format,
            "sha256": file.sha256(),
            "frames": file.n_frames,
            "selection": getattr(file.content, "selection", None),  # of a database
            "selected": [file.selected.start, file.selected.stop, file.selected.step],
        }
        for file in frames.files
    ]


def read_source_frame(source: Mapping[str, Any], frame_id: int) -> Frame:
    """A structure as it stands in the file that a store was built from.

    Parameters
    ----------
    source
        One of what `describe_sources` returns.
    frame_id
        Its index in the file; of a database the row's id.

    Raises
    ------
    StoreError
        The file is not there any more, or is not what it was.
    """
    path, recorded = source["path"], source["sha256"]
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StoreError(
            f"{path}: must still be there to be read again; found: {error.strerror}. Put the file back, or go to the "
            f"folder that the store was built in"
        ) from error
    if found != recorded:
        raise StoreError(
            f"{path}: must still be what the store was built from, with sha256 {recorded}; found {found}. Put that "
            f"file back, or build the store anew"
        )
    if source["format"] in DATABASES:
        frames = open_frames(path, selection=f"id={frame_id}")
    else:
        frames = open_frames(f"{path}@{frame_id}")
    return next(iter(frames))


def now() -> str:
    """UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
