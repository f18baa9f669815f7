import numpy as np
import pytest
from ase import Atoms

from ruo2_hopping.errors import CalculatorError, ConfigError
from ruo2_hopping.layers import BULK, assign_layers
from ruo2_hopping.relaxation import Relaxation, relax
from ruo2_hopping.slabs import build_slab
from tests.hopping.toys import Counting, Failing, Springs


@pytest.fixture(scope="module")
def slab() -> Atoms:
    return assign_layers(build_slab("110", "stoichiometric"))


@pytest.fixture
def displaced(slab: Atoms) -> Atoms:
    atoms = slab.copy()
    atoms.positions += np.random.default_rng(0).normal(scale=0.1, size=(len(atoms), 3))
    return atoms


def test_it_ends_downhill_where_forces_on_all_but_the_bulk_are_small(slab: Atoms, displaced: Atoms) -> None:
    course = relax(displaced, Springs(slab.positions), Relaxation(fmax=0.01), 300)
    bulk = displaced.get_tags() == BULK
    assert course.converged
    assert not course.fault
    first, last = course.frames[0], course.frames[-1]
    assert np.array_equal(first.positions, displaced.positions)
    assert last.get_potential_energy() < first.get_potential_energy()
    assert np.linalg.norm(last.get_forces()[~bulk], axis=1).max() <= 0.01
    assert np.linalg.norm(course.frames[-2].get_forces()[~bulk], axis=1).max() > 0.01
    assert np.array_equal(last.positions[bulk], displaced.positions[bulk])
    assert bulk.any()


def test_forces_that_are_kept_are_those_on_the_bulk_too(slab: Atoms, displaced: Atoms) -> None:
    bulk = displaced.get_tags() == BULK
    last = relax(displaced, Springs(slab.positions), Relaxation(), 300).frames[-1]
    assert np.allclose(last.get_forces()[bulk], -2.0 * (displaced.positions - slab.positions)[bulk])
    assert not last.constraints


def test_the_structure_itself_stays_as_it_is(slab: Atoms, displaced: Atoms) -> None:
    before = displaced.copy()
    relax(displaced, Springs(slab.positions), Relaxation(), 20)
    assert displaced == before
    assert displaced.calc is None
    assert not displaced.constraints


@pytest.mark.parametrize("steps", [0, 1, 7])
def test_a_relaxation_out_of_steps_is_kept_and_not_called_converged(slab: Atoms, displaced: Atoms, steps: int) -> None:
    course = relax(displaced, Springs(slab.positions), Relaxation(fmax=1e-9), steps)
    assert len(course.frames) == steps + 1
    assert not course.converged
    assert not course.fault


def test_a_relaxed_structure_is_one_frame(slab: Atoms) -> None:
    course = relax(slab, Counting(), Relaxation(), 100)
    assert len(course.frames) == 1
    assert course.converged


def test_an_energy_that_is_no_number_ends_it_and_what_came_before_is_kept(slab: Atoms, displaced: Atoms) -> None:
    course = relax(displaced, Springs(slab.positions, after=4), Relaxation(fmax=1e-9), 50)
    assert len(course.frames) == 4
    assert np.isfinite([frame.get_potential_energy() for frame in course.frames]).all()
    assert course.fault == "exploded: energy and forces are no numbers after 4 steps"
    assert not course.converged


def test_of_a_structure_without_an_energy_there_is_no_frame(displaced: Atoms) -> None:
    assert not relax(displaced, Springs(after=0), Relaxation(), 50).frames


def test_an_atom_that_flies_off_ends_it(slab: Atoms) -> None:
    course = relax(slab, Springs(slab.positions, stiffness=-5.0), Relaxation(farthest=2.0), 300)
    assert not course.fault  # at its summit, to the bit
    shaken = slab.copy()
    shaken.positions[slab.positions[:, 2].argmax()] += [0.1, 0.0, 0.2]
    course = relax(shaken, Springs(slab.positions, stiffness=-5.0), Relaxation(farthest=2.0), 300)
    assert course.fault.startswith(f"exploded: atom {slab.positions[:, 2].argmax()} went 2.")
    ways = [np.linalg.norm(frame.positions - shaken.positions, axis=1).max() for frame in course.frames]
    assert max(ways) <= 2.0


def test_an_error_of_the_calculator_is_named(slab: Atoms) -> None:
    with pytest.raises(CalculatorError, match="ArithmeticError: no energy today"):
        relax(slab, Failing(), Relaxation(), 5)


@pytest.mark.parametrize("wrong", [{"fmax": 0.0}, {"fmax": float("nan")}, {"steps": -1}, {"farthest": -2.0}])
def test_limits_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Relaxation(**wrong)  # type: ignore[arg-type]
