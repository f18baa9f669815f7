"""Pictures show the numbers that they were made from, where those lie in Å; and they say so where there is nothing."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.data import covalent_radii
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PolyCollection
from matplotlib.figure import Figure

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.density.voxelize import voxelize
from ruo2_voxel.errors import GridError, MissingExtraError, Ruo2Error, StructureError
from ruo2_voxel.pictures import (
    draw_histogram,
    draw_isosurface,
    draw_overview,
    draw_slice,
    draw_structure,
    find_densest_planes,
    find_isosurface,
    new_figure,
    save_figure,
)
from ruo2_voxel.pictures.colours import colour_of, density_colours
from ruo2_voxel.pictures.layout import TALLEST, WIDTH, Box, find_layout
from ruo2_voxel.pictures.views import view_from, view_of_plane
from tests.voxel.words import assert_readable, words_of

PLANES = {"xz": (0, 2, 1), "yz": (1, 2, 0), "xy": (0, 1, 2)}
BRICK = np.diag([6.0, 7.0, 11.0])
SKEWED = np.array([[6.0, 0.0, 0.0], [-2.5, 6.5, 0.0], [1.2, 0.9, 10.0]])
HANGING = np.array([[0.0, 6.0, 0.0], [5.0, 1.0, 0.5], [0.4, 0.0, -9.0]])  # turned in space, c pointing down
LEFT_HANDED = np.diag([6.0, 7.0, -11.0])
CELLS = pytest.mark.parametrize(
    "cell", [BRICK, SKEWED, HANGING, LEFT_HANDED], ids=["orthorhombic", "triclinic", "turned", "left-handed"]
)
GRID = Grid(species=("Ru", "O"), shape=(16, 20, 28))


def lone_atom(cell: np.ndarray, scaled: tuple[float, float, float], symbol: str = "Ru") -> Atoms:
    return Atoms(symbol, cell=cell, scaled_positions=[scaled], pbc=True)


def slab() -> Atoms:
    """Three rows of rutile-like atoms, some on the border and one beyond it."""
    return Atoms(
        "Ru3O4",
        cell=BRICK,
        pbc=True,
        positions=[
            [0, 0, 3],
            [3, 3.5, 3],
            [3, 0, 6.1],
            [1.4, 2, 3],
            [4.5, 5, 3.1],
            [5.9, 3.5, 6],
            [-0.1, 1, 7.5],
        ],
    )


def axes_and_figure() -> tuple[Axes, Figure]:
    figure = new_figure(4.0, 6.0)
    return figure.add_axes((0.0, 0.0, 1.0, 1.0)), figure


def pixels_of(figure: Figure) -> np.ndarray:
    """Red, green, blue in [0, 1]; the first index is the row from below, as in display coordinates."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255.0  # type: ignore[attr-defined]


# --- slices


@pytest.mark.parametrize("plane", PLANES)
def test_a_slice_holds_the_plane_of_the_density_and_one_more_node_each_way(plane: str) -> None:
    density = np.random.default_rng(1).random(GRID.shape, dtype=np.float32)
    axes, _ = axes_and_figure()
    image = draw_slice(axes, density, BRICK, "Ru", plane, 5)
    shown = np.asarray(image.get_array()).T
    right, up, across = PLANES[plane]
    expected = density.take(5, axis=across)
    np.testing.assert_array_equal(shown[:-1, :-1], expected)
    np.testing.assert_array_equal(shown[-1, :-1], expected[0])
    np.testing.assert_array_equal(shown[:-1, -1], expected[:, 0])
    assert (image.norm.vmin, image.norm.vmax) == (0.0, 1.0)
    lengths = np.diag(BRICK)
    half = 0.5 * lengths / GRID.shape
    np.testing.assert_allclose(
        image.get_extent(),
        (-half[right], lengths[right] + half[right], -half[up], lengths[up] + half[up]),
    )
    np.testing.assert_allclose([axes.get_xlim(), axes.get_ylim()], [(0, lengths[right]), (0, lengths[up])], atol=1e-9)


