import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import Trajectory, read

from ruo2_hopping.errors import OutputError
from ruo2_hopping.history import History
from ruo2_hopping.history_file import read_history
from ruo2_hopping.minima import find_minima, write_minima
from tests.hopping.searches import OXYGEN_ENERGY, frame, moved, random_search, slab, write


def history_of(folder: Path, frames: list[Atoms], oxygen_energy: float | None = OXYGEN_ENERGY) -> History:
    """Frames as consecutive steps, each of them an end."""
    for step, each in enumerate(frames, 1):
        each.info["step"] = step
    return read_history(write(folder / "bh.traj", frames, oxygen_energy))


def test_copies_are_one_minimum_and_different_structures_are_two(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    one, other = slab(seed=0), slab(seed=0)
    other.positions[-1] += [0.4, 0.3, 0.9]
    frames = []
    for energy, atoms in ((-90.0, one), (-90.001, other)):
        frames.append(frame(atoms, energy))
        for how in ("translated", "mirrored", "rotated", "in another order"):
            copy = moved(atoms, how, rng)
            copy.positions += rng.normal(0, 0.01, (len(copy), 3))
            frames.append(frame(copy, energy + float(rng.uniform(0, 0.008))))
    order = rng.permutation(len(frames))
    minima = find_minima(history_of(tmp_path, [frames[index] for index in order]))
    assert [minimum.found for minimum in minima] == [5, 5]
    ranks = order.tolist()
    for minimum, members in zip(minima, (range(5, 10), range(5)), strict=True):
        assert minimum.lowest.frame == ranks.index(members[0])
        assert minimum.first.frame == min(ranks.index(member) for member in members)
        assert minimum.found_at == {-0.5: 5}


def test_energies_apart_and_other_compositions_are_other_minima(tmp_path: Path) -> None:
    frames = [frame(slab(), energy) for energy in (-90.0, -89.985, -89.97)]
    history = history_of(tmp_path, [*frames, frame(slab(9), -90.0)])
    assert sorted(minimum.found for minimum in find_minima(history)) == [1, 1, 2]
    assert sorted(minimum.found for minimum in find_minima(history, energy=0.05)) == [1, 3]
    assert sorted(minimum.found for minimum in find_minima(history, energy=0.01)) == [1, 1, 1, 1]


def test_how_far_apart_is_different_can_be_chosen(tmp_path: Path) -> None:
    other = slab()
    other.positions[-1, 2] += 0.1
    history = history_of(tmp_path, [frame(slab(), -90.0), frame(other, -90.0)])
    assert len(find_minima(history)) == 1
    assert len(find_minima(history, apart=0.01)) == 2


def test_only_valid_converged_ends_count_unless_asked(tmp_path: Path) -> None:
    frames = [
        frame(slab(seed=seed), -90.0, valid=valid, converged=converged)
        for seed, (valid, converged) in enumerate([(True, True), (True, False), (False, True), (False, False)])
    ]
    history = history_of(tmp_path, frames)
    assert [minimum.lowest.frame for minimum in find_minima(history)] == [0]
    assert {minimum.lowest.frame for minimum in find_minima(history, unconverged=True)} == {0, 1}


@pytest.mark.parametrize("seed", [0, 1])
def test_minima_are_in_order_and_hold_each_end_once(tmp_path: Path, seed: int) -> None:
    frames = random_search(seed, n_steps=2)
    n_ends = sum(each.info["valid"] and each.info["converged"] and each.info["final"] for each in frames)
    for oxygen_energy in (OXYGEN_ENERGY, None):
        history = read_history(write(tmp_path / "bh.traj", frames, oxygen_energy))
        minima = find_minima(history, energy=0.5)
        assert sum(minimum.found for minimum in minima) == n_ends
        assert all(sum(minimum.found_at.values()) == minimum.found for minimum in minima)
        ends = [minimum.lowest for minimum in minima]
        if oxygen_energy is None:
            ranks = [(0.0, step.energy / (step.n_metals + step.n_oxygen)) for step in ends]
        else:
            ranks = [(step.walker.mu_o, history.omega(step)) for step in ends]
        assert ranks == sorted(ranks)
        assert len(minima) > 3


def test_the_file_has_each_minimum_with_what_it_was(tmp_path: Path) -> None:
    history = history_of(
        tmp_path,
        [frame(slab(), -90.0, mu_O=0.0), frame(slab(), -90.01), frame(slab(), -90.0), frame(slab(seed=1), -80.0)],
    )
    path = str(tmp_path / "minima.traj")
    write_minima(history, find_minima(history), path)
    lower, higher = read(path, ":")
    source = read(history.path, 1)
    assert lower == source
    assert lower.get_potential_energy() == -90.01
    np.testing.assert_array_equal(lower.get_forces(), source.get_forces())
    added = {"found": 3, "found_at": "-0.5: 2, 0: 1", "first_run": 0, "first_step": 1, "first_frame": 0}
    assert lower.info == {**source.info, **added, "omega": pytest.approx(-90.01 + 8 * 6.0)}
    assert higher.info["found_at"] == "-0.5: 1"
    with Trajectory(path) as trajectory:
        described = trajectory.description["ruo2_hopping"]
    assert described["oxygen_energy"] == OXYGEN_ENERGY
    assert described["minima_of"] == "bh.traj"


def test_omega_in_the_file_is_of_the_oxygen_energy_that_was_given_else_as_the_frame_has_it(tmp_path: Path) -> None:
    path = write(tmp_path / "bh.traj", [frame(slab(), -90.0)], oxygen_energy=None)
    for given, omega in ((-4.0, -90.0 + 8 * 4.5), (None, -90.0 + 8 * 6.0)):
        history = read_history(path, given)
        write_minima(history, find_minima(history), str(tmp_path / "minima.traj"), overwrite=True)
        atoms = read(tmp_path / "minima.traj")
        assert atoms.info["omega"] == pytest.approx(omega)


def test_a_file_in_the_way_stays_unless_it_may_be_replaced(tmp_path: Path) -> None:
    history = history_of(tmp_path, [frame(slab(), -90.0)])
    minima, target = find_minima(history), tmp_path / "minima.traj"
    target.write_text("mine")
    with pytest.raises(OutputError, match=rf"^{re.escape(str(target))}: must not exist yet\. .* --overwrite$"):
        write_minima(history, minima, str(target))
    assert target.read_text() == "mine"
    write_minima(history, minima, str(target), overwrite=True)
    assert len(read(target, ":")) == 1


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    history = history_of(tmp_path, [frame(slab(), -90.0), frame(slab(seed=1), -80.0)])
    minima, target = find_minima(history), tmp_path / "minima.traj"
    write(tmp_path / "bh.traj", [frame(slab(), -90.0)])  # the second minimum is gone
    with pytest.raises(IndexError):
        write_minima(history, minima, str(target))
    assert [each.name for each in tmp_path.iterdir()] == ["bh.traj"]


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    history = history_of(tmp_path, [frame(slab(), -90.0, converged=False)])
    minima = find_minima(history, unconverged=True)
    with pytest.raises(OutputError, match=r"must hold a valid, converged relaxation; found none.*--unconverged"):
        write_minima(history, find_minima(history), str(tmp_path / "minima.traj"))
    with pytest.raises(OutputError, match=r"must end in \.traj; found \.xyz$"):
        write_minima(history, minima, str(tmp_path / "minima.xyz"))
    with pytest.raises(OutputError, match=r"the folder .* must exist"):
        write_minima(history, minima, str(tmp_path / "nowhere" / "minima.traj"))
    with pytest.raises(OutputError, match=r"^apart must be positive; found 0$"):
        find_minima(history, apart=0)
