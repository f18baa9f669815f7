"""A plan says beforehand what a build does: its options survive JSON, its sizes are those of the store."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ruo2_voxel import BuildOptions, Grid, Preparation, Ruo2Error, SourceError, SurfaceReference
from ruo2_voxel.store.build import plan_build
from tests.voxel.stores import GRID, N_FRAMES

CHANGES: dict[str, Any] = {
    "grid": replace(GRID, sigma=0.7),
    "copies": 2,
    "translate": True,
    "rotate": True,
    "seed": 1,
    "dtype": "float32",
    "combine": "none",
    "chunk": 8,
    "shard": 512,
    "compress": True,
    "preparation": Preparation(orthogonal=True, vacuum=12.0),
    "screen": "drop",
    "label": "none",
    "reference": SurfaceReference(-24.0, -5.5, delta_mu=-0.5),
    "n_classes": 5,
    "class_method": "quantile",
    "clip": (0.05, 0.9),
    "allow_empty_classes": True,
    "split_by": ("run", "facet"),
    "held_out": 0.2,
    "held_out_groups": (("1", "r110"), ("2", "r110")),
    "on_error": "skip",
}
WITH: dict[str, dict[str, Any]] = {  # what a change needs beside it
    "combine": {"dtype": "float16"},
    "rotate": {"grid": Grid(shape=(8, 8, 8))},
    "held_out_groups": {"split_by": ("run", "facet")},
    "reference": {"label": "surface-free-energy"},
}


def changed(name: str) -> BuildOptions:
    return BuildOptions(**{"grid": GRID, **WITH.get(name, {}), name: CHANGES[name]})


def test_every_option_is_tried_below() -> None:
    assert sorted(CHANGES) == sorted(BuildOptions.__dataclass_fields__)


@pytest.mark.parametrize("name", CHANGES)
def test_options_survive_json(name: str) -> None:
    options = changed(name)
    again = BuildOptions.from_dict(json.loads(json.dumps(options.as_dict())))
    assert again == options
    assert again.sha256() == options.sha256()


@pytest.mark.parametrize("name", CHANGES)
def test_every_option_counts_for_the_checksum(name: str) -> None:
    beside = WITH.get(name, {}) if name != "reference" else {}  # without it there cannot be the label that needs it
    without = BuildOptions(**{"grid": GRID, **beside})
    assert changed(name).sha256() != without.sha256()


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"copies": 0}, "copies must be at least 1; found 0"),
        ({"chunk": 0}, "chunk must be at least 1; found 0"),
        ({"shard": -16}, "shard must be at least 1; found -16"),
        ({"seed": -1}, "seed must be at least 0; found -1"),
        ({"n_classes": 0}, "n_classes must lie between 1 and 127; found 0"),
        ({"n_classes": 128}, "n_classes must lie between 1 and 127; found 128"),
        ({"shard": 10, "chunk": 16}, "shard must be a multiple of chunk \\(16\\); found 10"),
        ({"shard": 24, "chunk": 16}, "shard must be a multiple of chunk \\(16\\); found 24"),
        ({"dtype": "int8"}, "dtype must be one of uint8, float16, float32; found 'int8'"),
        ({"combine": "max"}, "combine must be one of clip, none; found 'max'"),
        ({"label": "mu_O"}, "label must be one of auto, .*surface-free-energy, none, or info:KEY; found 'mu_O'"),
        ({"label": "info:"}, "label must be one of auto, .*; found 'info:'"),
        ({"label": "surface-free-energy"}, "go together; found label 'surface-free-energy' without a reference"),
        ({"reference": SurfaceReference(-24.0, -5.5)}, "go together; found label 'auto' with a reference"),
        ({"class_method": "even"}, "method must be one of equal-width, clipped-equal-width, quantile; found 'even'"),
        ({"clip": (0.5, 0.5)}, "clip must be two ascending quantiles from 0 to 1; found 0.5 and 0.5"),
        ({"screen": "yes"}, "screen must be one of off, report, drop; found 'yes'"),
        ({"on_error": "ignore"}, "on_error must be one of raise, skip; found 'ignore'"),
        ({"combine": "none"}, "combine must be clip with dtype uint8"),
        ({"held_out": 1.0}, "held_out must lie between 0 and 1; found 1.0"),
        ({"held_out": float("nan")}, "held_out must lie between 0 and 1; found nan"),
        ({"held_out_groups": (("1",),)}, "must give a value for each key of split_by \\(no key\\); found"),
        ({"rotate": True}, "rotate needs as many voxels along x as along y.*found 8 and 10"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], found: str) -> None:
    with pytest.raises(Ruo2Error, match=found):
        BuildOptions(grid=GRID, **options)


def test_a_plan_counts_structures_shards_and_bytes(trajectory: str) -> None:
    plan = plan_build(f"{trajectory}@:33", "bh.zarr", BuildOptions(GRID, copies=2, chunk=4, shard=16), workers=3)
    summary = plan.summary()
    voxels = 2 * 8 * 10 * 12
    assert summary["structures"] == 66
    assert summary["shards"] == 5
    assert summary["shard_bytes"] == 16 * voxels
    assert summary["density_bytes"] == 66 * voxels
    assert summary["workers"] == 3
    assert summary["sources"] == [{"path": trajectory, "format": "traj", "frames": N_FRAMES, "selected": 33}]
    assert summary["options"] == plan.options.as_dict()


@pytest.mark.parametrize(("dtype", "itemsize"), [("uint8", 1), ("float16", 2), ("float32", 4)])
def test_bytes_of_a_structure_follow_from_its_type(dtype: str, itemsize: int) -> None:
    assert BuildOptions(GRID, dtype=dtype).structure_bytes == 2 * 8 * 10 * 12 * itemsize


def test_memory_does_not_grow_with_the_number_of_structures(trajectory: str) -> None:
    few, many = (plan_build(trajectory, "bh.zarr", BuildOptions(GRID, copies=n), workers=2) for n in (2, 2000))
    assert few.summary()["working_memory_bytes"] == many.summary()["working_memory_bytes"]


def test_a_plan_writes_nothing(trajectory: str, tmp_path: Path) -> None:
    plan_build(trajectory, tmp_path / "bh.zarr", BuildOptions(GRID)).summary()
    assert list(tmp_path.iterdir()) == []


def test_a_plan_checks_its_sources_and_workers(trajectory: str) -> None:
    with pytest.raises(SourceError, match=r"none\.traj: must be a file of structures; found no such file"):
        plan_build("none.traj", "bh.zarr", BuildOptions())
    with pytest.raises(Ruo2Error, match="workers must be at least 1; found 0"):
        plan_build(trajectory, "bh.zarr", BuildOptions(), workers=0)
