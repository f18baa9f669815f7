"""Samples are the same for a seed whatever the count, readable by ruo2-voxel, and refused where they cannot be."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase.io import read

from ruo2_voxel import open_slices, open_store, verify_store
from ruo2_wgan.config import make_config
from ruo2_wgan.errors import CheckpointError, ConfigError, RunError
from ruo2_wgan.generate import generate, load_generator
from ruo2_wgan.networks import build_networks
from ruo2_wgan.sampling import PASS, deal_labels, draw_latent, sample
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.training.train import train
from tests.wgan.specs import make_spec

SMALL = {"latent": 4, "generator_channels": [4, 3], "critic_channels": [3, 4], "lattice_hidden": 4}


def train_tiny(store: Path, folder: Path, ema: float = 0.5, **model: Any) -> Path:
    config = make_config(
        {
            "model": {**SMALL, **model},
            "loss": {"n_critic": 1},
            "training": {"batch": 8, "max_steps": 2, "ema": ema},
            "output": {"n_samples": 1, "watch": 8},
        }
    )
    train(store, folder, config, device="cpu")
    return folder


@pytest.fixture(scope="module")
def conditioned(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With classes and lattice heads."""
    folder = tmp_path_factory.mktemp("conditioned") / "run"
    return train_tiny(tiny_store, folder, conditioning="embedding", condition_size=3, lattice=True)


