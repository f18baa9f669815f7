"""Whoever is done first, and whenever a search is stopped: the trajectory is the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import Trajectory, read

from ruo2_hopping.config import Config, Relaxation, Search, Start, choose_moves
from ruo2_hopping.output import Output
from ruo2_hopping.pair_potential import PairPotential
from ruo2_hopping.plan import Plan, plan_search
from ruo2_hopping.tour import make_tour
from ruo2_hopping.walker import Method
from ruo2_hopping.workers import Done, Failure, Task, ThisProcess, Workers
from tests.hopping.toys import Counting

STEPS = 4
CONFIG = Config(
    starts=(Start(), Start(termination="O-rich")),
    search=Search(mu_o=(-0.5, 0.0), steps=STEPS, seed=5),
    moves=choose_moves(step_width=0.5),
    relaxation=Relaxation(fmax=0.3, steps=3, start_steps=2),
)


class Haphazard(Workers):
    """Several at a time, any of which is done first; some tasks fail."""

    def __init__(self, n: int, seed: int, failing: tuple[int, int] | None = None) -> None:
        self.n, self.rng, self.tasks = n, np.random.default_rng(seed), dict[int, Task]()
        self.calculator, self.failing, self.given = PairPotential(), failing, dict[int, int]()

    def submit(self, key: int, task: Task) -> None:
        assert key not in self.tasks
        assert len(self.tasks) < self.n
        self.tasks[key] = task
        self.given[key] = self.given.get(key, 0) + 1

    def wait(self) -> list[Done]:
        key = list(self.tasks)[int(self.rng.integers(len(self.tasks)))]
        task = self.tasks.pop(key)
        if self.failing == (key, self.given[key]):
            return [Done(key, Failure("no energy today"))]
        return [Done(key, task(self.calculator))]

    def close(self) -> None:
        pass


def method_of(plan: Plan) -> Method:
    config = plan.config
    return Method(plan.moves, config.checks, config.relaxation, -5.0, config.search.temperature, config.search.seed)


def search(path: Path, workers: Workers, config: Config = CONFIG, resume: bool = False) -> dict[int, str]:
    plan = plan_search(config)
    with Output(path, resume) as output:
        output.describe({"config": {}})
        return make_tour(plan, method_of(plan), output, workers, lambda n: None)


def content(path: Path) -> list[Any]:
    return [
        (atoms.positions.tolist(), atoms.get_potential_energy(), sorted(atoms.info.items()))
        for atoms in read(path, ":")
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search in one go."""
    path = tmp_path_factory.mktemp("whole") / "bh.traj"
    assert search(path, ThisProcess(PairPotential)) == {}
    return path


def steps_in(path: Path) -> list[tuple[int, int]]:
    return [(atoms.info["run"], atoms.info["step"]) for atoms in read(path, ":") if atoms.info["final"]]


def test_starts_come_first_and_then_walkers_take_turns(whole: Path) -> None:
    turns = [(run, step) for step in range(1, STEPS + 1) for run in range(4)]
    assert steps_in(whole) == [(-1, 0), (-1, 0), *turns]
    walkers = {(a.info["run"], a.info["start"], a.info["mu_O"]) for a in read(whole, ":") if a.info["run"] >= 0}
    assert walkers == {(0, "stoichiometric", -0.5), (1, "stoichiometric", 0.0), (2, "O-rich", -0.5), (3, "O-rich", 0.0)}


def test_each_walker_goes_on_from_its_last_accepted_structure(whole: Path) -> None:
    """What a move left alone is still where it was."""
    frames = read(whole, ":")
    places = {(a.info["start"]): a for a in frames if a.info["run"] == -1 and a.info["final"]}
    stands: dict[int, Any] = {}
    checked = 0
    for atoms in frames:
        run = atoms.info["run"]
        if run < 0:
            continue
        place = stands.get(run, places[atoms.info["start"]])
        if atoms.info["substep"] == 0:
            fixed = place.get_tags() < 2
            assert np.allclose(atoms.positions[: len(place)][fixed[: len(atoms)]], place.positions[fixed]) or (
                atoms.info["move"] == "remove"
            )
            checked += 1
        if atoms.info["final"] and atoms.info["accepted"]:
            stands[run] = atoms
    assert checked == 4 * STEPS


@pytest.mark.parametrize("n", [2, 3, 7])
def test_the_trajectory_does_not_hang_on_who_is_done_first(whole: Path, tmp_path: Path, n: int) -> None:
    assert search(tmp_path / "bh.traj", Haphazard(n, seed=n)) == {}
    assert content(tmp_path / "bh.traj") == content(whole)


def test_a_search_stopped_anywhere_goes_on_to_the_same_trajectory(whole: Path, tmp_path: Path) -> None:
    frames = read(whole, ":")
    for n in (0, 1, 3, 6, 7, 15, 33, len(frames) - 1):
        path = tmp_path / f"{n}.traj"
        with Trajectory(path, "w") as writer:
            writer.set_description({"ruo2_hopping": {"config": {}}})
            for frame in frames[:n]:
                writer.write(frame)
        if not n:
            path.write_bytes(b"")
        assert search(path, Haphazard(3, seed=n), resume=True) == {}
        assert content(path) == content(whole), n


def test_more_steps_are_those_that_a_longer_search_would_have_made(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "bh.traj"
    search(path, Haphazard(2, 0), replace(CONFIG, search=replace(CONFIG.search, steps=2)))
    search(path, Haphazard(2, 1), resume=True)
    assert content(path) == content(whole)


def test_a_walker_that_fails_stops_and_the_others_go_on(whole: Path, tmp_path: Path) -> None:
    path = tmp_path / "bh.traj"
    assert search(path, Haphazard(3, 1, failing=(1, 3))) == {1: "no energy today"}  # submitted under key 1: start, too
    found = steps_in(path)
    assert [step for run, step in found if run == 0] == list(range(1, STEPS + 1))
    assert len([step for run, step in found if run == 1]) < STEPS
    assert search(path, Haphazard(3, 1), resume=True) == {}  # once mended, it goes on
    assert sorted(map(repr, content(path))) == sorted(map(repr, content(whole)))


def test_a_start_that_fails_stops_its_walkers_alone(tmp_path: Path) -> None:
    path = tmp_path / "bh.traj"
    stopped = search(path, Haphazard(1, 1, failing=(0, 1)))
    assert stopped == {0: "no energy today", 1: "no energy today"}
    assert {run for run, _ in steps_in(path)} == {-1, 2, 3}


def test_an_unsound_start_stops_its_walkers_and_is_kept(tmp_path: Path) -> None:
    plan = plan_search(CONFIG)
    oxygen = plan.origins[0].atoms
    oxygen.positions[oxygen.positions[:, 2].argmax()] += [0.0, 0.0, 4.0]
    path = tmp_path / "bh.traj"
    for resume in (False, True):
        with Output(path, resume) as output:
            output.describe({"config": {}})
            stopped = make_tour(plan, method_of(plan), output, ThisProcess(Counting), lambda n: None)
        assert set(stopped) == {0, 1}
        assert "the start is not sound when relaxed: desorbed" in stopped[0]
    assert {run for run, _ in steps_in(path)} == {-1, 2, 3}
