import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection

from ruo2_hopping.errors import MissingExtraError, OutputError
from ruo2_hopping.history_file import read_history
from ruo2_hopping.pictures import draw_search, draw_slab, save_figure
from ruo2_hopping.pictures.figure import new_figure
from ruo2_hopping.pictures.slab import SIZE
from tests.hopping.searches import OXYGEN_ENERGY, frame, random_search, slab, write


def marks(axes: Axes, *kinds: str) -> np.ndarray:
    """Points (n, 2) that are drawn with these markers, sorted."""
    points = [np.array(line.get_data()).T for line in axes.lines if line.get_marker() in kinds]
    points = np.concatenate([np.empty((0, 2)), *points])
    return points[np.lexsort(points.T)]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("oxygen_energy", [OXYGEN_ENERGY, None])
def test_each_step_is_a_mark_at_its_height(tmp_path: Path, seed: int, oxygen_energy: float | None) -> None:
    history = read_history(write(tmp_path / "bh.traj", random_search(seed), oxygen_energy))
    figure = draw_search(history)
    panels = [axes for axes in figure.axes if axes.get_xlabel() == "step"]
    assert len(panels) == 3
    valid_ends = [step for step in history.steps if step.valid]
    for axes, mu_o in zip(panels, (-0.5, -0.25, 0.0), strict=True):
        own = [step for walker, steps in history.walkers().items() if walker.mu_o == mu_o for step in steps]
        shown = [step for step in history.steps if step.walker.run == -1] + own
        if oxygen_energy is None:
            height = {step: step.energy / (4 + step.n_oxygen) for step in shown}
        else:
            omegas = {s: s.energy - s.n_oxygen * (oxygen_energy + mu_o) for s in {*shown, *valid_ends}}
            lowest = min(omegas[step] for step in valid_ends)
            height = {step: omegas[step] - lowest for step in shown}
        expected = sorted((height[step], step.step) for step in shown if step.valid)
        found = marks(axes, "o", "^")
        assert sorted(found[:, 0]) == sorted(step for _, step in expected)
        dots = marks(axes, "o")
        places = {(round(at, 9), round(high, 6)) for high, at in expected}
        assert {(round(x, 9), round(y, 6)) for x, y in dots.tolist()} <= places
        assert sorted(marks(axes, "x")[:, 0]) == sorted(step.step for step in shown if not step.valid)
        assert f"{abs(mu_o):g}" in axes.get_title()


def test_refused_steps_far_above_are_carets_at_the_edge(tmp_path: Path) -> None:
    frames = [frame(slab(), -90.0 + 0.1 * step, step=step, accepted=step % 2 == 0) for step in range(1, 12)]
    frames.append(frame(slab(), 400.0, step=12, accepted=False))
    figure = draw_search(read_history(write(tmp_path / "bh.traj", frames)))
    axes = figure.axes[0]
    ((at, height),) = marks(axes, "^")
    assert at == 12
    assert height == pytest.approx(1.0)
    assert axes.get_ylim()[1] < 1.1
    assert len(marks(axes, "o")) == 11


def test_invalid_structures_do_not_stretch_the_panel(tmp_path: Path) -> None:
    frames = [frame(slab(), -90.0), frame(slab(), -89.0, step=2)]
    broken = [
        frame(slab(), energy, step=step, valid=False, accepted=False, reject_reason="desorbed")
        for step, energy in enumerate((-500.0, 700.0, np.nan), 3)
    ]
    limits = []
    for each in (frames, frames + broken):
        axes = draw_search(read_history(write(tmp_path / "bh.traj", each))).axes[0]
        limits.append(axes.get_ylim())
    assert limits[0] == pytest.approx(limits[1])
    assert sorted(marks(axes, "x")[:, 0]) == [3, 4, 5]


