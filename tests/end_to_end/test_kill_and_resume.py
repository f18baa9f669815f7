"""A build that is killed leaves nothing that looks like a store, and goes on to the bytes of one that never was."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ruo2_voxel import Grid, StoreError, build, open_store, verify_store
from tests.end_to_end.command import MINI, run, start
from tests.voxel.stores import arrays_of, assert_same_store

xarray = pytest.importorskip("xarray")

pytestmark = pytest.mark.slow

OPTIONS = ["--copies", 4, "--translate", "--rotate", "--shard", 64, "--grid", 16, "--sigma", 0.8, "--workers", 2]
OPTIONS += ["--class-method", "quantile"]

Moment = Callable[[Path], bool]


def n_shards(building: Path) -> int:
    """Shards that count as finished."""
    return len(list((building / ".build").glob("shard-*.json")))


def after_shards(n: int) -> Moment:
    return lambda building: n_shards(building) >= n


def in_the_last_step(building: Path) -> bool:
    return (building / "density/zarr.json").exists()


def late_in_the_last_step(building: Path) -> bool:
    return (building / "energy_class/zarr.json").exists()


def while_publishing(building: Path) -> bool:
    return not (building / ".build/plan.json").exists() and (building / "density/zarr.json").exists()


def kill(out: Path, moment: Moment, *arguments: object) -> bool:
    """Build, and kill it at a moment; returns whether it was still at work then."""
    building = out.with_name(out.name + ".building")
    process = start("build", "--db", MINI, "--out", out, *OPTIONS, *arguments)
    with process:
        while process.poll() is None and not moment(building):
            time.sleep(0.001)
        process.kill()
        _, err = process.communicate()
    assert process.returncode in (0, -9), err
    return process.returncode == -9


def assert_no_store(out: Path) -> None:
    building = out.with_name(out.name + ".building")
    assert building.exists()
    for location in (out, building):
        with pytest.raises(StoreError, match="is not complete"):
            open_store(location)
        if not (building / "zarr.json").exists():  # the last file but for the rename: all others are in place by then
            with pytest.raises(FileNotFoundError):
                xarray.open_zarr(location, consolidated=False)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "bh.zarr"
    options: dict[str, Any] = {"copies": 4, "translate": True, "rotate": True, "shard": 64, "workers": 1}
    options |= {"class_method": "quantile"}
    build(MINI, path, Grid(shape=(16, 16, 16), sigma=0.8), **options)
    return path


def test_a_build_killed_at_any_moment_goes_on_to_the_same_bytes(uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "bh.zarr"
    building = tmp_path / "bh.zarr.building"
    moments = [after_shards(1), after_shards(41), in_the_last_step]
    finished = 0
    for moment in moments:
        assert kill(out, moment, *(["--resume"] if finished else []))
        assert n_shards(building) >= finished
        finished = n_shards(building)
        assert_no_store(out)
    refused = run("build", "--db", MINI, "--out", out, *OPTIONS)
    assert refused.code == 1
    assert "found an unfinished build (6036 of 6036 structures). Go on with --resume" in refused.err
    assert finished == 95
    for moment in (late_in_the_last_step, while_publishing):
        if kill(out, moment, "--resume"):
            assert_no_store(out)
        else:  # done before it could be killed; then as if that had been just before the last rename
            out.rename(building)
    result = run("build", "--db", MINI, "--out", out, *OPTIONS, "--resume")
    assert (result.code, result.err) == (0, "")
    assert_same_store(out, uninterrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["bh.zarr"]
    assert not [name for name in arrays_of(out) if "partial" in name or ".build" in name]
    verify_store(open_store(out), 16)


def test_a_killed_replacement_leaves_the_old_store(tmp_path: Path) -> None:
    out = tmp_path / "bh.zarr"
    build(f"{MINI}@:64", out, Grid(shape=(16, 16, 16), sigma=0.8))
    before = arrays_of(out)
    assert kill(out, after_shards(3), "--overwrite")
    assert arrays_of(out) == before
    assert verify_store(open_store(out))["structures"] == 64
    result = run("build", "--db", MINI, "--out", out, *OPTIONS)
    assert (result.code, result.out) == (1, "")
    assert "must not exist yet" in result.err
