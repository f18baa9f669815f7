import gc
import gzip
import hashlib
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.io import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures.frames import Frame, frames_from_atoms, open_frames
from tests.voxel.same_as_ase import assert_same
from tests.voxel.structure_files import by_ase, positions, slab, store

MINI = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"
N_FRAMES = 12
SUFFIXES = (".traj", ".db", ".json", ".xyz", ".extxyz", ".xyz.gz", ".xyz.bz2", ".xyz.xz", ".traj.gz", ".con", ".cif")
FORWARD_ONLY = (".xyz", ".xyz.gz", ".traj.gz", ".con")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of the same structures in each format."""
    folder = tmp_path_factory.mktemp("formats")
    for suffix in SUFFIXES:
        store(folder / f"bh{suffix}", [slab(seed) for seed in range(N_FRAMES)])
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_reads_as_ase_reads_it(suffix: str, folder: Path) -> None:
    path = folder / f"bh{suffix}"
    frames = open_frames(path)
    expected = by_ase(path)
    assert len(frames) == len(expected) == N_FRAMES
    is_database = suffix in (".db", ".json")
    for (ordinal, frame), (index, atoms) in zip(frames.iterate(), enumerate(expected), strict=True):
        assert ordinal == index
        if is_database:
            assert_same(frame, atoms, info={"scalar": 1.5, **slab(index).info})
            assert frame.where() == f"row {index + 1} of {path}"
        else:
            assert_same(frame, atoms)
            assert frame.where() == f"frame {index} of {path}"
        assert frame.source == str(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_starting_later_gives_the_rest(suffix: str, folder: Path) -> None:
    frames = open_frames([f"{folder / 'bh'}{suffix}@1::2", folder / f"bh{suffix}"])
    everything = positions(frames)
    assert len(frames) == len(everything) == 18
    for start in range(19):
        assert positions(frames, start) == everything[start:]
        assert [ordinal for ordinal, _ in frames.iterate(start)] == list(range(start, 18))
    for start in (-1, 19):
        with pytest.raises(IndexError, match="start must lie within 0 and 18"):
            next(frames.iterate(start))


def bounds() -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(-N_FRAMES - 3, N_FRAMES + 3)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ends=st.tuples(bounds(), bounds()),
    step=st.none() | st.integers(-5, 5).filter(bool),
    suffix=st.sampled_from(SUFFIXES),
)
def test_slices_are_those_of_python(
    folder: Path, ends: tuple[int | None, int | None], step: int | None, suffix: str
) -> None:
    text = ":".join("" if part is None else str(part) for part in (*ends, step))
    spec = f"{folder}/bh{suffix}@{text}"
    expected = range(N_FRAMES)[slice(*ends, step)]
    if step is not None and step < 0 and not suffix.endswith((".traj", ".db", ".json")):
        with pytest.raises(SourceError, match="step must be positive"):
            open_frames(spec)
    elif not expected:
        with pytest.raises(SourceError, match=r"must select at least one structure; found none \(.* holds 12\)"):
            open_frames(spec)
    else:
        frames = open_frames(spec)
        assert frames.files[0].selected == expected
        first = 1 if suffix in (".db", ".json") else 0
        assert [frame.index - first for frame in frames] == list(expected)
        everything = positions(open_frames(f"{folder}/bh{suffix}"))
        assert positions(frames) == [everything[index] for index in expected]


@pytest.mark.parametrize(("index", "expected"), [("5", 5), ("-1", 11), ("-12", 0), ("0", 0), ("+3", 3)])
def test_one_index_gives_one_frame(index: str, expected: int, folder: Path) -> None:
    (frame,) = open_frames(f"{folder}/bh.traj@{index}")
    assert frame.index == expected


@pytest.mark.parametrize("index", ["12", "-13"])
def test_one_index_beyond_the_end_is_refused(index: str, folder: Path) -> None:
    with pytest.raises(SourceError, match=rf"bh\.xyz@{index}: must lie within the file; found 12 structures"):
        open_frames(f"{folder}/bh.xyz@{index}")


def test_a_step_of_zero_is_refused(folder: Path) -> None:
    with pytest.raises(SourceError, match="the step must not be 0"):
        open_frames(f"{folder}/bh.xyz@::0")


def test_files_before_the_start_are_left_alone(tmp_path: Path) -> None:
    first = store(tmp_path / "first.traj", [slab(1), slab(2)])
    frames = open_frames([first, store(tmp_path / "second.traj", [slab(3)])])
    first.unlink()
    assert [frame.info["run"] for _, frame in frames.iterate(2)] == [3]


def test_globs_are_sorted_and_sliced_and_lists_keep_their_order(tmp_path: Path) -> None:
    for name, seeds in {"b.traj": [1, 2], "a.traj": [3, 4], "deep/er/c.traj": [5, 6]}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        store(tmp_path / name, [slab(seed) for seed in seeds])
    (tmp_path / "folder.traj").mkdir()

    def runs(specs: str | list[str | Path]) -> list[int]:
        return [frame.info["run"] for frame in open_frames(specs)]

    assert runs(f"{tmp_path}/*.traj") == [3, 4, 1, 2]
    assert runs(f"{tmp_path}/**/*.traj@-1") == [4, 2, 6]
    assert runs([f"{tmp_path}/deep/**/c.traj@::-1", tmp_path / "b.traj"]) == [6, 5, 1, 2]
    frames = open_frames([f"{tmp_path}/*.traj@1:"])
    assert [file.path for file in frames.files] == [f"{tmp_path}/a.traj", f"{tmp_path}/b.traj"]
    assert [(file.format, file.n_frames, file.selected) for file in frames.files] == [("traj", 2, range(1, 2))] * 2


def test_a_file_of_exactly_that_name_wins(tmp_path: Path) -> None:
    store(tmp_path / "bh@0.traj", [slab(1)])
    (tmp_path / "bh@0.traj").rename(tmp_path / "bh.traj@0")
    store(tmp_path / "bh.traj", [slab(3), slab(4)])
    store(tmp_path / "[x].traj", [slab(5)])
    assert [frame.info["run"] for frame in open_frames(tmp_path / "bh.traj@0")] == [1]
    assert [frame.info["run"] for frame in open_frames(tmp_path / "bh.traj@1")] == [4]
    assert [frame.info["run"] for frame in open_frames(tmp_path / "[x].traj@0")] == [5]


def test_source_files_know_their_checksum(folder: Path) -> None:
    (file,) = open_frames(folder / "bh.traj").files
    assert file.sha256() == hashlib.sha256((folder / "bh.traj").read_bytes()).hexdigest()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_can_be_pickled_and_iterated_again(suffix: str, folder: Path) -> None:
    frames = open_frames(folder / f"bh{suffix}")
    assert positions(pickle.loads(pickle.dumps(frames))) == positions(frames) == positions(frames)


def peak_memory(path: Path) -> int:
    """Largest number of bytes held at once while all frames are read."""
    gc.collect()
    gc.freeze()
    tracemalloc.start()
    for ordinal, _ in open_frames(path).iterate():
        if ordinal % 10 == 0:
            gc.collect()  # else what is awaiting collection dominates
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    gc.unfreeze()
    return peak


@pytest.mark.parametrize("suffix", [".traj", ".xyz", ".xyz.gz", ".db"])
def test_memory_does_not_grow_with_the_number_of_frames(suffix: str, tmp_path: Path) -> None:
    few = store(tmp_path / f"few{suffix}", [slab(seed, 20) for seed in range(70)])
    many = store(tmp_path / f"many{suffix}", [slab(seed, 20) for seed in range(560)])
    peak_memory(few)  # what is imported and cached on first use is no matter of frames
    assert peak_memory(many) < 1.5 * peak_memory(few)  # frames that were kept would make it 8


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"bh{suffix}"
    path.touch()
    with pytest.raises(SourceError, match="must hold at least a structure; found 0 structures, the file is empty"):
        open_frames(path)
    assert path.stat().st_size == 0


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("missing.traj", "missing.traj: must be a file of structures; found no such file$"),
        ("missing.traj@3:", "missing.traj: must be a file of structures; found no such file$"),
        ("missing.db@run=3", "conditions on a database are its selection"),
        ("*.traj", r"\*.traj: must match at least one file; found none"),
        ("folder", "must be a file of structures; found a folder"),
        ("notes.txt", "notes.txt: must be of a format that ASE knows; found .txt"),
        ("notes", "notes: must be of a format that ASE knows; found neither"),
        ("notes.vasp", "notes.vasp: must be what ASE takes it for, vasp; found"),
    ],
)
def test_what_cannot_be_read_is_refused(spec: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("notes.txt", "notes", "notes.vasp"):
        (tmp_path / name).write_text("To do: read")
    with pytest.raises(SourceError, match=reason):
        open_frames(tmp_path / spec)


def test_no_spec_at_all_is_refused() -> None:
    with pytest.raises(SourceError, match="at least one file"):
        open_frames([])


def test_other_formats_are_read_up_to_the_first_damage(tmp_path: Path) -> None:
    content = store(tmp_path / "bh.traj", [slab(seed) for seed in range(5)]).read_bytes()
    path = tmp_path / "bh.traj.gz"
    path.write_bytes(gzip.compress(content.replace(b'"run": 3', b'"run": x')))
    with pytest.raises(SourceError, match=r"bh\.traj\.gz: frame 3 must be a structure .*JSONDecode.*bh\.traj\.gz@:3"):
        open_frames(path)
    assert len(list(open_frames(f"{path}@:3"))) == 3


def test_single_structures_are_files_of_one(tmp_path: Path) -> None:
    write(tmp_path / "POSCAR", slab(3))
    (frame,) = open_frames(tmp_path / "POSCAR")
    assert_same(frame, by_ase(tmp_path / "POSCAR")[0])


def test_frames_become_atoms_again(folder: Path) -> None:
    for index, frame in enumerate(open_frames(folder / "bh.traj")):
        assert_same(frame, frame.atoms())
        assert frame.atoms() == slab(index)
        assert (frame.atoms().calc is None) == np.isnan(frame.energy)
        frame.atoms().positions[:] = 0
        assert frame.positions.any()


def test_frames_of_atoms_in_memory_are_copies_and_calculate_nothing() -> None:
    structures = [slab(seed) for seed in range(4)]
    structures[3].calc = EMT()
    frames = frames_from_atoms(iter(structures))
    for index, (frame, atoms) in enumerate(zip(frames, structures, strict=True)):
        assert_same(frame, atoms)
        assert frame.where() == f"frame {index}"
        assert not np.shares_memory(frame.positions, atoms.positions)
        assert frame.info is not atoms.info
    structures[2].positions[0] += 1e-9  # its energy is of another structure now, as that of the next
    structures[1].cell[0] *= 2
    assert np.isnan(Frame.from_atoms(structures[1]).energy)
    assert np.isnan(Frame.from_atoms(structures[2]).energy)
    assert np.isnan(frames[3].energy)
