import math
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.units import kB

from ruo2_hopping.checks import Limits
from ruo2_hopping.errors import ImpossibleMoveError
from ruo2_hopping.grand_potential import Reservoir, count_oxygen
from ruo2_hopping.layers import assign_layers
from ruo2_hopping.moves import DicDisplacement, OxygenInsertion, OxygenRemoval, WeightedMove
from ruo2_hopping.pair_potential import PairPotential
from ruo2_hopping.relaxation import Relaxation
from ruo2_hopping.slabs import build_slab
from ruo2_hopping.walker import Method, Outcome, Walker, relax_start, take_step
from tests.hopping.toys import PER_OXYGEN, AddOxygen, Counting, MakeDioxygen, Never, Springs

KEYS = {
    *("facet", "start", "mu_O", "phase", "run", "step", "substep", "final", "move"),
    *("accepted", "converged", "valid", "reject_reason", "omega"),
}
MOVES = (
    WeightedMove(DicDisplacement(step_width=0.6), 0.5),
    WeightedMove(OxygenInsertion(), 0.25),
    WeightedMove(OxygenRemoval(), 0.25),
)
METHOD = Method(MOVES, Limits(), Relaxation(fmax=0.2, steps=30), -5.0, 1000.0, 7)
WALKER = Walker(3, "110", "stoichiometric", -0.5)


@pytest.fixture(scope="module")
def place() -> Atoms:
    slab = assign_layers(build_slab("110", "stoichiometric"))
    return relax_start(slab, "110", "stoichiometric", METHOD, PairPotential()).place


def only(move: object) -> Method:
    return replace(METHOD, moves=(WeightedMove(move, 1.0),))  # type: ignore[arg-type]


def content(step: Outcome) -> list[object]:
    return [
        (atoms.numbers.tolist(), atoms.positions.tolist(), atoms.get_potential_energy(), sorted(atoms.info.items()))
        for atoms in [*step.frames, step.place]
    ]


def test_a_step_is_a_function_of_where_its_walker_stands(place: Atoms) -> None:
    used = PairPotential()
    take_step(WALKER, 8, place, METHOD, used)
    before = place.copy()
    one, other = (take_step(WALKER, 5, place, METHOD, calculator) for calculator in (used, PairPotential()))
    assert content(one) == content(other)
    assert place == before


@pytest.mark.parametrize(
    ("walker", "step", "method"),
    [(WALKER, 6, METHOD), (replace(WALKER, run=4), 5, METHOD), (WALKER, 5, replace(METHOD, seed=8))],
    ids=["step", "walker", "seed"],
)
def test_other_steps_walkers_and_seeds_draw_other_numbers(
    place: Atoms, walker: Walker, step: int, method: Method
) -> None:
    method = replace(method, moves=MOVES[:1], relaxation=Relaxation(steps=0))
    one = take_step(WALKER, 5, place, replace(method, seed=METHOD.seed), PairPotential()).frames[0]
    other = take_step(walker, step, place, method, PairPotential()).frames[0]
    assert not np.allclose(one.positions, other.positions)


def test_frames_say_what_they_are(place: Atoms) -> None:
    step = take_step(WALKER, 5, place, METHOD, PairPotential())
    assert len(step.frames) > 2
    for substep, frame in enumerate(step.frames):
        info = frame.info
        assert set(info) == KEYS
        assert (info["run"], info["step"], info["substep"], info["mu_O"], info["phase"]) == (3, 5, substep, -0.5, 1)
        assert (info["facet"], info["start"]) == ("110", "stoichiometric")
        assert info["final"] == (frame is step.frames[-1])
        assert info["omega"] == pytest.approx(frame.get_potential_energy() - count_oxygen(frame) * -5.5)
        assert all(type(value) in (str, int, float, bool) for value in info.values())
        assert set(frame.get_tags()) == {0, 1, 2}
        assert not frame.constraints