@CELLS
@pytest.mark.parametrize("plane", PLANES)
def test_on_paper_the_densest_spot_lies_where_the_atom_is(plane: str, cell: np.ndarray) -> None:
    atoms = lone_atom(cell, (0.37, 0.61, 0.29))
    density = voxelize(atoms, GRID)[0]
    axes, figure = axes_and_figure()
    draw_slice(axes, density, cell, "Ru", plane)
    axes.set_axis_off()
    darkness = 3.0 - pixels_of(figure).sum(axis=2)
    rows, columns = np.nonzero(darkness > darkness.max() - 1e-6)
    spot = axes.transData.inverted().transform((columns.mean() + 0.5, rows.mean() + 0.5))
    view = view_of_plane(plane, cell)
    right, up, _ = PLANES[plane]
    half_voxel = (
        0.5 * (np.abs(cell[right] / GRID.shape[right]) + np.abs(cell[up] / GRID.shape[up])) @ np.abs(view[:2]).T
    )
    assert (np.abs(spot - view[:2] @ atoms.positions[0]) <= half_voxel + 0.05).all()


@CELLS
@pytest.mark.parametrize("plane", PLANES)
def test_atoms_near_the_plane_are_marked_where_they_are(plane: str, cell: np.ndarray) -> None:
    across = PLANES[plane][2]
    scaled = np.array([[0.4] * 3, [0.2] * 3, [0.8] * 3, [0.3] * 3])
    scaled[:, across] = (0.02, 0.3, 2.03, 0.97)  # near the plane, far from it, near it in other cells
    positions = scaled @ cell
    axes, _ = axes_and_figure()
    draw_slice(axes, np.zeros((10, 10, 10), dtype=np.float32), cell, "O", plane, 0, positions)
    scaled[:, across] = (0.02, 0.3, 0.03, -0.03)
    expected = (scaled @ cell)[[0, 2, 3]] @ view_of_plane(plane, cell)[:2].T
    circles = [one for one in axes.collections if isinstance(one, EllipseCollection)]
    assert len(circles) == 2  # a dark line on a white one
    for each in circles:
        np.testing.assert_allclose(each.get_offsets(), expected, atol=1e-9)


def test_an_atom_on_the_corner_is_marked_on_all_four() -> None:
    axes, _ = axes_and_figure()
    draw_slice(axes, np.zeros((8, 8, 8), dtype=np.float32), BRICK, "O", "xz", 0, np.array([[-1e-9, 0.1, 11.0]]))
    marks = np.asarray(axes.collections[0].get_offsets())  # type: ignore[attr-defined]
    assert sorted(map(tuple, marks.round(6) + 0.0)) == [(0, 0), (0, 11), (6, 0), (6, 11)]


def test_the_densest_planes_show_every_channel() -> None:
    density = np.zeros((3, 4, 5, 6), dtype=np.float32)
    density[0, 1:3, 3, 2] = (1.0, 0.2)  # most of the first at x = 1, but a little of it where half of the second is
    density[1, 2:4, 3, 2] = 0.1
    assert find_densest_planes(density) == (2, 3, 2)
    assert find_densest_planes(np.zeros((2, 3, 3, 3), dtype=np.float32)) == (0, 0, 0)


def test_colours_darken_all_the_way_from_white_so_that_no_hue_need_be_seen() -> None:
    for symbol in ("Ru", "O", "H", "C", "Au", "*"):
        shades = density_colours(symbol)(np.linspace(0.0, 1.0, 50))[:, :3] @ [0.2126, 0.7152, 0.0722]
        assert shades[0] == pytest.approx(1.0)
        assert (np.diff(shades) < 0.0).all()
        assert shades[-1] < 0.4


# --- structures


@CELLS
@pytest.mark.parametrize("plane", PLANES)
def test_spheres_lie_where_the_atoms_are_from_far_to_near(plane: str, cell: np.ndarray) -> None:
    atoms = Atoms("RuO2", cell=cell, pbc=True, scaled_positions=[[0.5, 0.5, 0.5], [0.4, 0.6, 0.7], [0.6, 0.3, 0.4]])
    axes, _ = axes_and_figure()
    spheres = draw_structure(axes, atoms, plane)
    view = view_of_plane(plane, cell)
    seen = atoms.positions @ view.T
    order = np.argsort(seen[:, 2])
    np.testing.assert_allclose(np.asarray(spheres.get_offsets())[::2], seen[order, :2], atol=1e-9)
    radii = covalent_radii[atoms.numbers][order]
    widths = np.asarray(spheres.get_widths())[::2]
    np.testing.assert_allclose(widths / widths[0], radii / radii[0])
    # The same colour, but ever less white in it.
    colours = np.asarray(spheres.get_facecolors())[::2, :3]
    pure = np.array([colour_of(atoms[i].symbol) for i in order])
    white = ((colours - pure) / (1.0 - pure)).mean(axis=1)
    np.testing.assert_allclose(colours, pure + white[:, None] * (1.0 - pure), atol=1e-9)
    assert (np.diff(white) < 0.0).all()


