"""Each fault is found where it is planted, and only there."""

import json
from dataclasses import replace
from functools import cache

import ase.io
import numpy as np
import pytest

from ruo2_wgan.verdict.atoms.geometry import Geometry, measure_geometry
from ruo2_wgan.verdict.atoms.limits import MARGIN, REASONS, UNEXPLAINED, Limits
from ruo2_wgan.verdict.atoms.sites import Sites, sites_of
from tests.wgan.real_densities import TRAJECTORY
from tests.wgan.verdict.examples import make_sites

SPECIES = ("Ru", "O")


@cache
def real_sites() -> list[Sites]:
    return [sites_of(atoms, SPECIES) for atoms in ase.io.read(TRAJECTORY, "::3")]


@cache
def real_geometry() -> Geometry:
    return measure_geometry(real_sites(), SPECIES)


@cache
def limits() -> Limits:
    return Limits.of(real_geometry())


def faults_of(sites: Sites) -> list[str]:
    found = limits().find_faults(measure_geometry([sites], SPECIES))
    assert tuple(found) == REASONS
    return [reason for reason in REASONS if found[reason][0]]


def in_taller_cell(sites: Sites, more: float) -> Sites:
    """The same positions (Å) in a cell that is longer along z."""
    lattice = sites.lattice + np.array([0.0, 0.0, more])
    return replace(sites, scaled=sites.positions / lattice, lattice=lattice)


def lifted(sites: Sites, which: np.ndarray, by: np.ndarray) -> Sites:
    return replace(sites, scaled=(sites.scaled + which[:, None] * by / sites.lattice) % 1.0)


def upright(sites: Sites) -> Sites:
    """The same with the bottom of the slab at the bottom of the cell."""
    levels = np.sort(sites.scaled[:, 2])
    gaps = np.diff(levels, append=levels[0] + 1.0)
    bottom = levels[(gaps.argmax() + 1) % len(levels)]
    scaled = sites.scaled.copy()
    scaled[:, 2] = (scaled[:, 2] - bottom + 1e-6) % 1.0
    return replace(sites, scaled=scaled)


def fewest() -> Sites:
    """A structure with the fewest atoms of O."""
    return upright(min(real_sites(), key=lambda sites: sites.counts(2)[1]))


def test_real_structures_pass():
    """Of those that no limit was taken from, 99 %."""
    others = [sites_of(atoms, SPECIES) for atoms in ase.io.read(TRAJECTORY, "1::3")]
    invalid = np.any(list(limits().find_faults(measure_geometry(others, SPECIES)).values()), axis=0)
    assert invalid.mean() < 0.01
    assert faults_of(fewest()) == []


def test_missing_atoms():
    sites = fewest()
    few = np.argsort(sites.scaled[:, 2])[: int(0.75 * len(sites))]
    assert faults_of(replace(sites, scaled=sites.scaled[few], species=sites.species[few])) == ["atoms"]


def test_other_atoms():
    """As many as before and in the same places, but all of them O: of pairs of O, some are nearer than in the data."""
    sites = fewest()
    assert "atoms" in faults_of(replace(sites, species=np.ones_like(sites.species)))


def test_no_atoms():
    faults = faults_of(make_sites(np.zeros((0, 3)), [], (6.3, 9.0, 20.0)))
    assert faults == ["atoms"]


def test_a_density_that_is_not_explained():
    assert faults_of(replace(fewest(), unexplained=UNEXPLAINED + 0.01)) == ["unexplained"]
    assert faults_of(replace(fewest(), unexplained=UNEXPLAINED - 0.01)) == []


def test_two_atoms_too_near():
    sites = fewest()
    first, second = np.argsort(sites.scaled[:, 2])[-2:]
    scaled = sites.scaled.copy()
    scaled[second] = scaled[first] + np.array([0.5, 0.0, 0.0]) / sites.lattice
    assert faults_of(replace(sites, scaled=scaled % 1.0)) == ["distance"]


