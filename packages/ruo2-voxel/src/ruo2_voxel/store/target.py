"""Where a store is written: a local folder that is renamed when complete, or any fsspec URL.

Both give the same promises to a build. What `open` and `put` have returned from is durable and whole, unless asked
otherwise: nothing half-written carries its final name. Until `publish`, no reader finds a store at the final location.
"""

import contextlib
import fcntl
import io
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from ruo2_voxel.errors import MissingExtraError, StoreError

BUILDING = ".building"
STATE = ".build/"  # plan, markers and atoms of finished shards, until the store is complete


class Target(Protocol):
    """A place that files with slash-separated keys are written to."""

    location: str  # of the finished store

    def exists(self) -> bool:
        """Whether something other than an unfinished build already stands at the final location."""

    def holds_store(self) -> bool:
        """Whether what stands there is a Zarr store, or an empty folder: nothing else may be replaced."""

    def check_free(self, overwrite: bool) -> None:
        """See that nothing stands at the final location, or a store that may be replaced.

        Raises
        ------
        StoreError
            It is in the way.
        """
        if self.exists() and not overwrite:
            raise StoreError(
                f"{self.location}: must not exist yet; found something there. Name another, or replace it with "
                f"--overwrite"
            )
        if self.exists() and not self.holds_store():
            raise StoreError(
                f"{self.location}: must be a Zarr store to be replaced; found something else. "
                f"Name another, or remove it"
            )

    def open(self, key: str) -> contextlib.AbstractContextManager[BinaryIO]: ...
    def put(self, key: str, data: bytes, durable: bool = True) -> None:
        """Write a file; one that is not durable at once will be when the store is published."""

    def get(self, key: str) -> bytes | None: ...
    def size(self, key: str) -> int | None: ...
    def keys(self, prefix: str) -> list[str]: ...
    def remove(self, key: str) -> None:
        """Remove a file, or all below a prefix, of the unfinished build; it may be missing."""

    def clear(self) -> None:
        """Remove an unfinished build; or, where nothing can be renamed, all that stands at the location."""

    def publish(self, root: bytes) -> None:
        """Write the root metadata `root`, remove the state of the build, and make the store visible."""

    def lock(self) -> contextlib.AbstractContextManager[None]: ...


def open_target(location: str | os.PathLike[str]) -> Target:
    """A local target for a path, a remote one for a URL such as s3://bucket/name.zarr."""
    text = os.fspath(location)
    path = local_path(text)
    if path is None:
        return UrlTarget(text)
    if path.name in ("", ".."):
        raise StoreError(f"{text!r}: must name the store to write, as in bh.zarr; found no name")
    return LocalTarget(path)


def local_path(location: str) -> Path | None:
    """The path that a path or a file:// URL names; None for what is not on this machine."""
    text = location.removeprefix("file://")
    return None if "://" in text or text.startswith("memory:") else Path(text)


class LocalTarget(Target):
    """A folder NAME.building beside the final one, renamed when complete; every file fsynced before it counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = str(path)
        self.building = path.with_name(path.name + BUILDING)

    def exists(self) -> bool:
        return os.path.lexists(self.path)

    def holds_store(self) -> bool:
        return (self.path / "zarr.json").is_file() or (self.path.is_dir() and not any(self.path.iterdir()))

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        path = self.building / key
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync(path.parent)

    def put(self, key: str, data: bytes, durable: bool = True) -> None:
        if durable:
            with self.open(key) as file:
                file.write(data)
        else:
            path = self.building / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def get(self, key: str) -> bytes | None:
        try:
            return (self.building / key).read_bytes()
        except FileNotFoundError:
            return None

    def size(self, key: str) -> int | None:
        try:
            return (self.building / key).stat().st_size
        except FileNotFoundError:
            return None

    def keys(self, prefix: str) -> list[str]:
        folder = self.building / prefix
        return sorted(f"{prefix}{path.name}" for path in folder.iterdir()) if folder.is_dir() else []

    def remove(self, key: str) -> None:
        _remove(self.building / key)

    def clear(self) -> None:
        for path in self.building.iterdir():  # the folder itself is locked
            _remove(path)

    def publish(self, root: bytes) -> None:
        for leftover in self.building.rglob("*.partial"):
            leftover.unlink()
        _remove(self.building / STATE)
        # Small arrays are not durable yet; side by side the disk syncs many files at once.
        with ThreadPoolExecutor(16) as threads:
            list(threads.map(_sync, self.building.rglob("*")))
        _sync(self.building)
        self.put("zarr.json", root)
        if self.path.exists():
            old = self.path.with_name(self.path.name + ".replaced")
            _remove(old)
            self.path.rename(old)
            self.building.rename(self.path)
            _sync(self.path.parent)
            _remove(old)
        else:
            self.building.rename(self.path)
            _sync(self.path.parent)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the unfinished build against other processes; the lock ends with this process, however it ends."""
        try:
            self.building.mkdir(parents=True, exist_ok=True)
            folder = os.open(self.building, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StoreError(f"{self.location}: must be writable; found {error.strerror} ({error.filename})") from error
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{self.building}: another process is writing here; wait for it, or end it") from None
        else:
            yield
        finally:
            os.close(folder)
            with contextlib.suppress(OSError):  # nothing was written, and nothing shall stay
                self.building.rmdir()


class UrlTarget(Target):
    """Objects below a URL. The root metadata is the last to be written: without it there is no store to open."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise MissingExtraError("a store at a URL", "remote") from None
        self.location = url.rstrip("/")
        try:
            self.fs, self.root = fsspec.core.url_to_fs(self.location)
        except (ImportError, ValueError) as error:
            raise StoreError(f"{url}: must be a URL that fsspec can open; found: {error}") from error

    def exists(self) -> bool:
        try:
            names = self.keys("")
        except Exception as error:  # each file system has errors of its own
            raise StoreError(f"{self.location}: must be reachable; found {type(error).__name__}: {error}") from error
        return bool(names) and ("zarr.json" in names or STATE.rstrip("/") not in names)

    def holds_store(self) -> bool:
        return bool(self.fs.exists(f"{self.root}/zarr.json"))

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        # Gathered in memory and written as one object: objects appear whole or not at all.
        buffer = io.BytesIO()
        yield buffer
        self.put(key, buffer.getvalue())

    def put(self, key: str, data: bytes, durable: bool = True) -> None:
        path = f"{self.root}/{key}"
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.pipe_file(path, data)

    def get(self, key: str) -> bytes | None:
        try:
            return bytes(self.fs.cat_file(f"{self.root}/{key}"))
        except FileNotFoundError:
            return None

    def size(self, key: str) -> int | None:
        try:
            return int(self.fs.size(f"{self.root}/{key}"))
        except FileNotFoundError:
            return None

    def keys(self, prefix: str) -> list[str]:
        try:
            self.fs.invalidate_cache()
            names = self.fs.ls(f"{self.root}/{prefix}".rstrip("/"), detail=False)
        except FileNotFoundError:
            return []
        return sorted(prefix + name.rstrip("/").rpartition("/")[2] for name in names)

    def remove(self, key: str) -> None:
        path = f"{self.root}/{key}".rstrip("/")
        if self.fs.exists(path):
            self.fs.rm(path, recursive=True)

    def clear(self) -> None:
        self.remove("")

    def publish(self, root: bytes) -> None:
        self.put("zarr.json", root)
        self.remove(STATE)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        yield  # object stores have no locks; two builds of one store must not run at the same time


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
