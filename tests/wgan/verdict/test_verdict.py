"""Whole verdicts: held-out structures pass, and each planted fault shows in its figure and its sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from ruo2_voxel import read_labelling, voxelize_many
from ruo2_wgan.data import Rows
from ruo2_wgan.errors import DataError
from ruo2_wgan.verdict.atoms.sites import atoms_of
from ruo2_wgan.verdict.energy.energy_test import EnergyTest
from ruo2_wgan.verdict.operations import Operation, apply_operation
from ruo2_wgan.verdict.structure_set import StructureSet
from ruo2_wgan.verdict.verdict import judge
from tests.wgan.verdict.slabs import CLASSES, build_slabs, energy_of, open_slabs, take, with_density
from tests.wgan.verdict.wells import KnownEnergy

N = 24


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_slabs(tmp_path_factory.mktemp("slabs"))


@pytest.fixture(scope="module")
def rows(store: Path) -> Rows:
    return open_slabs(store)


@pytest.fixture(scope="module")
def slices(store: Path) -> Rows:
    return open_slabs(store, dimensions=2)


def held_out(rows: Rows) -> StructureSet:
    """Spread over them: of slices no two of one structure."""
    return take(rows, rows.held_out[np.linspace(0, len(rows.held_out) - 1, N).astype(int)])


def training(rows: Rows) -> StructureSet:
    return take(rows, rows.train[np.linspace(0, len(rows.train) - 1, N).astype(int)])


def moved(of: StructureSet) -> StructureSet:
    """Each by a symmetry operation of its own."""
    random = np.random.default_rng(0)
    axes = of.density.ndim - 3
    operations = [
        Operation(False, tuple(random.random(axes) < 0.5), tuple(random.integers(0, 16, axes).tolist()))
        for _ in range(len(of))
    ]
    return with_density(of, np.stack([apply_operation(*pair) for pair in zip(of.density, operations, strict=True)]))


def noisy(of: StructureSet) -> StructureSet:
    return with_density(of, of.density + np.random.default_rng(1).normal(0.0, 0.03, of.density.shape))


def repeated(of: StructureSet) -> StructureSet:
    one = of.select(np.zeros(N, dtype=np.int64))
    return moved(one)


def striped(period: int) -> Callable[[StructureSet], StructureSet]:
    def stripe(of: StructureSet) -> StructureSet:
        wave = np.where(np.arange(16) % period < period // 2, 0.1, -0.1)
        return with_density(of, of.density + wave.reshape(1, 1, 16, *[1] * (of.density.ndim - 3)))

    return stripe


def noise(of: StructureSet) -> StructureSet:
    return with_density(of, np.random.default_rng(2).random(of.density.shape))


def empty(of: StructureSet) -> StructureSet:
    return with_density(of, np.zeros_like(of.density))


def swapped_species(of: StructureSet) -> StructureSet:
    return with_density(of, of.density[:, ::-1])


def rebuilt(change: Callable[[Atoms], None]) -> Callable[[StructureSet], StructureSet]:
    """Atoms, changed and voxelized anew."""

    def rebuild(of: StructureSet) -> StructureSet:
        structures = [atoms_of(sites, of.spec.species) for sites in of.sites]
        for atoms in structures:
            change(atoms)
        return with_density(of, voxelize_many(structures, of.spec.grid))

    return rebuild


def add_oxygen_too_near(atoms: Atoms) -> None:
    highest = atoms.positions[np.argmax(np.where(atoms.numbers == 8, atoms.positions[:, 2], 0.0))]
    atoms.append("O")
    atoms.positions[-1] = highest + np.array([0.0, 0.0, 1.0])


def cut_in_two(atoms: Atoms) -> None:
    z = atoms.positions[:, 2]
    atoms.positions[z > np.median(z), 2] += 3.0


def sink_into_vacuum(atoms: Atoms) -> None:
    """A chain of oxygen from slab to slab."""
    top = atoms.positions[:, 2].max()
    for step in range(1, 3):
        atoms.append("O")
        atoms.positions[-1] = [1.0, 1.0, top + 2.4 * step]


def far_too_few(atoms: Atoms) -> None:
    del atoms[np.flatnonzero(atoms.numbers == 44)[::2]]


def wider(of: StructureSet) -> StructureSet:
    return StructureSet(of.density, of.lattice * [1.15, 1.0, 1.0], of.asked, of.spec)


def verdict_on(samples: StructureSet, rows: Rows, **options: Any) -> dict[str, Any]:
    verdict = judge(samples, rows, {"samples": "planted"}, **options)
    json.dumps(verdict, allow_nan=False)
    return verdict


def words_of(verdict: dict[str, Any]) -> str:
    return " ".join(verdict["signs"])


@pytest.fixture(scope="module")
def good(rows: Rows) -> dict[str, Any]:
    return verdict_on(held_out(rows), rows)


def test_held_out_structures_pass(good: dict[str, Any]):
    for column in ("samples", "held_out"):
        figures = good[column]
        assert figures["valid_unique_new"] == 1.0
        assert figures["copied"] == 0.0
        assert figures["precision"] > 0.9
        assert figures["coverage"] > 0.7
        assert figures["stripe_index"] < 1.5
        assert figures["diversity"] == pytest.approx(1.0, abs=0.3)
        assert figures["ssim_train"] > 0.9
        assert 0.95 < figures["memorisation_ratio"] < 1.05
    assert good["signs"] == []


def test_the_control_is_worse_in_all_that_counts(good: dict[str, Any]):
    real, control = good["held_out"], good["control"]
    assert control["valid_unique_new"] == 0.0
    worse = ("composition_w1", "ratio_w1", "coordination_emd", "rdf_w1", "profile_w1", "lattice_mae", "decode_residual")
    for name in (*worse, "sliced_wasserstein", "frechet"):
        assert control[name] > 3.0 * real[name], name
    for name in ("precision", "recall", "density", "coverage", "ssim_train", "ssim_held_out"):
        assert control[name] < 0.5 * real[name], name


def test_all_columns_have_the_same_keys(good: dict[str, Any]):
    keys = [list(good[column]) for column in ("samples", "held_out", "control")]
    assert keys[0] == keys[1] == keys[2]
    wanted = {
        *("n", "valid", "unique", "copied", "valid_unique_new", "precision", "recall", "density", "coverage"),
        *("sliced_wasserstein", "frechet", "composition_w1", "coordination_emd", "rdf_w1", "lattice_w1"),
        *("stripe_index", "decode_residual", "diversity", "memorisation_ratio"),
    }
    assert wanted <= set(keys[0])


@pytest.mark.parametrize("change", [lambda of: of, moved, lambda of: noisy(moved(of))], ids=["exact", "moved", "noisy"])
def test_copies_are_found(rows: Rows, change: Callable[[StructureSet], StructureSet]):
    verdict = verdict_on(change(training(rows)), rows)
    assert verdict["samples"]["copied"] == 1.0
    assert verdict["samples"]["valid_unique_new"] == 0.0
    assert verdict["samples"]["memorisation_ratio"] > 1.02
    assert "100% of the samples are copies of training structures" in words_of(verdict)


def test_exact_copies_are_as_similar_as_can_be(rows: Rows):
    verdict = verdict_on(moved(training(rows)), rows)
    assert verdict["samples"]["ssim_train"] == pytest.approx(1.0, abs=1e-6)
    assert "the generator memorises" in words_of(verdict)


def test_one_structure_repeated(rows: Rows, good: dict[str, Any]):
    verdict = verdict_on(repeated(held_out(rows)), rows)
    figures = verdict["samples"]
    assert figures["unique"] == pytest.approx(1 / N)
    assert figures["valid_unique_new"] == pytest.approx(1 / N)
    assert figures["diversity"] < 0.05
    assert figures["recall"] < 0.1 < good["samples"]["recall"]
    assert figures["coverage"] < 0.5 * good["samples"]["coverage"]
    assert "have come before" in words_of(verdict)
    assert "a few kinds over and over" in words_of(verdict)


@pytest.mark.parametrize("period", [2, 4])
def test_stripes(rows: Rows, good: dict[str, Any], period: int):
    verdict = verdict_on(striped(period)(held_out(rows)), rows)
    assert verdict["samples"]["stripe_index"] > 3.5 > good["samples"]["stripe_index"]
    assert "the samples have stripes" in words_of(verdict)


def test_noise(rows: Rows, good: dict[str, Any]):
    verdict = verdict_on(noise(held_out(rows)), rows)
    figures = verdict["samples"]
    assert figures["valid"] == 0.0
    assert figures["invalid"]["unexplained"] == 1.0
    assert figures["precision"] == 0.0
    assert figures["sliced_wasserstein"] > 10 * good["samples"]["sliced_wasserstein"]
    assert "a density that atoms do not explain" in words_of(verdict)


@pytest.mark.parametrize(
    ("reason", "change", "words"),
    [
        ("distance", rebuilt(add_oxygen_too_near), "atoms nearer to each other than in the data"),
        ("link", rebuilt(cut_in_two), "a slab that does not hang together"),
        ("vacuum", rebuilt(sink_into_vacuum), "less vacuum than in the data"),
        ("atoms", rebuilt(far_too_few), "too few or too many atoms"),
    ],
)
def test_faults_of_structures(rows: Rows, reason: str, change: Callable[[StructureSet], StructureSet], words: str):
    verdict = verdict_on(change(held_out(rows)), rows)
    assert verdict["samples"]["invalid"][reason] == 1.0
    assert verdict["samples"]["valid"] == 0.0
    assert verdict["held_out"]["invalid"][reason] == 0.0
    assert f"100% of the samples have {words}" in words_of(verdict)


def test_swapped_species(rows: Rows, good: dict[str, Any]):
    verdict = verdict_on(swapped_species(held_out(rows)), rows)
    figures = verdict["samples"]
    assert figures["valid"] == 0.0
    for name in ("composition_w1", "ratio_w1", "coordination_emd", "rdf_w1"):
        assert figures[name] > 5 * good["samples"][name], name
    assert "numbers of atoms are not the data's" in words_of(verdict)


def test_other_lattice_lengths(rows: Rows, good: dict[str, Any]):
    verdict = verdict_on(wider(held_out(rows)), rows)
    for name in ("lattice_w1", "lattice_mae"):
        assert verdict["samples"][name] > good["samples"][name] + 0.1, name
    assert "lattice lengths are not the data's" in words_of(verdict)


def test_no_sample_shows_an_atom(rows: Rows):
    verdict = verdict_on(empty(held_out(rows)), rows)
    figures = verdict["samples"]
    assert figures["valid"] == 0.0
    assert figures["unique"] == pytest.approx(1 / N)
    assert figures["coordination_emd"] is None
    assert figures["rdf_w1"] is None
    assert figures["profile_w1"] is None
    assert "no sample shows an atom" in words_of(verdict)


@pytest.mark.parametrize(
    ("change", "name", "low", "high"),
    [
        (lambda rows: moved(training(rows)), "copied", 1.0, 1.0),
        (lambda rows: noisy(training(rows)), "copied", 0.7, 1.0),
        (lambda rows: repeated(held_out(rows)), "unique", 1 / N, 1 / N),
        (lambda rows: striped(2)(held_out(rows)), "stripe_index", 3.5, np.inf),
        (lambda rows: noise(held_out(rows)), "valid", 0.0, 0.0),
        (lambda rows: empty(held_out(rows)), "valid", 0.0, 0.0),
        (held_out, "valid", 0.9, 1.0),
        (held_out, "stripe_index", 0.0, 1.5),
    ],
    ids=["copies", "noisy copies", "repeated", "stripes", "noise", "empty", "good", "no stripes"],
)
def test_slices(slices: Rows, change: Callable[[Rows], StructureSet], name: str, low: float, high: float):
    verdict = verdict_on(change(slices), slices)
    assert low - 1e-9 <= verdict["samples"][name] <= high + 1e-9
    assert verdict["held_out"]["valid"] > 0.9


@pytest.mark.parametrize(("asked", "exact", "spearman"), [("right", 1.0, 1.0), ("reversed", 0.0, -1.0)])
def test_labels(store: Path, rows: Rows, asked: str, exact: float, spearman: float):
    samples = held_out(rows)
    if asked == "reversed":
        samples.asked = CLASSES - 1 - samples.asked
    test = EnergyTest("known:KnownEnergy", KnownEnergy(energy_of), read_labelling(rows.store))
    verdict = verdict_on(samples, rows, energy_test=test)
    labels = verdict["labels"]
    assert labels["samples"]["exact"] == pytest.approx(exact, abs=0.15)
    assert labels["samples"]["spearman"] == pytest.approx(spearman, abs=0.1)
    assert labels["held_out"]["spearman"] > 0.9
    assert ("labels hardly follow the classes" in words_of(verdict)) == (asked == "reversed")


def test_a_verdict_is_the_same_again_and_with_more_threads(rows: Rows, good: dict[str, Any]):
    samples = held_out(rows)
    samples.n_threads = 2
    again = verdict_on(samples, rows)
    for name in ("samples", "held_out", "control", "limits", "signs", "evidence"):
        assert again[name] == good[name], name


def test_evidence_is_of_the_samples(rows: Rows, good: dict[str, Any]):
    evidence = good["evidence"]
    for each in evidence["histograms"]:
        widths = np.diff(each["edges"])
        for column in ("samples", "held_out", "control", "train"):
            assert np.dot(each[column], widths) == pytest.approx(1.0, abs=1e-3) or not any(each[column]), each["name"]
    similar = [each["ssim"] for each in evidence["neighbours"]]
    assert similar == sorted(similar, reverse=True)
    assert all(row["row"] in rows.train for row in evidence["neighbours"])
    first = evidence["structures"]["samples"][0]
    assert len(first["positions"]) == len(first["species"]) > 20
    assert first["valid"]
    assert first["why"] == []


def test_a_store_without_held_out_rows_lends_its_last_tenth(store: Path, rows: Rows):
    rows = open_slabs(store)
    rows.train, rows.held_out = np.arange(160), np.empty(0, dtype=np.int64)
    verdict = verdict_on(take(rows, np.arange(N)), rows)
    assert verdict["data"]["held_out_from"] == "last tenth"
    assert verdict["data"]["n_held_out"] == 16
    rows.train, rows.held_out = np.arange(3), np.empty(0, dtype=np.int64)
    with pytest.raises(DataError, match=r"a verdict needs 2 or more training rows and 4 or more held-out ones"):
        judge(take(rows, np.arange(N)), rows, {})