def test_the_corner_of_a_cell_has_an_eighth_of_its_atom_on_every_corner() -> None:
    axes, _ = axes_and_figure()
    spheres = draw_structure(axes, lone_atom(BRICK, (0.0, 0.5, 1.0 - 1e-9)), "xz")
    offsets = np.asarray(spheres.get_offsets())[::2]
    assert sorted(map(tuple, offsets.round(6) + 0.0)) == [(0, 0), (0, 11), (6, 0), (6, 11)]


def test_an_atom_a_rounding_error_below_the_border_is_not_sent_to_the_far_side() -> None:
    colours = []
    for y in (0.0, -1e-9):
        axes, _ = axes_and_figure()
        spheres = draw_structure(axes, lone_atom(BRICK, (0.5, y, 0.5)), "xz")
        colours.append(np.asarray(spheres.get_facecolors()))
    np.testing.assert_allclose(*colours, atol=1e-6)


def test_nothing_is_drawn_outside_the_cell() -> None:
    axes, figure = axes_and_figure()
    draw_structure(axes, lone_atom(SKEWED, (0.02, 0.98, 0.5)), "xz")
    axes.set_axis_off()
    axes.set(xlim=(-5, 12), ylim=(-5, 15))
    coloured = np.ptp(pixels_of(figure), axis=2) > 0.1
    rows, columns = np.nonzero(coloured)
    x, z = axes.transData.inverted().transform(np.column_stack([columns, rows]) + 0.5).T
    # The left and right borders of what the cell covers, seen along -y: through (-2.5, 0.) and (6, 0.), along c.
    lean = SKEWED[2] @ [1, 0, 0] / (SKEWED[2] @ [0, 0, 1])
    assert coloured.any()
    assert (x - lean * z > -2.5 - 0.1).all()
    assert (x - lean * z < 6.0 + 0.1).all()


@pytest.mark.parametrize("plane", PLANES)
def test_structure_and_slice_share_their_axes(plane: str) -> None:
    limits = []
    for draw in (0, 1):
        axes, _ = axes_and_figure()
        if draw:
            draw_slice(axes, np.zeros((4, 5, 6), dtype=np.float32), SKEWED, "O", plane)
        else:
            draw_structure(axes, lone_atom(SKEWED, (0.1, 0.2, 0.3)), plane)
        limits.append((axes.get_xlim(), axes.get_ylim(), axes.get_aspect(), axes.get_xlabel(), axes.get_ylabel()))
    assert limits[0] == limits[1]


# --- isosurfaces


def volume_of(vertices: np.ndarray, faces: np.ndarray) -> float:
    return float(np.linalg.det(vertices[faces]).sum() / 6.0)


@CELLS
@pytest.mark.parametrize("level", [0.3, 0.7])
@pytest.mark.parametrize(("refinement", "loss"), [((1, 1, 1), 0.2), ((3, 3, 3), 0.04)])
def test_a_lone_atom_has_a_sphere_around_it(
    cell: np.ndarray, level: float, refinement: tuple[int, int, int], loss: float
) -> None:
    grid = Grid(species=("Ru",), shape=(24, 28, 40), sigma=0.6)
    atoms = lone_atom(cell, (0.45, 0.52, 0.57))
    vertices, faces = find_isosurface(voxelize(atoms, grid)[0], cell, level, refinement)
    radius = grid.sigma * np.sqrt(-2.0 * np.log(level))
    distances = np.linalg.norm(vertices - atoms.positions[0], axis=1)
    voxel = np.linalg.norm(cell, axis=1) / grid.shape
    assert np.abs(distances - radius).max() < 0.25 * voxel.max()
    # Outsides out, and as large as a ball less what its facets cut off.
    assert 1.0 - loss < volume_of(vertices, faces) / (4.0 / 3.0 * np.pi * radius**3) < 1.01
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    _, shared = np.unique(edges, axis=0, return_counts=True)
    assert (shared == 2).all()  # closed


