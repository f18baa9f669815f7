"""Dataset manifests: what a dataset is (`form`), whether the data at hand are that (`check`), what to make of it."""

from ruo2_voxel.store.manifest.census import Problem
from ruo2_voxel.store.manifest.check import ManifestReport, verify_manifest
from ruo2_voxel.store.manifest.form import Manifest, read_manifest
from ruo2_voxel.store.manifest.replay import count_slices, plan_from_manifest, recipe_of, split_options

__all__ = [
    "Manifest",
    "ManifestReport",
    "Problem",
    "count_slices",
    "plan_from_manifest",
    "read_manifest",
    "recipe_of",
    "split_options",
    "verify_manifest",
]
