"""What the frames of a dataset hold, counted as they pass, and where that differs from the manifest."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from ruo2_voxel.store.manifest.form import INFO_TYPES, Group, InfoKey, Manifest, Split
from ruo2_voxel.structures.frames import Frame


@dataclass(frozen=True)
class Problem:
    """One way in which data and manifest differ.

    Parameters
    ----------
    where
        A data file, a frame, or a key of the manifest.
    expected, found
        What the manifest says, and what the data hold.
    meaning
        What may have happened.
    remedy
        What to do.
    """

    where: str
    expected: str
    found: str
    meaning: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: expected {self.expected}; found {self.found}. {self.meaning} {self.remedy}"


@dataclass
class _Fault:
    """A problem that frames may share: how the first of them looks, and how many there are."""

    place: str
    found: str
    meaning: str
    remedy: str
    count: int = 0


@dataclass
class Census:
    """What the frames hold, counted as they pass; frames themselves are not kept."""

    manifest: Manifest
    n_frames: int = 0
    species: Counter[str] = field(default_factory=Counter)
    groups: Counter[Group] = field(default_factory=Counter)
    _values: dict[str, Counter[Any]] = field(default_factory=lambda: defaultdict(Counter))
    _faults: dict[tuple[str, str], _Fault] = field(default_factory=dict)

    def add(self, frame: Frame, place: str) -> None:
        self.n_frames += 1
        self._add_atoms(frame, place)
        self._add_energy(frame.energy, place)
        self._add_info(frame.info, place)
        split = self.manifest.split
        # A frame without a proper group has been told of already, under the info key that is at fault.
        if split is not None and all(_agrees(frame.info.get(key), self.manifest.info[key]) for key in split.by):
            self.groups[tuple(frame.info[key] for key in split.by)] += 1

    def frames_of_parts(self, split: Split) -> tuple[int, int]:
        """Frames (train, held out)."""
        held_out = sum(self.groups[group] for group in split.held_out)
        return self.groups.total() - held_out, held_out

    def problems(self) -> Iterator[Problem]:
        for (key, expected), fault in self._faults.items():
            others = f" (and so in {fault.count} frames)" if fault.count > 1 else ""
            yield Problem(f"{fault.place}, {key}", expected, fault.found + others, fault.meaning, fault.remedy)
        if self.n_frames != self.manifest.expected.n_frames:
            return  # told for the file at fault; every count below would only say it again
        yield from self._absences()
        for key, meaning in self.manifest.info.items():
            yield from self._wrong_counts(key, meaning)
        if self.manifest.split is not None:
            yield from self._wrong_split(self.manifest.split)

    def _note(self, place: str, key: str, expected: str, found: str, meaning: str, remedy: str) -> None:
        fault = self._faults.setdefault((key, expected), _Fault(place, found, meaning, remedy))
        fault.count += 1

    def _add_atoms(self, frame: Frame, place: str) -> None:
        expected = self.manifest.expected
        strange = "The frame does not belong to this dataset, or the manifest says too little."
        species = sorted(chemical_symbols[number] for number in set(frame.numbers.tolist()))
        self.species.update(species)
        others = [symbol for symbol in species if symbol not in expected.species]
        if others:
            remedy = "Add it to expected.species, or drop such frames from the file."
            self._note(place, "species", ", ".join(expected.species), ", ".join(others), strange, remedy)
        lowest, highest = expected.n_atoms or (0, len(frame.numbers))
        if not lowest <= len(frame.numbers) <= highest:
            remedy = "Correct expected.atoms_per_structure, or drop such frames from the file."
            self._note(place, "atoms", f"{lowest} to {highest}", f"{len(frame.numbers)}", strange, remedy)
        tags = [] if frame.tags is None else list(np.unique(frame.tags))
        if self.manifest.tags and (not tags or not set(tags) <= set(self.manifest.tags)):
            known = ", ".join(map(str, sorted(self.manifest.tags)))
            remedy = "Describe each tag under [tags]."
            self._note(place, "tags", f"among {known}", ", ".join(map(str, tags)) or "none", strange, remedy)

    def _add_energy(self, energy: float, place: str) -> None:
        bounds = self.manifest.expected.energy_ev
        remedy = "Correct expected.energy_eV (leave it out where frames have no energy), or drop such frames."
        if bounds is None:
            return
        if not math.isfinite(energy):
            meaning = "The frame was written without its calculator's result."
            self._note(place, "energy", "an energy in eV", "none", meaning, remedy)
        elif not bounds[0] <= energy <= bounds[1]:
            meaning = "Another unit or potential, a calculation that went astray, or a range written too narrow."
            self._note(place, "energy", f"{bounds[0]} to {bounds[1]} eV", f"{energy:.6f} eV", meaning, remedy)

    def _add_info(self, info: dict[str, Any], place: str) -> None:
        for key in info:
            if key not in self.manifest.info and self.manifest.info_complete:
                meaning = "Nobody can know what it says."
                self._note(place, f"info {key}", "a key under [info]", "none", meaning, f"Describe it: [info.{key}].")
        for key, meant in self.manifest.info.items():
            wanted = _wanted(meant)
            if key not in info:
                meaning = "The frame was written by another program or version."
                remedy = f"Give every frame this key, or take [info.{key}] out of the manifest."
                self._note(place, f"info {key}", wanted, "no such key", meaning, remedy)
                continue
            value = info[key]
            if not _agrees(value, meant):
                meaning = "Damaged, of another meaning, or not foreseen by the manifest."
                remedy = f"Correct the frame, or [info.{key}] in the manifest."
                self._note(place, f"info {key}", wanted, f"{value!r}", meaning, remedy)
            elif meant.counts is not None:
                self._values[key][value] += 1

    def _absences(self) -> Iterator[Problem]:
        missing = [symbol for symbol in self.manifest.expected.species if not self.species[symbol]]
        if missing:
            yield Problem(
                where="expected.species",
                expected=", ".join(self.manifest.expected.species),
                found=f"no frame with {', '.join(missing)}",
                meaning="Frames are missing, or the manifest names a species too many.",
                remedy="Fetch the files again, or correct expected.species.",
            )

    def _wrong_counts(self, key: str, meant: InfoKey) -> Iterator[Problem]:
        for value, count in zip(meant.values or (), meant.counts or (), strict=False):
            found = self._values[key][value]
            if found != count:
                yield Problem(
                    where=f"info {key} = {value!r}",
                    expected=f"{count} frames",
                    found=f"{found}",
                    meaning="Frames were lost, added or relabelled since the manifest was written.",
                    remedy=f"Fetch the files again, or correct info.{key}.counts.",
                )

    def _wrong_split(self, split: Split) -> Iterator[Problem]:
        for group in split.held_out:
            if not self.groups[group]:
                yield Problem(
                    where="split.held_out",
                    expected=f"frames of the group {dict(zip(split.by, group, strict=True))}",
                    found="none",
                    meaning="A misspelt group holds nothing out: its frames would be trained on.",
                    remedy="Correct split.held_out.",
                )
        held_out = sum(1 for group in split.held_out if self.groups[group])
        n_groups = sum(1 for count in self.groups.values() if count)
        for kind, wanted, found in (
            ("groups", split.n_groups, (n_groups - held_out, held_out)),
            ("frames", split.n_frames, self.frames_of_parts(split)),
        ):
            if found != wanted:
                yield Problem(
                    where=f"split.{kind}",
                    expected=f"train {wanted[0]}, held out {wanted[1]}",
                    found=f"train {found[0]}, held out {found[1]}",
                    meaning="Frames were lost, added or moved to other groups, or the list of groups was changed.",
                    remedy=f"Correct split.held_out or split.{kind}, or fetch the files again.",
                )


def _wanted(meant: InfoKey) -> str:
    """What a value of this key must be, in words."""
    if meant.values is not None:
        return f"{meant.type}, one of {', '.join(map(repr, meant.values))}"
    if meant.lowest is not None:
        return f"{meant.type} from {meant.lowest} to {meant.highest}"
    return meant.type


def _agrees(value: Any, meant: InfoKey) -> bool:
    """Whether a value, Python's or NumPy's, has the type and one of the values that are meant."""
    plain: Any = value.item() if isinstance(value, np.generic) else value
    has_type = type(plain) is INFO_TYPES[meant.type] and (type(plain) is not float or math.isfinite(plain))
    if not has_type or (meant.values is not None and plain not in meant.values):
        return False
    return meant.lowest is None or meant.highest is None or bool(meant.lowest <= plain <= meant.highest)