def test_finer_triangles_lie_on_the_same_sphere() -> None:
    density = voxelize(lone_atom(BRICK, (0.5, 0.5, 0.5)), GRID)[:1]
    spheres = []
    for fineness in (1.0, 2.0):
        axes, _ = axes_and_figure()
        paths = draw_isosurface(axes, density, BRICK, ("Ru",), fineness=fineness).get_paths()
        spheres.append((len(paths), np.concatenate([path.vertices for path in paths])))
    (n_coarse, coarse), (n_fine, fine) = spheres
    assert n_fine > 2 * n_coarse
    np.testing.assert_allclose(np.ptp(fine, axis=0), np.ptp(coarse, axis=0), atol=0.02)


@CELLS
def test_a_sphere_on_the_border_is_cut_cleanly_and_closed_by_lids(cell: np.ndarray) -> None:
    grid = Grid(species=("Ru",), shape=(24, 28, 40), sigma=0.6)
    inside = voxelize(lone_atom(cell, (0.5, 0.5, 0.5)), grid)[0]
    whole, faces_of_whole = find_isosurface(inside, cell)
    for shift in ((12, 0, 0), (12, 14, 20), (3, 14, 18)):
        vertices, faces = find_isosurface(np.roll(inside, shift, axis=(0, 1, 2)), cell)
        scaled = vertices @ np.linalg.inv(cell)
        assert scaled.min() > -1e-9
        assert scaled.max() < 1.0 + 1e-9
        assert volume_of(vertices, faces) == pytest.approx(volume_of(whole, faces_of_whole), rel=1e-4)


def test_interpolation_makes_a_coarse_sphere_rounder_and_keeps_its_size() -> None:
    grid = Grid(species=("Ru",), shape=(8, 9, 14), sigma=0.6)
    atoms = lone_atom(BRICK, (0.47, 0.52, 0.55))
    radius = grid.sigma * np.sqrt(2.0 * np.log(2.0))
    spread = []
    for refinement in ((1, 1, 1), (4, 4, 4)):
        vertices, faces = find_isosurface(voxelize(atoms, grid)[0], BRICK, 0.5, refinement)
        middles = vertices[faces].mean(axis=1)
        spread.append(np.abs(np.linalg.norm(middles - atoms.positions[0], axis=1) - radius).max())
    assert spread[1] < 0.3 * spread[0]
    assert spread[1] < 0.1


def test_a_channel_below_the_level_is_named_and_does_no_harm() -> None:
    assert [len(part) for part in find_isosurface(np.zeros((4, 4, 4), dtype=np.float32), BRICK)] == [0, 0]
    axes, figure = axes_and_figure()
    density = voxelize(lone_atom(BRICK, (0.5, 0.5, 0.5)), GRID)
    triangles = draw_isosurface(axes, density, BRICK, GRID.species)
    assert len(triangles.get_paths()) > 100
    assert "O: below 0.5 everywhere" in words_of(axes)
    axes, figure = axes_and_figure()
    assert len(draw_isosurface(axes, 0.0 * density, BRICK, GRID.species).get_paths()) == 0
    assert "Ru, O: below 0.5 everywhere" in words_of(axes)
    pixels_of(figure)


