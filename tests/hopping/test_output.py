import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import Trajectory, read, write

from ruo2_hopping.errors import OutputError
from ruo2_hopping.output import Output, read_record

ABOUT = {"config": {"search": {"seed": 3}}, "oxygen_energy": -5.5}


def frames_of(run: int, step: int, n: int = 3, accepted: bool = True) -> list[Atoms]:
    rng = np.random.default_rng([run + 1, step])
    made = []
    for substep in range(n):
        atoms = Atoms(
            "Ru2O4" if run % 2 else "Ru2O3", positions=rng.normal(size=(5 + run % 2, 3)), cell=[5, 6, 7], pbc=True
        )
        atoms.set_tags(np.arange(len(atoms)) % 3)
        atoms.calc = SinglePointCalculator(atoms, energy=rng.normal(), forces=rng.normal(size=(len(atoms), 3)))
        atoms.info = {
            **{"facet": "110", "start": "O-poor", "mu_O": -0.5, "phase": 1, "run": run, "step": step},
            **{"substep": substep, "final": substep == n - 1, "move": "displace", "accepted": accepted},
            **{"converged": True, "valid": accepted, "reject_reason": "", "omega": 1.0},
        }
        made.append(atoms)
    return made


def content(path: Path) -> list[object]:
    return [
        (
            *(atoms.numbers.tolist(), atoms.positions.tolist(), atoms.get_tags().tolist()),
            *(atoms.get_potential_energy(), atoms.get_forces().tolist(), sorted(atoms.info.items())),
        )
        for atoms in read(path, ":")
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a start and three steps of two walkers."""
    path = tmp_path / "bh.traj"
    with Output(path) as output:
        output.describe(ABOUT)
        output.append(frames_of(-1, 0))
        output.append(frames_of(0, 1))
        output.append(frames_of(1, 1, accepted=False))
        output.append(frames_of(0, 2, accepted=False))
    return path


def test_what_was_written_is_read_as_it_was(path: Path) -> None:
    wanted = [*frames_of(-1, 0), *frames_of(0, 1), *frames_of(1, 1, accepted=False), *frames_of(0, 2, accepted=False)]
    found = read(path, ":")
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one == other
        assert one.info == other.info
        assert one.get_potential_energy() == other.get_potential_energy()
        assert np.array_equal(one.get_forces(), other.get_forces())


def test_the_record_knows_how_far_each_walker_is_and_where_it_stands(path: Path) -> None:
    record = read_record(path)
    assert record.description == ABOUT
    assert record.n_frames == 12
    assert record.steps == {0: 2, 1: 1}
    assert record.last_run == 0
    assert set(record.starts) == {("110", "O-poor")}
    assert set(record.places) == {0}  # the other one stands at its start
    assert record.places[0] == frames_of(0, 1)[-1]
    assert record.places[0].get_potential_energy() == frames_of(0, 1)[-1].get_potential_energy()
    assert record.counts == {"accepted": 1, "valid": 1, "converged": 3}


def test_going_on_appends_and_the_record_is_as_if_it_had_never_stopped(path: Path) -> None:
    with Output(path, resume=True) as output:
        output.append(frames_of(1, 2))
        record = output.record
    again = read_record(path)
    assert (record.steps, record.n_frames, record.counts) == (again.steps, again.n_frames, again.counts)
    assert again.places[1] == frames_of(1, 2)[-1]
    assert again.description == ABOUT


@pytest.mark.parametrize("extra", [1, 2])
def test_a_step_that_was_not_written_to_its_end_is_taken_out(path: Path, extra: int) -> None:
    before = content(path)
    with Trajectory(path, "a") as writer:
        for frame in frames_of(1, 2)[:extra]:
            writer.write(frame)
    with Output(path, resume=True) as output:
        assert output.record.n_frames == 12
        assert content(path) == before
        output.append(frames_of(1, 2))
    assert content(path)[:12] == before
    assert len(content(path)) == 15
    assert read_record(path).description == ABOUT
    assert [each.name for each in path.parent.iterdir()] == ["bh.traj"]


def test_a_search_killed_in_its_very_first_step_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "bh.traj"
    with Output(path) as output:
        output.describe(ABOUT)
        output.append(frames_of(-1, 0)[:2])
    with Output(path, resume=True) as output:
        assert output.record.n_frames == 0
        assert not output.record.starts
        output.describe(ABOUT)
        output.append(frames_of(-1, 0))
    assert len(read(path, ":")) == 3


def test_a_file_cut_off_by_a_full_disk_goes_on_from_its_last_whole_step(path: Path) -> None:
    before = content(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.8)])
    with Output(path, resume=True) as output:
        n = output.record.n_frames
        assert n in (3, 6, 9)
    assert content(path) == before[:n]


@pytest.fixture
def small_files(path: Path) -> Iterator[None]:
    """No file may become much larger than this one is."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_there_is_no_room_it_says_so_and_keeps_what_is_there(path: Path, small_files: None) -> None:
    before = content(path)
    with pytest.raises(OutputError, match=r"must have room.*go on with --resume"), Output(path, resume=True) as output:
        output.append(frames_of(1, 2, n=40))
    with Output(path, resume=True) as output:
        assert output.record.n_frames == 12
    assert content(path) == before


def test_two_searches_cannot_write_one_file(path: Path) -> None:
    with Output(path, resume=True), pytest.raises(OutputError, match="one search at a time"):
        Output(path, resume=True)
    with Output(path, resume=True):
        pass


def test_the_lock_holds_after_a_step_was_taken_out(path: Path) -> None:
    with Trajectory(path, "a") as writer:
        writer.write(frames_of(1, 2)[0])
    with Output(path, resume=True), pytest.raises(OutputError, match="one search at a time"):
        Output(path, resume=True)


def test_what_is_there_is_not_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"must not exist yet.*--resume"):
        Output(path)
    assert path.read_bytes() == before


def test_resuming_what_is_not_there_begins(tmp_path: Path) -> None:
    with Output(tmp_path / "new.traj", resume=True) as output:
        assert output.record.n_frames == 0


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bh.xyz", r"must be the name of an ASE trajectory"),
        ("nowhere/bh.traj", r"the folder .*nowhere must exist"),
        ("folder.traj", r"found a folder"),
        ("garbage.traj", r"must be an ASE trajectory; found"),
        ("other.traj", r"must be written by ruo2-hopping run"),
    ],
)
def test_what_cannot_be_gone_on_with_is_named(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "folder.traj").mkdir()
    (tmp_path / "garbage.traj").write_text("this is no trajectory, however long it is")
    write(tmp_path / "other.traj", frames_of(0, 1))
    with pytest.raises(OutputError, match=said):
        Output(tmp_path / name, resume=True)
