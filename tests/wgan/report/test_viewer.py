"""What the view in space is given."""

import pytest
from ase.data import atomic_numbers, covalent_radii

from ruo2_wgan.report.viewer import describe_structures
from tests.wgan.report.example import make_verdict


@pytest.mark.parametrize("dimensions", [2, 3])
def test_atoms_are_those_of_the_verdict(dimensions: int) -> None:
    verdict = make_verdict(dimensions)
    scene = describe_structures(verdict)
    found = verdict["evidence"]["structures"]
    names = [f"sample {each['index']}" for each in found["samples"]]
    names += [f"held-out {each['index']}" for each in found["held_out"]]
    assert [each["name"] for each in scene["structures"]] == names
    symbols = [each["symbol"] for each in scene["species"]]
    for drawn, given in zip(scene["structures"], found["samples"] + found["held_out"], strict=True):
        assert [symbols[kind] for kind in drawn["kinds"]] == given["species"]
        axes = [0, 2] if dimensions == 2 else [0, 1, 2]
        assert [drawn["lattice"][axis] for axis in axes] == given["lattice"]
        for position, expected in zip(drawn["positions"], given["positions"], strict=True):
            assert [position[axis] for axis in axes] == expected
            assert dimensions == 3 or position[1] == 0.0
    assert scene["flat"] == (dimensions == 2)


def test_bonds_end_at_the_sum_of_radii_and_at_the_link_of_the_verdict() -> None:
    verdict = make_verdict()
    ru, o = (covalent_radii[atomic_numbers[symbol]] for symbol in ("Ru", "O"))
    assert describe_structures(verdict)["bonds"] == pytest.approx([2.6037, 1.2 * (ru + o), 1.2 * (ru + o), 2.4 * o])
    verdict["limits"]["link"] = None
    assert describe_structures(verdict)["bonds"][0] == pytest.approx(2.4 * ru)


def test_captions_tell_formula_class_and_what_is_wrong() -> None:
    verdict = make_verdict()
    samples = verdict["evidence"]["structures"]["samples"]
    samples[0] |= {"species": ["O", "Ru", "O"], "positions": 3 * [[0.0, 0.0, 0.0]], "lattice": [6.3, 6.4, 20.9]}
    samples[2] |= {"valid": False, "why": ["link", "something new"], "label": -1}
    samples[3] |= {"species": [], "positions": []}
    captions = [each["caption"] for each in describe_structures(verdict)["structures"]]
    assert captions[0] == "Ru₁O₂, 6.30 × 6.40 × 20.90 Å, class 0, valid"
    assert captions[1].endswith("class 1, not valid: atoms too near each other and its atoms do not explain its grid")
    assert "class" not in captions[2]
    assert captions[2].endswith("not valid: in pieces and something new")
    assert captions[3].startswith("no atoms")
