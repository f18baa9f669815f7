"""Grids that something has made are stored, read, checked, shown, decoded and exported like those of structures."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from ase.io import read
from ase.io.xsf import read_xsf
from click.testing import CliRunner

from ruo2_voxel import (
    Grid,
    GridBlock,
    SliceChoice,
    SliceView,
    StoreError,
    build_slices,
    decode_store,
    export_grid,
    open_slices,
    open_store,
    verify_store,
    write_grids,
)
from ruo2_voxel.cli import cli
from ruo2_voxel.pictures.of_store import PICTURES
from ruo2_voxel.store.verify import verify_slices

MADE_BY = {"model": "a test", "seed": 3}
SMALL = Grid(shape=(8, 8, 8), sigma=1.0)


def blocks_of(path: Path, sizes: list[int]) -> list[GridBlock]:
    store = open_store(path)
    edges = np.cumsum([0, *sizes])
    return [
        GridBlock(store.densities(rows), store.lattice[rows], rows % 4)
        for rows in (np.arange(begin, end) for begin, end in pairwise(edges))
    ]


@pytest.mark.parametrize("sizes", [[50], [1, 20, 0, 29], [16, 16, 16, 2]])
def test_blocks_of_any_size_give_the_store_back(store_path: Path, tmp_path: Path, sizes: list[int]) -> None:
    real = open_store(store_path)
    write_grids(tmp_path / "fake.zarr", blocks_of(store_path, sizes), real.grid, MADE_BY)
    fake = open_store(tmp_path / "fake.zarr")
    rows = np.arange(50)
    assert np.array_equal(fake.read(rows), real.read(rows))
    assert np.array_equal(fake.lattice, real.lattice)
    assert np.array_equal(fake.energy_class, rows % 4)
    assert fake.generated == MADE_BY
    assert real.generated is None
    assert (fake.n_atoms == 0).all()
    assert len(fake.atoms(3)) == 0
    np.testing.assert_allclose(np.diagonal(fake.cell, axis1=1, axis2=2), real.lattice)
    assert verify_store(fake)["generated"]


def test_more_than_a_shard(tmp_path: Path) -> None:
    grid = Grid(species=("O",), shape=(2, 2, 2), sigma=2.0)
    random = np.random.default_rng(1)
    density = random.random((2100, 1, 2, 2, 2))
    blocks = [
        GridBlock(density[begin : begin + 300], np.full((300, 3), 5.0), np.full(300, -1))
        for begin in range(0, 2100, 300)
    ]
    write_grids(tmp_path / "fake.zarr", blocks, grid, MADE_BY)
    fake = open_store(tmp_path / "fake.zarr")
    assert np.abs(fake.densities(np.arange(2100)) - density).max() <= 0.5 / 255 + 1e-6
    verify_store(fake)


def test_slices_become_a_store_of_slices(store_path: Path, tmp_path: Path) -> None:
    view = SliceView(open_store(store_path), SliceChoice(planes=("xz",)))
    block = GridBlock(view.densities(np.arange(40)), view.lattice[:40], np.arange(40) % 3)
    write_grids(tmp_path / "fake.zarr", [block], view.store.grid, MADE_BY, slices=True)
    fake = open_slices(tmp_path / "fake.zarr")
    assert np.array_equal(fake.read(np.arange(40)), view.read(np.arange(40)))
    assert np.array_equal(fake.lattice, view.lattice[:40])
    assert fake.generated == MADE_BY
    assert set(fake.plane) == set(fake.position) == {-1}
    verify_slices(fake)
    assert "40 slices\n" in run("info", str(tmp_path / "fake.zarr")).stdout
    shown = run("show", str(tmp_path / "fake.zarr"), "--picture", "slices", "--out", str(tmp_path / "fake.png"))
    assert shown.exit_code == 0
    draw = PICTURES["slices"].of_slices
    assert draw is not None
    words = " ".join(text.get_text() for text in draw(fake).texts)
    assert "class 2\ngenerated" in words
    assert "-plane" not in words


def test_slices_of_generated_grids_say_so_too(store_path: Path, tmp_path: Path) -> None:
    write_grids(tmp_path / "fake.zarr", blocks_of(store_path, [8]), open_store(store_path).grid, MADE_BY)
    view = SliceView(open_store(tmp_path / "fake.zarr"), SliceChoice(planes=("xz",)))
    build_slices(view, tmp_path / "slices.zarr")
    assert open_slices(tmp_path / "slices.zarr").generated == MADE_BY
    said = run("info", str(tmp_path / "slices.zarr")).stdout
    assert "generated model a test, seed 3" in said
    assert "cut at even into xz-planes" in said


def test_generated_grids_decode_like_those_of_structures(store_path: Path, tmp_path: Path) -> None:
    write_grids(tmp_path / "fake.zarr", blocks_of(store_path, [8]), open_store(store_path).grid, MADE_BY)
    reports = [
        decode_store(open_store(path), tmp_path / f"{name}.xyz", range(8))
        for name, path in (("fake", tmp_path / "fake.zarr"), ("real", store_path))
    ]
    assert reports[0]["atoms"] == reports[1]["atoms"]
    assert reports[0]["with_other_counts"] == 0
    found = read(tmp_path / "fake.xyz", index=":")
    assert [atoms.info["energy_class"] for atoms in found] == [0, 1, 2, 3] * 2


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, arguments)


def test_commands_say_that_grids_were_generated(store_path: Path, tmp_path: Path) -> None:
    fake = str(tmp_path / "fake.zarr")
    write_grids(fake, blocks_of(store_path, [8]), open_store(store_path).grid, MADE_BY)
    said = run("info", fake).stdout
    assert "8 structures, without atoms" in said
    assert "generated model a test, seed 3" in said
    assert "no structures to voxelize anew" in run("verify", fake).stdout
    picture = ("show", fake, "--out", str(tmp_path / "fake.png"))
    assert run(*picture).exit_code == 0
    assert run("export", fake, "--out", str(tmp_path / "fake.cube")).exit_code == 0
    for more, message in (
        (["--picture", "preparation"], "found generated grids"),
        (["--picture", "classes"], "found generated grids"),
        (["--planes", "1,2,3"], "takes no --planes"),
    ):
        with pytest.raises(StoreError, match=message):
            cli([*picture, *more], standalone_mode=False)


def test_generated_grids_are_exported_with_the_atoms_found_in_them(store_path: Path, tmp_path: Path) -> None:
    real = open_store(store_path)
    write_grids(tmp_path / "fake.zarr", blocks_of(store_path, [2]), real.grid, MADE_BY)
    fake = open_store(tmp_path / "fake.zarr")
    export_grid(fake, 1, tmp_path / "fake.xsf", species=["O"])
    with (tmp_path / "fake.xsf").open() as file:
        values, _, _, atoms = read_xsf(file, read_data=True)
    assert sorted(atoms.symbols) == sorted(real.atoms(1).symbols)
    np.testing.assert_allclose(values[:-1, :-1, :-1], fake.density(1)[1], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"density": np.full((40, 2, 8, 8, 8), np.nan)}, r"must lie in \[0, 1\]"),
        ({"density": np.full((40, 2, 8, 8, 8), 1.01)}, r"must lie in \[0, 1\]; found 1.01"),
        ({"density": np.zeros((40, 2, 8, 8))}, "must be densities of shape"),
        ({"lattice": np.zeros((40, 3))}, "must be above 0"),
        ({"lattice": np.ones((40, 2))}, "must be densities of shape"),
        ({"energy_class": np.zeros(41)}, "must be densities of shape"),
        ({"energy_class": np.full(40, 128)}, "whole numbers from 0 to 127, or -1 for none; found 128"),
        ({"energy_class": np.full(40, -2)}, "found -2"),
        ({"energy_class": np.full(40, 0.5)}, "found 0.5"),
        ({"energy_class": np.full(40, np.nan)}, "found nan"),
    ],
)
@pytest.mark.parametrize("place", ["disk", "url"])
def test_bad_grids_are_refused_and_leave_nothing(tmp_path: Path, change: dict[str, Any], says: str, place: str) -> None:
    """However many chunks of a shard were written before: a model that diverges late is no reason for half a store."""
    good = GridBlock(np.full((40, 2, 8, 8, 8), 0.5), np.ones((40, 3)), np.zeros(40))
    out = str(tmp_path / "fake.zarr") if place == "disk" else f"memory:/{tmp_path}/fake.zarr"
    with pytest.raises(StoreError, match=says):
        write_grids(out, [good, good._replace(**change)], SMALL, MADE_BY)
    assert not list(tmp_path.iterdir())
    assert not fsspec.filesystem("memory").find(str(tmp_path))


def test_an_interrupted_store_leaves_nothing(tmp_path: Path) -> None:
    def blocks() -> Any:
        yield GridBlock(np.full((40, 2, 8, 8, 8), 0.5), np.ones((40, 3)), np.zeros(40))
        assert [path.name for path in tmp_path.iterdir()] == ["fake.zarr.building"]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_grids(tmp_path / "fake.zarr", blocks(), SMALL, MADE_BY)
    assert not list(tmp_path.iterdir())


def test_a_store_needs_grids_and_words_that_can_be_kept(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="at least one grid"):
        write_grids(tmp_path / "fake.zarr", [], SMALL, MADE_BY)
    for words in ({"seed": np.int64(3)}, {"loss": float("nan")}):
        with pytest.raises(StoreError, match="generated must hold plain values"):
            write_grids(tmp_path / "fake.zarr", iter(int, 1), SMALL, words)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_a_store_is_replaced_only_if_asked(tmp_path: Path) -> None:
    blocks = [GridBlock(np.zeros((1, 2, 8, 8, 8)), np.ones((1, 3)), np.zeros(1))]
    write_grids(tmp_path / "fake.zarr", blocks, SMALL, {"seed": 1})
    with pytest.raises(StoreError, match="must not exist yet"):
        write_grids(tmp_path / "fake.zarr", blocks, SMALL, {"seed": 2})
    write_grids(tmp_path / "fake.zarr", blocks, SMALL, {"seed": 2}, overwrite=True)
    assert open_store(tmp_path / "fake.zarr").generated == {"seed": 2}
