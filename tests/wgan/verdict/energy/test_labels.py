"""Labels are judged by arithmetic that can be done by hand: right, shifted, shuffled and missing ones."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from ruo2_voxel import Labelling, Ruo2Error, SurfaceReference, classify
from ruo2_wgan.verdict.energy.energies import Energies, Failure
from ruo2_wgan.verdict.energy.labels import judge_labels

N_CLASSES = 4
KNOWN = np.linspace(-8.0, 0.0, 81)  # eV/atom, spread evenly
KEYS = {
    *("n", "failed", "failures", "exact", "within_one", "spearman", "confusion"),
    *("below", "above", "label_w1", "label_mean"),
}
PAIR = Atoms("RuO", cell=[4.0, 5.0, 20.0], pbc=True)


def labelling_of(known: Any, n_classes: int = N_CLASSES, **others: Any) -> Labelling:
    known = np.asarray(known, dtype=np.float64)
    classes, edges = classify(known, n_classes)
    return Labelling(
        **{"label": "energy-per-atom", "edges": edges, "reference": None, **others},
        **{
            "known": known,
            "known_classes": classes,
        },
    )


LABELLING = labelling_of(KNOWN)


def energies_of(labels: Any, failures: tuple[Failure, ...] = ()) -> Energies:
    """Of pairs of atoms that are to have these energies per atom."""
    return Energies(2.0 * np.asarray(labels, dtype=np.float64), failures)


def judged(asked: Any, labels: Any, labelling: Labelling = LABELLING) -> dict[str, Any]:
    verdict = judge_labels(np.asarray(asked), energies_of(labels), [PAIR] * len(labels), labelling)
    assert verdict.keys() == KEYS
    json.dumps(verdict, allow_nan=False)
    return verdict


def test_labels_that_are_as_asked() -> None:
    verdict = judged(LABELLING.known_classes, KNOWN)
    assert (verdict["n"], verdict["failed"], verdict["failures"]) == (81, 0, [])
    assert verdict["exact"] == verdict["within_one"] == 1.0
    assert verdict["confusion"] == np.diag([20, 20, 20, 21]).tolist()
    assert (verdict["below"], verdict["above"]) == (0, 0)
    assert verdict["label_w1"] == pytest.approx(0.0, abs=1e-12)
    assert verdict["label_mean"] == pytest.approx(-4.0)
    assert 0.9 < verdict["spearman"] < 1.0  # energies rise within classes as well


def test_one_sample_of_each_class_in_their_order() -> None:
    assert judged(range(4), [-7.5, -5.5, -3.5, -0.5])["spearman"] == pytest.approx(1.0)
    assert judged(range(4), [-0.5, -3.5, -5.5, -7.5])["spearman"] == pytest.approx(-1.0)


def test_planted_errors_stand_where_they_were_put() -> None:
    #                  right, one too high, three too high, one too low, right
    verdict = judged([0, 1, 0, 3, 2], [-7.0, -3.0, -1.0, -3.0, -3.0])
    expected = np.zeros((4, 4), dtype=int)
    for row, column in ((0, 0), (1, 2), (0, 3), (3, 2), (2, 2)):
        expected[row, column] += 1
    assert verdict["confusion"] == expected.tolist()
    assert verdict["exact"] == pytest.approx(2 / 5)
    assert verdict["within_one"] == pytest.approx(4 / 5)
    assert verdict["label_mean"] == pytest.approx(-3.4)


def test_shuffled_classes_are_no_better_than_chance() -> None:
    random = np.random.default_rng(3)
    labels = np.repeat(KNOWN, 20)
    asked = random.permutation(np.repeat(LABELLING.known_classes, 20))
    verdict = judged(asked, labels)
    assert verdict["exact"] == pytest.approx(1 / 4, abs=0.04)
    assert verdict["within_one"] == pytest.approx(10 / 16, abs=0.04)
    assert abs(verdict["spearman"]) < 0.06
    assert verdict["label_w1"] == pytest.approx(0.0, abs=1e-12)  # nothing is wrong with the labels as such


def test_more_wrong_classes_lower_the_correlation() -> None:
    correlations = []
    for n_wrong in (0, 20, 40, 60):
        asked = LABELLING.known_classes.copy()
        asked[:n_wrong] = np.random.default_rng(0).integers(0, 4, n_wrong)
        correlations.append(judged(asked, KNOWN)["spearman"])
    assert all(first > second for first, second in itertools.pairwise(correlations))


def test_labels_beyond_the_data_are_in_no_class() -> None:
    verdict = judged([0, 3, 1, 3], [-8.1, 0.2, 7.0, -0.5])
    assert (verdict["below"], verdict["above"]) == (1, 2)
    assert verdict["exact"] == verdict["within_one"] == 1 / 4
    assert np.sum(verdict["confusion"]) == 1
    at_the_edges = judged([0, 3], [-8.0, 0.0])
    assert (at_the_edges["below"], at_the_edges["above"], at_the_edges["exact"]) == (0, 0, 1.0)


def test_samples_without_energy_are_counted_and_told_and_judge_nothing() -> None:
    labels = np.array([-7.0, np.nan, -3.0, np.nan])
    failures = (Failure(1, "no atoms"), Failure(3, "ValueError: too near"))
    verdict = judge_labels(np.array([0, 0, 2, 3]), energies_of(labels, failures), [PAIR] * 4, LABELLING)
    assert (verdict["n"], verdict["failed"], verdict["exact"]) == (4, 2, 1.0)
    assert verdict["failures"] == [{"sample": 1, "error": "no atoms"}, {"sample": 3, "error": "ValueError: too near"}]
    assert np.sum(verdict["confusion"]) == 2
    assert verdict["label_mean"] == -5.0


def test_twenty_failures_are_told_and_all_are_counted() -> None:
    failures = tuple(Failure(sample, "no atoms") for sample in range(30))
    verdict = judge_labels(np.zeros(30, dtype=int), energies_of([np.nan] * 30, failures), [PAIR] * 30, LABELLING)
    assert verdict["failed"] == 30
    assert [failure["sample"] for failure in verdict["failures"]] == list(range(20))
    nothing = ("exact", "within_one", "spearman", "confusion", "label_w1", "label_mean")
    assert [verdict[key] for key in nothing] == [None] * 6
    assert (verdict["below"], verdict["above"]) == (0, 0)


def test_no_sample_at_all() -> None:
    verdict = judged(np.zeros(0, dtype=int), [])
    assert (verdict["n"], verdict["failed"], verdict["exact"], verdict["label_w1"]) == (0, 0, None, None)


def test_an_energy_without_a_label_is_a_failure_too() -> None:
    reference = SurfaceReference(bulk_energy=-20.0, oxygen_energy=-5.0)
    labelling = labelling_of(KNOWN, label="surface-free-energy", reference=reference)
    structures = [Atoms("RuO2H", cell=[4, 5, 20]), Atoms("RuO2", cell=[4, 5, 20])]
    energies = Energies(np.array([-60.0, -40.0]), ())
    verdict = judge_labels(np.array([3, 3]), energies, structures, labelling)
    assert verdict["failed"] == 1
    (failure,) = verdict["failures"]
    assert failure["sample"] == 0
    assert failure["error"].startswith("an energy, but no surface-free-energy: it needs metal and oxygen only")
    assert verdict["label_mean"] == pytest.approx(-1.0)  # (-40 + 20) / 20 eV/Å^2


def test_where_no_class_was_asked_for_only_the_distribution_is_judged() -> None:
    verdict = judged([-1] * 81, KNOWN + 0.25)
    assert [verdict[key] for key in ("exact", "within_one", "spearman", "confusion")] == [None] * 4
    assert verdict["label_w1"] == pytest.approx(0.25)
    assert verdict["above"] == 3  # 0.05, 0.15 and 0.25
    assert verdict["label_mean"] == pytest.approx(-3.75)


def test_samples_without_a_class_are_left_out_of_what_compares_classes() -> None:
    verdict = judged([0, -1, 3], [-7.0, -7.0, -1.0])
    assert (verdict["exact"], np.sum(verdict["confusion"])) == (1.0, 2)


def test_one_class_alone_is_compared_with_the_data_of_that_class() -> None:
    of_class = KNOWN[LABELLING.known_classes == 1]
    verdict = judged([1] * len(of_class), of_class + 0.01)
    assert verdict["label_w1"] == pytest.approx(0.01)
    assert verdict["spearman"] is None
    assert judged([-1] * len(of_class), of_class)["label_w1"] > 1.0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-10.0, 2.0)), min_size=1, max_size=12))
def test_the_distance_is_that_of_data_drawn_as_often_as_their_classes_were_asked_for(
    samples: list[tuple[int, float]],
) -> None:
    labelling = labelling_of(np.array([0.0, 0.5, 1.0, 1.5, 3.0, 3.5, 4.0, 4.0, 6.0, 6.5, 7.0, 8.0]))
    asked, labels = np.array([each[0] for each in samples]), np.array([each[1] for each in samples])
    held = [labelling.known[labelling.known_classes == k] for k in range(4)]
    assert [len(each) for each in held] == [4, 2, 2, 4]
    drawn = np.sort(np.concatenate([np.repeat(held[k], 4 // len(held[k])) for k in asked]))
    alike = np.sort(np.repeat(labels, 4))
    assert judged(asked, labels, labelling)["label_w1"] == pytest.approx(abs(alike - drawn).mean(), abs=1e-9)


def test_a_class_that_no_structure_has_leaves_nothing_to_compare_with() -> None:
    labelling = labelling_of([0.0, 0.5, 7.5, 8.0])  # classes 1 and 2 are empty
    verdict = judged([1, 2], [3.0, 5.0], labelling)
    assert (verdict["label_w1"], verdict["exact"]) == (None, 1.0)


@pytest.mark.parametrize("asked", [4, -2, 10])
def test_a_class_that_the_data_have_not_is_refused(asked: int) -> None:
    with pytest.raises(Ruo2Error, match=rf"classes asked for must lie from 0 to 3, or be -1 for none; found {asked}\."):
        judged([0, asked], [-7.0, -7.0])


def test_there_must_be_as_many_classes_and_energies_as_structures() -> None:
    for asked, labels in (([0], [-7.0, -7.0]), ([0, 0], [-7.0])):
        with pytest.raises(Ruo2Error, match="one class and one energy for each of 2 samples; found shapes"):
            judge_labels(np.array(asked), energies_of(labels), [PAIR] * 2, LABELLING)
