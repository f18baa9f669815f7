"""Prepared structures and slabs in files: what goes in comes out in any format, and nothing is left half-written."""

import re
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from ase.io import read

from ruo2_voxel import Preparation, Ruo2Error, SourceError, StructureError, open_frames
from ruo2_voxel.structures.prepared_file import prepare_file
from ruo2_voxel.structures.structure_file import StructureWriter
from ruo2_voxel.structures.surface_file import write_surfaces
from ruo2_voxel.structures.surfaces import TERMINATIONS, build_surface
from tests.voxel.stores import write_frames
from tests.voxel.structure_files import slab
from tests.voxel.structure_files import store as write_structures

EVERYTHING = Preparation(orthogonal=True, square=True, vacuum=12.0)
FORMATS = [".traj", ".extxyz", ".db", ".json", ".xyz.gz"]


def sampled(index: int) -> Atoms:
    """A slab as a run would have left it."""
    atoms = build_surface(("110", "111", "100")[index % 3], "stoichiometric", vacuum=18.0 + index)
    rng = np.random.default_rng(index)
    atoms.positions += rng.normal(scale=0.05, size=(len(atoms), 3))
    atoms.set_tags(np.arange(len(atoms)) % 3)
    atoms.set_constraint(FixAtoms([0, 1]))
    atoms.info.update(mu_O=-0.25 * index, run=index)
    atoms.calc = SinglePointCalculator(atoms, energy=-7.0 * len(atoms) - index, magmom=0.5 * index)
    return atoms


