"""The command as users run it: what it prints and where, how it ends, what it leaves behind."""

import fcntl
import json
import os
import pty
import resource
import shlex
import shutil
import struct
import subprocess
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io.trajectory import TrajectoryWriter

from ruo2_voxel import Grid, build, open_store
from tests.end_to_end.command import MINI, PROGRAM, ROOT, Result, run, start
from tests.voxel.stores import arrays_of, assert_same_store, flip_bit, structure, write_frames

SMALL = ["--grid", 16, "--sigma", 0.8, "--class-method", "quantile"]  # of the shipped structures
NONE = ["--label", "none"]
TINY = ["--grid", 8, "--sigma", 0.6, "--classes", 1]  # of those made here


@pytest.fixture(scope="module")
def mini(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A store of every tenth shipped frame, and what the command that built it gave back."""
    out = tmp_path_factory.mktemp("mini") / "bh.zarr"
    options = ["--split-by", "phase,facet,start,mu_O,run", "--chunk", 8, "--shard", 64]
    return out, run("build", "--db", f"{MINI}@::10", "--out", out, *SMALL, *options, "--json")


def object_on(text: str) -> dict[str, Any]:
    """The one JSON object that is all of the output."""
    assert text.count("\n") == 1
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def assert_refused(result: Result, *parts: str, code: int = 1) -> None:
    """One line on stderr that says why, and nothing else."""
    assert (result.code, result.out) == (code, "")
    assert result.err.count("\n") == 1
    assert result.err.startswith("error: ")
    for part in parts:
        assert part in result.err


def test_the_shipped_trajectory_becomes_a_store(mini: tuple[Path, Result]) -> None:
    path, result = mini
    assert (result.code, result.err) == (0, "")
    summary = object_on(result.out)
    store = open_store(path)
    assert summary["location"] == str(path)
    assert summary["structures"] == summary["frames"] == len(store) == 151
    assert summary["classes"]["counts"] == np.bincount(store.energy_class, minlength=10).tolist()
    assert summary["split"]["counts"] == np.bincount(store.split).tolist()
    assert 0 < summary["split"]["counts"][1] < 0.1 * 151
    assert store.frame_id.tolist() == list(range(0, 1509, 10))
    assert store.atoms(3).get_potential_energy() == store.energy[3] < -200.0


def test_what_a_shell_makes_of_a_pattern_is_taken_as_it_comes(tmp_path: Path) -> None:
    sources = [write_frames(tmp_path / f"{n}.traj", [structure(index) for index in range(n)]) for n in (2, 3, 4)]
    result = run("build", "--db", *sources, "--out", tmp_path / "bh.zarr", *TINY, "--json")
    assert (result.code, result.err) == (0, "")
    assert object_on(result.out)["structures"] == 9
    assert open_store(tmp_path / "bh.zarr").source_id.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]


def test_the_split_of_a_manifest_is_taken_over(tmp_path: Path) -> None:
    manifest = ROOT / "data_manifests" / "ruo2-bh-mini.toml"
    checked = run("manifest", "verify", manifest, "--json")
    assert (checked.code, checked.err) == (0, "")
    assert object_on(checked.out)["ok"] is True
    result = run("build", "--db", MINI, "--out", tmp_path / "bh.zarr", *SMALL, "--split-from", manifest, "--json")
    assert (result.code, result.err) == (0, "")
    n_train, n_held_out = object_on(result.out)["split"]["counts"]
    assert object_on(checked.out)["split"] == {"train": n_train, "held_out": n_held_out}
    assert_refused(
        run("build", "--db", f"{MINI}@:3", "--out", tmp_path / "few.zarr", *SMALL[:4], "--split-from", manifest, *NONE),
        "groups to hold out must occur by phase,facet,start,mu_O,run; found none of them",
    )


def test_a_picture_is_drawn(mini: tuple[Path, Result], tmp_path: Path) -> None:
    result = run("show", mini[0], "--out", tmp_path / "bh.png", "--planes", "0,4,12")
    assert (result.code, result.err) == (0, "")
    assert (tmp_path / "bh.png").read_bytes().startswith(b"\x89PNG")


def test_help_comes_without_waiting_for_a_compiler() -> None:
    code = "import sys, ruo2_voxel.cli; sys.exit(bool({'numba', 'zarr', 'matplotlib', 'torch'} & set(sys.modules)))"
    assert subprocess.run([PROGRAM[0], "-c", code], check=False).returncode == 0
    result = run("--help")
    assert (result.code, result.err) == (0, "")
    assert "build" in result.out


def test_info_tells_what_a_store_holds(mini: tuple[Path, Result]) -> None:
    path, result = mini
    as_json = run("info", path, "--json")
    assert (as_json.code, as_json.err) == (0, "")
    summary = object_on(as_json.out)
    assert summary["structures"] == 151
    assert summary["classes"] == object_on(result.out)["classes"]
    assert summary["options"]["shape"] == [16, 16, 16]
    text = run("info", path)
    assert (text.code, text.err) == (0, "")
    for part in (f"{path}: 151 structures", "Ru,O on 16 x 16 x 16 voxels", "eV/atom", "mu_O", "ruo2-bh-mini.traj"):
        assert part in text.out


def test_verify_finds_a_sound_store_sound_and_a_damaged_one_not(mini: tuple[Path, Result], tmp_path: Path) -> None:
    path, _ = mini
    report = run("verify", path, "--all", "--json")
    assert (report.code, report.err) == (0, "")
    assert object_on(report.out)["voxelized_anew"] == 151
    assert object_on(report.out)["largest_difference"] == 0.0
    text = run("verify", path, "--samples", 3)
    assert (text.code, text.err) == (0, "")
    assert text.out.startswith(f"{path}: sound.")
    damaged = tmp_path / "bh.zarr"
    build(f"{MINI}@:16", damaged, Grid(shape=(16, 16, 16), sigma=0.8))
    flip_bit(damaged / "density/c/0/0/0/0/0", 1000)
    for options in ([], ["--json"]):
        assert_refused(run("verify", damaged, *options), "chunk 0 of the shard must have the checksum")


def test_the_options_of_the_command_are_those_of_the_function(trajectory: str, tmp_path: Path) -> None:
    options = "--species O,Ru --grid 8,8,10 --alpha 1.5 --tol 1e-3 --copies 2 --translate --rotate --seed 4 "
    options += "--dtype float16 --combine none --chunk 2 --shard 6 --compress --label energy --classes 4 "
    options += "--split-by run,facet --held-out 0.4 --on-error skip --catch-all --workers 2"
    result = run("build", "--db", f"{trajectory}@:20", "--out", tmp_path / "command.zarr", *shlex.split(options))
    assert (result.code, result.err) == (0, "")
    build(
        f"{trajectory}@:20",
        tmp_path / "function.zarr",
        Grid.from_alpha(1.5, ("O", "Ru", "*"), (8, 8, 10), 1e-3),
        copies=2,
        translate=True,
        rotate=True,
        seed=4,
        dtype="float16",
        combine="none",
        chunk=2,
        shard=6,
        compress=True,
        label="energy",
        n_classes=4,
        split_by=("run", "facet"),
        held_out=0.4,
        on_error="skip",
    )
    assert_same_store(tmp_path / "command.zarr", tmp_path / "function.zarr")


def test_what_was_done_is_told_in_words(tmp_path: Path) -> None:
    structures = [structure(index) for index in range(20)]
    structures[7].cell = None
    source = write_frames(tmp_path / "bh.traj", structures)
    result = run("build", "--db", source, "--out", tmp_path / "bh.zarr", *TINY, "--on-error", "skip")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{tmp_path}/bh.zarr: 19 structures, ")
    assert "left out  1 frames" in result.out
    assert "frame 7 of " in result.out
    assert "clipped" in result.out


def test_a_dry_run_plans_and_writes_nothing(tmp_path: Path) -> None:
    options = ["--db", f"{MINI}@:100", "--out", tmp_path / "bh.zarr", "--copies", 2, "--translate", "--dry-run"]
    text = run("build", *options)
    assert (text.code, text.err) == (0, "")
    assert text.out.startswith(f"{tmp_path}/bh.zarr: 200 structures in 1 shards")
    assert "100 of 1509 frames (traj)" in text.out
    assert "nothing was written" in text.out
    as_json = run("build", *options, "--json")
    assert (as_json.code, as_json.err) == (0, "")
    plan = object_on(as_json.out)
    assert (plan["structures"], plan["density_bytes"]) == (200, 200 * 2 * 32**3)
    assert plan["options"]["translate"] is True
    assert list(tmp_path.iterdir()) == []
    assert_refused(run("build", "--db", "none.traj", "--out", "x", "--dry-run"), "none.traj: must be a file")


def test_aliased_grids_are_warned_of_on_stderr(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bh.traj", [structure(0)])
    result = run("build", "--db", source, "--out", tmp_path / "bh.zarr", "--grid", 8, "--json")
    assert result.code == 0
    assert result.err.startswith("warning: frame 0 of ")
    assert result.err.count("\n") == 1
    object_on(result.out)


def spoiled(spoil: Callable[[Atoms], object]) -> Callable[[Path], list[object]]:
    """A trajectory with a bad frame among good ones."""

    def write(folder: Path) -> list[object]:
        structures = [structure(index) for index in range(4)]
        spoil(structures[2])
        return ["--db", write_frames(folder / "bh.traj", structures)]

    return write


def set_nan(atoms: Atoms) -> None:
    atoms.positions[0, 0] = np.nan


def set_no_volume(atoms: Atoms) -> None:
    atoms.cell[2] = atoms.cell[1]


def cut(folder: Path) -> list[object]:
    source = Path(write_frames(folder / "bh.traj", [structure(index) for index in range(10)]))
    source.write_bytes(source.read_bytes()[:2000])
    return ["--db", source]


def empty(folder: Path) -> list[object]:
    with TrajectoryWriter(folder / "bh.traj"):
        pass
    return ["--db", folder / "bh.traj"]


def no_bytes(folder: Path) -> list[object]:
    (folder / "bh.traj").touch()
    return ["--db", folder / "bh.traj"]


def good(*options: object) -> Callable[[Path], list[object]]:
    return lambda folder: ["--db", write_frames(folder / "bh.traj", [structure(i) for i in range(4)]), *options]


def existing(folder: Path) -> list[object]:
    (folder / "bh.zarr").mkdir()
    return good()(folder)


def below_a_file(folder: Path) -> list[object]:
    (folder / "file").touch()
    return [*good()(folder), "--out", folder / "file" / "bh.zarr"]


BAD: dict[str, tuple[Callable[[Path], list[object]], tuple[str, ...]]] = {
    "NaN position": (
        spoiled(set_nan),
        ("frame 2 of ", "bh.traj: positions must be finite; found atom 0", "--on-error"),
    ),
    "no cell": (spoiled(lambda atoms: atoms.set_cell(None)), ("frame 2 of ", "bh.traj: the cell must have a volume")),
    "zero volume": (spoiled(set_no_volume), ("frame 2 of ", "bh.traj: the cell must have a volume")),
    "unknown species": (
        spoiled(lambda atoms: atoms.numbers.__setitem__(0, 22)),
        ("frame 2 of ", "bh.traj: species must be among Ru,O; found Ti. Add it with --species Ru,O,Ti"),
    ),
    "no energy": (
        lambda folder: [*spoiled(lambda atoms: setattr(atoms, "calc", None))(folder), "--label", "energy"],
        ("frame 2 of ", "bh.traj: must have an energy for --label energy"),
    ),
    "no key": (good("--split-by", "walker"), ("frame 0 of ", "info must have the key 'walker' for --split-by")),
    "one group": (good("--split-by", "facet"), ("at least two groups of structures; found 1",)),
    "truncated": (cut, ("bh.traj: ", "truncated")),
    "empty": (empty, ("bh.traj: must hold at least a structure; found 0 structures",)),
    "no bytes": (no_bytes, ("bh.traj: must hold at least a structure",)),
    "no file": (
        lambda folder: ["--db", folder / "none.traj"],
        ("none.traj: must be a file of structures; found no such",),
    ),
    "no match": (lambda folder: ["--db", folder / "*.traj"], ("must match at least one file; found none",)),
    "nothing selected": (good("--db", f"{MINI}@9000"), ("must lie within the file",)),
    "no database": (good("--select", "run=1"), ("needs an ASE database",)),
    "existing target": (existing, ("bh.zarr: must not exist yet", "--overwrite")),
    "not a target": (below_a_file, ("must be writable; found Not a directory",)),
    "no target": (good("--out", "."), ("must name the store to write",)),
    "shard below chunk": (good("--shard", 10, "--chunk", 16), ("shard must be a multiple of chunk (16); found 10",)),
    "uneven rotation": (good("--rotate", "--grid", "8,9,8"), ("rotate needs as many voxels along x as along y",)),
    "no element": (good("--species", "Ru,Xx"), ("species must be element symbols", "'Xx'")),
    "no species": (good("--species", ","), ("species must name at least one element",)),
    "sigma of zero": (good("--sigma", 0), ("sigma must be a positive number",)),
    "tol too small": (good("--tol", 1e-9), ("tol must lie between",)),
    "clipping of uint8": (good("--combine", "none"), ("combine must be clip with dtype uint8",)),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_clear_line(case: str, tmp_path: Path) -> None:
    make, parts = BAD[case]
    options = TINY if case not in ("sigma of zero", "uneven rotation") else ["--grid", 8]
    arguments = ["--out", tmp_path / "bh.zarr", *options, *make(tmp_path)]
    for as_json in ([], ["--json"]):
        assert_refused(run("build", *arguments, *as_json), *parts)
        if case == "one group":  # which shows in the end only, when all shards are written
            shutil.rmtree(tmp_path / "bh.zarr.building")
    left = {path.name for path in tmp_path.iterdir() if "bh.zarr" in path.name}
    assert left == ({"bh.zarr"} if case == "existing target" else set())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["build", "--out", "x"], "--db"),
        (["build", "--db", "x"], "--out"),
        (["build", "--db", "x", "--out", "y", "--grid", "3,4"], "--grid"),
        (["build", "--db", "x", "--out", "y", "--grid", "0"], "--grid"),
        (["build", "--db", "x", "--out", "y", "--workers", "0"], "--workers"),
        (["build", "--db", "x", "--out", "y", "--dtype", "int8"], "--dtype"),
        (["build", "--db", "x", "--out", "y", "--sigma", "1", "--alpha", "1"], "--sigma and --alpha"),
        (["build", "--db", "x", "--out", "y", "--resume", "--overwrite"], "--resume"),
        (["build", "--db", "x", "--out", "y", "--held-out", "0.2"], "--split-by"),
        (["build", "--db", "x", "--out", "y", "--held-out", "1", "--split-by", "run"], "--held-out"),
        (["build", "--db", "x", "--out", "y", "--copies", "2"], "--translate"),
        (["build", "--db", "x", "--out", "y", "--nonsense"], "--nonsense"),
        (["verify", "x", "--samples", "-1"], "--samples"),
        (["nonsense"], "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_ends_with_2(
    arguments: list[str], part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert list(tmp_path.iterdir()) == []
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Usage: ")
    assert part in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("command", ["info", "verify"])
def test_what_is_no_store_gets_one_clear_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "bh.zarr.building").mkdir()
    assert_refused(run(command, tmp_path / "bh.zarr"), "bh.zarr: the build of this store is not complete", "--resume")
    assert_refused(run(command, tmp_path / "none.zarr"), "none.zarr: must be a voxel store; found nothing there")
    assert_refused(run(command, MINI), "ruo2-bh-mini.traj: must be a voxel store")


def test_a_stopped_build_is_resumed_by_the_command(tmp_path: Path) -> None:
    structures = [structure(index) for index in range(30)]
    structures[20].cell = None
    source = write_frames(tmp_path / "bh.traj", structures)
    options = ["--db", source, "--out", tmp_path / "bh.zarr", *TINY, "--chunk", 2, "--shard", 8]
    assert_refused(run("build", *options), "frame 20 of ")
    assert_refused(run("build", *options), "unfinished build (16 of 30 structures)", "--resume", "--overwrite")
    assert_refused(
        run("build", *options, "--resume", "--seed", 1, "--translate"), "must be those of", "translate False"
    )
    result = run("build", *options, "--resume", "--on-error", "skip", "--json")
    assert (result.code, result.err) == (0, "")
    assert object_on(result.out)["resumed_structures"] == 16
    again = run("build", *options, "--resume", "--on-error", "skip", "--json")
    assert (again.code, again.err) == (0, "")
    assert object_on(again.out)["resumed_structures"] == 29
    assert_refused(run("build", *options, "--resume", "--label", "none"), "must be those of", "--overwrite")
    anew = run("build", *options, "--overwrite", "--on-error", "skip", "--label", "none")
    assert (anew.code, anew.err) == (0, "")


def test_the_program_keeps_stdout_for_its_result(tmp_path: Path) -> None:
    arguments = ["build", "--db", f"{MINI}@:40", "--out", tmp_path / "bh.zarr", *SMALL, "--json"]
    process = start(*arguments, stdout=subprocess.PIPE)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert object_on(out)["structures"] == 40
    process = start(*arguments, stdout=subprocess.PIPE)
    out, err = process.communicate()
    assert_refused(Result(process.returncode, out, err), "must not exist yet")


def test_progress_goes_to_stderr_where_asked_for(mini: tuple[Path, Result], tmp_path: Path) -> None:
    arguments = ["build", "--db", f"{MINI}@:40", "--out", tmp_path / "bh.zarr", *SMALL, "--json", "--progress"]
    result = run(*arguments)
    assert "40/40" in result.err
    assert "structures/s" in result.err
    object_on(result.out)
    checked = run("verify", mini[0], "--progress", "--json")
    assert "19/19" in checked.err
    assert "chunks/s" in checked.err
    object_on(checked.out)


@pytest.mark.parametrize("option", [[], ["--no-progress"]])
def test_progress_is_shown_on_a_terminal_unless_unwanted(option: list[str], tmp_path: Path) -> None:
    terminal, stderr = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    process = start("build", "--db", f"{MINI}@:40", "--out", tmp_path / "bh.zarr", *SMALL, *option, stderr=stderr)
    os.close(stderr)
    shown = b""
    try:
        while part := os.read(terminal, 4096):
            shown += part
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(terminal)
    assert process.wait() == 0
    assert (b"40/40" in shown and b"structures/s" in shown) if not option else shown == b""


def test_a_full_target_loses_nothing_already_written(tmp_path: Path) -> None:
    options = [*SMALL, "--chunk", 8, "--shard", 32, "--compress", "--workers", 1]
    grid = Grid(shape=(16, 16, 16), sigma=0.8)
    build(f"{MINI}@:400", tmp_path / "whole.zarr", grid, chunk=8, shard=32, compress=True, class_method="quantile")
    sizes = [(tmp_path / f"whole.zarr/density/c/{number}/0/0/0/0").stat().st_size for number in range(13)]
    first = next(number for number in range(3, 13) if sizes[number] > max(sizes[:number]))
    limit = max(sizes[:first])

    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # Python ignores the signal, and sees an error

    arguments = ["build", "--db", f"{MINI}@:400", "--out", tmp_path / "bh.zarr", *options]
    full = subprocess.run(
        [*PROGRAM, *map(str, arguments)], preexec_fn=limit_file_size, capture_output=True, text=True, check=False
    )
    assert_refused(
        Result(full.returncode, full.stdout, full.stderr),
        "bh.zarr: must be writable and have room; found File too large",
        "go on with --resume",
    )
    kept = sorted((tmp_path / "bh.zarr.building/.build").glob("shard-*.json"))
    assert len(kept) >= first
    result = run(*arguments, "--resume", "--json")
    assert (result.code, result.err) == (0, "")
    assert object_on(result.out)["resumed_structures"] == 32 * len(kept)
    assert_same_store(tmp_path / "bh.zarr", tmp_path / "whole.zarr")
    assert not [name for name in arrays_of(tmp_path / "bh.zarr") if "partial" in name]
