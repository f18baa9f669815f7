"""Dataset manifests: what a dataset is and must contain (`form`), and whether the data at hand are that (`check`)."""

from ruo2_voxel.store.manifest.census import Problem
from ruo2_voxel.store.manifest.check import ManifestReport, verify_manifest
from ruo2_voxel.store.manifest.form import Manifest, read_manifest

__all__ = ["Manifest", "ManifestReport", "Problem", "read_manifest", "verify_manifest"]
