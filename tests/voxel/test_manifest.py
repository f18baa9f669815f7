"""The manifest of the shipped dataset holds; every defect planted in a dataset or its manifest is found and named."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from scipy.optimize import linear_sum_assignment

from ruo2_voxel.errors import ManifestError
from ruo2_voxel.store.manifest import ManifestReport, read_manifest, verify_manifest

REPOSITORY = Path(__file__).parents[2]
SHIPPED = REPOSITORY / "data_manifests" / "ruo2-bh-mini.toml"

# A dataset of six frames: three walkers of two frames each, the second of which is held out.
SMALL = """
manifest_form = 1
name = "small"
title = "Six frames"
origin = "A test."
method = "None."
licence = "No licence restricts it."
preparation = "None."

[[files]]
path = "{name}"
sha256 = "{sha256}"
bytes = {n_bytes}
frames = 6

[units]
length = "angstrom"
energy = "eV"

[expected]
frames = 6
species = ["O", "Ru"]
atoms_per_structure = [2, 3]
energy_eV = [-10.0, -5.0]

[tags]
0 = "fixed"
1 = "free"

[info.walker]
type = "integer"
meaning = "Number of the walker."
values = [0, 1, 2]
counts = [2, 2, 2]

[info.mu_O]
type = "float"
unit = "eV"
meaning = "Chemical potential of oxygen."
range = [-1.0, 0.0]

[info.valid]
type = "boolean"
meaning = "Whether the structure passed."
values = [true, false]
counts = [5, 1]

[info.move]
type = "string"
meaning = "What led here."

