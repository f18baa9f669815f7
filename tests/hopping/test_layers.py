"""Layers and tags: the same wherever the slab lies in its cell and however its atoms are ordered."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from ruo2_hopping.errors import SlabError
from ruo2_hopping.layers import BUFFER, BULK, DISPLACED, assign_layers, find_layers, settle_slab
from ruo2_hopping.slabs import FACETS, TERMINATIONS, build_slab

LAW = settings(max_examples=25, deadline=None, derandomize=True)
every_facet = pytest.mark.parametrize("facet", FACETS)


def shifted(slab: Atoms, shift: float) -> Atoms:
    """The same crystal, wrapped at another height."""
    moved = slab.copy()
    moved.positions[:, 2] = (moved.positions[:, 2] + shift) % slab.cell[2, 2]
    return moved


@every_facet
@pytest.mark.parametrize("termination", TERMINATIONS)
def test_each_layer_has_its_ru_and_the_oxygen_that_no_higher_ru_holds(facet: str, termination: str) -> None:
    slab = build_slab(facet, termination, (2, 1), layers=6)
    layers = find_layers(slab)
    metal = slab.numbers != 8
    per_layer = metal.sum() // 6
    np.testing.assert_array_equal(np.bincount(layers[metal]), [per_layer] * 6)
    assert (np.diff(layers[metal]) <= 0).all()  # atoms are sorted by height
    tags = assign_layers(slab).get_tags()
    np.testing.assert_array_equal(tags == DISPLACED, layers < 2)
    np.testing.assert_array_equal(tags == BUFFER, (layers >= 2) & (layers < 4))
    np.testing.assert_array_equal(tags == BULK, layers >= 4)
    for atom in np.flatnonzero(~metal):
        lengths = slab.get_distances(atom, np.flatnonzero(metal), mic=True)
        assert layers[atom] == layers[metal][lengths < 2.65].min()


@every_facet
@given(shift=st.floats(-40.0, 40.0), seed=st.integers(0, 1000))
@LAW
def test_tags_are_the_same_wherever_the_slab_lies_and_however_it_is_ordered(
    facet: str, shift: float, seed: int
) -> None:
    slab = build_slab(facet, "stoichiometric")
    expected = assign_layers(slab)
    order = np.random.default_rng(seed).permutation(len(slab))
    found = assign_layers(shifted(slab, shift)[order])
    np.testing.assert_array_equal(found.get_tags(), expected.get_tags()[order])
    heights = found.positions[:, 2]
    np.testing.assert_allclose(heights - heights.min(), (slab.positions[:, 2] - 1.0)[order], atol=1e-9)
    assert heights.min() >= 0.0
    assert heights.max() < slab.cell[2, 2]
    np.testing.assert_array_equal(found.positions[:, :2], slab.positions[order, :2])


def test_a_slab_in_one_piece_stays_where_it_is() -> None:
    for shift in (0.0, 3.0, 8.0):
        slab = shifted(build_slab("101", "O-poor"), shift)
        settled = settle_slab(slab)
        np.testing.assert_array_equal(settled.positions, slab.positions)
        assert settled is not slab


@every_facet
def test_atoms_outside_of_the_cell_are_brought_back_with_the_rest(facet: str) -> None:
    """Also from whole cells away, where folding them back one by one would tear no slab but leave it outside."""
    slab = build_slab(facet, "stoichiometric")
    period = slab.cell[2, 2]
    for shift in (-1.1, period, -2.0 * period, *np.random.default_rng(0).uniform(-1000.0, 1000.0, 60)):
        moved = slab.copy()
        moved.positions[:, 2] += shift
        heights = settle_slab(moved).positions[:, 2]
        np.testing.assert_allclose(heights - heights.min(), slab.positions[:, 2] - 1.0, atol=1e-9)
        assert 0.0 <= heights.min() < heights.max() < period


def test_oxygen_without_a_bond_belongs_to_the_layer_of_the_nearest_metal_atom() -> None:
    slab = build_slab("110", "stoichiometric", layers=5)
    top = slab.positions[:, 2].max()
    floating = slab + Atoms("O2", positions=[[0, 0, top + 3.5], [0, 0, slab.positions[:, 2].min() - 3.5]])
    assert find_layers(floating)[-2:].tolist() == [0, 4]


def test_rumpled_layers_stay_layers() -> None:
    slab = build_slab("110", "stoichiometric", (2, 2))
    expected = find_layers(slab)[slab.numbers == 44]
    slab.positions[:, 2] += np.random.default_rng(0).uniform(-0.3, 0.3, len(slab))
    np.testing.assert_array_equal(find_layers(slab)[slab.numbers == 44], expected)
    assert find_layers(slab, gap=0.05).max() > expected.max()


def test_everything_but_oxygen_is_metal() -> None:
    slab = build_slab("110", "stoichiometric")
    tags = assign_layers(slab).get_tags()
    slab.numbers[slab.numbers == 44] = 77
    np.testing.assert_array_equal(assign_layers(slab).get_tags(), tags)


def test_the_input_is_left_alone() -> None:
    slab = shifted(build_slab("110", "stoichiometric"), -5.0)
    before = slab.copy()
    assign_layers(slab)
    assert slab == before


def test_too_few_layers_are_refused() -> None:
    slab = build_slab("110", "stoichiometric", layers=4)
    with pytest.raises(
        SlabError, match=r"at least one fixed metal layer .* hence 5 or more; found 4\. Build it with more layers"
    ):
        assign_layers(slab)
    assert set(assign_layers(slab, 2, 1).get_tags()) == {0, 1, 2}
    assert set(assign_layers(slab, 3, 0).get_tags()) == {0, 2}
    with pytest.raises(SlabError, match="displaced must be at least 1 and buffer at least 0 layers; found 0 and 2"):
        assign_layers(slab, 0, 2)


def test_what_is_no_slab_is_refused() -> None:
    with pytest.raises(SlabError, match=r"vacuum along z must be at least 6 Å; found 5\.50 Å in a cell of .* longer"):
        assign_layers(build_slab("110", "stoichiometric", vacuum=5.5))
    assign_layers(build_slab("110", "stoichiometric", vacuum=6.1))
    with pytest.raises(SlabError, match="vector 3 along z; found"):
        settle_slab(Atoms("Ru", cell=[[3, 0, 0], [0, 3, 1], [0, 0, 20]]))
    with pytest.raises(SlabError, match="vector 3 along z; found"):
        settle_slab(Atoms("Ru"))
    with pytest.raises(SlabError, match="a slab must have atoms; found none"):
        settle_slab(Atoms(cell=[3, 3, 20]))
    with pytest.raises(SlabError, match="a slab must have metal atoms; found O"):
        assign_layers(Atoms("O", cell=[3, 3, 20]))
    with pytest.raises(SlabError, match="positions must be finite; found atom 1 at "):
        settle_slab(Atoms("RuO", positions=[[0, 0, 0], [0, 0, np.nan]], cell=[3, 3, 20]))
