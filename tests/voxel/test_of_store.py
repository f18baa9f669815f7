"""Each picture of a store shows what the store holds; what it cannot show is one clear error."""

from pathlib import Path

import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from click.testing import CliRunner
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ruo2_voxel import Grid, build, open_store
from ruo2_voxel.cli.stores import show
from ruo2_voxel.errors import StoreError
from ruo2_voxel.pictures import draw_structure, new_figure, of_store
from ruo2_voxel.pictures.colours import mix_inks
from ruo2_voxel.pictures.of_store import PICTURES, draw_store
from ruo2_voxel.store.reader import VoxelStore
from ruo2_voxel.store.slice_store import SliceStore, build_slices, open_any, open_slices
from ruo2_voxel.store.slice_view import SliceView
from ruo2_voxel.store.summary import summarize_any
from ruo2_voxel.structures.preparation import Preparation, repeat_to_square, set_vacuum
from tests.voxel.words import assert_readable, words_of

N = 6
GRID = Grid(shape=(12, 12, 20), sigma=0.8)
PREPARATION = Preparation(square=True, vacuum=12.0)


def slab(index: int) -> Atoms:
    """No two alike, and no atom on a border."""
    rng = np.random.default_rng(index)
    atoms = Atoms("RuO2O", cell=[4.0, 6.0 + 0.1 * index, 20.0], pbc=True)
    atoms.set_scaled_positions(rng.uniform([0.1, 0.1, 0.3], [0.9, 0.9, 0.4], (4, 3)))
    atoms.info["mu_O"] = -0.25 * index
    atoms.calc = SinglePointCalculator(atoms, energy=-30.0 + rng.random())
    return atoms


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.db"
    with ase.db.connect(path) as database:
        for index in range(N + 1):
            database.write(slab(index), mu_O=-0.25 * index)
        del database[1]
    return path


@pytest.fixture
def store(source: Path, tmp_path: Path) -> VoxelStore:
    build(
        source,
        tmp_path / "s.zarr",
        GRID,
        copies=3,
        translate=True,
        rotate=True,
        preparation=PREPARATION,
        label="info:mu_O",
        n_classes=3,
    )
    return open_store(tmp_path / "s.zarr")


