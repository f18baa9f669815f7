"""A manifest with a recipe is replayed: its options are those of a build by hand, and what comes out is counted."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase.io import write

from ruo2_voxel import (
    BuildOptions,
    Grid,
    ManifestError,
    Preparation,
    SliceChoice,
    StoreError,
    SurfaceReference,
    build,
    open_store,
    read_manifest,
)
from ruo2_voxel.store.build import run
from ruo2_voxel.store.manifest import count_slices, plan_from_manifest, recipe_of, split_options
from ruo2_voxel.structures.surfaces import surface_family
from tests.voxel.stores import assert_same_store

REPOSITORY = Path(__file__).parents[2]
MANIFESTS = sorted((REPOSITORY / "data_manifests").glob("*.toml"))

HEAD = """
manifest_form = 1
name = "slabs"
title = "Slabs"
origin = "A test."
method = "None."
licence = "No licence restricts it."
preparation = "None."
info_complete = false

[[files]]
path = "slabs.traj"
{file}
frames = 12

[units]
length = "angstrom"
energy = "eV"

[expected]
frames = 12
species = ["O", "Ru"]

[info]
"""
RECIPE = """
[build]
grid = [8, 8, 16]
sigma = 1.2
orthogonal = true
square = true
max_length = 12.0
vacuum = 12.0
copies = 2
translate = true
rotate = true
seed = 3
label = "info:n_layers"
class_method = "clipped-equal-width"
classes = 3
clip = [0.0, 1.0]
allow_empty_classes = true

[expected.store]
structures = 24
label_range = [4.0, 9.0]

