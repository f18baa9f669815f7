"""The nearest real structures, copies and repeats, among hundreds of real ones and against exhaustive search."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from ruo2_voxel import Grid, build, voxelize_many
from ruo2_wgan.verdict.atoms.matching import move_sites
from ruo2_wgan.verdict.atoms.sites import Sites, atoms_of
from ruo2_wgan.verdict.findings import COPY
from ruo2_wgan.verdict.operations import Operation, apply_operation, point_operations
from ruo2_wgan.verdict.reals import Reals
from ruo2_wgan.verdict.search.features import FeatureSpace
from ruo2_wgan.verdict.search.neighbours import Nearest, find_copies, find_nearest, find_repeats
from ruo2_wgan.verdict.search.shortlist import Query, shortlist
from ruo2_wgan.verdict.search.ssim import similarity
from ruo2_wgan.verdict.structure_set import StructureSet
from tests.wgan.real_densities import TRAJECTORY
from tests.wgan.specs import make_spec
from tests.wgan.verdict.examples import make_sites, open_reals, random_operation, random_sites

SHAPE = (16, 16, 32)


@pytest.fixture(scope="module")
def reals(real_store: Path) -> Reals:
    return open_reals(real_store)


@pytest.fixture(scope="module")
def space(reals: Reals) -> FeatureSpace:
    return FeatureSpace(reals.read(reals.train))


def as_set(like: StructureSet, density: np.ndarray, n_threads: int = 1) -> StructureSet:
    """Other densities in the same cells."""
    return StructureSet(np.ascontiguousarray(density), like.lattice, like.asked, like.spec, n_threads)


def look_up(samples: StructureSet, reals: Reals, space: FeatureSpace) -> Nearest:
    (listed,) = shortlist([Query(samples.density, space)], reals.train, reals, space)
    called: list[int] = []
    nearest = find_nearest(samples, listed, reals, called.append)
    assert sum(called) == len(samples)
    return nearest


@pytest.mark.parametrize("swap", [False, True], ids=["straight", "exchanged"])
def test_a_copy_is_found_wherever_it_was_moved(reals, space, swap):
    random = np.random.default_rng(int(swap))
    rows = random.choice(reals.train, 16, replace=False)
    originals = reals.take(rows)
    operations = [random_operation(random, SHAPE)._replace(swap=swap) for _ in rows]
    moved = [apply_operation(d, each) for d, each in zip(originals.density, operations, strict=True)]
    lattice = originals.lattice[:, [1, 0, 2]] if swap else originals.lattice
    samples = replace(as_set(originals, np.stack(moved)), lattice=lattice)
    nearest = look_up(samples, reals, space)
    np.testing.assert_allclose(nearest.similarity, 1.0, atol=1e-6)
    found = reals.read(nearest.row)
    for number, operation in enumerate(nearest.operations):
        assert operation.swap == swap
        np.testing.assert_array_equal(found[number], originals.density[number])  # or another row that is the same
        np.testing.assert_array_equal(apply_operation(samples.density[number], operation), originals.density[number])
    np.testing.assert_array_equal(nearest.close_rows[:, 0], nearest.row)
    assert find_copies(samples, nearest, reals).max() < 1e-3


def test_a_copy_in_a_slice_is_found(real_store):
    reals = open_reals(real_store, 2)
    space = FeatureSpace(reals.read(reals.train[::5]))
    random = np.random.default_rng(2)
    rows = random.choice(reals.train, 16, replace=False)
    originals = reals.take(rows)
    moved = np.stack([apply_operation(d, random_operation(random, (16, 32))) for d in originals.density])
    samples = as_set(originals, moved)
    nearest = look_up(samples, reals, space)
    np.testing.assert_allclose(nearest.similarity, 1.0, atol=1e-6)
    np.testing.assert_array_equal(reals.read(nearest.row), originals.density)
    # Atoms at half height come back where they were to some hundredths of an Å, not to the last bit.
    assert find_copies(samples, nearest, reals).max() < 0.05


@pytest.mark.parametrize("jitter", [0.05, 0.15, 0.6])
def test_displacements_of_jittered_copies_are_those_of_their_atoms(reals, space, jitter):
    """One atom of each is moved along z, which no roll takes back: by less or more than a copy's may be."""
    random = np.random.default_rng(3)
    originals = reals.take(random.choice(reals.train, 12, replace=False))
    moved = []
    for sites in originals.sites:
        steps = np.zeros_like(sites.scaled)
        steps[random.integers(len(sites)), 2] = jitter
        operation = random_operation(random, SHAPE)._replace(swap=False)
        moved.append(move_sites(replace(sites, scaled=(sites.scaled + steps / sites.lattice) % 1.0), operation, SHAPE))
    density = voxelize_many([atoms_of(sites, originals.spec.species) for sites in moved], originals.spec.grid)
    samples = replace(as_set(originals, np.minimum(density, 1.0).astype(np.float32)), known_sites=moved)
    nearest = look_up(samples, reals, space)
    found = find_copies(samples, nearest, reals)
    orders = {
        "close_rows": nearest.close_rows[:, ::-1],
        "close_operations": [o[::-1] for o in nearest.close_operations],
    }
    np.testing.assert_array_equal(find_copies(samples, replace(nearest, **orders), reals), found)
    # Of near-copies in the data, another one may lie nearer.
    assert (found <= jitter + 0.01).all()
    assert np.median(found) == pytest.approx(jitter, abs=0.01)
    assert ((found <= COPY) == (jitter <= COPY)).mean() >= 0.75


