"""Pages of slices, classes and surfaces show every number they were made from, to one scale, and can be read."""

import numpy as np
import pytest
from ase import Atoms
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.density.voxelize import voxelize
from ruo2_voxel.errors import GridError, StructureError
from ruo2_voxel.pictures import draw_classes, draw_slice_sheet, draw_space, draw_structure_sheet
from ruo2_voxel.pictures.colours import density_colours, mix_inks
from tests.voxel.words import assert_readable, words_of, words_on

BRICK = np.diag([6.0, 7.0, 11.0])
SKEWED = np.array([[6.0, 0.0, 0.0], [-2.5, 6.5, 0.0], [1.2, 0.9, 10.0]])
TOWER = np.diag([4.0, 4.5, 40.0])
PLATE = np.diag([30.0, 24.0, 8.0])


def density_in(cell: np.ndarray, shape: tuple[int, int, int] = (16, 20, 28)) -> np.ndarray:
    scaled = [[0.1, 0.2, 0.3], [0.6, 0.7, 0.35], [0.4, 0.9, 0.4], [0.9, 0.5, 0.45]]
    atoms = Atoms("RuORuO", cell=cell, scaled_positions=scaled, pbc=True)
    sigma = 0.65 * float((np.linalg.norm(cell, axis=1) / shape).max())
    return voxelize(atoms, Grid(shape=shape, sigma=sigma)).clip(0.0, 1.0)


def pixels_per_angstrom(figure: Figure) -> np.ndarray:
    figure.canvas.draw()
    return np.concatenate([np.diff(axes.transData.transform([[0, 0], [1, 1]]), axis=0) for axes in figure.axes])


def overprinted(values: np.ndarray) -> np.ndarray:
    """Ru and O printed over each other, (m, n, 3)."""
    return np.asarray(density_colours("Ru")(values[0]) * density_colours("O")(values[1]))[..., :3]


def print_of(figure: Figure, number: int) -> np.ndarray:
    """The pixels of a slice: first index to the right, without the nodes that repeat beyond the border."""
    return np.asarray(figure.axes[number].images[0].get_array()).swapaxes(0, 1)[:-1, :-1]


# --- inks


def test_one_ink_alone_is_its_colour_and_two_are_darker_than_either() -> None:
    values = np.linspace(0.0, 1.0, 11)
    nothing = np.zeros(11)
    np.testing.assert_allclose(mix_inks(np.stack([values, nothing]), ("Ru", "O")), density_colours("Ru")(values)[:, :3])
    np.testing.assert_allclose(mix_inks(np.stack([nothing, values]), ("Ru", "O")), density_colours("O")(values)[:, :3])
    both = mix_inks(np.stack([values, values]), ("Ru", "O"))
    for symbol in ("Ru", "O"):
        assert (both[1:].sum(axis=1) < density_colours(symbol)(values[1:])[:, :3].sum(axis=1)).all()


# --- slices of a structure


@pytest.mark.parametrize("shape", [(16, 20, 28), (3, 8, 12), (32, 9, 10)])
def test_a_sheet_shows_planes_at_equal_distances_through_the_whole_cell(shape: tuple[int, int, int]) -> None:
    density = density_in(BRICK, shape)
    figure = draw_structure_sheet(density, BRICK, ("Ru", "O"), "a title")
    panels = iter(range(len(figure.axes)))
    for axis, name in ((2, "y"), (1, "x")):
        n = density.shape[axis]
        shown = [int(place * n / min(n, 8)) for place in range(min(n, 8))]
        for position in shown:
            number = next(panels)
            np.testing.assert_allclose(print_of(figure, number), overprinted(density.take(position, axis=axis)))
            where = position / n * BRICK[axis - 1, axis - 1]
            assert figure.axes[number].get_title() == f"{name} = {where:.2f} Å"
    assert list(panels) == []
    assert "a title, 6.00 x 7.00 x 11.00 Å" in [text.get_text() for text in figure.texts]


@pytest.mark.parametrize("cell", [BRICK, SKEWED, TOWER, PLATE], ids=["brick", "triclinic", "tower", "plate"])
def test_a_sheet_has_one_scale_and_can_be_read(cell: np.ndarray) -> None:
    figure = draw_structure_sheet(density_in(cell), cell, ("Ru", "O"))
    scales = pixels_per_angstrom(figure)
    np.testing.assert_allclose(scales, scales[0, 0])
    assert_readable(figure)
    assert figure.get_size_inches()[1] < 8.7


def test_a_sheet_of_no_density_is_refused() -> None:
    with pytest.raises(GridError, match=r"density must have the shape .* with species Ru,O"):
        draw_structure_sheet(np.zeros((1, 4, 4, 4)), BRICK, ("Ru", "O"))
    with pytest.raises(StructureError, match="the cell must be three vectors"):
        draw_structure_sheet(np.zeros((2, 4, 4, 4)), np.zeros((3, 3)), ("Ru", "O"))


# --- slices of many structures


