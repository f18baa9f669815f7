import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from ruo2_hopping.errors import OutputError
from ruo2_hopping.history_file import KEYS, read_history
from tests.hopping.searches import frame, random_search, slab, write


def key(info: dict[str, object]) -> tuple[object, ...]:
    return tuple(info[name] for name in ("phase", "facet", "start", "mu_O", "run", "step"))


@pytest.mark.parametrize("seed", [0, 1])
def test_each_relaxation_is_known_by_its_last_frame(tmp_path: Path, seed: int) -> None:
    path = write(tmp_path / "bh.traj", random_search(seed))
    ends = {key(atoms.info): (index, atoms) for index, atoms in enumerate(read(path, ":"))}
    history = read_history(path)
    assert len(history.steps) == len(ends)
    for step, structure in zip(history.steps, history.structures(history.steps), strict=True):
        index, atoms = ends[(*step.walker, step.step)]
        assert step.frame == index
        assert step.energy == atoms.get_potential_energy()
        assert step.fire_steps == atoms.info["substep"]
        assert (step.n_metals, step.n_oxygen) == (4, len(atoms) - 4)
        assert step.slab == "110 Ru4"
        assert step.formula == f"Ru4O{len(atoms) - 4}"
        assert structure == atoms
        assert history.omega(step) == pytest.approx(atoms.info["omega"], abs=1e-9)


def test_walkers_that_write_by_turns_have_the_same_history(tmp_path: Path) -> None:
    frames = random_search(2)
    one = read_history(write(tmp_path / "one.traj", frames))
    turn = np.random.default_rng(0).permutation(100)
    turns = sorted(frames, key=lambda each: turn[10 * each.info["run"] + each.info["step"]])  # the sort is stable
    assert turns != frames
    other = read_history(write(tmp_path / "other.traj", turns))
    for left, right in zip(one.walkers().items(), other.walkers().items(), strict=True):
        assert left[0] == right[0]
        assert [(s.step, s.energy, s.move) for s in left[1]] == [(s.step, s.energy, s.move) for s in right[1]]


def test_without_final_and_description_the_last_frames_are_the_ends_and_omega_is_not_told(tmp_path: Path) -> None:
    frames = random_search(3)
    marked = read_history(write(tmp_path / "marked.traj", frames))
    for each in frames:
        del each.info["final"], each.info["omega"]
    path = write(tmp_path / "plain.traj", frames, oxygen_energy=None)
    plain = read_history(path)
    assert (marked.marked, plain.marked) == (True, False)
    assert plain.steps == marked.steps
    assert {plain.omega(step) for step in plain.steps} == {None}
    given = read_history(path, oxygen_energy=-4.0)
    for step in given.steps:
        assert given.omega(step) == pytest.approx(step.energy - step.n_oxygen * (step.walker.mu_o - 4.0))
        assert given.omega(step, -1.0) == pytest.approx(step.energy + step.n_oxygen * 5.0)


def test_a_relaxation_without_its_end_is_no_step(tmp_path: Path) -> None:
    frames = [frame(slab(), -90.0), frame(slab(), -80.0, step=2, final=False), frame(slab(), -85.0, step=3)]
    history = read_history(write(tmp_path / "bh.traj", frames))
    assert [step.step for step in history.steps] == [1, 3]
    assert history.unfinished == 1


def test_a_walker_knows_where_it_began(tmp_path: Path) -> None:
    history = read_history(write(tmp_path / "bh.traj", random_search(0)))
    for walker in history.walkers():
        start = history.start_of(walker)
        assert start is not None
        assert (start.walker.run, start.walker.start, start.move) == (-1, walker.start, "start")
    alone = read_history(write(tmp_path / "alone.traj", [frame(slab(), -90.0)]))
    (walker,) = alone.walkers()
    assert alone.start_of(walker) is None


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_a_frame_lacks_is_named(tmp_path: Path, name: str) -> None:
    frames = [frame(slab(), -90.0), frame(slab(), -90.0, step=2)]
    del frames[1].info[name]
    path = write(tmp_path / "bh.traj", frames)
    with pytest.raises(
        OutputError, match=rf"^frame 1 of {re.escape(path)}: info must have '{name}'; found .*Summarise"
    ):
        read_history(path)
    frames[1].info[name] = [1]
    path = write(tmp_path / "bh.traj", frames)
    with pytest.raises(OutputError, match=rf"^frame 1 of .*: info\['{name}'\] must be of type \w+; found \[1\]"):
        read_history(path)


def test_frames_that_are_marked_only_here_and_there_are_refused(tmp_path: Path) -> None:
    frames = [frame(slab(), -90.0), frame(slab(), -90.0, step=2)]
    del frames[1].info["final"]
    with pytest.raises(OutputError, match=r"^frame 1 of .* must have 'final'"):
        read_history(write(tmp_path / "bh.traj", frames))


def test_a_relaxation_that_ends_twice_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "bh.traj", [frame(slab(), -90.0), frame(slab(), -91.0)])
    with pytest.raises(OutputError, match=r"^frame 1 of .*: run 0 step 1 must end once; found that frame 0 ended it"):
        read_history(path)


def test_frames_need_energies_and_metal(tmp_path: Path) -> None:
    bare = frame(slab(), -90.0)
    bare.calc = None
    with pytest.raises(OutputError, match=r"^frame 0 of .* must have a finite energy; found none"):
        read_history(write(tmp_path / "bh.traj", [bare]))
    with pytest.raises(OutputError, match=r"^frame 0 of .* must have a finite energy; found nan"):
        read_history(write(tmp_path / "bh.traj", [frame(slab(), np.nan)]))
    read_history(write(tmp_path / "bh.traj", [frame(slab(), np.nan, valid=False, reject_reason="energy: nan")]))
    with pytest.raises(OutputError, match=r"^frame 0 of .* must have metal atoms; found 2 O and nothing else"):
        read_history(write(tmp_path / "bh.traj", [frame(Atoms("O2", cell=[9, 9, 9], pbc=True), -9.0)]))


def test_files_that_are_missing_empty_or_something_else_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"found no such file$"):
        read_history(str(tmp_path / "bh.traj"))
    with pytest.raises(OutputError, match=r"must hold at least one frame; found none\. Wait"):
        read_history(write(tmp_path / "bh.traj", []))
    for content in (b"", b"a picture of a slab" * 50):
        (tmp_path / "bh.traj").write_bytes(content)
        with pytest.raises(OutputError, match=r"must be a whole ASE trajectory; it cannot be read"):
            read_history(str(tmp_path / "bh.traj"))
    with pytest.raises(OutputError, match=r"^the oxygen energy must be a finite number of eV; found nan$"):
        read_history(write(tmp_path / "bh.traj", [frame(slab(), -90.0)]), np.nan)


def test_wherever_a_file_is_cut_it_is_refused(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "bh.traj", random_search(0, n_steps=1)))
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, 997):
        path.write_bytes(whole[:size])
        with pytest.raises(OutputError, match="cut"):
            read_history(str(path))