def spoil(density: np.ndarray, how: str, random: np.random.Generator) -> np.ndarray:
    """What a poor generator might make of real structures."""
    if how == "noisy":
        density = density + 0.1 * random.standard_normal(density.shape)
    if how == "dim":
        density = 0.6 * density
    if how == "half exchanged":
        density = density.copy()
        density[:, :, : density.shape[2] // 2] = density[::-1, :, : density.shape[2] // 2]
    return np.clip(density, 0.0, 1.0).astype(np.float32)


@cache
def every_operation(shape: tuple[int, int, int]) -> list[Operation]:
    return [point._replace(shifts=shifts) for point in point_operations(shape) for shifts in np.ndindex(shape[:2])]


def exhaustive(sample: np.ndarray, candidates: np.ndarray) -> float:
    """The highest SSIM over all of them and all operations."""
    moved = [np.ascontiguousarray(apply_operation(sample, each)) for each in every_operation(sample.shape[1:])]
    return max(float(similarity(each, real).mean()) for real in candidates for each in moved)


@pytest.fixture(scope="module")
def small_reals(tmp_path_factory: pytest.TempPathFactory) -> Reals:
    """Few enough voxels to try all operations."""
    path = tmp_path_factory.mktemp("small") / "small.zarr"
    build(f"{TRAJECTORY}@::30", path, Grid(shape=(8, 8, 16), sigma=0.8), label="none", workers=1)
    return open_reals(path)


@pytest.mark.parametrize("how", ["real", "noisy", "dim", "half exchanged"])
def test_little_is_lost_against_exhaustive_search(small_reals, how):
    """In SSIM, of four samples among 30 real structures on 8 x 8 x 16 voxels, with 512 operations of each.

    Measured with 12 on the shortlist: nothing but rounding. With 8, halves of two structures would lose 0.025 at most
    and 0.020 in the mean, the others nothing.
    """
    rows = small_reals.train[:30]
    samples = small_reals.take(small_reals.train[31::4][:4])
    samples = as_set(samples, spoil(samples.density, how, np.random.default_rng(4)))
    space = FeatureSpace(small_reals.read(rows))
    (listed,) = shortlist([Query(samples.density, space)], rows, small_reals, space, 12)
    found = find_nearest(samples, listed, small_reals, lambda n: None).similarity.mean(axis=1)
    gaps = [exhaustive(sample, small_reals.read(rows)) for sample in samples.density] - found
    assert min(gaps) > -1e-6
    assert max(gaps) < 0.005
    assert np.mean(gaps) < 0.002


def test_the_number_of_threads_changes_nothing(reals, space):
    samples = [replace(reals.take(reals.held_out[:12]), n_threads=n) for n in (1, 3)]
    (listed,) = shortlist([Query(samples[0].density, space)], reals.train, reals, space)
    one, three = (find_nearest(each, listed, reals, lambda n: None) for each in samples)
    np.testing.assert_array_equal(one.row, three.row)
    np.testing.assert_array_equal(one.similarity, three.similarity)
    np.testing.assert_array_equal(one.close_rows, three.close_rows)
    assert (one.operations, one.close_operations) == (three.operations, three.close_operations)
    np.testing.assert_array_equal(*(find_copies(each, one, reals) for each in samples))
    query = Query(samples[0].density, space)
    np.testing.assert_array_equal(*(find_repeats(each, query, 0.5) for each in samples))


def test_torch_has_its_threads_again_afterwards():
    samples = set_of([random_sites(seed) for seed in range(2)], SHAPE)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        find_repeats(samples, Query(samples.density, FeatureSpace(samples.density)), 0.25)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_the_order_of_the_shortlist_changes_nothing(reals, space):
    samples = reals.take(reals.held_out[:6])
    (listed,) = shortlist([Query(samples.density, space)], reals.train, reals, space)
    shuffled = np.random.default_rng(6).permuted(listed, axis=1)
    one, other = (find_nearest(samples, each, reals, lambda n: None) for each in (listed, shuffled))
    np.testing.assert_array_equal(one.row, other.row)
    np.testing.assert_array_equal(one.close_rows, other.close_rows)
    assert (one.operations, one.close_operations) == (other.operations, other.close_operations)


def layers(seed: int) -> Sites:
    """Atoms at the heights that those of all others have: only where in the plane they stand tells who is who."""
    scaled = np.random.default_rng(seed).random((9, 3))
    scaled[:, 2] = np.repeat([0.2, 0.35, 0.5], 3)
    return make_sites(scaled, [0, 0, 0, 1, 1, 1, 0, 0, 0], (8.0, 9.0, 16.0))


def set_of(structures: list[Sites], shape: tuple[int, int, int]) -> StructureSet:
    """Structures whose atoms are known, on a grid."""
    spec = make_spec(shape)
    density = voxelize_many([atoms_of(sites, spec.species) for sites in structures], spec.grid)
    lattice = np.stack([sites.lattice for sites in structures])
    density = np.minimum(density, 1.0).astype(np.float32)
    return StructureSet(density, lattice, np.full(len(structures), -1), spec, known_sites=structures)


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, True), (0.2, True), (0.3, False)])
@pytest.mark.parametrize("swap", [False, True], ids=["straight", "exchanged"])
def test_repeats_are_those_within_the_tolerance(jitter, expected, swap):
    """Twenty structures, and after them each again, moved; one atom of each is moved more."""
    shape = SHAPE
    random = np.random.default_rng(5)
    originals = [layers(seed) for seed in range(20)]
    again = []
    for sites in originals:
        steps = np.zeros_like(sites.scaled)
        steps[0, 2] = jitter
        moved = replace(sites, scaled=(sites.scaled + steps / sites.lattice) % 1.0)
        again.append(move_sites(moved, random_operation(random, shape)._replace(swap=swap), shape))
    samples = set_of([*originals, *again], shape)
    query = Query(samples.density, FeatureSpace(samples.density))
    assert find_repeats(samples, query, 0.25).tolist() == [False] * 20 + [expected] * 20


def test_one_structure_over_and_over_is_new_once():
    samples = set_of([random_sites(1)] * 15, SHAPE)
    found = find_repeats(samples, Query(samples.density, FeatureSpace(samples.density)), 0.25)
    assert found.tolist() == [False] + [True] * 14
