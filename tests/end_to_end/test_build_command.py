"""`ruo2-voxel` on real structures and on bad input: what it writes, prints and returns."""

import json
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from ruo2_voxel import open_store, voxelize
from tests.end_to_end.commands import TRAJECTORY, run, voxel


def structure() -> Atoms:
    return Atoms("RuO2", positions=[[0, 0, 0], [1.9, 0, 0], [0, 1.9, 0]], cell=[5, 5, 8], pbc=True)


def test_the_shipped_trajectory_becomes_a_store_of_its_atoms(tmp_path: Path) -> None:
    built = run("build", "--db", TRAJECTORY, "--out", "bh.zarr", "--json", folder=tmp_path)
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""  # no terminal, no progress bar
    summary = json.loads(built.stdout)
    assert (summary["structures"], summary["atoms"], summary["skipped_frames"]) == (1509, 63661, 0)
    assert sum(summary["classes"]["counts"]) == 1509
    store = open_store(tmp_path / "bh.zarr")
    for index in (0, 700, 1508):
        atoms = read(TRAJECTORY, index)
        exact = np.clip(voxelize(atoms, store.grid), 0.0, 1.0)
        assert np.abs(store.density(index) - exact).max() <= 0.5 / 255 + 1e-4
        assert store.energy[index] == atoms.get_potential_energy()
        assert store.atoms(index).info == atoms.info


