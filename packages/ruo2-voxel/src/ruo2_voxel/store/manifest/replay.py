"""Build the store that a manifest describes: its files checked first, then its recipe, then the counts."""

import os
from typing import Any

from ruo2_voxel.errors import ManifestError
from ruo2_voxel.store.build import plan_build
from ruo2_voxel.store.manifest.check import Advance, verify_manifest
from ruo2_voxel.store.manifest.form import Manifest
from ruo2_voxel.store.manifest.recipe import Recipe
from ruo2_voxel.store.plan import Plan
from ruo2_voxel.store.reader import open_store
from ruo2_voxel.store.slice_view import SliceView
from ruo2_voxel.structures.splits import group_text


def recipe_of(manifest: Manifest) -> Recipe:
    """The recipe of a manifest.

    Raises
    ------
    ManifestError
        It has none.
    """
    if manifest.recipe is None:
        raise ManifestError(f"{manifest.path}: must have a table [build] to be replayed; found none")
    return manifest.recipe


def split_options(manifest: Manifest) -> dict[str, Any]:
    """Build options that hold out what a manifest holds out; none where it has no split."""
    split = manifest.split
    if split is None:
        return {}
    return {"split_by": split.by, "held_out_groups": tuple(tuple(map(group_text, group)) for group in split.held_out)}


def plan_from_manifest(
    manifest: Manifest,
    out: str | os.PathLike[str],
    *,
    workers: int | None = None,
    progress: Advance | None = None,
) -> Plan:
    """Check the data against their manifest, and plan the build of its recipe, counts included.

    Parameters
    ----------
    manifest
        With a recipe.
    out, workers
        As for `build`.
    progress
        Called with 1 for each frame checked.

    Raises
    ------
    ManifestError
        No recipe; a file that is missing or altered, or frames that are not what the manifest says.
    """
    recipe = recipe_of(manifest)
    report = verify_manifest(manifest, progress)
    report.raise_problems()
    return plan_build(
        [str(file.path) for file in manifest.files],
        out,
        recipe.build_options(**split_options(manifest)),
        selection=recipe.selection,
        workers=workers,
        expected=recipe.expected,
    )


def count_slices(manifest: Manifest, location: str | os.PathLike[str]) -> int | None:
    """Slices that the recipe cuts from its store; None where it cuts none.

    Raises
    ------
    ManifestError
        Another number than the manifest says.
    """
    recipe = recipe_of(manifest)
    if recipe.slices is None:
        return None
    found = len(SliceView(open_store(location), recipe.slices))
    if found != recipe.n_slices:
        raise ManifestError(
            f"{os.fspath(location)}: must give {recipe.n_slices} slices, as {manifest.path} expects; found {found}. "
            f"Correct slices.expected, or find what changed in the data"
        )
    return found
