import json
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from ase import Atoms
from ase.io import read
from click.testing import CliRunner

from ruo2_hopping.cli.summary import summary
from ruo2_hopping.errors import OutputError
from ruo2_hopping.summary import summarise
from ruo2_hopping.terminal import summary_text
from tests.hopping.searches import OXYGEN_ENERGY, frame, random_search, slab, write

SHIPPED = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"
FATES = ("accepted", "valid", "converged")


def ends_of(frames: list[Atoms]) -> list[Atoms]:
    """The last frame of each relaxation."""
    names = ("phase", "facet", "start", "mu_O", "run", "step")
    return list({tuple(atoms.info[name] for name in names): atoms for atoms in frames}.values())


def counted(steps: list[Atoms]) -> dict[str, int]:
    return {"steps": len(steps), **{fate: sum(atoms.info[fate] for atoms in steps) for fate in FATES}}


def omega(atoms: Atoms, mu_o: float, oxygen_energy: float = OXYGEN_ENERGY) -> float:
    return float(atoms.get_potential_energy() - atoms.symbols.count("O") * (oxygen_energy + mu_o))


def check_counts(result: dict[str, Any], frames: list[Atoms]) -> None:
    """A summary against plain loops over all frames."""
    ends = ends_of(frames)
    steps = [atoms for atoms in ends if atoms.info["run"] >= 0]
    assert result["frames"] == len(frames)
    assert result["relaxations"] == len(ends)
    assert {name: result[name] for name in ("steps", *FATES)} == counted(steps)
    assert result["moves"] == {
        kind: counted([atoms for atoms in steps if atoms.info["move"] == kind])
        for kind in {atoms.info["move"] for atoms in steps}
    }
    reasons = Counter(atoms.info["reject_reason"].split(":")[0] for atoms in steps if not atoms.info["valid"])
    assert result["rejected"] == reasons
    assert result["fire_steps"]["median"] == median(atoms.info["substep"] for atoms in ends)
    assert result["fire_steps"]["most"] == max(atoms.info["substep"] for atoms in ends)
    for walker in result["walkers"]:
        own = [
            atoms
            for atoms in steps
            if all(atoms.info[name] == walker[name] for name in ("phase", "facet", "start", "mu_O", "run"))
        ]
        assert {name: walker[name] for name in ("steps", *FATES)} == counted(own)
    assert sum(walker["steps"] for walker in result["walkers"]) == len(steps)
    for name, ranges in result["slabs"].items():
        facet, metal = name.split(" Ru")
        own = [
            atoms
            for atoms in ends
            if atoms.info["facet"] == facet and atoms.symbols.count("Ru") == int(metal) and atoms.info["valid"]
        ]
        ratios = [atoms.symbols.count("O") / int(metal) for atoms in own]
        energies = [atoms.get_potential_energy() / len(atoms) for atoms in own]
        assert ranges["valid_ends"] == len(own)
        assert ranges["oxygen_per_metal"] == pytest.approx([min(ratios), max(ratios)])
        assert ranges["energy_per_atom"] == pytest.approx([min(energies), max(energies)])


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_are_what_plain_loops_count(tmp_path: Path, seed: int) -> None:
    path = write(tmp_path / "bh.traj", random_search(seed))
    result = summarise(path)
    check_counts(result, read(path, ":"))
    assert json.loads(json.dumps(result)) == result
    assert result["ends_are_marked"]
    assert result["minima"]["ends"] == sum(
        atoms.info["valid"] and atoms.info["converged"] for atoms in ends_of(read(path, ":"))
    )


def test_the_shipped_search_is_summed_up(tmp_path: Path) -> None:
    result = summarise(str(SHIPPED), oxygen_energy=-5.569)
    check_counts(result, read(SHIPPED, ":"))
    assert not result["ends_are_marked"]
    assert set(result["slabs"]) == {"100 Ru16", "110 Ru12"}
    assert len(result["lowest"]) == 8
    assert 1 < result["minima"]["unique"] < result["minima"]["ends"]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_lowest_grand_potential_is_looked_for_among_all_valid_ends(tmp_path: Path, seed: int) -> None:
    path = write(tmp_path / "bh.traj", random_search(seed))
    frames = read(path, ":")
    valid = [atoms for atoms in ends_of(frames) if atoms.info["valid"]]
    result = summarise(path)
    assert [place["mu_O"] for place in result["lowest"]] == [-0.5, -0.25, 0.0]
    for place in result["lowest"]:
        assert place["omega"] == pytest.approx(min(omega(atoms, place["mu_O"]) for atoms in valid))
        there = frames[place["frame"]]
        assert omega(there, place["mu_O"]) == pytest.approx(place["omega"])
        assert (there.info["run"], there.info["step"]) == (place["run"], place["step"])
        assert place["found_at_mu_O"] == there.info["mu_O"]
    for walker in result["walkers"]:
        own = [atoms for atoms in valid if atoms.info["run"] == walker["run"]]
        lowest = min((omega(atoms, walker["mu_O"]) for atoms in own), default=None)
        assert (walker["lowest"] or {"omega": None})["omega"] == (None if lowest is None else pytest.approx(lowest))
        (start,) = [
            atoms for atoms in ends_of(frames) if atoms.info["run"] == -1 and atoms.info["start"] == walker["start"]
        ]
        assert walker["start_omega"] == pytest.approx(omega(start, walker["mu_O"]))