def source(folder: Path, structures: list[Atoms] | None = None, name: str = "bh.traj") -> Any:
    structures = [sampled(index) for index in range(6)] if structures is None else structures
    return open_frames(str(write_structures(folder / name, structures)))


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("suffix", FORMATS)
def test_prepared_structures_come_back_from_any_format(suffix: str, tmp_path: Path) -> None:
    frames = source(tmp_path)
    prepare_file(frames, tmp_path / "wanted.traj", EVERYTHING)
    summary = prepare_file(frames, tmp_path / f"out{suffix}", EVERYTHING)
    assert left_in(tmp_path) == {"bh.traj", "wanted.traj", f"out{suffix}"}
    found, wanted = open_frames(str(tmp_path / f"out{suffix}")), open_frames(str(tmp_path / "wanted.traj"))
    assert len(found) == len(wanted) == 6
    for one, other in zip(found, wanted, strict=True):
        for name in ("numbers", "tags", "fixed", "pbc"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
        for name in ("positions", "cell", "energy", "magnetic_moment"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-7, err_msg=name)
        for key in ("facet", "termination", "n_layers", "mu_O", "run", "shear"):
            assert str(one.info[key]) == str(other.info[key])  # an XYZ file makes numbers of facets
        assert one.info["lift"] == pytest.approx(other.info["lift"], abs=1e-12)
    assert summary["atoms"] == sum(len(frame.numbers) for frame in wanted)


def test_what_was_done_stands_in_info_and_in_the_summary(tmp_path: Path) -> None:
    counted: list[int] = []
    summary = prepare_file(source(tmp_path), tmp_path / "out.traj", EVERYTHING, progress=counted.append)
    assert sum(counted) == summary["frames"] == summary["structures"] == 6
    found = read(tmp_path / "out.traj", ":")
    n_cells = [round(np.linalg.det(atoms.info["supercell"])) for atoms in found]
    counts = summary["structures_by_number_of_cells"]
    assert list(counts.items()) == [(str(n), n_cells.count(n)) for n in sorted(set(n_cells))]
    for index, (atoms, n) in enumerate(zip(found, n_cells, strict=True)):
        original = sampled(index)
        cell = np.array(atoms.info["supercell"]) @ original.cell.array[:2]
        np.testing.assert_allclose(atoms.cell.array[:2], cell, atol=1e-9)
        assert len(atoms) == n * len(original)
        assert atoms.get_potential_energy() == n * original.get_potential_energy()
        before, after = atoms.info["vacuum"]
        assert after == 12.0
        assert before - 12.0 == pytest.approx(original.cell[2, 2] - atoms.cell[2, 2])
        assert atoms.info["shear"] == 0.0
    assert summary["sheared"] == 0
    assert (summary["skipped_frames"], summary["skipped"], summary["findings_by_kind"]) == (0, [], {})


def test_a_database_keeps_what_can_be_searched_and_all_else_as_data(tmp_path: Path) -> None:
    odd = sampled(0)
    odd.info = {
        "mu_O": -0.5,
        "converged": True,
        "CO": 1,
        "He": 2,
        "energy": 2.0,
        "version": "1.0",
        "path": [1, 2],
        "no": None,
    }
    with StructureWriter(tmp_path / "out.db") as writer:
        writer.write(odd)
    (row,) = ase.db.connect(tmp_path / "out.db").select("mu_O<0")
    assert row.key_value_pairs == {"mu_O": -0.5, "converged": True}
    assert {**row.key_value_pairs, **row.data} == odd.info
    (frame,) = open_frames(str(tmp_path / "out.db"))
    assert frame.info == {key: value for key, value in odd.info.items() if key not in ("path", "no")}


def test_findings_are_reported_or_drop_their_structure(tmp_path: Path) -> None:
    slabs = [build_surface("110", "stoichiometric") for _ in range(6)]
    for index, atoms in enumerate(slabs):
        atoms.info["run"] = index
        if index in (1, 4):
            atoms.append("O")
            atoms.positions[-1] = atoms.positions[-2] + [0.0, 0.0, 6.0]
    write_frames(tmp_path / "bh.traj", slabs)
    frames = open_frames(str(tmp_path / "bh.traj"))
    summary = prepare_file(frames, tmp_path / "reported.traj", EVERYTHING, screening="report")
    assert (summary["structures"], summary["findings_by_kind"]) == (6, {"floating": 2})
    texts = [atoms.info.get("findings") for atoms in read(tmp_path / "reported.traj", ":")]
    assert [texts.index(text) if text else None for text in texts] == [None, 1, None, None, 1, None]
    assert len(texts[1]) == 1
    assert texts[1][0].startswith(f"floating: O{len(slabs[0])} cut off from the {len(slabs[0])} atoms of the slab")
    summary = prepare_file(frames, tmp_path / "sound.traj", Preparation(), screening="drop")
    assert (summary["structures"], summary["skipped_frames"]) == (4, 2)
    assert summary["skipped"][1] == {"frame": f"frame 4 of {tmp_path}/bh.traj", "reason": texts[4][0]}
    assert [atoms.info["run"] for atoms in read(tmp_path / "sound.traj", ":")] == [0, 2, 3, 5]


def test_without_changes_frames_are_copied(tmp_path: Path) -> None:
    frames = source(tmp_path)
    prepare_file(frames, tmp_path / "out.traj", Preparation())
    for frame, copy in zip(frames, open_frames(str(tmp_path / "out.traj")), strict=True):
        assert copy.positions.tobytes() == frame.positions.tobytes()
        assert copy.info == frame.info


def broken() -> list[Atoms]:
    """Structures of which the third cannot be prepared."""
    structures = [sampled(index) for index in range(6)]
    structures[2].cell[2] *= -1.0
    return structures


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_frame_that_cannot_be_prepared_leaves_no_file(suffix: str, tmp_path: Path) -> None:
    frames = source(tmp_path, broken())
    with pytest.raises(StructureError, match=r"frame 2 of .*bh\.traj: the cell must be right-handed.* --on-error skip"):
        prepare_file(frames, tmp_path / f"out{suffix}", EVERYTHING)
    assert left_in(tmp_path) == {"bh.traj"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_frame_that_cannot_be_prepared_may_be_left_out(suffix: str, tmp_path: Path) -> None:
    summary = prepare_file(source(tmp_path, broken()), tmp_path / f"out{suffix}", EVERYTHING, on_error="skip")
    assert (summary["frames"], summary["structures"], summary["skipped_frames"]) == (6, 5, 1)
    (skipped,) = summary["skipped"]
    assert skipped["frame"] == f"frame 2 of {tmp_path}/bh.traj"
    assert skipped["reason"].startswith("the cell must be right-handed")
    assert [frame.info["run"] for frame in open_frames(str(tmp_path / f"out{suffix}"))] == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("position", [np.nan, np.inf])
def test_positions_must_be_finite(position: float, tmp_path: Path) -> None:
    structures = [sampled(index) for index in range(3)]
    structures[1].positions[2, 0] = position
    with pytest.raises(StructureError, match=r"frame 1 of .*: positions must be finite; found atom 2 at .* Å\. Mend"):
        prepare_file(source(tmp_path, structures), tmp_path / "out.traj", EVERYTHING)


def test_a_frame_that_cannot_be_read_may_be_left_out(tmp_path: Path) -> None:
    path = write_structures(tmp_path / "bh.extxyz", [slab(seed) for seed in range(1, 4)])
    lines = path.read_text().splitlines()
    lines[6 + 3] = lines[6 + 3].replace(".", "x", 1)
    path.write_text("\n".join(lines) + "\n")
    frames = open_frames(str(path))
    with pytest.raises(SourceError, match=r"frame 1 of .*bh\.extxyz"):
        prepare_file(frames, tmp_path / "out.traj", Preparation())
    summary = prepare_file(frames, tmp_path / "out.traj", Preparation(), on_error="skip")
    assert (summary["structures"], summary["skipped_frames"]) == (2, 1)
    (skipped,) = summary["skipped"]
    assert skipped["frame"] == f"frame 1 of {path}"
    assert skipped["reason"].startswith("must be a structure that ASE can read")
    assert "--on-error" not in skipped["reason"]


def test_where_nothing_is_left_there_is_no_file(tmp_path: Path) -> None:
    structures = broken()[2:3]
    with pytest.raises(SourceError, match=r"out\.traj: must get at least one structure; found none to write"):
        prepare_file(source(tmp_path, structures), tmp_path / "out.traj", EVERYTHING, on_error="skip")
    assert left_in(tmp_path) == {"bh.traj"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_replaced_only_on_request_and_only_by_a_whole_one(suffix: str, tmp_path: Path) -> None:
    out = write_structures(tmp_path / f"out{suffix}", [slab(9)])
    before = out.read_bytes()
    good, bad = source(tmp_path), source(tmp_path, broken(), "bad.traj")
    with pytest.raises(Ruo2Error, match=r"must not exist yet\. Name another, or replace it with --overwrite"):
        prepare_file(good, out, EVERYTHING)
    with pytest.raises(StructureError):
        prepare_file(bad, out, EVERYTHING, overwrite=True)
    assert out.read_bytes() == before
    assert prepare_file(good, out, EVERYTHING, overwrite=True)["structures"] == len(open_frames(str(out))) == 6
    assert left_in(tmp_path) == {"bh.traj", "bad.traj", out.name}


def test_a_file_may_be_prepared_in_place(tmp_path: Path) -> None:
    prepare_file(source(tmp_path), tmp_path / "bh.traj", EVERYTHING, overwrite=True)
    assert [atoms.info["run"] for atoms in read(tmp_path / "bh.traj", ":")] == list(range(6))


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_interrupted_block_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    def write_some() -> None:
        with StructureWriter(tmp_path / f"out{suffix}") as writer:
            writer.write(sampled(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_some()
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("out", "found no format that ASE knows"),
        ("out.unheard", "many structures, such as .traj or .extxyz; found unheard"),
        ("out.cube", "many structures, such as .traj or .extxyz; found cube"),
        ("POSCAR", "many structures, such as .traj or .extxyz; found vasp"),
        ("missing/out.traj", "must exist. Make it, or choose another place"),
        ("folder.traj", "must be the name of a file; found a folder"),
    ],
)
def test_names_that_cannot_be_written(name: str, found: str, tmp_path: Path) -> None:
    (tmp_path / "folder.traj").mkdir()
    with pytest.raises(Ruo2Error, match=re.escape(found)):
        prepare_file(source(tmp_path), tmp_path / name, EVERYTHING)
    assert left_in(tmp_path) == {"bh.traj", "folder.traj"}


def test_structures_that_a_format_cannot_hold_are_named(tmp_path: Path) -> None:
    atoms = sampled(0)
    atoms.arrays["numbers"] = np.array(["a"] * len(atoms))
    found = r"out\.xsf: .*ASE can write them as xsf; found .* Write a \.traj instead"
    with pytest.raises(Ruo2Error, match=found), StructureWriter(tmp_path / "out.xsf") as writer:
        writer.write(atoms)
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("suffix", [".traj", ".extxyz"])
def test_a_full_disk_is_said_to_be_one(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("TrajectoryWriter", "write"):
        monkeypatch.setattr(f"ruo2_voxel.structures.structure_file.{name}", full)
    with pytest.raises(Ruo2Error, match="must be writable and have room; found No space left on device"):
        prepare_file(source(tmp_path), tmp_path / f"out{suffix}", EVERYTHING)
    assert left_in(tmp_path) == {"bh.traj"}


@pytest.mark.parametrize("suffix", [".traj", ".extxyz", ".db"])
def test_slabs_are_written_into_one_file(suffix: str, tmp_path: Path) -> None:
    summary = write_surfaces(tmp_path / f"out{suffix}", facets=["110", "111"], copies=2, rattle=0.05, seed=3)
    found = list(open_frames(str(tmp_path / f"out{suffix}")))
    names = [f"{facet} {name}" for facet in ("110", "111") for name in TERMINATIONS[facet]]
    assert [f"{frame.info['facet']} {frame.info['termination']}" for frame in found] == list(np.repeat(names, 2))
    assert summary["slabs"] == dict.fromkeys(names, 2)
    assert summary["structures"] == len(found) == 16
    assert summary["atoms"] == sum(len(frame.numbers) for frame in found)
    assert left_in(tmp_path) == {f"out{suffix}"}


def test_slabs_that_cannot_be_built_leave_no_file(tmp_path: Path) -> None:
    for options in ({"facets": ["999"]}, {"copies": 0}, {"vacuum": -1.0}, {"n_layers": 1}):
        with pytest.raises(StructureError):
            write_surfaces(tmp_path / "out.traj", **options)  # type: ignore[arg-type]
    assert left_in(tmp_path) == set()