[split]
by = ["walker", "mu_O"]
rule = "The second walker."
held_out = [[1, -0.5]]
groups = {{ train = 2, held_out = 1 }}
frames = {{ train = 4, held_out = 2 }}
"""


def small_frames() -> list[Atoms]:
    frames = []
    for number in range(6):
        atoms = Atoms("RuO", positions=[[0, 0, 0], [0, 0, 1.9 + 0.01 * number]], cell=[4, 4, 10], pbc=True, tags=[0, 1])
        walker = number // 2
        atoms.info = {"walker": walker, "mu_O": -0.5 * walker, "valid": number != 3, "move": "displace"}
        atoms.calc = SinglePointCalculator(atoms, energy=-6.0 - 0.5 * number)
        frames.append(atoms)
    return frames


def write_dataset(folder: Path, frames: list[Atoms], name: str = "small.traj") -> Path:
    """The small dataset with these frames, and a manifest whose checksum and size are those of the file."""
    data = folder / name
    ase.io.write(data, frames)
    content = data.read_bytes()
    manifest = folder / "small.toml"
    manifest.write_text(SMALL.format(name=name, sha256=hashlib.sha256(content).hexdigest(), n_bytes=len(content)))
    return manifest


def verify_with(folder: Path, change: Callable[[list[Atoms]], object]) -> ManifestReport:
    """Report on a dataset whose frames were changed, while the manifest still speaks of the unchanged ones."""
    frames = small_frames()
    change(frames)
    return verify_manifest(read_manifest(write_dataset(folder, frames)))


def read_with(folder: Path, old: str, new: str) -> ManifestReport:
    """Report on the unchanged dataset with one place of its manifest rewritten."""
    manifest = write_dataset(folder, small_frames())
    text = manifest.read_text()
    assert text.count(old) == 1
    manifest.write_text(text.replace(old, new))
    return verify_manifest(read_manifest(manifest))


def only_problem(report: ManifestReport) -> str:
    assert [str(problem) for problem in report.problems][1:] == []
    assert not report.ok
    return str(report.problems[0])


# ---- What holds


def test_the_shipped_dataset_is_what_its_manifest_says() -> None:
    advanced: list[int] = []
    report = verify_manifest(read_manifest(SHIPPED), advance=advanced.append)
    assert report.problems == ()
    assert report.ok
    assert (report.n_files, report.n_frames, report.n_groups) == (1, 1509, 60)
    assert report.split == {"train": 1335, "held_out": 174}
    assert sum(advanced) == 1509
    report.raise_problems()


def test_the_shipped_split_covers_every_facet_and_termination_and_holds_whole_walkers_out() -> None:
    split = read_manifest(SHIPPED).split
    assert split is not None
    frames = ase.io.read(REPOSITORY / "data" / "ruo2-bh-mini.traj", index=":")
    held_out = [atoms.info for atoms in frames if split.is_held_out(atoms.info)]
    train = [atoms.info for atoms in frames if not split.is_held_out(atoms.info)]
    assert {info["facet"] for info in held_out} == {"110", "100"}
    assert {info["start"] for info in held_out} == {"O-poor", "stoichiometric", "O-rich"}
    assert not {info["run"] for info in held_out} & {info["run"] for info in train}
    assert len(held_out) / len(frames) == pytest.approx(0.1, abs=0.02)


@pytest.mark.slow
def test_no_held_out_structure_of_the_shipped_split_is_a_near_copy_of_a_training_structure() -> None:
    split = read_manifest(SHIPPED).split
    assert split is not None
    frames = ase.io.read(REPOSITORY / "data" / "ruo2-bh-mini.traj", index=":")
    nearest = np.inf
    for atoms in (atoms for atoms in frames if split.is_held_out(atoms.info)):
        for other in frames:
            same_atoms = sorted(other.numbers) == sorted(atoms.numbers) and np.allclose(other.cell, atoms.cell)
            if same_atoms and not split.is_held_out(other.info):
                nearest = min(nearest, largest_displacement(atoms, other, below=nearest))
    assert nearest > 0.19


def largest_displacement(atoms: Atoms, other: Atoms, below: float) -> float:
    """How far (Å) the atom that moves most must move, equal atoms assigned as they fit best; or at least `below`."""
    lengths = atoms.cell.lengths()
    difference = atoms.positions[:, None] - other.positions[None]
    difference -= np.round(difference / lengths) * lengths
    distance = np.sqrt((difference**2).sum(axis=-1))
    distance[atoms.numbers[:, None] != other.numbers[None]] = 1e3
    if max(distance.min(axis=0).max(), distance.min(axis=1).max()) >= below:
        return below
    return float(distance[linear_sum_assignment(distance**2)].max())


def test_a_report_is_json() -> None:
    report = verify_manifest(read_manifest(SHIPPED))
    told = json.loads(json.dumps(report.as_dict()))
    assert told["ok"] is True
    assert told["frames"] == 1509
    assert told["problems"] == []


def test_an_unchanged_dataset_has_no_problem(tmp_path: Path) -> None:
    assert verify_with(tmp_path, lambda frames: None).problems == ()


# ---- Files


def test_one_altered_byte_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    shutil.copy(SHIPPED, folder)
    data = bytearray((REPOSITORY / "data" / "ruo2-bh-mini.traj").read_bytes())
    data[2_000_000] ^= 1
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "ruo2-bh-mini.traj").write_bytes(data)
    report = verify_manifest(read_manifest(folder / SHIPPED.name))
    problem = str(report.problems[0])
    assert "file ../data/ruo2-bh-mini.traj: expected sha256 a5c136b9" in problem
    assert "Its content has changed" in problem
    assert "Fetch the file again" in problem


def test_a_missing_file_is_the_one_problem(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, small_frames())
    (tmp_path / "small.traj").unlink()
    problem = only_problem(verify_manifest(read_manifest(manifest)))
    assert f"bytes at {tmp_path / 'small.traj'}; found no such file" in problem
    assert "counts from the manifest's folder" in problem


def test_a_truncated_file_is_found_by_size_and_by_reading(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, small_frames())
    data = tmp_path / "small.traj"
    content = data.read_bytes()
    data.write_bytes(content[: len(content) // 2])
    report = verify_manifest(read_manifest(manifest))
    size, checksum, frames = map(str, report.problems)
    assert f"expected {len(content)} bytes; found {len(content) // 2}. Part of it is missing" in size
    assert "expected sha256" in checksum
    assert "expected 6 readable frames" in frames


def test_a_file_that_is_no_trajectory_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, small_frames())
    (tmp_path / "small.traj").write_bytes(b"\x00\x01 no structures")
    report = verify_manifest(read_manifest(manifest))
    assert "expected 6 readable frames" in str(report.problems[-1])


def test_a_frame_too_few_is_found(tmp_path: Path) -> None:
    problem = only_problem(verify_with(tmp_path, lambda frames: frames.pop()))
    assert "file small.traj: expected 6 frames; found 5." in problem


# ---- Frames


def test_an_info_key_that_is_not_described_is_named_once_with_its_frames(tmp_path: Path) -> None:
    def add_key(frames: list[Atoms]) -> None:
        frames[2].info["temperature"] = 300.0
        frames[4].info["temperature"] = 300.0

    problem = only_problem(verify_with(tmp_path, add_key))
    assert "frame 2 of small.traj, info temperature: expected a key under [info]" in problem
    assert "(and so in 2 frames)" in problem
    assert "Describe it: [info.temperature]." in problem


def test_a_frame_without_a_described_key_is_found(tmp_path: Path) -> None:
    problem = only_problem(verify_with(tmp_path, lambda frames: frames[3].info.pop("move")))
    assert "frame 3 of small.traj, info move: expected string; found no such key." in problem


def test_a_frame_without_a_group_is_found_and_counted_in_no_part(tmp_path: Path) -> None:
    report = verify_with(tmp_path, lambda frames: frames[3].info.pop("mu_O"))
    missing, split = map(str, report.problems)
    assert "frame 3 of small.traj, info mu_O: expected float from -1.0 to 0.0; found no such key." in missing
    assert "split.frames: expected train 4, held out 2; found train 4, held out 1." in split


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("mu_O", -2.0, "float from -1.0 to 0.0; found -2.0."),
        ("mu_O", float("nan"), "float from -1.0 to 0.0; found nan."),
        ("mu_O", 0, "float from -1.0 to 0.0; found 0."),
        ("move", 1, "string; found 1."),
        ("valid", 1, "boolean, one of True, False; found 1."),
        ("walker", 3, "integer, one of 0, 1, 2; found 3."),
        ("walker", True, "integer, one of 0, 1, 2; found True."),
    ],
)
def test_a_value_of_another_type_or_beyond_what_is_allowed_is_found(
    tmp_path: Path, key: str, value: object, expected: str
) -> None:
    report = verify_with(tmp_path, lambda frames: frames[0].info.update({key: value}))
    assert f"frame 0 of small.traj, info {key}: expected {expected}" in str(report.problems[0])


def test_a_float_must_be_finite_even_without_a_range(tmp_path: Path) -> None:
    frames = small_frames()
    frames[4].info["mu_O"] = float("nan")
    manifest = write_dataset(tmp_path, frames)
    manifest.write_text(manifest.read_text().replace("range = [-1.0, 0.0]\n", ""))
    report = verify_manifest(read_manifest(manifest))
    assert "frame 4 of small.traj, info mu_O: expected float; found nan." in str(report.problems[0])


def test_numpy_scalars_as_extended_xyz_gives_them_are_as_good_as_python_numbers(tmp_path: Path) -> None:
    manifest = write_dataset(tmp_path, small_frames(), name="small.extxyz")
    assert isinstance(ase.io.read(tmp_path / "small.extxyz").info["walker"], np.integer)
    assert verify_manifest(read_manifest(manifest)).problems == ()


def test_a_relabelled_frame_is_found_by_the_counts(tmp_path: Path) -> None:
    report = verify_with(tmp_path, lambda frames: frames[0].info.update(valid=False))
    true, false = map(str, report.problems)
    assert "info valid = True: expected 5 frames; found 4." in true
    assert "info valid = False: expected 1 frames; found 2." in false


def test_another_species_is_found(tmp_path: Path) -> None:
    def add_hydrogen(frames: list[Atoms]) -> None:
        energy = frames[5].get_potential_energy()
        frames[5].append("H")
        frames[5].calc = SinglePointCalculator(frames[5], energy=energy)

    problem = only_problem(verify_with(tmp_path, add_hydrogen))
    assert "frame 5 of small.traj, species: expected O, Ru; found H." in problem


def test_a_species_that_no_frame_has_is_found(tmp_path: Path) -> None:
    problem = only_problem(read_with(tmp_path, '["O", "Ru"]', '["O", "Ru", "H"]'))
    assert "expected.species: expected O, Ru, H; found no frame with H." in problem


def test_a_structure_of_another_size_is_found(tmp_path: Path) -> None:
    problem = only_problem(read_with(tmp_path, "atoms_per_structure = [2, 3]", "atoms_per_structure = [3, 3]"))
    assert "frame 0 of small.traj, atoms: expected 3 to 3; found 2 (and so in 6 frames)." in problem


def test_a_tag_that_is_not_described_is_found(tmp_path: Path) -> None:
    problem = only_problem(verify_with(tmp_path, lambda frames: frames[1].set_tags([0, 7])))
    assert "frame 1 of small.traj, tags: expected among 0, 1; found 0, 7." in problem


def test_a_frame_without_energy_is_found(tmp_path: Path) -> None:
    problem = only_problem(verify_with(tmp_path, lambda frames: setattr(frames[4], "calc", None)))
    assert "frame 4 of small.traj, energy: expected an energy in eV; found none." in problem


def test_an_energy_beyond_the_range_is_found(tmp_path: Path) -> None:
    problem = only_problem(read_with(tmp_path, "[-10.0, -5.0]", "[-8.0, -5.0]"))
    assert "frame 5 of small.traj, energy: expected -8.0 to -5.0 eV; found -8.500000 eV." in problem


# ---- Split


def test_a_wrong_split_count_is_found(tmp_path: Path) -> None:
    problem = only_problem(read_with(tmp_path, "{ train = 4, held_out = 2 }", "{ train = 5, held_out = 1 }"))
    assert "split.frames: expected train 5, held out 1; found train 4, held out 2." in problem


def test_a_wrong_number_of_groups_is_found(tmp_path: Path) -> None:
    problem = only_problem(read_with(tmp_path, "{ train = 2, held_out = 1 }", "{ train = 3, held_out = 1 }"))
    assert "split.groups: expected train 3, held out 1; found train 2, held out 1." in problem


def test_a_held_out_group_that_no_frame_belongs_to_is_found(tmp_path: Path) -> None:
    report = read_with(tmp_path, "[[1, -0.5]]", "[[1, -0.6]]")
    assert "expected frames of the group {'walker': 1, 'mu_O': -0.6}; found none." in str(report.problems[0])
    assert "found train 6, held out 0" in str(report.problems[-1])


def test_a_structure_without_a_group_is_in_no_part() -> None:
    split = read_manifest(SHIPPED).split
    assert split is not None
    with pytest.raises(ManifestError, match="a structure without info run belongs to no group"):
        split.is_held_out({"phase": 1, "facet": "110", "start": "O-rich", "mu_O": -0.5})


def test_all_problems_are_raised_together(tmp_path: Path) -> None:
    report = verify_with(tmp_path, lambda frames: frames[0].info.update(valid=False))
    with pytest.raises(
        ManifestError, match=r"small\.toml: .* 2 problems:\n- info valid = True.*\n- info valid = False"
    ):
        report.raise_problems()


# ---- The manifest itself


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Six frames"', "", "title: must be there, a string"),
        ('title = "Six frames"', "title = 6", "title: must be a string; found 6"),
        ('title = "Six frames"', 'title = " "', "title: must say something"),
        ('title = "Six frames"', 'title = "Six"\ncolour = "red"', "colour: is not known"),
        ("manifest_form = 1", "manifest_form = 2", "manifest_form: must be 1"),
        ('sha256 = "', 'sha256 = "0x', r"files\[0\].sha256: must be 64 hexadecimal digits"),
        ('path = "small.traj"', 'path = "/small.traj"', r"files\[0\].path: must be relative"),
        ('unit = "eV"', 'unite = "eV"', "info.mu_O.unite: is not known"),
        ('type = "float"', 'type = "real"', "info.mu_O.type: must be one of string, integer, float, boolean"),
        ("range = [-1.0, 0.0]", "range = [0.0, -1.0]", r"info.mu_O.range: must be \[lowest, highest\]"),
        ("range = [-1.0, 0.0]", "range = [-1, 0]", "info.mu_O.range: each element must be a float; found -1"),
        (
            "values = [0, 1, 2]",
            "values = [0, 1, 2]\nrange = [0, 2]",
            "info.walker.range: must stand .* not beside values",
        ),
        (
            '"What led here."',
            '"What led here."\nrange = ["a", "b"]',
            "info.move.range: must stand with integers or floats",
        ),
        ("counts = [2, 2, 2]", "counts = [2, 2, 1]", "info.walker.counts: must sum to 6 frames; found 5"),
        ("counts = [5, 1]", "counts = [6]", "info.valid.counts: must be one for each of values; found 1 for 2"),
        ("values = [0, 1, 2]", "values = [0, 1, 1]", "info.walker.values: must differ"),
        (
            "\nframes = 6\n\n[units]",
            "\nframes = 7\n\n[units]",
            "expected.frames: must be the sum over files, 7; found 6",
        ),
        ("frames = 6\nspecies", "frames = true\nspecies", "expected.frames: must be an integer; found True"),
        ('["O", "Ru"]', '["O", "Rh2"]', "expected.species: must be different chemical symbols"),
        ('["O", "Ru"]', '["O", "O"]', "expected.species: must be different chemical symbols"),
        ('["O", "Ru"]', "[]", "expected.species: must be different chemical symbols, at least one"),
        ('length = "angstrom"', 'length = "nm"', "units.length: must be angstrom"),
        ('0 = "fixed"', 'bottom = "fixed"', "tags.bottom: must be an integer"),
        ('["walker", "mu_O"]', '["walker", "run"]', "split.by: must be different keys that stand under"),
        ("[[1, -0.5]]", "[[1]]", r"split.held_out\[0\]: must have one value for each of walker, mu_O; found \[1\]"),
        ("[[1, -0.5]]", "[[true, -0.5]]", r"split.held_out\[0\]: walker must be integer among"),
        ("[[1, -0.5]]", "[[[1], -0.5]]", r"split.held_out\[0\]: walker must be integer among"),
        ("[[1, -0.5]]", "[[1, -0.5], [1, -0.5]]", "split.held_out: must name each group once"),
        ("[[1, -0.5]]", "[]", "split.groups.held_out: must be 0, as held_out lists; found 1"),
        ("{ train = 4, held_out = 2 }", "{ train = 4, held_out = 3 }", "split.frames: must sum to 6 frames; found 7"),
        ("{ train = 4, held_out = 2 }", "{ train = -4, held_out = 2 }", "split.frames.train: must be at least 0"),
        ("[split]", "[split", "must be TOML in UTF-8"),
    ],
)
def test_a_malformed_manifest_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ManifestError, match=r"small\.toml: " + message):
        read_with(tmp_path, old, new)


def test_a_manifest_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no\.toml: must be a file that can be read; found: No such file"):
        read_manifest(tmp_path / "no.toml")
