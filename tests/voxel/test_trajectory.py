import datetime
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian, Hookean
from ase.io import iread, ulm
from ase.io.trajectory import TrajectoryReader, TrajectoryWriter

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures import trajectory
from ruo2_voxel.structures.frames import open_frames
from tests.voxel.same_as_ase import assert_same

MINI = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"


def water(seed: int, **results: object) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms("OH2", positions=rng.random((3, 3)) * 5, cell=[5 + seed, 5, 6], pbc=[True, True, False])
    if results:
        atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def write(path: Path, structures: list[Atoms]) -> Path:
    with TrajectoryWriter(path) as writer:
        for atoms in structures:
            writer.write(atoms)
    return path


def plain(path: Path, n_frames: int = 10) -> Path:
    return write(path, [water(seed, energy=-1.5 * seed) for seed in range(n_frames)])


def assert_all_same(path: Path) -> None:
    frames = open_frames(path)
    expected = list(iread(path))
    assert len(frames) == len(expected)
    for (ordinal, frame), (index, atoms) in zip(frames.iterate(), enumerate(expected), strict=True):
        assert ordinal == index == frame.index
        assert_same(frame, atoms)


def test_the_shipped_trajectory_reads_as_ase_reads_it() -> None:
    assert len(open_frames(MINI)) == 1509
    assert_all_same(MINI)


def test_ordinary_frames_never_need_ase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trajectory._Reading, "_by_ase")
    assert sum(1 for _ in open_frames(MINI)) == 1509


def test_long_texts_and_far_arrays_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [10, 10_000, 10, 300, 100_000, 100_000]
    structures = [Atoms("O", info={"text": "x" * size}) for size in sizes]
    for atoms, size in zip(structures, sizes[::-1], strict=True):
        atoms.calc = SinglePointCalculator(atoms, forces=np.ones((1, 3)), stresses=np.ones((size, 6)))
    path = write(tmp_path / "md.traj", structures)
    monkeypatch.delattr(trajectory._Reading, "_by_ase")
    assert_all_same(path)


def test_frames_that_share_a_header_share_its_arrays(tmp_path: Path) -> None:
    first, second = open_frames(plain(tmp_path / "md.traj", 2))
    assert first.numbers is second.numbers
    assert not first.numbers.flags.writeable
    assert second.positions.flags.writeable


def test_compositions_that_come_back_are_the_same_arrays(tmp_path: Path) -> None:
    one, other = water(1, energy=1.0), water(2)[:2]
    frames = list(open_frames(write(tmp_path / "gc.traj", [one, other, one, other])))
    assert frames[1].numbers is frames[3].numbers
    assert frames[2].numbers is not frames[1].numbers


def strange() -> dict[str, Atoms]:
    """Frames that a quick reader is likely to get wrong."""
    cases = {
        "plain": water(0, energy=-3.25),
        "no calculator": water(1),
        "no energy": water(2, forces=np.ones((3, 3))),
        "not a number": water(3, energy=float("nan")),
        "whole energy": water(4, energy=-7),
        "results": water(5, energy=1e-300, forces=np.ones((3, 3)), stress=np.arange(6.0), dipole=np.ones(3)),
        "other composition": Atoms("RuO2H", positions=np.eye(4, 3), cell=np.eye(3) * 4 + 0.1, pbc=True),
        "no cell": Atoms("Ru"),
        "no atoms": Atoms(cell=[1, 2, 3]),
        "other pbc": water(0, energy=1.0),
        "fixed": water(6, energy=1.0),
        "fixed otherwise": water(7),
        "spring": water(8, energy=1.0),
        "arrays": water(9),
        "numbers as keys": water(10),
        "numbers as keys in info": water(11),
        "magic keys": water(12),
        "values": water(13),
        "many atoms": Atoms("Ru" * 3000, positions=np.random.default_rng(1).random((3000, 3))),
    }
    cases["other pbc"].pbc = [False, True, True]
    cases["fixed"].set_constraint([FixAtoms([0]), FixCartesian(1, [True, False, False]), FixAtoms([2])])
    cases["fixed otherwise"].set_constraint(FixCartesian(1))
    cases["spring"].set_constraint(Hookean(0, 1, rt=0.1, k=5.0))
    cases["arrays"].set_tags([3, 1, 2])
    cases["arrays"].set_momenta(np.full((3, 3), 0.5))
    cases["arrays"].set_masses([1, 2, 3])
    cases["arrays"].set_initial_magnetic_moments([0.0, 1.0, 2.0])
    cases["arrays"].set_initial_charges([0.0, -1.0, 1.0])
    cases["numbers as keys"].info = {"levels": {1: "one", "-2": 2.0, " 3 ": {"4_0": None}, "x5": 5}}
    cases["numbers as keys in info"].info = {"run": 1, "17": "seventeen"}
    cases["magic keys"].info = {
        "a": {"__weird__": 1},
        "b": [{"1": 2}],
        "time": datetime.datetime(2026, 1, 2, 3, 4, 5, 6),
    }
    cases["values"].info = {
        "text": 'naïve "quoted" \\ Ru₂ \n',
        "none": None,
        "truth": True,
        "numpy": np.float64(0.1),
        "array": np.arange(6).reshape(2, 3),
        "complex array": np.array([1 + 2j]),
        "complex": 1 - 2j,
        "list": [1, 2.5, [True, None]],
        "infinite": float("-inf"),
        "long": 2**70,
        "escaped key \u00e9": {"_\u005fx": 1},
    }
    return cases