@CELLS
def test_surfaces_are_drawn_true_to_scale_around_their_atoms(cell: np.ndarray) -> None:
    atoms = Atoms("RuO", cell=cell, pbc=True, scaled_positions=[[0.3, 0.6, 0.4], [0.7, 0.4, 0.75]])
    axes, figure = axes_and_figure()
    triangles = draw_isosurface(axes, voxelize(atoms, GRID), cell, GRID.species, azimuth=20.0, elevation=35.0)
    assert axes.get_aspect() == 1.0
    seen = atoms.positions @ view_from(20.0, 35.0)[:2].T
    points = np.concatenate([path.vertices for path in triangles.get_paths()])
    distances = np.linalg.norm(points[:, None] - seen[None], axis=2).min(axis=1)
    radius = GRID.sigma * np.sqrt(2.0 * np.log(2.0))
    assert distances.max() == pytest.approx(radius, abs=0.08)
    pixels = pixels_of(figure)  # which also settles where axes of one scale lie
    for symbol, at in zip(("Ru", "O"), seen, strict=True):
        column, row = axes.transData.transform(at).astype(int)
        found = pixels[row, column] / np.linalg.norm(pixels[row, column])
        pure = colour_of(symbol) / np.linalg.norm(colour_of(symbol))
        assert found @ pure > 0.93, symbol


def test_what_is_nearer_hides_what_is_farther_whatever_its_channel() -> None:
    towards = view_from(30.0, 20.0)[2]
    centre = np.array([5.0, 5.0, 5.0])
    for front, behind in (("Ru", "O"), ("O", "Ru")):
        atoms = Atoms([front, behind], cell=np.eye(3) * 10.0, pbc=True, positions=[centre + towards, centre - towards])
        axes, figure = axes_and_figure()
        density = voxelize(atoms, Grid(shape=(32, 32, 32)))
        draw_isosurface(axes, density, np.eye(3) * 10.0, ("Ru", "O"), azimuth=30.0, elevation=20.0)
        pixels = pixels_of(figure)
        column, row = axes.transData.transform(view_from(30.0, 20.0)[:2] @ centre).astype(int)
        colour = pixels[row, column]
        distances = {symbol: np.linalg.norm(colour / colour.max() - colour_of(symbol)) for symbol in (front, behind)}
        assert min(distances, key=distances.__getitem__) == front


def test_light_falls_from_above() -> None:
    axes, _ = axes_and_figure()
    triangles = draw_isosurface(axes, voxelize(lone_atom(BRICK, (0.5, 0.5, 0.5)), GRID), BRICK, GRID.species)
    heights = np.array([path.vertices[:3, 1].mean() for path in triangles.get_paths()])
    lightness = np.asarray(triangles.get_facecolor())[:, :3].mean(axis=1)
    upper = heights > np.median(heights)
    assert lightness[upper].mean() > 1.2 * lightness[~upper].mean()


# --- histograms


def test_every_structure_is_counted_and_classes_are_drawn_where_they_part() -> None:
    energies = np.random.default_rng(2).normal(-7.0, 0.2, 1000)
    edges = np.linspace(energies.min(), energies.max(), 11)
    axes, figure = axes_and_figure()
    counts = draw_histogram(axes, energies, edges, marked=-7.1)
    assert counts.sum() == 1000
    heights = [bar.get_height() for bar in axes.patches]  # type: ignore[attr-defined]
    assert heights == counts.tolist()
    lefts = np.array([bar.get_x() for bar in axes.patches])  # type: ignore[attr-defined]
    assert (counts == np.histogram(energies, [*lefts, energies.max()])[0]).all()
    lines = [float(np.atleast_1d(line.get_xdata())[0]) for line in axes.lines]
    np.testing.assert_allclose(lines, [*edges, -7.1])
    assert words_of(axes) == [*"0123456789", "shown: \N{MINUS SIGN}7.100"]
    assert axes.get_title(loc="left") == "1,000 structures in 10 classes"
    assert axes.get_xlabel() == "energy (eV/atom)"
    pixels_of(figure)


def test_skewed_data_are_counted_in_powers_of_ten() -> None:
    axes, _ = axes_and_figure()
    draw_histogram(axes, [-7.0] * 5000 + [-5.0])
    assert axes.get_yscale() == "log"
    axes, _ = axes_and_figure()
    draw_histogram(axes, [-7.0] * 30 + [-5.0])
    assert axes.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("energies", "words"),
    [
        (None, "no energy in this data set"),
        ([], "no energy in this data set"),
        ([np.nan, np.nan], "no energy in this data set"),
        ([np.nan], "this structure has no energy"),
    ],
)
def test_where_there_are_no_energies_the_histogram_says_so(energies: list[float] | None, words: str) -> None:
    axes, figure = axes_and_figure()
    assert draw_histogram(axes, energies, [0.0, 1.0], np.nan).size == 0
    assert words_of(axes) == [words]
    pixels_of(figure)


