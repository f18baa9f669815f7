"""The form of a manifest: a TOML file says what a dataset is, what it must contain, and which structures are held out.

It is read strictly: a misspelt key that is passed over in silence would be a check that never runs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ase.data import chemical_symbols

from ruo2_voxel.errors import ManifestError
from ruo2_voxel.store.manifest.recipe import Recipe, read_recipe
from ruo2_voxel.store.manifest.strict_toml import StrictTable, read_toml

FORM = 1  # of the manifest itself, its key `manifest_form`

InfoValue = str | int | float | bool
Group = tuple[InfoValue, ...]
INFO_TYPES: dict[str, type] = {"string": str, "integer": int, "float": float, "boolean": bool}


@dataclass(frozen=True)
class DataFile:
    """A file of structures: `name` as the manifest writes it, `path` where it lies, its size in bytes, its frames.

    `obtain` says how to come by a file that is not shipped; its checksum and size may be unknown (None) then.
    """

    name: str
    path: Path
    sha256: str | None
    n_bytes: int | None
    n_frames: int
    obtain: str | None


@dataclass(frozen=True)
class InfoKey:
    """What a key of `atoms.info` means.

    Parameters
    ----------
    type
        One of "string", "integer", "float", "boolean".
    meaning
        A sentence or more.
    unit
        As ASE writes it, or None for what has none.
    values, counts
        Every allowed value, and in how many frames each stands; or None.
    lowest, highest
        Bounds that every value keeps, both included; or None.
    """

    type: str
    meaning: str
    unit: str | None
    values: tuple[InfoValue, ...] | None
    counts: tuple[int, ...] | None
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class Expected:
    """What the files hold together; both ends of a range are allowed.

    `n_atoms` is None where nobody knows, `energy_ev` where that or where frames have none.
    """

    n_frames: int
    species: tuple[str, ...]
    n_atoms: tuple[int, int] | None
    energy_ev: tuple[float, float] | None


@dataclass(frozen=True)
class Split:
    """Which structures are held out: whole groups, named one by one.

    Parameters
    ----------
    by
        The info keys that make a group.
    rule
        How the held-out groups were chosen, in words.
    held_out
        Held-out groups, each the values of `by`; every other group is for training.
    n_groups, n_frames
        Expected numbers of groups and of frames, (train, held out).
    """

    by: tuple[str, ...]
    rule: str
    held_out: tuple[Group, ...]
    n_groups: tuple[int, int]
    n_frames: tuple[int, int]

    def group(self, info: Mapping[str, Any]) -> Group | None:
        """The group of a structure with this `info`; None if a key is missing."""
        return tuple(info[key] for key in self.by) if all(key in info for key in self.by) else None

    def is_held_out(self, info: Mapping[str, Any]) -> bool:
        """Whether the structure with this `info` must stay out of training.

        Raises
        ------
        ManifestError
            The structure has no group.
        """
        group = self.group(info)
        if group is None:
            missing = ", ".join(key for key in self.by if key not in info)
            raise ManifestError(
                f"a structure without info {missing} belongs to no group of the split by {', '.join(self.by)}: "
                "give every structure these keys, or split by others"
            )
        return group in self.held_out


@dataclass(frozen=True)
class Manifest:
    """A dataset: where it comes from, its files, the meaning of what they hold, its split, and what to make of it.

    `info_complete` is False where frames may have keys that nobody has described.
    """

    path: Path
    name: str
    title: str
    origin: str
    method: str
    licence: str
    preparation: str
    files: tuple[DataFile, ...]
    units: Mapping[str, str]
    info: Mapping[str, InfoKey]
    tags: Mapping[int, str]
    info_complete: bool
    expected: Expected
    split: Split | None
    recipe: Recipe | None


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest, without looking at the data it speaks of.

    Parameters
    ----------
    path
        A TOML file; the paths of its data files are relative to the folder it lies in.

    Returns
    -------
    manifest
        Complete and consistent in itself.

    Raises
    ------
    ManifestError
        No such file, no TOML, or a key that is missing, unknown, of the wrong type, or at odds with another.
    """
    path = Path(path)
    top = read_toml(path)
    form = top.take("manifest_form", int)
    if form != FORM:
        top.refuse("manifest_form", f"must be {FORM}, the only form that this version reads; found {form}")
    info = top.table("info")
    manifest = Manifest(
        path=path,
        name=top.text("name"),
        title=top.text("title"),
        origin=top.text("origin"),
        method=top.text("method"),
        licence=top.text("licence"),
        preparation=top.text("preparation"),
        files=tuple(_read_file(table) for table in top.tables("files")),
        units=_read_units(top.table("units")),
        info={key: _read_info_key(info.table(key)) for key in info.keys},
        tags=_read_tags(top.table("tags")) if "tags" in top.keys else {},
        info_complete=top.take("info_complete", bool) if "info_complete" in top.keys else True,
        expected=_read_expected(top.table("expected")),
        split=_read_split(top.table("split")) if "split" in top.keys else None,
        recipe=read_recipe(top) if "build" in top.keys else None,
    )
    top.finish()
    _check_counts(top, manifest)
    if manifest.split is not None:
        _check_split(top.table("split"), manifest.split, manifest)
    return manifest


