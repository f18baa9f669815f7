import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.constraints import FixCartesian
from ase.io import write

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures.frames import open_frames
from tests.voxel.same_as_ase import assert_same
from tests.voxel.structure_files import by_ase, positions, slab, store


def test_xyz_with_cell_vectors_and_other_columns(tmp_path: Path) -> None:
    path = tmp_path / "odd.xyz"
    constrained = slab(2)
    constrained.set_constraint(FixCartesian(1, [True, False, False]))
    constrained.info = {"note": "ab c", "flag": True, "list": [1, 2.5], "matrix": np.eye(2), "nested": {"a": [1]}}
    write(path, [slab(1), slab(0)], format="extxyz")
    write(path, slab(3), format="extxyz", vec_cell=True, append=True)
    write(path, [constrained], format="extxyz", append=True)
    write(path, [Atoms("H2", positions=np.eye(2, 3))], format="extxyz", plain=True, append=True)
    path.write_text(path.read_text() + "0\n\n  1 \r\nAs read\r\nAg 1 2 3\r\n\n  \n")
    frames = open_frames(path)
    expected = by_ase(path)
    assert len(frames) == len(expected) == 7
    for frame, atoms in zip(frames, expected, strict=True):
        assert_same(frame, atoms)
    for start in range(8):
        assert positions(frames, start) == [atoms.positions.tobytes() for atoms in expected[start:]]


def test_long_xyz_files_are_entered_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "long.xyz"
    path.write_text("".join(f"1\nrun={i}\nRu {i} 0 0\n" + "VEC1 1 0 0\n" * (i % 2) for i in range(3000)))
    frames = open_frames(path)
    assert len(frames) == 3000
    for start in (0, 1, 1023, 1024, 1025, 2047, 2048, 2999):
        assert next(frames.iterate(start))[1].positions[0, 0] == start


def test_a_frame_of_xyz_that_cannot_be_parsed_is_named_and_the_next_ones_are_read(tmp_path: Path) -> None:
    path = store(tmp_path / "bh.xyz", [slab(seed) for seed in range(5)])
    lines = path.read_text().splitlines(keepends=True)
    lines[6 + 3] = "Ru 0.0 zero 0.0 1\n"
    lines[3 * 6 + 2] = "Ru 0.0\n"
    path.write_text("".join(lines))
    frames = open_frames(path)
    with pytest.raises(SourceError, match=r"frame 1 of .*bh\.xyz: .*could not convert string to float: 'zero'"):
        list(frames)
    errors: list[int] = []
    assert [ordinal for ordinal, _ in frames.iterate(0, lambda ordinal, _: errors.append(ordinal))] == [0, 2, 4]
    assert errors == [1, 3]


@pytest.mark.parametrize(
    ("mend", "reason"),
    [
        (
            lambda text: text[:-200],
            r"truncated: a frame must have 4 atoms; found the end of the file before",
        ),
        (lambda text: text + "four\n", "a frame must begin with its number of atoms; found 'four'"),
        (lambda text: text + "-4\n", "a frame must begin with its number of atoms; found '-4'"),
        (lambda text: text + "\n" + text, "a blank line must not come between frames"),
    ],
)
def test_broken_xyz_files_are_refused_but_for_what_comes_before(
    mend: Callable[[str], str], reason: str, tmp_path: Path
) -> None:
    path = store(tmp_path / "bh.xyz", [slab(seed) for seed in range(5)])
    path.write_text(mend(path.read_text()))
    with pytest.raises(SourceError, match=rf"bh\.xyz: {reason}") as caught:
        open_frames(path)
    advice = str(caught.value).split()[-1]
    n_whole = int(advice.rpartition("@:")[2])
    assert n_whole in (4, 5)
    assert len(list(open_frames(advice))) == n_whole


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_files_that_are_cut_are_refused(
    suffix: str, compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / f"bh.xyz.{suffix}"
    text = "".join(f"1\n\nRu {x} {y} {z}\n" for x, y, z in rng.random((20_000, 3)))
    compressed = compress(text.encode())
    path.write_bytes(compressed)
    assert len(open_frames(path)) == 20_000
    path.write_bytes(compressed[: len(compressed) * 9 // 10])
    with pytest.raises(SourceError, match=rf"bh\.xyz\.{suffix}: .*must be readable to its end; found EOFError"):
        open_frames(path)
    path.write_bytes(b"plain text")
    with pytest.raises(SourceError, match=rf"bh\.xyz\.{suffix}: must be a readable file"):
        open_frames(path)


def test_xyz_files_that_change_while_they_are_read(tmp_path: Path) -> None:
    path = store(tmp_path / "bh.xyz", [slab(seed) for seed in range(5)])
    frames = open_frames(path)
    path.write_text(path.read_text()[:-200])
    with pytest.raises(SourceError, match=r"bh\.xyz: must not change while it is read; found, now: truncated"):
        list(frames)
    path.unlink()
    with pytest.raises(SourceError, match=r"bh\.xyz: must be readable; found: No such file"):
        list(frames)