[slices]
every = "even"
drop_empty = false
expected = 192
"""
OPTIONS: dict[str, Any] = {
    "preparation": Preparation(orthogonal=True, square=True, max_length=12.0, vacuum=12.0),
    "copies": 2,
    "translate": True,
    "rotate": True,
    "seed": 3,
    "label": "info:n_layers",
    "class_method": "clipped-equal-width",
    "n_classes": 3,
    "clip": (0.0, 1.0),
    "allow_empty_classes": True,
}


def write_manifest(folder: Path, recipe: str = RECIPE, file: str | None = None) -> Path:
    """Twelve slabs, and a manifest of them."""
    path = folder / "slabs.traj"
    write(path, list(surface_family(facets=("110", "111"), terminations=("O-poor", "O-rich"), copies=3, rattle=0.05)))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    file = f'sha256 = "{sha256}"\nbytes = {path.stat().st_size}' if file is None else file
    manifest = folder / "slabs.toml"
    manifest.write_text(HEAD.format(file=file) + recipe, encoding="utf-8")
    return manifest


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
def test_a_shipped_manifest_has_a_recipe(path: Path) -> None:
    manifest = read_manifest(path)
    assert manifest.name == path.stem
    assert isinstance(recipe_of(manifest).build_options(**split_options(manifest)), BuildOptions)
    if not all(file.path.is_file() for file in manifest.files):
        assert all(file.obtain for file in manifest.files)
        with pytest.raises(ManifestError, match=r"found no such file\. It does not come with the manifest"):
            plan_from_manifest(manifest, "out.zarr")


@pytest.mark.parametrize(
    ("name", "structures", "slices"),
    [("gap-148", 148 * 4, 18_944), ("gap-91", 91 * 4, 11_648), ("basin-hopping", 28_903, 57_806)],
)
def test_manifests_of_the_thesis_count_as_it_does(name: str, structures: int, slices: int) -> None:
    manifest = read_manifest(REPOSITORY / "data_manifests" / f"{name}.toml")
    recipe = recipe_of(manifest)
    assert manifest.expected.n_frames * recipe.options["copies"] == recipe.expected.structures == structures
    assert recipe.slices is not None
    n_positions = 16 if recipe.slices.positions == "even" else len(recipe.slices.positions)  # type: ignore[arg-type]
    assert recipe.grid.shape == (32, 32, 32)
    assert structures * n_positions * len(recipe.slices.planes) == recipe.n_slices == slices


def test_a_replayed_store_is_the_one_built_by_hand(tmp_path: Path) -> None:
    manifest = read_manifest(write_manifest(tmp_path))
    assert recipe_of(manifest).slices == SliceChoice(positions="even", drop_empty=False)
    run(plan_from_manifest(manifest, tmp_path / "replayed.zarr"))
    assert count_slices(manifest, tmp_path / "replayed.zarr") == 192
    build(manifest.files[0].path, tmp_path / "by_hand.zarr", Grid(shape=(8, 8, 16), sigma=1.2), **OPTIONS)
    assert_same_store(tmp_path / "replayed.zarr", tmp_path / "by_hand.zarr")


def test_the_surface_reference_is_read(tmp_path: Path) -> None:
    recipe = '[build]\nlabel = "surface-free-energy"\n[build.reference]\nbulk_energy = -24.0\noxygen_energy = -5.0\n'
    manifest = read_manifest(write_manifest(tmp_path, recipe + "delta_mu = -0.5\n[expected.store]\nstructures = 12\n"))
    assert recipe_of(manifest).build_options().reference == SurfaceReference(-24.0, -5.0, -0.5)


def changed(old: str, new: str) -> Callable[[Path], Path]:
    assert old in RECIPE
    return lambda folder: write_manifest(folder, RECIPE.replace(old, new))


@pytest.mark.parametrize(
    ("make", "error", "found"),
    [
        (
            changed("structures = 24", "structures = 25"),
            ManifestError,
            "must hold 25 structures, as expected; found 24",
        ),
        (changed("[4.0, 9.0]", "[4.0, 8.5]"), ManifestError, r"labels must lie from 4.0 to 8.5.*found 4.0 to 9.0"),
    ],
)
def test_a_store_that_is_not_what_was_expected_is_never_complete(
    make: Callable[[Path], Path], error: type[Exception], found: str, tmp_path: Path
) -> None:
    manifest = read_manifest(make(tmp_path))
    with pytest.raises(error, match=found):
        run(plan_from_manifest(manifest, tmp_path / "bh.zarr"))
    with pytest.raises(StoreError, match="the build of this store is not complete"):
        open_store(tmp_path / "bh.zarr")


def test_slices_that_are_not_as_many_as_expected_are_an_error(tmp_path: Path) -> None:
    manifest = read_manifest(changed("expected = 192", "expected = 193")(tmp_path))
    run(plan_from_manifest(manifest, tmp_path / "bh.zarr"))
    with pytest.raises(ManifestError, match=r"must give 193 slices, as .*slabs.toml expects; found 192"):
        count_slices(manifest, tmp_path / "bh.zarr")


def test_an_altered_file_is_not_built(tmp_path: Path) -> None:
    manifest = read_manifest(write_manifest(tmp_path))
    data = manifest.files[0].path
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    with pytest.raises(ManifestError, match=r"expected sha256 .* Its content has changed"):
        plan_from_manifest(manifest, tmp_path / "bh.zarr")


def test_a_file_without_checksum_needs_words_on_how_to_come_by_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"files\[0\].sha256: must be there"):
        read_manifest(write_manifest(tmp_path, file=""))
    manifest = read_manifest(write_manifest(tmp_path, file='obtain = "Make it."'))
    assert plan_from_manifest(manifest, tmp_path / "bh.zarr").n_candidates == 24
    manifest.files[0].path.unlink()
    with pytest.raises(ManifestError, match=r"found no such file\. .* Make it\."):
        plan_from_manifest(manifest, tmp_path / "bh.zarr")


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (changed("seed = 3", "sed = 3"), "build.sed: is not known"),
        (changed("vacuum = 12.0", "vacuum = 12"), "build.vacuum: must be a float; found 12"),
        (changed("vacuum = 12.0", "vacuum = -1.0"), "build: vacuum must be a positive length"),
        (changed('every = "even"', 'evry = "even"'), "slices.evry: is not known"),
        (changed('label = "info:n_layers"', 'label = "layers"'), "build: label must be one of"),
        (changed("[expected.store]\nstructures = 24", "[expected.store]"), "expected.store.structures: must be there"),
        (
            changed('label = "info:n_layers"', 'label = "surface-free-energy"\nreference = { bulk_energy = -24.0 }'),
            "build.reference: must hold bulk_energy and oxygen_energy",
        ),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(make: Callable[[Path], Path], found: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=found):
        read_manifest(make(tmp_path))


def test_a_manifest_without_a_recipe_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"must have a table \[build\] to be replayed; found none"):
        plan_from_manifest(read_manifest(write_manifest(tmp_path, "")), tmp_path / "bh.zarr")
