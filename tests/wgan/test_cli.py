"""The commands: what they print, what they refuse, and with which exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ruo2_wgan.cli import cli, main
from ruo2_wgan.presets import NAMES
from ruo2_wgan.training.run_folder import RunFolder

TINY = [
    "--set",
    "model.generator_channels=[4, 3]",
    "--set",
    "model.critic_channels=[3, 4]",
    "--set",
    "output.n_samples=1",
    "--set",
    "output.watch=8",
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments])


def call(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """As a user does."""
    command = [sys.executable, "-m", "ruo2_wgan", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("command", [[], ["train"], ["generate"], ["report"], ["presets"]])
def test_help_teaches_with_an_example(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "ruo2-wgan " in result.stdout


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from ruo2_wgan.cli import cli; cli.main(['train', '--help'], standalone_mode=False); "
    done = subprocess.run(
        [sys.executable, "-c", code + "assert 'torch' not in sys.modules"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_version_is_that_of_the_installed_package() -> None:
    assert run("--version").stdout.strip() == f"ruo2-wgan, version {version('ruo2-wgan')}"
    (script,) = entry_points(group="console_scripts", name="ruo2-wgan")
    assert script.load() is main


def test_presets_are_listed_with_what_they_reproduce_and_when_to_take_them() -> None:
    lines = run("presets").stdout.splitlines()
    assert [line.split()[0] for line in lines[::2]] == list(NAMES)
    assert all(line.startswith(" ") and line.strip().startswith("take it ") for line in lines[1::2])
    assert "3.3.3" in lines[2 * NAMES.index("lattice-2d")]
    assert 'conditioning = "onehot"' in run("presets", "onehot-3d").stdout
    assert json.loads(run("presets", "--json").stdout)["vanilla-3d"]["training"]["batch"] == 32


def test_a_dry_run_prints_what_a_run_would_be(tiny_store: Path, tmp_path: Path) -> None:
    arguments = ["train", "--data", tiny_store, "--preset", "embedding-3d", "--run", tmp_path / "run", *TINY]
    arguments.append("--dry-run")
    text = run(*arguments).stdout
    assert 'conditioning = "embedding"' in text
    for says in ("training rows", "5 classes", "parameters", "an epoch", "nothing was trained"):
        assert says in text
    plan = json.loads(run(*arguments, "--json").stdout)
    assert plan["configuration"]["model"]["generator_channels"] == [4, 3]
    assert plan["steps_per_epoch"] == pytest.approx(plan["training_rows"] / 32, abs=0.01)
    weights = 4 * 4 * sum(plan["parameters"].values())
    assert plan["memory_bytes"]["weights_and_optimizers"] == weights
    assert plan["memory_bytes"]["activations"] > 0
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_can_be_planned(name: str, tiny_store: Path, tmp_path: Path) -> None:
    result = run(
        "train", "--data", tiny_store, "--preset", name, "--run", tmp_path / "run", *TINY, "--dry-run", "--json"
    )
    assert result.exit_code == 0, result.exception
    assert json.loads(result.stdout)["steps"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_of_a_preset_is_a_file_that_means_the_same(name: str, tiny_store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(run("presets", name).stdout)
    arguments = ["train", "--data", tiny_store, "--run", tmp_path / "run", *TINY, "--dry-run", "--json"]
    of_file, of_preset = (
        json.loads(run(*arguments, *more).stdout)["configuration"]
        for more in (["--config", tmp_path / "mine.toml"], ["--preset", name])
    )
    assert of_file == of_preset


def test_a_preset_that_is_named_wins_over_the_one_in_the_file(tiny_store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('preset = "vanilla-3d"\n[training]\nseed = 7\n')
    arguments = ["train", "--data", tiny_store, "--run", tmp_path / "run", *TINY, "--dry-run", "--json"]
    arguments += ["--config", tmp_path / "mine.toml", "--preset", "onehot-3d"]
    plan = json.loads(run(*arguments).stdout)["configuration"]
    assert (plan["model"]["conditioning"], plan["training"]["seed"]) == ("onehot", 7)


def test_preset_file_and_keys_in_that_order(tiny_store: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[training]\nbatch = 16\nepochs = 3\n[optimizer]\ncritic_lr = 1e-4\n")
    arguments = ["train", "--data", tiny_store, "--preset", "vanilla-3d", "--run", tmp_path / "run", *TINY]
    arguments += ["--config", tmp_path / "mine.toml", "--set", "training.batch=8", "--seed", "7", "--max-steps", "9"]
    plan = json.loads(run(*arguments, "--dry-run", "--json").stdout)["configuration"]
    training = plan["training"]
    assert (training["batch"], training["epochs"], training["seed"], training["max_steps"]) == (8, 3, 7, 9)
    assert plan["optimizer"]["critic_lr"] == 1e-4


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["train", "--data", "no.zarr", "--run", "run"], 2, "name what to train with --preset"),
        (["train", "--data", "no.zarr", "--preset", "vanilla-2d", "--run", "run"], 1, "no.zarr: must be a voxel store"),
        (["train", "--data", "x", "--preset", "vanila-2d", "--run", "run"], 1, "did you mean vanilla-2d?"),
        (["train", "--data", "x", "--preset", "vanilla-2d", "--run", "run", "--set", "a"], 1, "section.name=value"),
        (
            ["train", "--data", "x", "--preset", "vanilla-2d", "--run", "r", "--set", "training.bach=1"],
            1,
            "unknown key training.bach; did you mean batch?",
        ),
        (["generate", "run"], 2, "Missing option '--count'"),
        (["generate", "no-run", "--count", "1", "--out", "x.zarr"], 1, "must hold a last checkpoint"),
        (["generate", "no-run", "--count", "0", "--out", "x.zarr"], 2, "Invalid value for '--count'"),
        (["generate", "r", "--count", "1", "--out", "x.zarr", "--label", "low"], 2, "counted from 0, or all"),
        (["report", "no-run"], 2, "Missing option '--out'"),
        (["report", "no-run", "--out", "x.html"], 1, "no-run: must be a verdict on samples; found nothing there"),
        (["evaluate"], 2, "name either a RUN or a file of --samples"),
        (["evaluate", "run", "--samples", "x.zarr"], 2, "name either a RUN or a file of --samples"),
        (["evaluate", "--samples", "x.zarr", "--data", "y.zarr"], 2, "name the real structures with --data and the"),
        (["evaluate", "run", "--calculator", "a:b", "--calculator-args", "[1]"], 2, "a JSON object; found '[1]'"),
        (["evaluate", "run", "--calculator", "a:b", "--calculator-args", "{"], 2, "a JSON object; found '{'"),
        (["evaluate", "run", "--set", "data.planes=xz"], 2, "--set goes with --samples only"),
        (["evaluate", "--samples", "x.zarr", "--data", "y", "--out", "z", "--seed", "1"], 2, "--seed goes with a RUN"),
        (["evaluate", "no-run"], 1, "no-run: must hold a last checkpoint in checkpoints/; found none"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(
    arguments: list[str], code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ruo2-wgan", *arguments])
    stderr = CliRunner().invoke(_Main(), []).stderr
    assert says in stderr
    assert "Traceback" not in stderr
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == code


class _Main:
    """`main` as CliRunner wants a command, so that its stderr is caught."""

    name = "ruo2-wgan"

    def main(self, *_: object, **__: object) -> None:
        main()


def test_a_run_from_beginning_to_samples(tiny_store: Path, tmp_path: Path) -> None:
    """Train, be preempted, resume by folder alone, and generate; stdout is one JSON object each."""
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "ruo2_wgan", "train", "--data", tiny_store, "--run", folder, "--json", *TINY]
    command += ["--preset", "onehot-3d", "--set", "training.batch=4", "--set", "model.condition_size=10"]
    command += ["--set", "output.log_every=1", "--max-steps", "100000"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [str(each) for each in command]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    stats = folder / "stats.jsonl"
    begin = time.monotonic()
    while not (stats.exists() and stats.read_text().count("\n") > 2) and time.monotonic() - begin < 120:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    first = json.loads(stdout)
    assert first["ended_by"] == "SIGTERM"
    assert Path(first["checkpoint"]).exists()
    done = call("train", "--data", tiny_store, "--run", folder, "--resume", "--max-steps", first["steps"] + 2)
    assert done.returncode == 0, done.stderr
    assert f"{first['steps'] + 2} steps" in done.stdout
    assert f"resumed after step {first['steps']}" in done.stderr
    fake = tmp_path / "fake.zarr"
    done = call("generate", folder, "--count", 3, "--label", 2, "--out", fake, "--json")
    assert json.loads(done.stdout)["labels"] == {"2": 3}
    assert RunFolder(folder).find_checkpoint().name == f"step-{first['steps'] + 2:08d}.ckpt"


@pytest.mark.slow
def test_torchrun_trains_on_two_ranks(tiny_store: Path, tmp_path: Path) -> None:
    """One folder, written by rank zero alone; preempted through torchrun; and too many ranks for a batch."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "ruo2_wgan", "train", "--data", str(tiny_store), "--preset", "lattice-3d", *TINY]
    command += [
        "--device",
        "cpu",
        "--run-dir",
        str(tmp_path / "run"),
        "--max-steps",
        "3",
        "--set",
        "output.log_every=1",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def start(*more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*command, *more], capture_output=True, text=True, check=False, env=environment)

    done = start()
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("3 steps") == 1
    lines = RunFolder(tmp_path / "run").read_stats()
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert json.loads((tmp_path / "run" / "provenance.json").read_text())["ranks"] == 2
    refused = start("--set", "training.batch=33", "--resume")
    assert refused.returncode != 0
    assert "training.batch must divide among 2 ranks" in refused.stderr
