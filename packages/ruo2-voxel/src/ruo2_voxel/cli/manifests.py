"""`ruo2-voxel manifest`: what is said of data, held against them."""

import click

from ruo2_voxel import terminal
from ruo2_voxel.cli.options import json_option
from ruo2_voxel.cli.output import emit
from ruo2_voxel.errors import ManifestError


@click.group()
def manifest() -> None:
    """Dataset manifests: where data come from, and whether the files at hand are those."""


@manifest.command("verify")
@click.argument("path", metavar="MANIFEST")
@json_option
def manifest_verify(path: str, as_json: bool) -> None:
    """Check the files of a dataset against its manifest: checksums, counts, info keys, split."""
    from ruo2_voxel.store.manifest import read_manifest, verify_manifest

    report = verify_manifest(read_manifest(path))
    emit(report.as_dict(), as_json, terminal.manifest_text)
    if not report.ok:
        raise ManifestError(f"{path}: {len(report.problems)} of its promises do not hold")