@pytest.mark.parametrize("name", strange())
def test_a_strange_frame_reads_as_ase_reads_it(name: str, tmp_path: Path) -> None:
    alone, after = tmp_path / "alone.traj", tmp_path / "after.traj"
    assert_all_same(write(alone, [strange()[name]]))
    assert_all_same(write(after, [water(0, energy=1.0), strange()[name], water(1)]))


def test_strange_frames_together_read_as_ase_reads_them(tmp_path: Path) -> None:
    path = write(tmp_path / "all.traj", list(strange().values()))
    assert_all_same(path)
    assert_all_same(write(tmp_path / "fixed-first.traj", [strange()["fixed"], strange()["fixed"], water(1)]))
    assert_all_same(write(tmp_path / "spring-first.traj", [strange()["spring"], strange()["spring"]]))


def test_keys_that_are_escaped_magic_are_left_to_ase(tmp_path: Path) -> None:
    path = write(tmp_path / "md.traj", [Atoms("O", info={"z": {"+-+complex+-+": [1.0, 2.0]}})])
    content = path.read_bytes()
    escaped = content.replace(b'"+-+complex+-+": [1.0, 2.0]', b'"\\u005f_complex__": [1.0,2]')
    assert len(escaped) == len(content)
    path.write_bytes(escaped)
    (frame,) = open_frames(path)
    assert frame.info == {"z": 1 + 2j}
    assert_all_same(path)


def test_the_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "big-endian.traj"
    with ulm.Writer(path, tag="ASE-Trajectory") as writer:
        for seed in range(3):
            writer.data["_little_endian"] = False
            writer.write(version=1, pbc=[True, False, True], numbers=np.array([8, 1, 1]).byteswap())
            writer.write(positions=water(seed).positions.byteswap(), cell=np.eye(3).tolist())
            writer.write(tags=np.array([1, 2, 3]).byteswap())
            writer.sync()
    assert open_frames(path).files[0].n_frames == 3
    np.testing.assert_array_equal(next(iter(open_frames(path))).numbers, [8, 1, 1])
    assert_all_same(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"numbers": np.array([8, 1], dtype=np.int32)},
        {"numbers": [8, 1]},
        {"positions": np.full((2, 3), 0.1, dtype=np.float32)},
        {"positions": [[0.1, 0.2, 0.3]] * 2},
        {"tags": np.array([1, 2], dtype=np.int8)},
        {"tags": [1, 2]},
        {"pbc": np.array([True, True, False])},
        {"pbc": [1, 0, 2]},
        {"cell": np.eye(3)},
        {"cell": [1.0, 2.0, 3.0]},
        {"info": None},
    ],
    ids=str,
)
def test_what_other_writers_write_reads_as_ase_reads_it(changed: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "other.traj"
    usual = {"version": 1, "numbers": np.array([1, 8]), "positions": np.eye(2, 3), "cell": np.eye(3).tolist()}
    with ulm.Writer(path, tag="ASE-Trajectory") as writer:
        for fields in (usual, usual | changed, usual):
            writer.write(**{"pbc": [True, False, True], **fields})
            writer.sync()
    assert_all_same(path)


@pytest.mark.parametrize(
    ("changed", "energy"), [({"tags": np.ones(3)}, 1.0), ({"pbc": [True, False]}, 1.0), ({}, np.ones(2))], ids=str
)
def test_what_makes_no_structure_is_refused(changed: dict[str, Any], energy: Any, tmp_path: Path) -> None:
    path = tmp_path / "odd.traj"
    usual = {"pbc": [True] * 3, "numbers": np.array([1, 8]), "positions": np.eye(2, 3), "cell": np.eye(3).tolist()}
    with ulm.Writer(path, tag="ASE-Trajectory") as writer:
        writer.write(version=1, **usual)
        writer.sync()
        writer.write(**(usual | changed))
        writer.child("calculator").write(name="odd", energy=energy)
    with pytest.raises(SourceError, match=r"frame 1 of .*odd\.traj: must be a structure"):
        list(open_frames(path))


def test_several_threads_and_copies_read_alike(tmp_path: Path) -> None:
    frames = open_frames(plain(tmp_path / "md.traj", 100))
    copies = [frames, frames, pickle.loads(pickle.dumps(frames))]
    with ThreadPoolExecutor(3) as pool:
        read = list(pool.map(lambda one: [frame.positions.tobytes() for frame in one], copies))
    assert read[0] == read[1] == read[2]


def test_every_place_to_cut_a_trajectory_gives_one_clear_error(tmp_path: Path) -> None:
    path = plain(tmp_path / "md.traj", 50)
    whole = path.read_bytes()
    for size in [1, 7, 8, 23, 24, 40, 47, 50, 56, 300, len(whole) // 2, len(whole) - 300, len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(SourceError, match=r"md\.traj: truncated"):
            open_frames(path)


def test_frames_before_the_cut_can_be_read(tmp_path: Path) -> None:
    path = plain(tmp_path / "md.traj", 41)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(SourceError, match=r"promises 41 .* frame (\d+) lie beyond .* with .*md\.traj@:\1") as caught:
        open_frames(path)
    advice = str(caught.value).split()[-1]
    before = list(open_frames(advice))
    assert 20 < len(before) < 40
    assert before[-1].energy == -1.5 * (len(before) - 1)
    with pytest.raises(SourceError, match="truncated"):
        open_frames(f"{path}@-41:2")


def test_a_header_alone_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.traj"
    with TrajectoryWriter(path):
        pass
    with pytest.raises(SourceError, match="found 0 structures"):
        open_frames(path)


@pytest.mark.parametrize("content", [b"not a trajectory", b"- of UlmOther           " + bytes(100), b"3\n\nRu 0 0 0\n"])
def test_what_is_no_trajectory_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"md\.traj: must be"):
        open_frames(path)


def damage(path: Path, index: int, before: bytes, after: bytes) -> None:
    """Change the text of one frame in place."""
    with path.open("rb") as file:
        offset = int(ulm.read_header(file)[-1][index])
    content = bytearray(path.read_bytes())
    start = content.index(before, offset)
    assert len(before) == len(after)
    content[start : start + len(before)] = after
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b'{"pos', b"{'pos", "JSONDecodeError"),
        (b'"cell"', b'"bell"', "AttributeError"),
        (b"float64", b"float33", "TypeError"),
        (b"[[3, 3]", b"[[2, 3]", "wrong length"),
        (b"[[3, 3]", b"[[-1,3]", "ValueError"),
        (b'": {"nd', b'": ["nd', "JSONDecodeError"),
    ],
)
def test_a_damaged_frame_is_named_and_the_next_ones_are_read(
    before: bytes, after: bytes, reason: str, tmp_path: Path
) -> None:
    path = plain(tmp_path / "md.traj")
    damage(path, 3, before, after)
    frames = open_frames(path)
    with pytest.raises(SourceError, match=rf"frame 3 of .*md\.traj: .*{reason}"):
        list(frames)
    errors: list[tuple[int, str]] = []
    read = [ordinal for ordinal, _ in frames.iterate(1, lambda ordinal, error: errors.append((ordinal, str(error))))]
    assert read == [1, 2, 4, 5, 6, 7, 8, 9]
    assert [ordinal for ordinal, _ in errors] == [3]
    assert "--on-error skip" in errors[0][1]


