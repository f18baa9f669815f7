"""The page of losses: a panel for what lines have, points as logged, lines as smoothed."""

import numpy as np
import pytest

from ruo2_wgan.errors import DataError
from ruo2_wgan.pictures import draw_loss_panels, draw_losses
from ruo2_wgan.pictures.losses import smooth

KEYS = (
    "critic_loss",
    "generator_loss",
    "wasserstein",
    "gradient_penalty",
    "critic_gradient_norm",
    "generator_gradient_norm",
    "structures_per_second",
    "data_wait",
)


def make_stats(n: int, **more: float) -> list[dict[str, float]]:
    random = np.random.default_rng(0)
    return [
        {"step": 10 * k, "epoch": k / 4, **dict(zip(KEYS, random.uniform(1.0, 2.0, len(KEYS)), strict=True)), **more}
        for k in range(1, n + 1)
    ]


def titles_of(figure) -> list[str]:
    return [axes.get_title(loc="left").partition(", now")[0] for axes in figure.axes]


@pytest.mark.parametrize("n", [1, 90])
def test_there_is_a_panel_for_what_the_lines_have(n):
    stats = make_stats(n)
    figure = draw_losses(stats)
    figure.canvas.draw()
    assert len(figure.axes) == 6
    stats[-1] |= {"distance": 0.3, "diversity": 0.8, "stripe_index": 1.1}
    stats[0] |= {"critic_lattice_loss": 0.5, "generator_lattice_loss": 0.4}
    figure = draw_losses(stats)
    figure.canvas.draw()
    assert len(figure.axes) == 9
    assert {"lattice losses", "samples beside the data, 1 is best"} <= set(titles_of(figure))


def test_points_are_as_logged_and_lines_as_smoothed():
    stats = make_stats(120)
    axes = next(axes for axes in draw_losses(stats).axes if axes.get_title(loc="left") == "losses")
    points, line = axes.lines[:2]
    values = np.array([entry["critic_loss"] for entry in stats])
    np.testing.assert_array_equal(points.get_xydata(), np.column_stack([10 * np.arange(1, 121), values]))
    np.testing.assert_allclose(line.get_ydata(), [values[max(k - 3, 0) : k + 4].mean() for k in range(120)])
    assert axes.get_legend().get_texts()[0].get_text() == f"critic {values[-4:].mean():.3g}"


@pytest.mark.parametrize("n", [1, 3, 40, 401])
def test_smoothing_keeps_what_is_constant(n):
    np.testing.assert_allclose(smooth(np.full(n, 2.5)), 2.5)


def test_scales_follow_the_values():
    def scale_of(critic: float, generator: float, title: str = "losses", **more: float) -> str:
        stats = make_stats(9, **more)
        stats[4] |= {"critic_loss": critic, "generator_loss": generator}
        return next(axes for axes in draw_losses(stats).axes if axes.get_title(loc="left") == title).get_yscale()

    assert scale_of(-1.5, 2.0) == "linear"
    assert scale_of(1.0, 200.0) == "log"
    assert scale_of(-1.0, -200.0) == "symlog"
    assert scale_of(0.0, 0.0, critic_loss=0.0, generator_loss=0.0) == "linear"


def test_epochs_stand_above_the_steps():
    figure = draw_losses(make_stats(8))
    figure.canvas.draw()
    (second,) = figure.axes[0].child_axes
    low, high = figure.axes[0].get_xlim()
    np.testing.assert_allclose(second.get_xlim(), [low / 40, high / 40])


def test_what_is_not_finite_is_left_out():
    stats = make_stats(4)
    stats[2]["wasserstein"] = float("nan")
    axes = next(axes for axes in draw_losses(stats).axes if axes.get_title(loc="left").startswith("Wasserstein"))
    assert axes.lines[0].get_xdata().tolist() == [10, 20, 40]


@pytest.mark.parametrize("stats", [[], [{"step": 1, "epoch": 0.1}]])
def test_nothing_to_draw_is_refused(stats):
    with pytest.raises(DataError, match=f"found {len(stats)} lines"):
        draw_losses(stats)


def test_panels_alone_draw_what_the_page_does():
    stats = make_stats(60, distance=0.3, diversity=0.8, stripe_index=1.1)
    page, alone = draw_losses(stats), draw_loss_panels(stats, 3.0, 2.0)
    assert list(alone) == [axes.get_title(loc="left") for axes in page.axes]
    for axes, figure in zip(page.axes, alone.values(), strict=True):
        (single,) = figure.axes
        assert single.get_ylim() == axes.get_ylim()
        for ours, theirs in zip(single.lines, axes.lines, strict=True):
            np.testing.assert_array_equal(ours.get_xydata(), theirs.get_xydata())
    few = next(iter(draw_loss_panels(stats, 3.0, 2.0, most_points=20).values())).axes[0].lines[0]
    assert len(few.get_xdata()) == 20