@pytest.mark.parametrize("n", [1, 7])
def test_equal_energies_make_one_bar_around_their_value(n: int) -> None:
    axes, figure = axes_and_figure()
    counts = draw_histogram(axes, [-7.25] * n, marked=-7.25)
    full = int(counts.argmax())
    bar = axes.patches[full]
    assert counts[full] == n == counts.sum()
    assert bar.get_x() + 0.5 * bar.get_width() == pytest.approx(-7.25)  # type: ignore[attr-defined]
    pixels_of(figure)


def test_structures_without_energy_are_owned_up_to_and_a_mark_beyond_the_data_is_still_seen() -> None:
    axes, _ = axes_and_figure()
    draw_histogram(axes, [-7.0, -6.5, np.nan], marked=-3.0)
    assert axes.get_title(loc="left") == "2 structures, 1 more without energy"
    assert axes.get_xlim()[1] > -3.0


def test_classes_open_at_their_ends_are_drawn_without_their_infinite_edges() -> None:
    axes, figure = axes_and_figure()
    draw_histogram(axes, np.linspace(0.0, 1.0, 20), [-np.inf, 0.3, 0.6, np.inf])
    assert [float(np.atleast_1d(line.get_xdata())[0]) for line in axes.lines] == [0.3, 0.6]
    assert words_of(axes) == ["0", "1", "2"]
    left, right = axes.get_xlim()
    places = [text.xy[0] for text in axes.texts]  # type: ignore[attr-defined]
    np.testing.assert_allclose(places, [0.5 * (left + 0.3), 0.45, 0.5 * (0.6 + right)])
    pixels_of(figure)


# --- the page


def overlap(a: Box, b: Box) -> bool:
    return (
        a.left < b.left + b.width
        and b.left < a.left + a.width
        and a.top < b.top + b.height
        and b.top < a.top + a.height
    )


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.floats(3.0, 60.0)] * 3), st.floats(-0.4, 0.4), st.integers(2, 5))
def test_pictures_share_one_scale_and_do_not_lie_on_each_other(
    lengths: tuple[float, float, float], skew: float, n_panels: int
) -> None:
    cell = np.diag(lengths)
    cell[1, 0] = skew * lengths[1]
    layout = find_layout(cell, n_panels)
    boxes = [*itertools.chain(*layout.planes.values()), layout.space, layout.histogram]
    assert len(boxes) == 3 * n_panels + 2
    assert not any(overlap(a, b) for a, b in itertools.combinations(boxes, 2))
    for box in boxes:
        assert box.width > 0.0
        assert box.height > 0.0
        assert box.left >= 0.0
        assert box.left + box.width <= WIDTH
        assert box.top + box.height <= layout.height
    assert layout.height <= TALLEST + 1e-9
    for plane, height in (("xz", lengths[2]), ("yz", lengths[2]), ("xy", lengths[1])):
        for box in layout.planes[plane]:
            assert box.height == pytest.approx(height * layout.scale)


def test_a_long_title_shrinks_until_it_leaves_room_for_the_legend() -> None:
    density = voxelize(slab(), GRID).clip(0.0, 1.0)
    for title in ("short", "long " * 40):
        figure = draw_overview(density, slab(), GRID.species, title=title)
        assert_readable(figure)
        (size,) = (text.get_fontsize() for text in figure.texts if text.get_text() == title)
        assert (size == 11.0) == (title == "short")


def overview_of(atoms: Atoms, grid: Grid, n_energies: int = 200, edges: bool = True) -> Figure:
    energies = -7.7 + np.random.default_rng(3).exponential(0.2, n_energies)
    borders = np.linspace(energies.min(), energies.max(), 11) if edges else None
    density = voxelize(atoms, grid).clip(0.0, 1.0)
    return draw_overview(density, atoms, grid.species, energies, borders, marked=float(energies[0]))