def test_info_and_verify_speak_to_people_and_to_programs(tmp_path: Path) -> None:
    assert run("build", "--db", f"{TRAJECTORY}@::50", "--out", "bh.zarr", folder=tmp_path).returncode == 0
    for command in ("info", "verify"):
        text = run(command, "bh.zarr", folder=tmp_path)
        assert text.returncode == 0
        assert text.stdout.startswith("bh.zarr: ")
        as_json = run(command, "bh.zarr", "--json", folder=tmp_path)
        assert json.loads(as_json.stdout)["structures"] == 31


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    assert run("build", "--db", f"{TRAJECTORY}@:5", "--out", "bh.zarr", folder=tmp_path).returncode == 0
    shown = run("show", "bh.zarr", "--out", "bh.png", "--planes", "0,4,16", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert (tmp_path / "bh.png").read_bytes().startswith(b"\x89PNG")


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    planned = run("build", "--db", TRAJECTORY, "--out", "bh.zarr", "--dry-run", "--json", folder=tmp_path)
    assert planned.returncode == 0
    plan = json.loads(planned.stdout)
    assert (plan["structures"], plan["shards"], plan["density_bytes"]) == (1509, 2, 1509 * 65536)
    assert list(tmp_path.iterdir()) == []


def test_progress_has_a_rate_and_goes_to_stderr(tmp_path: Path) -> None:
    built = run("build", "--db", f"{TRAJECTORY}@:200", "--out", "bh.zarr", "--progress", folder=tmp_path)
    assert "200/200" in built.stderr
    assert "structures/s" in built.stderr
    assert "structures/s" not in built.stdout


def test_the_output_of_a_shell_pattern_is_taken_as_it_comes(tmp_path: Path) -> None:
    write(tmp_path / "a.traj", [structure()] * 2)
    write(tmp_path / "b.traj", [structure()] * 3)
    built = run("build", "--db", "a.traj", "b.traj", "--out", "ab.zarr", "--json", folder=tmp_path)
    assert json.loads(built.stdout)["structures"] == 5


def _spoil(change: Callable[[Atoms], object]) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        structures = [structure() for _ in range(3)]
        change(structures[1])
        write(path, structures)

    return make


def _truncate(path: Path) -> None:
    path.write_bytes(TRAJECTORY.read_bytes()[:1_000_000])


BAD = {
    "a position that is no number": (
        _spoil(lambda a: a.positions.__setitem__((1, 2), np.nan)),
        [],
        "frame 1 of bad.traj",
    ),
    "an infinite position": (_spoil(lambda a: a.positions.__setitem__((0, 0), np.inf)), [], "frame 1 of bad.traj"),
    "no cell": (_spoil(lambda a: a.set_cell(None)), [], "frame 1 of bad.traj: the cell must have a volume"),
    "a flat cell": (_spoil(lambda a: a.set_cell([5, 5, 0])), [], "frame 1 of bad.traj: the cell must have a volume"),
    "a species without a channel": (_spoil(lambda a: a.set_atomic_numbers([44, 8, 1])), [], "--species Ru,O,H"),
    "no energy for the label": (
        _spoil(lambda a: None),
        ["--label", "energy"],
        "frame 0 of bad.traj: must have an energy",
    ),
    "a truncated file": (_truncate, [], "bad.traj"),
    "an empty file": (lambda path: path.write_bytes(b""), [], "bad.traj: must hold at least"),
    "no trajectory": (lambda path: path.write_text("hello"), [], "bad.traj"),
    "no file": (lambda path: None, [], "bad.traj"),
}


@pytest.mark.parametrize(("make", "options", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_one_line(
    make: Callable[[Path], None], options: list[str], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "bad.traj")
    refused = run("build", "--db", "bad.traj", "--out", "bad.zarr", *options, folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert refused.stderr.startswith("error: ")
    assert refused.stderr.count("\n") == 1
    assert message in refused.stderr
    assert not (tmp_path / "bad.zarr").exists()
    assert not (tmp_path / "bad.zarr.building").exists()


@pytest.mark.parametrize("change", [lambda a: a.set_cell(None), lambda a: a.set_atomic_numbers([44, 8, 1])])
def test_bad_frames_can_be_left_out_and_are_named(change: Callable[[Atoms], object], tmp_path: Path) -> None:
    _spoil(change)(tmp_path / "bad.traj")
    built = run("build", "--db", "bad.traj", "--out", "bad.zarr", "--on-error", "skip", "--json", folder=tmp_path)
    assert built.returncode == 0
    assert json.loads(built.stdout)["skipped_frames"] == 1
    store = open_store(tmp_path / "bad.zarr")
    assert store.frame_id.tolist() == [0, 2]
    assert [skip["frame_id"] for skip in store.skipped()] == [1]


USAGE = {
    "an unknown option": ["--frobnicate"],
    "two widths": ["--sigma", "0.5", "--alpha", "2.5"],
    "a grid of two sides": ["--grid", "32,32"],
    "resume and overwrite": ["--resume", "--overwrite"],
    "a share without keys": ["--held-out", "0.3"],
    "copies all alike": ["--copies", "3"],
}


@pytest.mark.parametrize("options", USAGE.values(), ids=USAGE)
def test_misuse_is_a_usage_error(options: list[str], tmp_path: Path) -> None:
    refused = run("build", "--db", TRAJECTORY, "--out", "bh.zarr", *options, folder=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("Usage: ")
    assert list(tmp_path.iterdir()) == []


REFUSED = {
    "a shard of broken chunks": ["--shard", "10", "--chunk", "16"],
    "a channel twice": ["--species", "Ru,Ru"],
    "no such element": ["--species", "Ru,Qq"],
    "a width of nothing": ["--sigma", "0"],
    "an error that float32 cannot keep": ["--tol", "1e-9"],
    "a turn that the grid cannot follow": ["--grid", "32,16,32", "--rotate"],
    "more than a byte holds": ["--combine", "none"],
    "a selection without a database": ["--select", "a=1"],
}


@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_options_that_cannot_be_are_refused(options: list[str], tmp_path: Path) -> None:
    refused = run("build", "--db", TRAJECTORY, "--out", "bh.zarr", *options, folder=tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert refused.stderr.count("\n") == 1


def test_what_stands_at_the_target_is_kept(tmp_path: Path) -> None:
    (tmp_path / "bh.zarr").mkdir()
    (tmp_path / "bh.zarr" / "precious").write_text("data")
    refused = run("build", "--db", f"{TRAJECTORY}@:5", "--out", "bh.zarr", folder=tmp_path)
    assert refused.returncode == 1
    assert "must not exist yet" in refused.stderr
    replaced = run("build", "--db", f"{TRAJECTORY}@:5", "--out", "bh.zarr", "--overwrite", folder=tmp_path)
    assert replaced.returncode == 1  # no store: not ours to remove
    assert (tmp_path / "bh.zarr" / "precious").read_text() == "data"


def test_a_target_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    refused = run("build", "--db", f"{TRAJECTORY}@:5", "--out", "file/bh.zarr", folder=tmp_path)
    assert refused.returncode == 1
    assert "must be writable" in refused.stderr


def test_a_full_target_keeps_what_it_has_and_resumes(tmp_path: Path) -> None:
    build = ("build", "--db", TRAJECTORY, "--out", "bh.zarr", "--shard", "512", "--workers", "1")

    def only_small_files() -> None:
        """The last shard, of 485 structures, fits where the others, and 512, do not."""
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 65536 - 1, resource.RLIM_INFINITY))

    refused = subprocess.run(
        voxel(*build), cwd=tmp_path, preexec_fn=only_small_files, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "must be writable and have room" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "bh.zarr").exists()
    assert not list((tmp_path / "bh.zarr.building").rglob("*.partial"))
    resumed = run(*build, "--resume", folder=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert run("verify", "bh.zarr", folder=tmp_path).returncode == 0


def test_a_build_that_is_run_again_finds_its_work_done(tmp_path: Path) -> None:
    build = ("build", "--db", f"{TRAJECTORY}@:20", "--out", "bh.zarr", "--resume", "--json")
    first = json.loads(run(*build, folder=tmp_path).stdout)
    again = run(*build, folder=tmp_path)
    assert again.returncode == 0
    assert json.loads(again.stdout)["resumed_structures"] == first["structures"] == 20
    other = run("build", "--db", f"{TRAJECTORY}@:21", "--out", "bh.zarr", "--resume", folder=tmp_path)
    assert other.returncode == 1


def test_the_manifest_of_the_shipped_data_holds() -> None:
    folder = TRAJECTORY.parents[1]
    checked = run("manifest", "verify", "data_manifests/ruo2-bh-mini.toml", "--json", folder=folder)
    assert checked.returncode == 0
    assert json.loads(checked.stdout)["ok"] is True


def test_help_comes_without_waiting_for_a_compiler(tmp_path: Path) -> None:
    code = "import sys, ruo2_voxel.cli; sys.exit(bool({'numba', 'zarr', 'matplotlib', 'torch'} & set(sys.modules)))"
    command = [*voxel()[:1], "-c", code]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
