"""A structure before and after its preparation: to one scale, with words that say what was done."""

import itertools
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from ruo2_voxel.pictures import draw_before_and_after
from ruo2_voxel.pictures.before_after import describe_changes
from ruo2_voxel.structures.frame import Frame
from ruo2_voxel.structures.preparation import Changes, Preparation, Preparer
from tests.voxel.words import assert_readable


def slab(angle: float = 90.0, lean: float = 0.0, bottom: float = 5.0) -> Atoms:
    """Four atoms, 3 Å thick, in a cell of 4 x 6 x 20 Å, or a slanted one."""
    phi = np.radians(angle)
    cell = [[4.0, 0.0, 0.0], [6.0 * np.cos(phi), 6.0 * np.sin(phi), 0.0], [lean, 0.0, 20.0]]
    places = [[0.3, 0.4, bottom], [2.1, 1.0, bottom + 1.0], [1.2, 3.3, bottom + 2.0], [3.1, 2.2, bottom + 3.0]]
    return Atoms("Ru2O2", positions=places, cell=cell, pbc=True)


def prepared(atoms: Atoms, **choices: Any) -> tuple[Atoms, Changes]:
    frame, changes = Preparer(Preparation(**choices)).frame(Frame.from_atoms(atoms))
    return frame.atoms(), changes


MINUS = "\N{MINUS SIGN}"
HALF = float(np.degrees(np.arccos(1.0 / 3.0)))  # between a and b, so that b = (2, y): two cells make a rectangle


@pytest.mark.parametrize(
    ("atoms", "choices", "words"),
    [
        (slab(), {}, ("not changed", "4 atoms, 4.00 x 6.00 x 20.00 Å")),
        (slab(), {"orthogonal": True}, ("not changed", "4 atoms, 4.00 x 6.00 x 20.00 Å")),
        (
            slab(),
            {"square": True},
            ("repeated 3 x 2", "4 to 24 atoms, 4.00 x 6.00 x 20.00 to 12.00 x 12.00 x 20.00 Å"),
        ),
        (
            slab(),
            {"vacuum": 12.0},
            ("vacuum 17.00 to 12.00 Å", "4 atoms, 4.00 x 6.00 x 20.00 to 4.00 x 6.00 x 15.00 Å"),
        ),
        (
            slab(bottom=14.0),
            {"vacuum": 12.0},
            (
                f"vacuum 17.00 to 12.00 Å; slab moved by {MINUS}8.00 Å along its normal",
                "4 atoms, 4.00 x 6.00 x 20.00 to 4.00 x 6.00 x 15.00 Å",
            ),
        ),
        (
            slab(lean=1.5),
            {"orthogonal": True},
            ("c made perpendicular", "4 atoms, 4.00 x 6.00 x 20.06 to 4.00 x 6.00 x 20.00 Å"),
        ),
        (
            slab(angle=HALF),
            {"orthogonal": True},
            (
                f"made of 2 cells with a' = a and b' = {MINUS}a + 2b",
                "4 to 8 atoms, 4.00 x 6.00 x 20.00 to 4.00 x 11.31 x 20.00 Å",
            ),
        ),
        (
            slab(angle=89.0),
            {"orthogonal": True, "max_shear": 0.02},
            ("sheared by 0.017 Å for each Å", "4 atoms, 4.00 x 6.00 x 20.00 to 4.00 x 6.00 x 20.00 Å"),
        ),
    ],
)
def test_the_caption_says_what_preparation_did(atoms: Atoms, choices: dict[str, Any], words: tuple[str, str]) -> None:
    after, changes = prepared(atoms, **choices)
    assert describe_changes(atoms, after, changes) == words


@pytest.mark.parametrize(
    ("atoms", "choices"),
    [
        (slab(), {}),
        (slab(), {"square": True, "vacuum": 12.0}),
        (slab(angle=HALF, lean=1.5, bottom=14.0), {"orthogonal": True, "square": True, "vacuum": 12.0}),
        (slab(), {"square": True, "max_length": 60.0, "max_aspect": 1.0001, "vacuum": 5.0}),
    ],
)
def test_both_are_drawn_to_one_scale_with_all_their_atoms_and_can_be_read(
    atoms: Atoms, choices: dict[str, Any]
) -> None:
    after, changes = prepared(atoms, **choices)
    figure = draw_before_and_after(atoms, after, changes, "a title")
    assert_readable(figure)
    assert figure.get_size_inches()[1] < 8.7
    words = [text.get_text() for text in figure.texts]
    assert {"a title", "\n".join(describe_changes(atoms, after, changes))} <= set(words)
    named = [word for word in words if word.startswith(("before", "after"))]
    assert named == ["before, along y", "before, from above", "after, along y", "after, from above"]
    for axes, structure, (right, up) in zip(
        figure.axes, (atoms, atoms, after, after), ((0, 2), (0, 1)) * 2, strict=True
    ):
        scale = np.diff(axes.transData.transform([[0.0, 0.0], [1.0, 1.0]]), axis=0)
        np.testing.assert_allclose(scale, np.diff(figure.axes[0].transData.transform([[0, 0], [1, 1]]), axis=0))
        discs = np.asarray(axes.collections[-1].get_offsets())[::2]  # type: ignore[attr-defined]
        atoms_seen = structure.get_positions(wrap=True, eps=1e-6)[:, [right, up]]
        distances = np.linalg.norm(discs[:, None] - atoms_seen[None], axis=2)
        assert distances.min(axis=0).max() < 1e-6


@pytest.mark.parametrize("repeats", [((1, 1, 1), (15, 1, 1)), ((15, 1, 1), (1, 1, 1)), ((8, 1, 1), (9, 1, 1))])
def test_pictures_of_any_width_lie_beside_each_other_on_the_page(repeats: Any) -> None:
    before, after = (slab() * times for times in repeats)
    figure = draw_before_and_after(before, after, Changes(), "a title")
    assert_readable(figure)
    boxes = [axes.get_window_extent() for axes in figure.axes]
    assert not any(box.overlaps(other) for box, other in itertools.combinations(boxes, 2))
    for box in boxes:
        assert box.x0 > 0.0
        assert box.x1 < figure.bbox.x1
        assert box.y0 > 0.0
        assert box.y1 < figure.bbox.y1
    wide, tall = figure.get_size_inches()
    assert wide <= 10.0
    assert tall < 8.7
    assert sum(box.width for box in boxes[::2]) > 0.4 * figure.bbox.width  # and no smaller than need be


def test_both_stand_on_one_ground_line() -> None:
    after, changes = prepared(slab(), square=True, vacuum=8.0)
    figure = draw_before_and_after(slab(), after, changes, "a title")
    figure.canvas.draw()
    feet = [axes.get_window_extent().y0 for axes in figure.axes]
    assert feet[0] == pytest.approx(feet[2], abs=0.5)
    assert feet[1] == pytest.approx(feet[3], abs=0.5)
