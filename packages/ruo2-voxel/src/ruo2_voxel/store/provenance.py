"""Where a store comes from: software, sources, options, time."""

import datetime
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from ruo2_voxel.structures.frames import Frames

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


def now() -> str:
    """UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
