"""Compare a dataset with its manifest: its files byte by byte, then what their frames hold."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ruo2_voxel.errors import ManifestError, SourceError
from ruo2_voxel.store.manifest.census import Census, Problem
from ruo2_voxel.store.manifest.form import DataFile, Manifest
from ruo2_voxel.structures.frames import open_frames

Advance = Callable[[int], object]


@dataclass(frozen=True)
class ManifestReport:
    """What a comparison found; without `problems` the dataset is what its manifest says.

    Parameters
    ----------
    n_files, n_bytes, n_frames
        What was read.
    species
        Frames that hold each species.
    n_groups, split
        Groups of the split, and frames of each part; None without a split.
    """

    manifest: Manifest
    problems: tuple[Problem, ...]
    n_files: int
    n_bytes: int
    n_frames: int
    species: dict[str, int]
    n_groups: int | None
    split: dict[str, int] | None

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return {
            "manifest": str(self.manifest.path),
            "name": self.manifest.name,
            "title": self.manifest.title,
            "licence": self.manifest.licence,
            "ok": self.ok,
            "files": self.n_files,
            "bytes": self.n_bytes,
            "frames": self.n_frames,
            "species": self.species,
            "groups": self.n_groups,
            "split": self.split,
            "problems": [{**asdict(problem), "message": str(problem)} for problem in self.problems],
        }

    def raise_problems(self) -> None:
        """Raise one ManifestError that tells all problems, if there are any."""
        if self.problems:
            count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
            lines = "".join(f"\n- {problem}" for problem in self.problems)
            raise ManifestError(f"{self.manifest.path}: the data are not what this manifest says, {count}:{lines}")


def verify_manifest(manifest: Manifest, advance: Advance | None = None) -> ManifestReport:
    """Compare all files and all frames of a dataset with its manifest.

    Parameters
    ----------
    manifest
        As `read_manifest` gives it.
    advance
        Called with 1 after each frame, say `tqdm.update`.

    Returns
    -------
    report
        Every problem at once. Those that many frames share are told once, with their number and the first frame.
    """
    census = Census(manifest)
    problems: list[Problem] = []
    n_files, n_bytes = 0, 0
    for file in manifest.files:
        if not file.path.is_file():
            problems.append(_missing_file(file))
            continue
        n_files += 1
        n_bytes += file.path.stat().st_size
        problems += _check_bytes(file)
        problems += _check_frames(file, census, advance)
    problems += census.problems()
    split = manifest.split
    return ManifestReport(
        manifest=manifest,
        problems=tuple(problems),
        n_files=n_files,
        n_bytes=n_bytes,
        n_frames=census.n_frames,
        species=dict(sorted(census.species.items())),
        n_groups=len(census.groups) if split else None,
        split=dict(zip(("train", "held_out"), census.frames_of_parts(split), strict=True)) if split else None,
    )


def _missing_file(file: DataFile) -> Problem:
    size = "a file" if file.n_bytes is None else f"{file.n_bytes} bytes"
    if file.obtain is not None:
        return Problem(
            where=f"file {file.name}",
            expected=f"{size} at {file.path}",
            found="no such file",
            meaning="It does not come with the manifest.",
            remedy=" ".join(file.obtain.split()),
        )
    return Problem(
        where=f"file {file.name}",
        expected=f"{size} at {file.path}",
        found="no such file",
        meaning="It may not have been copied along with the manifest, or the manifest was moved away from it.",
        remedy="Put the file there, or correct `path`, which counts from the manifest's folder.",
    )


def _check_bytes(file: DataFile) -> Iterator[Problem]:
    """Size first, which says more about what happened than a checksum does."""
    n_bytes = file.path.stat().st_size
    remedy = "Fetch the file again; if the change is meant, write a new manifest for it."
    if file.n_bytes is not None and n_bytes != file.n_bytes:
        meaning = "Part of it is missing: a copy that was cut short?" if n_bytes < file.n_bytes else "It has grown."
        yield Problem(f"file {file.name}", f"{file.n_bytes} bytes", f"{n_bytes}", meaning, remedy)
    if file.sha256 is None:
        return
    with file.path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    if sha256 != file.sha256:
        yield Problem(
            where=f"file {file.name}",
            expected=f"sha256 {file.sha256}",
            found=sha256,
            meaning="Its content has changed since the manifest was written, by damage or by an edit.",
            remedy=remedy,
        )


def _check_frames(file: DataFile, census: Census, advance: Advance | None) -> list[Problem]:
    """Pass every frame of one file to the census, and count them."""
    unreadable: list[SourceError] = []
    n_frames = 0
    try:
        frames = open_frames(str(file.path))
        for _, frame in frames.iterate(on_error=lambda _, error: unreadable.append(error)):
            census.add(frame, f"{frame.noun} {frame.index} of {file.name}")
            n_frames += 1
            if advance is not None:
                advance(1)
    except SourceError as error:
        unreadable.append(error)
    problems = []
    if unreadable:
        problems.append(
            Problem(
                where=f"file {file.name}",
                expected=f"{file.n_frames} readable frames",
                found=f"{len(unreadable)} that cannot be read, first: {unreadable[0]}",
                meaning="The file is damaged, or no file of structures.",
                remedy="Fetch it again.",
            )
        )
    elif n_frames != file.n_frames:
        problems.append(
            Problem(
                where=f"file {file.name}",
                expected=f"{file.n_frames} frames",
                found=f"{n_frames}",
                meaning="The file is another version of the dataset, or the manifest counts wrongly.",
                remedy="Fetch the file that the manifest was written for, or correct `frames`.",
            )
        )
    return problems
