"""A checkpoint comes back as it was; a damaged, foreign or hostile one is refused and runs nothing."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from ruo2_wgan.config import make_config
from ruo2_wgan.errors import CheckpointError
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.training import checkpoint
from ruo2_wgan.training.checkpoint import read_checkpoint, write_checkpoint

CONFIG = make_config({"model": {"latent": 7}, "training": {"batch_growth": [[3, 64]]}})
SPEC = DataSpec(
    species=("Ru", "O"),
    shape=(16, 24),
    sigma=0.45,
    tol=1e-4,
    label="energy",
    class_edges=(-2.0, -1.0, 0.0),
    lattice_low=(6.0, 20.0),
    lattice_high=(9.0, 21.0),
    lattice_typical=((6.2, 20.5), (6.1, 20.5), (8.9, 20.6)),
    n_train=100,
    n_held_out=10,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "step-00000003.ckpt"
    write_checkpoint(path, {"step": 3, "weights": {"a": torch.arange(5.0)}, "none": None}, CONFIG, SPEC)
    return path


def test_a_checkpoint_comes_back_as_it_was(path: Path) -> None:
    state, config, spec = read_checkpoint(path)
    assert (config, spec) == (CONFIG, SPEC)
    assert state["step"] == 3
    assert torch.equal(state["weights"]["a"], torch.arange(5.0))
    assert list(path.parent.iterdir()) == [path]


class Hostile:
    """Unpickled, it would make a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_a_pickle_that_would_run_code_is_refused_and_not_run(path: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save({"format": checkpoint.FORMAT, "step": Hostile(trace)}, path)
    with pytest.raises(CheckpointError, match="would run code"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps(Hostile(trace)))
    with pytest.raises(CheckpointError, match=r"would run code|damaged"):
        read_checkpoint(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # the trap is a real one
    assert trace.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="damaged file"):
        read_checkpoint(path)


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="found nothing there"):
        read_checkpoint(tmp_path / "no.ckpt")
    torch.save({"a": 1}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="another file of tensors"):
        read_checkpoint(tmp_path / "other.ckpt")
    torch.save({"format": checkpoint.FORMAT, "version": 99}, tmp_path / "later.ckpt")
    with pytest.raises(CheckpointError, match="version 1; found 99"):
        read_checkpoint(tmp_path / "later.ckpt")


def test_a_full_disk_leaves_the_earlier_checkpoint(path: Path) -> None:
    """/dev/full takes no byte: the file beside the checkpoint is a link to it."""
    before = path.read_bytes()
    path.with_name(path.name + ".part").symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="Earlier checkpoints stay"):
        write_checkpoint(path, {"step": 4, "weights": torch.zeros(10**6)}, CONFIG, SPEC)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    assert read_checkpoint(path)[0]["step"] == 3