def test_shares_of_moves_are_bars(tmp_path: Path) -> None:
    fates = [(True, True)] * 3 + [(True, False)] * 2 + [(False, False)] * 5
    frames = [frame(slab(), -90.0, step=i, valid=v, accepted=a) for i, (v, a) in enumerate(fates, 1)]
    frames.append(frame(slab(), -90.0, step=11, move="insert"))
    figure = draw_search(read_history(write(tmp_path / "bh.traj", frames)))
    (axes,) = [axes for axes in figure.axes if axes.get_title() == "what became of moves"]
    widths = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["insert (1)", "displace (10)"]
    assert widths == {
        "accepted": pytest.approx([1.0, 0.3]),
        "refused": pytest.approx([0.0, 0.2]),
        "invalid": pytest.approx([0.0, 0.5]),
    }
    begins = {bars.get_label(): [bar.get_x() for bar in bars][1] for bars in axes.containers}
    assert begins == {"accepted": 0.0, "refused": pytest.approx(0.3), "invalid": pytest.approx(0.5)}


def test_pictures_of_any_search_are_written_whole(tmp_path: Path) -> None:
    starts_only = [frame(slab(), -90.0, run=-1, step=0, mu_O=0.0, move="start")]
    hapless = [frame(slab(), -90.0, valid=False, accepted=False)]
    two_slabs = [frame(slab(), -90.0), frame(slab(), -91.0, facet="100", run=1, mu_O=0.0)]
    for frames, ending, magic in (
        (starts_only, ".pdf", b"%PDF"),
        (hapless, ".svg", b"<?xml"),
        (two_slabs, ".png", b"\x89PNG"),
    ):
        figure = draw_search(read_history(write(tmp_path / "bh.traj", frames)))
        target = tmp_path / f"bh{ending}"
        target.write_text("an older picture")
        save_figure(figure, str(target))
        assert target.read_bytes().startswith(magic)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bh.pdf", "bh.png", "bh.svg", "bh.traj"]


def test_a_picture_with_another_ending_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "bh.traj"
    write(target, [frame(slab(), -90.0)])
    before = target.read_bytes()
    with pytest.raises(OutputError, match=r"must end in \.png, \.pdf, \.svg; found \.traj$"):
        save_figure(new_figure(1.0, 1.0), str(target))
    assert target.read_bytes() == before


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"\[pictures\]: pip install 'ruo2-hopping\[pictures\]'$"):
        new_figure(1.0, 1.0)


def drawn(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres (n, 2), radii and colours (n, 3) of the circles, in their order."""
    axes = new_figure(2.0, 2.0).add_subplot()
    draw_slab(axes, atoms)
    (circles,) = [each for each in axes.collections if isinstance(each, PatchCollection)]
    boxes = [path.get_extents() for path in circles.get_paths()]
    centres = np.array([[(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2] for box in boxes])
    return centres, np.array([box.width / 2 for box in boxes]), np.asarray(circles.get_facecolor())[:, :3]


def test_atoms_are_circles_from_far_to_near_with_their_images_at_the_border() -> None:
    atoms = Atoms("RuORu", [[0.1, 1.0, 5.0], [2.5, 3.0, 6.0], [2.5, 0.5, 7.0]], cell=[5, 6, 18], pbc=True)
    atoms.set_tags([0, 2, 2])
    centres, radii, colours = drawn(atoms)
    np.testing.assert_allclose(centres, [[2.5, 6.0], [0.1, 5.0], [5.1, 5.0], [2.5, 7.0]], atol=1e-6)
    np.testing.assert_allclose(radii, SIZE * np.array([0.66, 1.46, 1.46, 1.46]), rtol=1e-3)
    np.testing.assert_allclose(colours[1], 0.6 + 0.4 * colours[3])  # fixed: paler
    assert colours[0, 0] > 2 * colours[0, 1]  # red


def test_a_slab_looks_the_same_wherever_it_lies_along_the_plane() -> None:
    atoms = slab()
    shifted = atoms.copy()
    shifted.positions += [3 * 5.0, -2 * 6.0, 0.0]
    np.testing.assert_allclose(drawn(shifted)[0], drawn(atoms)[0], atol=1e-6)