def test_the_page_shows_atoms_and_every_channel_in_three_planes() -> None:
    atoms = slab()
    density = voxelize(atoms, GRID).clip(0.0, 1.0)
    figure = draw_overview(density, atoms, GRID.species, positions=(3, 4, 8))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["atoms", "Ru", "O"] * 3 + ["", ""]
    for index, (plane, position) in enumerate({"xz": 4, "yz": 3, "xy": 8}.items()):
        for channel in (0, 1):
            image = figure.axes[3 * index + 1 + channel].images[0]
            expected = density[channel].take(position, axis=PLANES[plane][2])
            np.testing.assert_array_equal(np.asarray(image.get_array()).T[:-1, :-1], expected)
    assert any(isinstance(one, PolyCollection) for one in figure.axes[9].collections)
    assert words_of(figure.axes[10]) == ["no energy in this data set"]
    headings = [text.get_text() for text in figure.texts]
    assert "xz-plane at y = 1.40 Å" in headings
    assert "Ru3O4, 6.00 x 7.00 x 11.00 Å" in headings


def test_planes_of_a_slanted_cell_are_named_by_their_voxels() -> None:
    atoms = lone_atom(SKEWED, (0.3, 0.3, 0.3))
    figure = draw_overview(voxelize(atoms, GRID), atoms, GRID.species, positions=(3, 4, 8))
    headings = {text.get_text() for text in figure.texts}
    places = {"xz": "4 of 20 along b", "yz": "3 of 16 along a", "xy": "8 of 28 along c"}
    assert {f"{plane}-plane at voxel {place}" for plane, place in places.items()} <= headings


def test_every_picture_of_a_plane_has_as_many_pixels_to_an_angstrom() -> None:
    figure = overview_of(slab(), GRID)
    figure.canvas.draw()
    for axes in figure.axes[:9]:
        per_angstrom = np.diff(axes.transData.transform([[0, 0], [1, 1]]), axis=0)[0]
        np.testing.assert_allclose(per_angstrom, 160.0 * find_layout(BRICK, 3).scale, rtol=1e-6)


@pytest.mark.parametrize("case", ["slab", "cube", "tower", "triclinic", "three channels", "one bar"])
def test_no_words_lie_on_each_other_or_leave_the_page(case: str) -> None:
    atoms, grid = slab(), GRID
    if case == "cube":
        atoms = Atoms("Ru3O4", cell=np.eye(3) * 11.9, positions=atoms.positions, pbc=True)
    elif case == "tower":
        atoms, grid = lone_atom(np.diag([4.0, 4.0, 44.0]), (0.3, 0.3, 0.3)), Grid(shape=(8, 8, 60))
    elif case == "triclinic":
        atoms = lone_atom(SKEWED, (0.3, 0.3, 0.3))
    elif case == "three channels":
        atoms = atoms + Atoms("CN", positions=[[1, 1, 9], [4, 2, 9]])
        grid = Grid(species=("Ru", "O", "*"), shape=GRID.shape)
    figure = overview_of(atoms, grid, n_energies=1 if case == "one bar" else 200, edges=case != "one bar")
    assert_readable(figure)


def test_atoms_without_a_channel_of_their_own_are_marked_on_that_of_the_others() -> None:
    atoms = slab() + Atoms("C", positions=[[2.0, 3.5, 9.0]])
    grid = Grid(species=("Ru", "*", "H"), shape=GRID.shape)
    density = voxelize(atoms, grid).clip(0.0, 1.0)
    figure = draw_overview(density, atoms, grid.species, positions=(0, 10, 0))
    others = figure.axes[2]
    assert others.get_title() == "others"
    marks = np.asarray(others.collections[0].get_offsets()).round(6)  # type: ignore[attr-defined]
    assert {(2.0, 9.0), (5.9, 6.0)} <= set(map(tuple, marks))
    assert [axes.get_title() for axes in figure.axes[:4]] == ["atoms", "Ru", "others", "H"]


@pytest.mark.parametrize(
    ("density", "message"),
    [
        (np.zeros((3, 4, 4, 4)), r"density must have the shape .* with species Ru,O, got \(3, 4, 4, 4\)"),
        (np.zeros((2, 4, 4)), "density must have the shape"),
        (np.zeros((2, 0, 4, 4)), "density must have the shape"),
        (np.full((2, 4, 4, 4), np.nan), "density must be finite"),
    ],
)
def test_a_density_that_cannot_be_is_refused(density: np.ndarray, message: str) -> None:
    with pytest.raises(GridError, match=message):
        draw_overview(density, slab(), ("Ru", "O"))