def test_a_part_that_does_not_hang_on():
    sites = in_taller_cell(fewest(), 10.0)
    top = sites.scaled[:, 2] > np.median(sites.scaled[:, 2])
    assert faults_of(sites) == []
    assert faults_of(lifted(sites, top, np.array([0.0, 0.0, 4.5]))) == ["link"]


def test_too_little_vacuum():
    sites = fewest()
    vacuum = measure_geometry([sites], SPECIES).vacuum[0]
    assert faults_of(in_taller_cell(sites, limits().vacuum - vacuum - 0.05)) == ["vacuum"]
    assert faults_of(in_taller_cell(sites, limits().vacuum - vacuum + 0.05)) == []


@pytest.mark.parametrize("reason", REASONS)
def test_each_is_found_in_the_structure_that_has_it(reason):
    """One of six, beyond the limit by little, and not where it lies within by as little."""
    few = measure_geometry([fewest()] * 6, SPECIES)
    kept = limits()
    beyond = {
        "atoms": ("counts", kept.atoms[:, 1] + 1, kept.atoms[:, 1]),
        "unexplained": ("unexplained", kept.unexplained + 1e-6, kept.unexplained - 1e-6),
        "distance": ("shortest", kept.distance - [0, 1e-6, 0], kept.distance + 1e-6),
        "link": ("link", kept.link + 1e-6, kept.link - 1e-6),
        "vacuum": ("vacuum", kept.vacuum - 1e-6, kept.vacuum + 1e-6),
    }
    name, wrong, right = beyond[reason]
    values = getattr(few, name).copy()
    values[2], values[4] = wrong, right
    found = kept.find_faults(replace(few, **{name: values}))
    for each in REASONS:
        assert np.flatnonzero(found[each]).tolist() == ([2] if each == reason else [])


def test_limits_are_what_reals_have_and_a_margin():
    geometry = real_geometry()
    kept = limits()
    counts = geometry.counts
    assert (kept.atoms[:, 0] <= 0.9 * counts.min(axis=0)).all()
    assert (kept.atoms[:, 0] > 0.9 * counts.min(axis=0) - 1).all()
    assert (kept.atoms[:, 1] >= 1.1 * counts.max(axis=0)).all()
    assert (kept.atoms[:, 1] < 1.1 * counts.max(axis=0) + 1).all()
    # One in a thousand may lie beyond: of five hundred, none but the last.
    assert np.sort(geometry.link)[-1] >= kept.link - MARGIN >= np.sort(geometry.link)[-2]
    assert np.sort(geometry.vacuum)[0] <= kept.vacuum + MARGIN <= np.sort(geometry.vacuum)[1]
    for column, limit in zip(geometry.shortest.T, kept.distance, strict=True):
        assert np.sort(column)[0] <= limit + MARGIN <= np.sort(column)[1]
    assert kept.unexplained == UNEXPLAINED


def test_a_pair_that_reals_do_not_have_has_no_least_distance():
    alone = [make_sites([[0.1, 0.1, 0.1]], [0], (20.0, 20.0, 20.0))] * 3
    assert Limits.of(measure_geometry(alone, SPECIES)).distance.tolist() == [0.0, 0.0, 0.0]


def test_values_are_named():
    named = limits().as_dict(SPECIES)
    assert list(named["distance"]) == ["Ru-Ru", "Ru-O", "O-O"]
    assert named["atoms"]["O"] == limits().atoms[1].tolist()
    assert set(named) == {"atoms", "unexplained", "distance", "link", "vacuum"}


def test_where_reals_do_not_hang_together_there_is_no_limit_and_json_knows_it():
    apart = make_sites([[0.5, 0.5, 0.1], [0.5, 0.5, 0.5]], [0, 1], (7.0, 7.0, 40.0))
    geometry = measure_geometry([*real_sites()[:20], apart], SPECIES)
    kept = Limits.of(geometry)
    assert not kept.find_faults(geometry)["link"].any()
    named = json.loads(json.dumps(kept.as_dict(SPECIES), allow_nan=False))
    assert named["link"] is None
    assert limits().as_dict(SPECIES)["link"] == limits().link