def test_of_minima_alone_the_last_frame_is_written(place: Atoms) -> None:
    every = take_step(WALKER, 5, place, METHOD, PairPotential())
    ends = take_step(WALKER, 5, place, replace(METHOD, snapshots="minima"), PairPotential())
    assert content(ends) == content(Outcome(every.frames[-1:], every.place))


def test_where_it_stands_after_a_step_is_the_end_of_one_that_was_accepted(place: Atoms) -> None:
    seen = set()
    for number in range(1, 12):
        step = take_step(WALKER, number, place, METHOD, PairPotential())
        accepted = step.frames[-1].info["accepted"]
        seen.add(accepted)
        assert step.place is (step.frames[-1] if accepted else place)
    assert seen == {True, False}


def test_oxygen_is_taken_up_as_often_as_omega_allows() -> None:
    place = assign_layers(build_slab("110", "O-poor"))
    place = relax_start(place, "110", "O-poor", METHOD, Counting()).place
    rise, n = 0.08, 200  # eV that Omega goes up with each oxygen
    walker, method = replace(WALKER, mu_o=-rise), replace(only(AddOxygen()), oxygen_energy=PER_OXYGEN)
    taken = [take_step(walker, number, place, method, Counting()) for number in range(1, n + 1)]
    share = sum(step.frames[-1].info["accepted"] for step in taken) / n
    wanted = math.exp(-rise / (kB * 1000.0))
    assert abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / n)
    assert all(step.frames[-1].info["valid"] for step in taken)
    higher = replace(walker, mu_o=rise)
    assert all(take_step(higher, k, place, method, Counting()).frames[-1].info["accepted"] for k in range(1, 20))


def test_what_is_not_sound_is_never_taken_and_says_why(place: Atoms) -> None:
    walker = replace(WALKER, mu_o=50.0)  # any oxygen is welcome
    step = take_step(walker, 1, place, replace(only(MakeDioxygen()), relaxation=Relaxation(steps=0)), Counting())
    info = step.frames[-1].info
    assert info["omega"] < Reservoir(-5.0, 50.0).omega_of(place)
    assert (info["valid"], info["accepted"], info["move"]) == (False, False, "dioxygen")
    assert info["reject_reason"].startswith("molecular oxygen")
    assert step.place is place


def test_an_exploding_relaxation_is_kept_marked_and_survived(place: Atoms) -> None:
    method = replace(only(DicDisplacement()), relaxation=Relaxation(fmax=1e-9))
    step = take_step(WALKER, 1, place, method, Springs(place.positions, after=3))
    assert len(step.frames) == 3
    assert step.frames[-1].info["reject_reason"] == "exploded: energy and forces are no numbers after 3 steps"
    assert step.place is place


@pytest.mark.parametrize("calculator", [Springs(after=0)])
def test_a_move_to_where_there_is_no_energy_keeps_where_it_came_from(place: Atoms, calculator: BaseCalculator) -> None:
    step = take_step(WALKER, 1, place, only(DicDisplacement()), calculator)
    (frame,) = step.frames
    assert np.array_equal(frame.positions, place.positions)
    assert frame.get_potential_energy() == place.get_potential_energy()
    assert frame.info["reject_reason"].startswith("exploded")
    assert not frame.info["accepted"]


def test_where_no_move_is_possible_the_step_says_so(place: Atoms) -> None:
    with pytest.raises(ImpossibleMoveError, match="at least one move must be possible; found never: never"):
        take_step(WALKER, 1, place, only(Never()), Counting())


def test_a_start_is_step_0_of_no_walker() -> None:
    slab = assign_layers(build_slab("110", "O-rich"))
    frames = relax_start(slab, "110", "O-rich", METHOD, PairPotential()).frames
    info = frames[-1].info
    assert (info["run"], info["step"], info["move"], info["mu_O"]) == (-1, 0, "start", 0.0)
    assert info["accepted"]
    assert set(info) == KEYS
