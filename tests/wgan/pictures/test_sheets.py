"""Sheets of slices and of structures: what stands where, how large, in which colour."""

import numpy as np
import pytest

from ruo2_voxel import mix_inks
from ruo2_wgan.errors import DataError
from ruo2_wgan.pictures import draw_samples, draw_slices, draw_volumes
from ruo2_wgan.pictures.volumes import find_fullest
from ruo2_wgan.sampling import Samples
from tests.wgan.real_densities import real_slices, real_volumes

SPECIES = ("Ru", "O", "H", "*")


def slices(n: int, n_species: int = 2) -> np.ndarray:
    return np.concatenate([real_slices()[:n].numpy()] * 2, axis=1)[:, :n_species]


def volumes(n: int, n_species: int = 2) -> np.ndarray:
    return np.concatenate([real_volumes()[:n, :, ::2, ::2, ::2].numpy()] * 2, axis=1)[:, :n_species]


def lengths(n: int, n_axes: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(5.0, 20.0, (n, n_axes))


def frames_of(figure) -> np.ndarray:
    """Left, top, width and height of the pictures, inches, in the order in which they were drawn."""
    return np.array([(*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in figure.axes[0].patches])


def words_of(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize("n_species", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [1, 7, 9])
@pytest.mark.parametrize("channels", ["print", "apart", "both"])
def test_each_slice_has_a_picture_of_its_lattice_lengths(n, n_species, channels):
    beside = {"print": 1, "apart": n_species, "both": 1 + n_species if n_species > 1 else 1}[channels]
    lattice = lengths(n, 2)
    figure = draw_slices(slices(n, n_species), SPECIES[:n_species], lattice, "title", channels=channels)
    figure.canvas.draw()
    frames = frames_of(figure)
    assert len(frames) == n * beside
    scales = frames[:, 2:] / np.repeat(lattice, beside, axis=0)
    np.testing.assert_allclose(scales, scales[0, 0])
    inside = (frames[:, :2] > 0.1) & (frames[:, :2] + frames[:, 2:] < figure.get_size_inches() - 0.1)
    assert inside.all()
    grounds = (frames[:, 1] + frames[:, 3]).reshape(n, beside)
    for row in (grounds[:8], grounds[8:]):
        np.testing.assert_allclose(row, row[:1, :1].repeat(len(row), 0).repeat(beside, 1))
    words = words_of(figure)
    assert words[:n] == [f"{u:.1f} x {z:.1f} Å" for u, z in lattice]
    assert words[n:] == ["title", *["Ru", "O", "H", "others"][:n_species][::-1]]


def test_pictures_do_not_overlap():
    frames = frames_of(draw_slices(slices(20), ("Ru", "O"), lengths(20, 2), "title", columns=6))
    low, high = frames[:, :2], frames[:, :2] + frames[:, 2:]
    apart = (low[:, None] >= high[None]).any(-1) | (high[:, None] <= low[None]).any(-1)
    assert (apart | np.eye(len(frames), dtype=bool)).all()


def test_nodes_lie_where_they_are_and_z_points_upwards():
    density = np.zeros((1, 2, 4, 8), dtype=np.float32)
    density[0, 0, 1, 2] = 1.0
    figure = draw_slices(density, ("Ru", "O"), np.array([[4.0, 8.0]]), channels="print")
    (left, top, wide, tall), (image,) = frames_of(figure)[0], figure.axes[0].images
    colours = np.asarray(image.get_array())
    assert colours.shape == (9, 5, 3)  # a row and a column more, which close the period
    np.testing.assert_array_equal(colours[0], colours[-1])
    (place,) = np.argwhere((colours < 0.99).any(-1))
    right_of, above = (place[::-1] + 0.5) / (5, 9)
    begin, end, bottom, up = image.get_extent()
    assert begin + right_of * (end - begin) == pytest.approx(left + wide / 4)
    assert bottom + above * (up - bottom) == pytest.approx(top + tall * (1 - 2 / 8))


def test_channels_keep_their_colours():
    density = slices(1)
    together, first, second = (
        np.asarray(image.get_array()) for image in draw_slices(density, ("Ru", "O")).axes[0].images
    )
    np.testing.assert_allclose(together, first * second)
    np.testing.assert_allclose(second[:-1, :-1], mix_inks(density[0, 1:], ("O",)).swapaxes(0, 1))


def test_voxels_are_square_without_lengths_and_no_length_is_named():
    figure = draw_slices(slices(3), ("Ru", "O"), title="title")
    ratio = frames_of(figure)[:, 3] / frames_of(figure)[:, 2]
    np.testing.assert_allclose(ratio, 2.0)
    assert words_of(figure) == ["title", "O", "Ru"]


def test_classes_stand_in_rows():
    label = np.arange(11) % 3
    samples = Samples(slices(11), lengths(11, 2), label)
    figure = draw_samples(samples, ("Ru", "O"), "title")
    frames, words = frames_of(figure), words_of(figure)
    n_each = 3  # of the class that has fewest
    assert len(frames) == 3 * n_each * 3
    assert [word for word in words if word.startswith("class")] == ["class 0", "class 1", "class 2"]
    shown = [word for word in words if word.endswith("Å")]
    assert shown == [f"{u:.1f} x {z:.1f} Å" for row in range(3) for u, z in samples.lattice[label == row][:n_each]]
    assert len(np.unique((frames[:, 1] + frames[:, 3]).round(6))) == 3


def test_samples_without_classes_and_of_structures():
    plain = draw_samples(Samples(slices(3), lengths(3, 2), np.full(3, -1)), ("Ru", "O"), "title")
    assert len(frames_of(plain)) == 9
    solid = draw_samples(Samples(volumes(2), lengths(2, 3), np.array([4, 0])), ("Ru", "O"), "title")
    assert {"class 4", "class 0"} <= set(words_of(solid))


@pytest.mark.parametrize(("n", "n_species"), [(1, 1), (2, 4), (10, 2)])
def test_structures_are_seen_in_space_and_along_both_axes(n, n_species):
    lattice = lengths(n, 3)
    figure = draw_volumes(volumes(n, n_species), SPECIES[:n_species], lattice, "title")
    figure.canvas.draw()
    shown = min(n, 8)
    assert len(figure.axes) == 1 + shown
    frames = frames_of(figure).reshape(shown, 3, 4)
    expected = lattice[:shown][:, [[0, 2], [1, 2], [0, 2]]]
    scales = frames[..., 2:] / expected
    np.testing.assert_allclose(scales, scales[0, 0, 0])
    assert (frames[..., :2] + frames[..., 2:] < figure.get_size_inches()).all()
    for axes in figure.axes[1:]:
        assert not axes.texts
        here = axes.transData.transform([[0.0, 0.0], [1.0, 1.0]]) / figure.dpi
        np.testing.assert_allclose(here[1] - here[0], scales[0, 0, 0])
    assert f"{lattice[0, 0]:.1f} x {lattice[0, 1]:.1f} x {lattice[0, 2]:.1f} Å" in words_of(figure)


def test_views_of_a_structure_are_its_highest_densities():
    density = volumes(1)
    images = draw_volumes(density, ("Ru", "O"), np.array([[6.0, 9.0, 20.0]])).axes[0].images
    planes = density[0].max(axis=2), density[0].max(axis=1), density[0][:, :, find_fullest(density[0])]
    for image, plane in zip(images, planes, strict=True):
        np.testing.assert_allclose(np.asarray(image.get_array())[:-1, :-1].swapaxes(0, 1), mix_inks(plane, ("Ru", "O")))


def test_the_fullest_plane_shows_every_channel():
    held = np.array([[0.0, 0.3, 0.0, 0.7], [0.0, 0.3, 0.7, 0.0]])  # of each channel, by plane
    density = np.broadcast_to(held[:, None, :, None], (2, 4, 4, 4))
    assert find_fullest(density) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"density": np.zeros((0, 2, 4, 4))}, "n > 0"),
        ({"density": np.zeros((3, 2, 4))}, r"densities \(n, species, u, z\)"),
        ({"species": ("Ru",)}, "of Ru"),
        ({"lattice": np.ones((2, 2))}, r"lattice lengths \(2, 2\)"),
        ({"lattice": np.zeros((3, 2))}, "above 0 Å; found 0"),
        ({"captions": ["one"]}, "captions 1"),
        ({"columns": 0}, "found 0 columns"),
        ({"row_names": ["one", "two"]}, "2 names of 1 rows"),
        ({"channels": "none"}, "print, apart, both"),
    ],
)
def test_slices_that_do_not_fit_are_refused(change, words):
    good = {"density": slices(3), "species": ("Ru", "O"), "lattice": lengths(3, 2)}
    with pytest.raises(DataError, match=words):
        draw_slices(**(good | change))


def test_structures_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match=r"densities \(n, species, x, y, z\)"):
        draw_volumes(slices(2), ("Ru", "O"), lengths(2, 3))