def _read_file(table: StrictTable) -> DataFile:
    name = table.text("path")
    obtain = table.text("obtain") if "obtain" in table.keys else None
    sha256 = table.text("sha256") if obtain is None or "sha256" in table.keys else None
    if PurePosixPath(name).is_absolute():
        table.refuse("path", f"must be relative to the manifest's folder, to hold on every machine; found {name}")
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        table.refuse("sha256", f"must be 64 hexadecimal digits in lower case, as sha256sum prints them; found {sha256}")
    return DataFile(
        name=name,
        path=table.file.parent / name,
        sha256=sha256,
        n_bytes=table.count("bytes", lowest=1) if obtain is None or "bytes" in table.keys else None,
        n_frames=table.count("frames", lowest=1),
        obtain=obtain,
    )


def _read_units(table: StrictTable) -> dict[str, str]:
    units = {"length": table.text("length"), "energy": table.text("energy")}
    for quantity, unit in (("length", "angstrom"), ("energy", "eV")):
        if units[quantity] != unit:
            table.refuse(quantity, f"must be {unit}, which is what ASE reads; found {units[quantity]}")
    return units


def _read_info_key(table: StrictTable) -> InfoKey:
    type_name = table.text("type")
    if type_name not in INFO_TYPES:
        table.refuse("type", f"must be one of {', '.join(INFO_TYPES)}; found {type_name}")
    kind = INFO_TYPES[type_name]
    values: tuple[InfoValue, ...] | None = table.array("values", kind) if "values" in table.keys else None
    counts = table.array("counts", int) if "counts" in table.keys else None
    lowest, highest = None, None
    if "range" in table.keys:
        if kind not in (int, float) or values is not None:
            table.refuse("range", f"must stand with integers or floats, and not beside values; the type is {type_name}")
        lowest, highest = table.range("range", kind)
    if values is not None and len(set(values)) != len(values):
        table.refuse("values", f"must differ from each other; found {list(values)}")
    if counts is not None and (values is None or len(counts) != len(values)):
        table.refuse("counts", f"must be one for each of values; found {len(counts)} for {len(values or ())}")
    return InfoKey(
        type=type_name,
        meaning=table.text("meaning"),
        unit=table.text("unit") if "unit" in table.keys else None,
        values=values,
        counts=counts,
        lowest=lowest,
        highest=highest,
    )


def _read_tags(table: StrictTable) -> dict[int, str]:
    for key in table.keys:
        if not re.fullmatch("0|-?[1-9][0-9]*", key):
            table.refuse(key, "must be an integer, a tag of atoms")
    return {int(key): table.text(key) for key in table.keys}


def _read_expected(table: StrictTable) -> Expected:
    species = table.array("species", str)
    if not species or len(set(species)) != len(species) or not set(species) <= set(chemical_symbols[1:]):
        table.refuse("species", f"must be different chemical symbols, at least one; found {list(species)}")
    return Expected(
        n_frames=table.count("frames", lowest=1),
        species=species,
        n_atoms=table.range("atoms_per_structure", int) if "atoms_per_structure" in table.keys else None,
        energy_ev=table.range("energy_eV", float) if "energy_eV" in table.keys else None,
    )


def _read_split(table: StrictTable) -> Split:
    by = table.array("by", str)
    held_out = []
    for number, group in enumerate(table.array("held_out", list)):
        if len(group) != len(by):
            table.refuse(f"held_out[{number}]", f"must have one value for each of {', '.join(by)}; found {group}")
        held_out.append(tuple(group))
    groups, frames = table.table("groups"), table.table("frames")
    return Split(
        by=by,
        rule=table.text("rule"),
        held_out=tuple(held_out),
        n_groups=(groups.count("train"), groups.count("held_out")),
        n_frames=(frames.count("train"), frames.count("held_out")),
    )


def _check_counts(top: StrictTable, manifest: Manifest) -> None:
    """All that counts frames must come to the same number."""
    n_frames = manifest.expected.n_frames
    in_files = sum(file.n_frames for file in manifest.files)
    if in_files != n_frames:
        top.refuse("expected.frames", f"must be the sum over files, {in_files}; found {n_frames}")
    for key, meaning in manifest.info.items():
        if meaning.counts is not None and sum(meaning.counts) != n_frames:
            top.refuse(f"info.{key}.counts", f"must sum to {n_frames} frames; found {sum(meaning.counts)}")
    if manifest.split is not None and sum(manifest.split.n_frames) != n_frames:
        top.refuse("split.frames", f"must sum to {n_frames} frames; found {sum(manifest.split.n_frames)}")


def _check_split(table: StrictTable, split: Split, manifest: Manifest) -> None:
    """The split must speak of described keys, and of values that they may have."""
    if not split.by or len(set(split.by)) != len(split.by) or not set(split.by) <= set(manifest.info):
        table.refuse("by", f"must be different keys that stand under [info], at least one; found {list(split.by)}")
    for number, group in enumerate(split.held_out):
        for key, value in zip(split.by, group, strict=True):
            meaning = manifest.info[key]
            if type(value) is not INFO_TYPES[meaning.type] or (meaning.values and value not in meaning.values):
                allowed = f" among {list(meaning.values)}" if meaning.values else ""
                table.refuse(f"held_out[{number}]", f"{key} must be {meaning.type}{allowed}; found {value!r}")
    if len(set(split.held_out)) != len(split.held_out):
        table.refuse("held_out", "must name each group once; found one of them twice")
    if len(split.held_out) != split.n_groups[1]:
        table.refuse("groups.held_out", f"must be {len(split.held_out)}, as held_out lists; found {split.n_groups[1]}")