@pytest.fixture
def slices(store: VoxelStore, tmp_path: Path) -> SliceStore:
    build_slices(SliceView(store), tmp_path / "slices.zarr")
    return open_slices(tmp_path / "slices.zarr")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were to be written."""
    figures: list[Figure] = []
    monkeypatch.setattr(of_store, "save_figure", lambda figure, _: figures.append(figure))
    return figures


def spheres_of(axes: Axes) -> np.ndarray:
    offsets = np.asarray(axes.collections[-1].get_offsets())[::2]  # type: ignore[attr-defined]
    return offsets[np.lexsort(offsets.round(3).T)]


# --- what they show


def test_the_command_offers_every_picture_and_writes_it(store: VoxelStore, tmp_path: Path) -> None:
    (option,) = (each for each in show.params if each.name == "picture")
    assert list(option.type.choices) == list(PICTURES)  # type: ignore[attr-defined]
    for picture in PICTURES:
        out = tmp_path / f"{picture}.png"
        result = CliRunner().invoke(show, [store.location, "--out", str(out), "--picture", picture])
        assert (result.output, result.exit_code) == (f"{out}\n", 0), result.exception
        assert out.read_bytes().startswith(b"\x89PNG")


def test_the_overview_shows_where_the_structure_stands_by_the_label_of_the_store(
    store: VoxelStore, drawn: list[Figure]
) -> None:
    draw_store(store, "x.png", index=7)
    histogram = drawn[0].axes[-1]
    assert histogram.get_xlabel() == "mu_O"
    assert histogram.get_title(loc="left") == f"{3 * N} structures in 3 classes"
    lines = [float(np.atleast_1d(line.get_xdata())[0]) for line in histogram.lines]
    np.testing.assert_allclose(lines, [*store.attrs["classes"]["edges"], store.label[7]])
    assert "structure 7: row 4 of rows.db, copy 1" in [text.get_text() for text in drawn[0].texts]


def test_without_a_label_the_overview_shows_energies_per_atom(
    source: Path, tmp_path: Path, drawn: list[Figure]
) -> None:
    build(source, tmp_path / "plain.zarr", GRID, label="none")
    draw_store(open_store(tmp_path / "plain.zarr"), "x.png")
    histogram = drawn[0].axes[-1]
    assert histogram.get_xlabel() == "energy (eV/atom)"
    assert histogram.get_title(loc="left") == f"{N} structures"
    lowest = min(slab(index).get_potential_energy() for index in range(1, N + 1)) / 4
    assert words_of(histogram) == [f"shown: {lowest:.3f}".replace("-", "\N{MINUS SIGN}")]


@pytest.mark.parametrize("of", ["structures", "slices"])
def test_classes_are_counted_as_the_store_sorts_them(
    of: str, store: VoxelStore, slices: SliceStore, drawn: list[Figure]
) -> None:
    shown = store if of == "structures" else slices
    draw_store(shown, "x.png", "classes")
    assert words_of(drawn[0].axes[0]) == [f"{n:,}" for n in np.bincount(shown.energy_class)]
    (title,) = (text.get_text() for text in drawn[0].texts)
    assert title == f"{len(shown)} {of} in 3 equal-width classes of mu_O"


@pytest.mark.parametrize("index", [0, 4, -1])
def test_preparation_shows_the_structure_as_read_and_prepared_but_not_yet_moved(
    index: int, store: VoxelStore, drawn: list[Figure]
) -> None:
    draw_store(store, "x.png", "preparation", index=index)
    before = slab(1 + index % len(store) // 3)
    after = repeat_to_square(set_vacuum(before, 12.0))
    for axes, atoms, plane in zip(drawn[0].axes, (before, before, after, after), ("xz", "xy", "xz", "xy"), strict=True):
        expected = new_figure(2.0, 2.0).add_axes((0, 0, 1, 1))
        draw_structure(expected, atoms, plane)
        np.testing.assert_allclose(spheres_of(axes), spheres_of(expected), atol=2e-5)
    words = [text.get_text() for text in drawn[0].texts]
    assert f"preparation of row {2 + index % len(store) // 3} of rows.db" in words
    assert any(word.startswith("repeated 3 x 2; vacuum ") for word in words)


def test_the_sheet_of_a_store_of_slices_shows_the_same_ones_at_random(slices: SliceStore, drawn: list[Figure]) -> None:
    for _ in range(2):
        draw_store(slices, "x.png", "slices")
    first, second = ([text.get_text() for text in figure.texts] for figure in drawn)
    assert first == second
    assert f"24 of {len(slices)} slices, at random" in first
    assert_readable(drawn[0])
    captions = [words for words in first if words.startswith("class")]
    assert len(set(captions)) > 10
    for axes, caption in zip(drawn[0].axes, captions, strict=True):
        pixels = np.asarray(axes.images[0].get_array()).swapaxes(0, 1)[:-1, :-1]
        # Among the slices of that class, plane, position and size there is this one.
        found = [
            np.allclose(pixels, mix_inks(slices.density(i), ("Ru", "O")), atol=1e-6)
            for i in range(len(slices))
            if caption
            == f"class {slices.energy_class[i]}\n{('xz', 'yz')[slices.plane[i]]}-plane {slices.position[i]}\n"
            f"{slices.lattice[i, 0]:.2f} x {slices.lattice[i, 1]:.2f} Å"
        ]
        assert any(found)


def test_a_small_store_of_slices_is_shown_whole(source: Path, tmp_path: Path, drawn: list[Figure]) -> None:
    build(f"{source}@:1", tmp_path / "one.zarr", GRID, label="none")
    build_slices(SliceView(open_store(tmp_path / "one.zarr")), tmp_path / "few.zarr")
    few = open_any(str(tmp_path / "few.zarr"))
    assert len(few) < 24
    draw_store(few, "x.png", "slices")
    assert len(drawn[0].axes) == len(few)
    assert sum(text.get_text().startswith("no class\n") for text in drawn[0].texts) == len(few)


def test_a_location_is_opened_as_what_lies_there(store: VoxelStore, slices: SliceStore, tmp_path: Path) -> None:
    assert isinstance(open_any(store.location), VoxelStore)
    assert isinstance(open_any(slices.location), SliceStore)
    assert summarize_any(open_any(store.location))["structures"] == len(store)
    assert summarize_any(open_any(slices.location))["slices"] == len(slices)
    with pytest.raises(StoreError, match=r"nothing.zarr: must be a voxel store; found nothing there"):
        open_any(tmp_path / "nothing.zarr")


# --- what they cannot show


def test_classes_of_a_store_without_a_label_are_refused(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "plain.zarr", GRID, label="none")
    with pytest.raises(StoreError, match=r"plain.zarr: must have a label for its classes to be drawn; found none"):
        draw_store(open_store(tmp_path / "plain.zarr"), tmp_path / "x.png", "classes")


def test_preparation_needs_the_file_that_the_store_was_built_from(
    source: Path, store: VoxelStore, tmp_path: Path
) -> None:
    with ase.db.connect(source) as database:
        database.update(3, mu_O=1.0)
    with pytest.raises(StoreError, match=r"rows.db: must still be what the store was built from, with sha256 \w{64}"):
        draw_store(store, tmp_path / "x.png", "preparation")
    source.unlink()
    with pytest.raises(StoreError, match=r"rows.db: must still be there to be read again; found: No such file"):
        draw_store(store, tmp_path / "x.png", "preparation")


@pytest.mark.parametrize(
    ("picture", "options", "message"),
    [
        ("portrait", {}, "picture must be one of overview, classes, preparation, slices, space; found 'portrait'"),
        ("classes", {"index": 1}, "the picture classes takes no --index; leave it out"),
        ("slices", {"level": 0.4, "planes": (0, 0, 0)}, "the picture slices takes no --level and no --planes"),
        ("space", {"index": 18}, "index must lie within 18 structures; found 18"),
    ],
)
def test_what_a_picture_cannot_take_is_refused(
    picture: str, options: dict[str, object], message: str, store: VoxelStore, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match=message):
        draw_store(store, tmp_path / "x.png", picture, **options)  # type: ignore[arg-type]
    assert not (tmp_path / "x.png").exists()


def test_slices_have_no_pictures_of_structures(slices: SliceStore, tmp_path: Path) -> None:
    for picture in ("overview", "preparation", "space"):
        with pytest.raises(StoreError, match=r"found one of slices\. Draw --picture classes or --picture slices"):
            draw_store(slices, tmp_path / "x.png", picture)
    with pytest.raises(StoreError, match="the picture slices takes no --index"):
        draw_store(slices, tmp_path / "x.png", "slices", index=0)