def test_slabs_of_other_size_are_not_compared(tmp_path: Path) -> None:
    twice = slab() * (2, 1, 1)
    result = summarise(write(tmp_path / "bh.traj", [frame(slab(), -90.0), frame(twice, -180.0, run=1)]))
    assert [(place["slab"], place["omega"]) for place in result["lowest"]] == [
        ("110 Ru4", pytest.approx(-90.0 + 8 * 6.0)),
        ("110 Ru8", pytest.approx(-180.0 + 16 * 6.0)),
    ]


def test_omega_is_told_only_with_an_oxygen_energy(tmp_path: Path) -> None:
    path = write(tmp_path / "bh.traj", random_search(0), oxygen_energy=None)
    result = summarise(path)
    assert result["lowest"] == []
    assert all(walker["lowest"] is None and walker["start_omega"] is None for walker in result["walkers"])
    assert "Omega     not told: the file names no oxygen energy; give one with --oxygen-energy" in summary_text(result)
    assert summarise(path, OXYGEN_ENERGY) == summarise(write(tmp_path / "bh.traj", random_search(0)))


def test_a_search_that_is_young_or_hapless_has_a_summary(tmp_path: Path) -> None:
    start = frame(slab(), -90.0, run=-1, step=0, mu_O=0.0, move="start")
    young = summarise(write(tmp_path / "bh.traj", [start, frame(slab(), -80.0, final=False)]))
    assert (young["steps"], young["unfinished"], young["walkers"], young["moves"]) == (0, 1, [], {})
    assert young["lowest"][0]["omega"] == pytest.approx(-90.0 + 8 * 5.5)
    assert "1 more unfinished" in summary_text(young)
    hapless = summarise(write(tmp_path / "bh.traj", [frame(slab(), -80.0, valid=False, accepted=False)]))
    assert hapless["rejected"] == {"no reason given": 1}
    assert (hapless["lowest"], hapless["walkers"][0]["lowest"]) == ([], None)
    assert "110 Ru4, no valid structure" in summary_text(hapless)
    only_begun = summarise(write(tmp_path / "bh.traj", [frame(slab(), -80.0, final=False)]))
    assert (only_begun["relaxations"], only_begun["unfinished"]) == (0, 1)
    assert "0 relaxations, 1 more unfinished" in summary_text(only_begun)


def test_the_text_says_what_there_is(tmp_path: Path) -> None:
    frames = [
        frame(slab(), -90.0, run=-1, step=0, mu_O=0.0, move="start"),
        frame(slab(9), -99.0, substep=7, move="insert"),
        frame(slab(7), -70.0, step=2, substep=9, valid=False, accepted=False, reject_reason="desorbed: O6 3.1 Å"),
        frame(slab(), -85.0, step=3, substep=5, accepted=False, converged=False),
    ]
    path = write(tmp_path / "bh.traj", frames)
    assert summary_text(summarise(path)).splitlines() == [
        f"{path}: 4 frames, 4 relaxations, 1 walkers",
        "  slab      110 Ru4, O to metal 2.00 to 2.25, -7.615 to -7.083 eV/atom",
        "  steps         3:  33 % accepted,  67 % valid,  67 % converged",
        "  FIRE      6 steps (median), 9 at most",
        "  displace      2:   0 % accepted,  50 % valid,  50 % converged",
        "  insert        1: 100 % accepted, 100 % valid, 100 % converged",
        "  rejected  1 desorbed",
        "  minima    2 different among 2 ends",
        "  Omega     of E_O = -5.5000 eV; the lowest of each slab and mu_O, eV:",
        "      -0.50    -45.000  110 Ru4O9       run 0 step 1, frame 1",
        "   run  facet  start            mu_O  steps  accepted  valid  converged    lowest Omega - start",
        "     0  110    stoichiometric  -0.50      3         1      2          2         -45.000   -3.00",
    ]


def test_the_command_prints_draws_and_writes(tmp_path: Path) -> None:
    path = write(tmp_path / "bh.traj", random_search(0, n_steps=1))
    picture, minima = str(tmp_path / "bh.png"), str(tmp_path / "minima.traj")
    told = CliRunner().invoke(summary, [path, "--json", "--out", picture, "--minima", minima], catch_exceptions=False)
    assert told.exit_code == 0
    assert json.loads(told.stdout) == summarise(path)
    assert Path(picture).read_bytes().startswith(b"\x89PNG")
    assert len(read(minima, ":")) == summarise(path)["minima"]["unique"]
    options = ["--oxygen-energy", "-4", "--unconverged"]
    text = CliRunner().invoke(summary, [path, *options], catch_exceptions=False).stdout
    assert text == summary_text(summarise(path, -4.0, unconverged=True)) + "\n"
    assert summarise(path, unconverged=True)["minima"]["ends"] > summarise(path)["minima"]["ends"]
    again = CliRunner().invoke(summary, [path, "--minima", minima])
    assert isinstance(again.exception, OutputError)
    assert CliRunner().invoke(summary, [path, "--minima", minima, "--overwrite"]).exit_code == 0