@pytest.mark.parametrize("n", [1, 8, 11, 24])
def test_a_sheet_of_slices_shows_each_to_scale_with_its_words_below(n: int) -> None:
    rng = np.random.default_rng(4)
    slices = rng.random((n, 2, 6, 9)).astype(np.float32)
    lengths = rng.uniform([5.0, 15.0], [19.0, 25.0], (n, 2))
    planes = rng.choice(["xz", "yz"], n).tolist()
    captions = [f"class {number}\n{plane}-plane {number}" for number, plane in enumerate(planes)]
    figure = draw_slice_sheet(slices, lengths, planes, captions, ("Ru", "O"), "a title")
    assert len(figure.axes) == n
    for number, axes in enumerate(figure.axes):
        np.testing.assert_allclose(print_of(figure, number), overprinted(slices[number]))
        np.testing.assert_allclose([axes.get_xlim(), axes.get_ylim()], [(0, each) for each in lengths[number]])
    scales = pixels_per_angstrom(figure)
    np.testing.assert_allclose(scales, scales[0, 0])
    assert_readable(figure)
    below = [text for text in figure.texts if "class" in text.get_text()]
    for text, axes, caption, (wide, tall) in zip(below, figure.axes, captions, lengths, strict=True):
        assert text.get_text() == f"{caption}\n{wide:.2f} x {tall:.2f} Å"
        words, frame = text.get_window_extent(), axes.get_window_extent()
        assert words.y1 < frame.y0
        assert 0.5 * (words.x0 + words.x1) == pytest.approx(0.5 * (frame.x0 + frame.x1), abs=2.0)


# --- classes


@pytest.mark.parametrize("n", [1, 2, 10, 30, 127])
def test_each_class_has_a_bar_its_count_its_number_and_its_edges(n: int) -> None:
    rng = np.random.default_rng(n)
    counts = rng.integers(20, 2000, n)
    edges = np.sort(rng.normal(-7.0, 1.0, n + 1))
    figure = draw_classes(counts, edges, "energy-per-atom", "quantile", "eV/atom")
    (axes,) = figure.axes
    assert_readable(figure)
    bars = [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in axes.patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose([x + 0.5 * width for x, width, _ in bars], np.arange(n) + 0.5)
    np.testing.assert_allclose([width for _, width, _ in bars], bars[0][1])
    assert [height for _, _, height in bars] == counts.tolist()
    assert words_of(axes) == [f"{count:,}" for count in counts]
    for word, height in zip(axes.texts, counts, strict=True):
        assert axes.transData.transform((0.0, height))[1] < word.get_window_extent().y0
    assert [tick.get_text() for tick in axes.get_xticklabels(minor=True)] == [str(number) for number in range(n)]
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    written = np.array([float(name.replace("\N{MINUS SIGN}", "-")) for name in names])
    np.testing.assert_array_equal(axes.get_xticks(), np.arange(n + 1))
    assert len(set(names)) == n + 1
    assert np.abs(written - edges).max() < 0.06 * np.diff(edges).min()


@pytest.mark.parametrize(
    ("label", "units", "words"),
    [
        ("energy-per-atom", "eV/atom", "energy (eV/atom)"),
        ("energy", "eV", "total energy (eV)"),
        ("surface-free-energy", "eV/Å^2", "surface free energy (eV/Å²)"),
        ("info:mu_O", "", "mu_O"),
    ],
)
def test_the_page_of_classes_says_what_is_sorted_and_how(label: str, units: str, words: str) -> None:
    figure = draw_classes(np.array([1200, 34]), np.array([0.0, 1.0, 2.0]), label, "equal-width", units, "slice", 5)
    expected = f"1,234 slices in 2 equal-width classes of {words}, 5 more without a class"
    assert [text.get_text() for text in figure.texts] == [expected]
    assert figure.axes[0].get_xlabel() == f"class, and its edges: {words}"


@pytest.mark.parametrize(("counts", "skewed"), [([5014, 732, 0, 1], True), ([40, 0, 1], False), ([0, 7], False)])
def test_skewed_classes_are_drawn_in_powers_of_ten_and_the_page_says_so(counts: list[int], skewed: bool) -> None:
    figure = draw_classes(np.array(counts), np.arange(len(counts) + 1.0), "energy", "equal-width", "eV")
    (axes,) = figure.axes
    assert (axes.get_yscale() == "log") == skewed
    assert axes.get_ylabel() == ("structures (log scale)" if skewed else "structures")
    assert words_of(axes) == [f"{count:,}" for count in counts]  # of empty ones as well
    assert_readable(figure)
    floor = axes.get_window_extent().y0
    assert all(floor < word.get_window_extent().y0 < floor + axes.get_window_extent().height for word in axes.texts)


# --- space


@pytest.mark.parametrize("cell", [BRICK, SKEWED, TOWER, PLATE], ids=["brick", "triclinic", "tower", "plate"])
def test_the_view_in_space_fills_its_page_and_can_be_read(cell: np.ndarray) -> None:
    figure = draw_space(density_in(cell), cell, ("Ru", "O"), 0.4, "a title")
    (axes,) = figure.axes
    (surfaces,) = (one for one in axes.collections if isinstance(one, PolyCollection))
    assert len(surfaces.get_paths()) > 500
    assert {"a title", "surfaces of density 0.4", "Ru", "O"} <= {text.get_text() for text in words_on(figure)}
    assert_readable(figure)
    width, height = figure.get_size_inches()
    drawn = axes.get_window_extent()
    shares = drawn.width / figure.bbox.width, drawn.height / figure.bbox.height
    assert max(shares) > 0.8
    assert width <= 10.0
    assert height <= 8.7


def test_a_view_of_no_density_is_refused() -> None:
    with pytest.raises(GridError, match="density must be finite"):
        draw_space(np.full((2, 4, 4, 4), np.nan), BRICK, ("Ru", "O"))