def test_data_that_are_cut_off_after_opening_are_reported(tmp_path: Path) -> None:
    path = plain(tmp_path / "md.traj")
    frames = open_frames(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"frame \d of .*md\.traj: its data must lie within the file"):
        list(frames)
    path.unlink()
    with pytest.raises(SourceError, match=r"md\.traj: must be readable; found: No such file"):
        list(frames)


@pytest.mark.parametrize("size", [2**62, 0, -1, -(2**40)])
def test_an_impossible_size_is_no_reason_to_allocate(size: int, tmp_path: Path) -> None:
    path = plain(tmp_path / "md.traj")
    with path.open("rb") as file:
        offset = int(ulm.read_header(file)[-1][3])
    content = bytearray(path.read_bytes())
    content[offset : offset + 8] = size.to_bytes(8, "little", signed=True)
    path.write_bytes(content)
    frames = open_frames(path)
    with pytest.raises(SourceError, match=r"frame 3 of .* its data must lie within the file"):
        list(frames)
    assert [ordinal for ordinal, _ in frames.iterate(2, lambda *_: None)] == [2, 4, 5, 6, 7, 8, 9]


def test_a_first_frame_that_nobody_can_read_is_reported_at_once(tmp_path: Path) -> None:
    path = plain(tmp_path / "md.traj")
    damage(path, 0, b'"numbers."', b'"nimbers."')
    with pytest.raises(SourceError, match=r"frame 0 of .*md\.traj"):
        open_frames(path)


def test_trajectories_appended_to_for_long_move_their_table(tmp_path: Path) -> None:
    path = tmp_path / "md.traj"
    for seed in range(100):  # the table is rewritten after 1 and after 42 frames
        with TrajectoryWriter(path, "a") as writer:
            writer.write(water(seed, energy=float(seed)))
    assert_all_same(path)
    with TrajectoryReader(path) as reader:
        assert_same(next(open_frames(path).iterate(77))[1], reader[77])


def test_the_text_of_a_frame_is_the_json_that_ase_wrote(tmp_path: Path) -> None:
    path = write(tmp_path / "md.traj", [water(1, energy=2.0)])
    with path.open("rb") as file:
        offset = int(ulm.read_header(file)[-1][0])
        file.seek(offset + 8)
        assert json.loads(file.read())["calculator."]["energy"] == 2.0