def test_structures_and_planes_that_cannot_be_are_refused() -> None:
    density = np.zeros((2, 4, 4, 4), dtype=np.float32)
    with pytest.raises(StructureError, match="the cell must be three vectors that span a volume"):
        draw_overview(density, Atoms("Ru", positions=[[0, 0, 0]]), ("Ru", "O"))
    with pytest.raises(StructureError, match="positions must be finite"):
        draw_overview(density, Atoms("Ru", positions=[[0, np.inf, 0]], cell=BRICK), ("Ru", "O"))
    with pytest.raises(GridError, match="position of the xz-plane must lie between 0 and 3, got 4"):
        draw_overview(density, slab(), ("Ru", "O"), positions=(0, 4, 0))
    axes, _ = axes_and_figure()
    with pytest.raises(GridError, match="plane must be xz, yz or xy, got 'zx'"):
        draw_slice(axes, density[0], BRICK, "Ru", "zx", 0)
    with pytest.raises(GridError, match="a channel for each of Ru"):
        draw_isosurface(axes, density, BRICK, ("Ru",))


# --- files


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_the_same_picture_has_the_same_bytes(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for file, second in zip(files, ("0", "86400"), strict=True):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", second)  # what matplotlib writes as the date, if it writes one
        save_figure(overview_of(slab(), GRID), file)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    beginnings = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    assert first.startswith(beginnings[ending])
    assert sorted(tmp_path.iterdir()) == files


def test_a_page_is_1600_pixels_wide_and_its_ending_may_shout(tmp_path: Path) -> None:
    save_figure(overview_of(slab(), GRID), tmp_path / "page.PNG")
    header = (tmp_path / "page.PNG").read_bytes()[16:24]
    assert int.from_bytes(header[:4], "big") == 1600


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere/a.png", "the folder .*nowhere must exist"),
        ("a.jpg", "must end in .png, .pdf or .svg, got .jpg"),
        ("a", "must end in .png, .pdf or .svg, got no ending"),
        ("folder.png", "must be the name of a file; found a folder"),
        ("file/a.png", "the folder .*file must exist"),
        ("x" * 250 + ".png", "must be writable and have room; found File name too long"),
    ],
)
def test_a_picture_that_cannot_be_written_is_one_clear_error(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(Ruo2Error, match=message):
        save_figure(new_figure(1.0, 1.0), tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_failed_picture_leaves_the_one_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a.png"
    target.write_bytes(b"before")
    figure = new_figure(1.0, 1.0)

    def fill_the_disk(file: Path, **_: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(figure, "savefig", fill_the_disk)
    with pytest.raises(Ruo2Error, match="must be writable and have room; found No space left on device"):
        save_figure(figure, target)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


# --- extras


def test_without_scikit_image_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(MissingExtraError, match=r"the isosurface view needs the optional extra \[pictures\]"):
        find_isosurface(np.zeros((4, 4, 4), dtype=np.float32), BRICK)


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"drawing pictures needs the optional extra \[pictures\]"):
        new_figure()


def test_an_extra_that_is_there_but_broken_keeps_its_own_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "skimage").mkdir()
    (tmp_path / "skimage" / "__init__.py").touch()
    (tmp_path / "skimage" / "measure.py").write_text("import something_it_needs\n")
    for name in [name for name in sys.modules if name.partition(".")[0] == "skimage"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_it_needs"):
        find_isosurface(np.zeros((4, 4, 4), dtype=np.float32), BRICK)
    for name in [name for name in sys.modules if name.partition(".")[0] == "skimage"]:
        monkeypatch.delitem(sys.modules, name)


def test_importing_loads_no_matplotlib_and_drawing_no_pyplot() -> None:
    program = """
import sys
import ruo2_voxel.pictures as pictures
assert "matplotlib" not in sys.modules and "skimage" not in sys.modules
import numpy, ase
pictures.draw_overview(numpy.ones((1, 4, 4, 4)), ase.Atoms("Ru", positions=[[1, 1, 1]], cell=[4, 4, 4]), ("Ru",))
assert "matplotlib" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
