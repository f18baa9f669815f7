"""A run leaves what it promises, goes on as if it had never stopped, and says what is wrong."""

import json
import os
import signal
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboardX.proto.event_pb2 import Event

from ruo2_wgan.config import Config, make_config
from ruo2_wgan.errors import CheckpointError, ConfigError, DataError, RunError, TrainingError
from ruo2_wgan.training import step as step_module
from ruo2_wgan.training.checkpoint import read_checkpoint
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.training.train import train

KEYS = [
    "step",
    "epoch",
    "critic_loss",
    "generator_loss",
    "wasserstein",
    "gradient_penalty",
    "critic_gradient_norm",
    "generator_gradient_norm",
    "structures_per_second",
    "data_wait",
]


def config_of(**sections: Mapping[str, Any]) -> Config:
    """Tiny networks with everything switched on that draws random numbers."""
    tables: dict[str, dict[str, Any]] = {
        "model": {
            "dimensions": 3,
            "latent": 4,
            "generator_channels": [4, 3],
            "critic_channels": [3, 4],
            "conditioning": "embedding",
            "condition_size": 3,
            "lattice": True,
            "lattice_hidden": 4,
        },
        "data": {"augment": ["roll", "mirror", "rotate"], "augment_fake": True},
        "loss": {"n_critic": 2},
        "training": {"batch": 4, "max_steps": 7, "ema": 0.9, "batch_growth": [[3, 8]]},
        "output": {"log_every": 1, "checkpoint_every": 2, "n_samples": 1, "watch": 8, "samples_every": 9.0},
    }
    for name, table in sections.items():
        tables[name] = {**tables.get(name, {}), **table}
    return make_config(tables)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of the last checkpoint."""
    state, *_ = read_checkpoint(RunFolder(folder).find_checkpoint())
    found: dict[str, torch.Tensor] = {}

    def collect(path: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[path] = value
        elif isinstance(value, dict):
            for key, each in value.items():
                collect(f"{path}/{key}", each)

    collect("", state)
    return found


def learned(folder: Path) -> list[dict[str, float]]:
    """Lines of the statistics, without times."""
    return [
        {key: value for key, value in line.items() if key not in ("structures_per_second", "data_wait")}
        for line in RunFolder(folder).read_stats()
    ]


@pytest.fixture(scope="module")
def run(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of seven steps, never interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    result = train(tiny_store, folder, config_of(output={"samples_every": 0.2}), device="cpu")
    assert (result["steps"], result["ended_by"]) == (7, None)
    return folder


def test_a_run_leaves_what_it_promises(run: Path, tiny_store: Path) -> None:
    folder = RunFolder(run)
    assert folder.read_config() == config_of(output={"samples_every": 0.2})
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["seed"] == 100
    assert provenance["versions"]["torch"] == torch.__version__
    assert len(provenance["store"]["sha256"]) == 64
    assert provenance["store"]["location"] == str(tiny_store.resolve())
    assert provenance["device"]["kind"] == "cpu"
    lines = folder.read_stats()
    assert [line["step"] for line in lines] == list(range(1, 8))
    assert all(set(KEYS) <= set(line) for line in lines)
    assert all(0 <= line["data_wait"] <= 1 for line in lines)
    assert lines[-1]["epoch"] == pytest.approx((3 * 4 + 4 * 8) / provenance["store"]["rows"] / 0.8, rel=0.1)
    looked = [line for line in lines if "distance" in line]
    assert {"diversity", "stripe_index"} <= set(looked[0])
    assert len(list((run / "samples").glob("epoch-*.png"))) == len(looked) > 1
    assert (run / "losses.png").stat().st_size > 10_000
    assert [path.name for path in folder.numbered()] == [f"step-0000000{step}.ckpt" for step in (4, 6, 7)]
    best = read_checkpoint(folder.find_checkpoint("best"))[0]
    assert best["best_distance"] == min(line["distance"] for line in looked)
    assert best["step"] in [line["step"] for line in looked if line["distance"] == best["best_distance"]]
    log = (run / "log.txt").read_text()
    assert "training rows" in log
    assert "step 7 done" in log


def test_tensorboard_has_the_same_figures(run: Path) -> None:
    (path,) = (run / "tensorboard").iterdir()
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):  # length, checksum, event, checksum
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])
        found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        at += length + 16
    for line in RunFolder(run).read_stats():
        assert found[line["step"], "critic_loss"] == pytest.approx(line["critic_loss"], rel=1e-5)


@pytest.mark.parametrize("source", ["resident", "stream", "atoms"])
def test_a_resumed_run_is_an_uninterrupted_one_bit_for_bit(
    source: str, tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by a signal after step 3, and by a failure in step 6, two steps after the last checkpoint."""
    config = config_of(data={"augment": ["roll", "mirror"], "augment_fake": True, "source": source, "window": 16})
    train(tiny_store, tmp_path / "whole", config, device="cpu")

    def preempt(line: Mapping[str, float], _: int) -> None:
        if line["step"] == 3:
            os.kill(os.getpid(), signal.SIGUSR1)

    def fail(line: Mapping[str, float], _: int) -> None:
        if line["step"] == 5:
            raise KeyboardInterrupt

    first = train(tiny_store, tmp_path / "parts", config, device="cpu", resume=True, progress=preempt)
    assert first["ended_by"] == "SIGUSR1"
    assert first["steps"] in (3, 4)  # the signal comes after step 3, and is seen at the end of the next
    with pytest.raises(KeyboardInterrupt):
        train(tiny_store, tmp_path / "parts", config, device="cpu", resume=True, progress=fail)
    last = train(tiny_store, tmp_path / "parts", config, device="cpu", resume=True)
    assert last["steps"] == 7
    whole, parts = weights_of(tmp_path / "whole"), weights_of(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name
    assert learned(tmp_path / "parts") == learned(tmp_path / "whole")
    resumed = json.loads((tmp_path / "parts" / "provenance.json").read_text())["resumed"]
    assert [each["from_step"] for each in resumed] == [first["steps"], 4]


def test_what_happens_between_steps_changes_nothing(run: Path, tiny_store: Path, tmp_path: Path) -> None:
    config = config_of(output={"log_every": 3, "checkpoint_every": 100})
    torch.manual_seed(5)
    train(tiny_store, tmp_path / "run", config, device="cpu", progress=lambda *_: torch.rand(1))
    expected = weights_of(run)
    assert all(torch.equal(value, expected[name]) for name, value in weights_of(tmp_path / "run").items())


def test_another_seed_learns_something_else(run: Path, tiny_store: Path, tmp_path: Path) -> None:
    train(tiny_store, tmp_path / "run", config_of(training={"seed": 1}), device="cpu")
    expected = weights_of(run)
    assert not all(torch.equal(value, expected[name]) for name, value in weights_of(tmp_path / "run").items())


def test_more_steps_may_be_added(run: Path, tiny_store: Path, tmp_path: Path) -> None:
    train(tiny_store, tmp_path / "run", config_of(training={"max_steps": 5}), device="cpu")
    train(tiny_store, tmp_path / "run", config_of(), device="cpu", resume=True)
    assert learned(tmp_path / "run")[-1]["critic_loss"] == learned(run)[-1]["critic_loss"]


def test_a_run_goes_on_with_lower_rates(tiny_store: Path, tmp_path: Path) -> None:
    """As the error of a loss that is not finite advises."""
    train(tiny_store, tmp_path / "run", config_of(training={"max_steps": 2}), device="cpu")
    lower = config_of(training={"max_steps": 3}, optimizer={"critic_lr": 1e-5, "generator_lr": 0.5})
    train(tiny_store, tmp_path / "run", lower, device="cpu", resume=True)
    before, after = (read_checkpoint(path)[0] for path in RunFolder(tmp_path / "run").numbered())
    assert float((after["generator"]["project.weight"] - before["generator"]["project.weight"]).abs().max()) > 0.1
    assert max(float((value - before["critic"][key]).abs().max()) for key, value in after["critic"].items()) < 1e-4


def test_slices_train_in_two_dimensions(tiny_store: Path, tiny_slices: Path, tmp_path: Path) -> None:
    """Cut on the fly or read from a store of their own, they are the same slices in the same order."""
    data = {"augment": ["roll"], "drop_empty": False}
    config = config_of(model={"dimensions": 2, "lattice": True}, data=data, training={"max_steps": 3})
    for name, store in (("cut", tiny_store), ("read", tiny_slices)):
        train(store, tmp_path / name, config, device="cpu")
    cut, read = weights_of(tmp_path / "cut"), weights_of(tmp_path / "read")
    assert all(torch.equal(value, read[name]) for name, value in cut.items())


@pytest.mark.parametrize("precision", ["bf16", "tf32", "float64"])
def test_every_precision_trains(precision: str, tiny_store: Path, tmp_path: Path) -> None:
    config = config_of(training={"max_steps": 2, "precision": precision, "accumulate": 2})
    train(tiny_store, tmp_path / "run", config, device="cpu")
    dtype = torch.float64 if precision == "float64" else torch.float32
    assert {value.dtype for name, value in weights_of(tmp_path / "run").items() if name.startswith("/generator/")} == {
        dtype
    }


def test_the_relativistic_loss_trains(tiny_store: Path, tmp_path: Path) -> None:
    config = config_of(loss={"kind": "relativistic", "n_critic": 1}, training={"max_steps": 2})
    assert train(tiny_store, tmp_path / "run", config, device="cpu")["steps"] == 2


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    original = step_module.Adversaries.update_critic

    def spoil(self: Any, parts: Any) -> Any:
        nonlocal calls
        calls += 1
        terms, norm = original(self, parts)
        return (terms._replace(loss=terms.loss * float("nan")), norm) if calls == 10 else (terms, norm)

    monkeypatch.setattr(step_module.Adversaries, "update_critic", spoil)
    says = r"step 5: .*found critic_loss nan; the checkpoint of step 4 is the last good"
    with pytest.raises(TrainingError, match=says):
        train(tiny_store, tmp_path / "run", config_of(), device="cpu")
    assert [path.name for path in RunFolder(tmp_path / "run").numbered()][-1] == "step-00000004.ckpt"
    assert "critic_loss nan" in (tmp_path / "run" / "log.txt").read_text()


def test_a_full_disk_stops_the_run_and_keeps_the_last_checkpoint(tiny_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def fill(line: Mapping[str, float], _: int) -> None:
        if line["step"] == 3:
            (folder / "checkpoints" / "step-00000004.ckpt.part").symlink_to("/dev/full")

    with pytest.raises(CheckpointError, match=r"step-00000004.ckpt: cannot be written; .*Earlier checkpoints stay"):
        train(tiny_store, folder, config_of(), device="cpu", progress=fill)
    assert read_checkpoint(RunFolder(folder).find_checkpoint())[0]["step"] == 2
    assert train(tiny_store, folder, config_of(), device="cpu", resume=True)["steps"] == 7


def test_nothing_is_overwritten(run: Path, tiny_store: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"found a run. Name another, or go on with --resume"):
        train(tiny_store, run, config_of(), device="cpu")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="found something else"):
        train(tiny_store, tmp_path, config_of(), device="cpu", resume=True)


def test_a_run_of_another_configuration_or_store_is_not_resumed(
    run: Path, tiny_store: Path, unlabelled_store: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"found another model.latent \(5 and 4\), loss.n_critic \(3 and 2\)"):
        train(tiny_store, run, config_of(model={"latent": 5}, loss={"n_critic": 3}), device="cpu", resume=True)
    plain = config_of(model={"conditioning": "none"}, training={"max_steps": 1})
    train(tiny_store, tmp_path / "run", plain, device="cpu")
    with pytest.raises(RunError, match=r"plain.zarr has another .*n_train"):
        train(unlabelled_store, tmp_path / "run", plain, device="cpu", resume=True)


def test_damaged_checkpoints_are_named(tiny_store: Path, tmp_path: Path) -> None:
    train(tiny_store, tmp_path / "run", config_of(training={"max_steps": 2}), device="cpu")
    path = RunFolder(tmp_path / "run").find_checkpoint()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"step-00000002.ckpt: must be a whole checkpoint"):
        train(tiny_store, tmp_path / "run", config_of(), device="cpu", resume=True)


def test_stores_that_do_not_fit_are_refused(
    tiny_store: Path, tiny_slices: Path, unlabelled_store: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="found one of slices"):
        train(tiny_slices, tmp_path / "a", config_of(), device="cpu")
    with pytest.raises(DataError, match=r"model.conditioning = embedding needs labels; found a store without"):
        train(unlabelled_store, tmp_path / "b", config_of(), device="cpu")
    with pytest.raises(ConfigError, match=r"model.generator_channels has 3 stages.*multiples of 8; found 8 x 8 x 12"):
        train(tiny_store, tmp_path / "c", config_of(model={"generator_channels": [4, 3, 2]}), device="cpu")
    with pytest.raises(DataError, match=r"at least one batch of rows an epoch.*batches of 512"):
        train(tiny_store, tmp_path / "d", config_of(training={"batch": 512, "batch_growth": []}), device="cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_named(tiny_store: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PyTorch must see a GPU"):
        train(tiny_store, tmp_path / "run", config_of(), device="cuda")