@pytest.fixture(scope="module")
def plain(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of slices, without classes, lattice heads and average."""
    return train_tiny(tiny_store, tmp_path_factory.mktemp("plain") / "run", ema=0.0, dimensions=2)


def test_a_sample_is_the_same_whatever_else_is_drawn(conditioned: Path, tmp_path: Path) -> None:
    for count in (3, PASS + 5):
        generate(conditioned, tmp_path / f"{count}.zarr", count, seed=4, device="auto")
    few, many = (open_store(tmp_path / f"{count}.zarr") for count in (3, PASS + 5))
    assert np.array_equal(few.read(range(3)), many.read(range(3)))
    assert np.array_equal(few.lattice, many.lattice[:3])
    assert np.array_equal(few.energy_class, [0, 1, 2])
    generate(conditioned, tmp_path / "other.zarr", 3, seed=5)
    assert not np.array_equal(open_store(tmp_path / "other.zarr").read(range(3)), few.read(range(3)))


def test_rows_are_bit_for_bit_those_of_any_batch() -> None:
    """In plain batches they are not: how a product is summed up depends on the number of rows."""
    spec = make_spec((16, 16))
    config = make_config({"model": {"dimensions": 2, "generator_channels": [64, 32], "critic_channels": [2]}})
    generator, _ = build_networks(config.model, spec, 1)
    latent = draw_latent(70, 512, 3)
    whole = sample(generator, spec, latent, deal_labels(70, config.model, spec)).density
    for size in (1, 7, 33):
        part = sample(generator, spec, latent[20 : 20 + size], deal_labels(size, config.model, spec)).density
        assert np.array_equal(part, whole[20 : 20 + size])
    assert generator.training


def test_latent_vectors_are_normal_and_each_has_its_own() -> None:
    latent = draw_latent(400, 50, 1)
    assert abs(latent.mean()) < 0.03
    assert abs(latent.std() - 1) < 0.03
    assert torch.equal(draw_latent(5, 50, 1, first=10), latent[10:15])
    assert len(torch.unique(latent)) == latent.numel()


def test_labels_reach_the_store_and_the_samples(conditioned: Path, tmp_path: Path) -> None:
    for label in (1, 4):
        result = generate(conditioned, tmp_path / f"{label}.zarr", 5, label=label)
        assert result["labels"] == {label: 5}
    one, other = (open_store(tmp_path / f"{label}.zarr") for label in (1, 4))
    assert (one.energy_class == 1).all()
    assert not np.array_equal(one.read(range(5)), other.read(range(5)))
    assert generate(conditioned, tmp_path / "all.zarr", 12)["labels"] == {0: 3, 1: 3, 2: 2, 3: 2, 4: 2}


def test_lattice_lengths_are_unscaled_predictions(conditioned: Path, tiny_store: Path, tmp_path: Path) -> None:
    result = generate(conditioned, tmp_path / "fake.zarr", 40)
    assert result["lattice_from"] == "predicted"
    lengths, real = open_store(tmp_path / "fake.zarr").lattice, open_store(tiny_store).lattice
    assert (lengths >= real.min(axis=0) - 1e-6).all()
    assert (lengths <= real.max(axis=0) + 1e-6).all()
    np.testing.assert_allclose(lengths[:, 0], 5.0)  # the only one in the data
    assert lengths[:, 1].std() > 0
    generator, config, spec, _ = load_generator(RunFolder(conditioned).find_checkpoint())
    with torch.no_grad():
        made = generator(draw_latent(1, 4, 0).float(), torch.tensor([0]))
    low, high = np.array(spec.lattice_low), np.array(spec.lattice_high)
    expected = low + (high - low) / (1 + np.exp(-made.lattice_logits[0].numpy()))
    np.testing.assert_allclose(lengths[0], expected, rtol=1e-5)
    assert config.model.lattice


def test_ruo2_voxel_reads_samples(conditioned: Path, tmp_path: Path) -> None:
    generate(conditioned, tmp_path / "fake.zarr", 7, sheet=tmp_path / "sheet.png")
    store = open_store(tmp_path / "fake.zarr")
    verify_store(store)
    assert store.grid.species == ("Ru", "O")
    assert store.generated["step"] == 2
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_samples_become_atoms(conditioned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The generator is replaced by one that gives real densities: what it has learned in two steps has no atoms."""
    real = open_store(Path(read_store_of(conditioned)))
    calls = []

    def act(_: Any, latent: torch.Tensor, label: torch.Tensor | None = None) -> Any:
        from ruo2_wgan.networks import Generated

        calls.append(label)
        rows = np.arange(len(latent)) % len(real)
        logits = torch.zeros(len(latent), 3)
        return Generated(torch.from_numpy(real.densities(rows)), logits)

    monkeypatch.setattr("ruo2_wgan.networks.generator.Generator.forward", act)
    result = generate(conditioned, tmp_path / "fake.traj", 6)
    found = read(tmp_path / "fake.traj", index=":")
    assert len(found) == 6
    assert result["atoms"] == sum(len(atoms) for atoms in found) > 0
    assert [atoms.info["label"] for atoms in found] == [0, 1, 2, 3, 4, 0]
    assert [atoms.info["sample"] for atoms in found] == list(range(6))
    assert found[0].cell.lengths()[1] == pytest.approx(6.5)  # the middle of 6 and 7 Å
    assert len(calls) == 1


def read_store_of(run: Path) -> str:
    import json

    return str(json.loads((run / "provenance.json").read_text())["store"]["location"])


def test_slices_go_to_a_store_of_slices(plain: Path, tmp_path: Path) -> None:
    result = generate(plain, tmp_path / "fake.zarr", 5, sheet=tmp_path / "sheet.png")
    assert len(open_slices(tmp_path / "fake.zarr")) == 5
    assert result["lattice_from"] == "medians of the data"
    with pytest.raises(ConfigError, match="slices cannot become atoms"):
        generate(plain, tmp_path / "fake.traj", 5)


def test_averaged_and_last_weights_differ(conditioned: Path, plain: Path, tmp_path: Path) -> None:
    for name, ema in (("default", None), ("average", True), ("last", False)):
        generate(conditioned, tmp_path / f"{name}.zarr", 3, ema=ema)
    names = ("default", "average", "last")
    default, average, last = (open_store(tmp_path / f"{name}.zarr").read(range(3)) for name in names)
    assert np.array_equal(default, average)
    assert not np.array_equal(average, last)
    with pytest.raises(CheckpointError, match="must hold an averaged generator"):
        generate(plain, tmp_path / "no.zarr", 3, ema=True)


def test_bad_requests_are_refused(conditioned: Path, plain: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--label 5: must lie from 0 to 4"):
        generate(conditioned, tmp_path / "fake.zarr", 3, label=5)
    with pytest.raises(ConfigError, match="must be conditioned on classes"):
        generate(plain, tmp_path / "fake.zarr", 3, label=0)
    with pytest.raises((CheckpointError, RunError), match="must"):
        generate(tmp_path, tmp_path / "fake.zarr", 3)
    (tmp_path / "fake.zarr").mkdir()
    (tmp_path / "fake.zarr" / "notes.txt").write_text("mine")
    with pytest.raises(Exception, match="must be a Zarr store to be replaced"):
        generate(conditioned, tmp_path / "fake.zarr", 3, overwrite=True)
    assert (tmp_path / "fake.zarr" / "notes.txt").exists()


def test_without_lattice_heads_lengths_are_medians_of_the_class_or_of_all() -> None:
    typical = ((7.0, 7.5), (6.0, 7.0), (8.0, 9.0))
    spec = dataclasses.replace(make_spec((16, 16), n_classes=2), lattice_typical=typical)
    config = make_config({"model": {"dimensions": 2, "generator_channels": [4, 3], "critic_channels": [2]}})
    generator, _ = build_networks(config.model, spec, 1)
    found = sample(generator, spec, draw_latent(3, 512, 0), np.array([-1, 0, 1])).lattice
    assert found.tolist() == [list(row) for row in typical]
