"""Checkpoints: a file of tensors and plain values, written whole or not at all, read without running code in it."""

import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from ruo2_wgan.config import Config, config_tables, make_config
from ruo2_wgan.errors import CheckpointError
from ruo2_wgan.spec import DataSpec

FORMAT = "ruo2-wgan checkpoint"
VERSION = 1
SUFFIX = ".ckpt"


def write_checkpoint(path: Path, state: dict[str, Any], config: Config, spec: DataSpec) -> None:
    """Write a checkpoint beside its place and move it there once it is on the disk.

    Parameters
    ----------
    path
        Of the new file; one that stands there is replaced.
    state
        Tensors and plain values, in dicts and lists.
    config, spec
        What the networks are made of, so that the file can be used alone.

    Raises
    ------
    CheckpointError
        It cannot be written, say for want of space. What stood there stays.
    """
    whole = {"format": FORMAT, "version": VERSION, "config": config_tables(config), "spec": spec.as_dict(), **state}
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            torch.save(whole, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync(path.parent)
    except (OSError, RuntimeError) as error:  # torch's zip writer reports a full disk as a RuntimeError
        part.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written; {_first_line(error)}. Earlier checkpoints stay") from error


def read_checkpoint(path: Path, device: torch.device | str = "cpu") -> tuple[dict[str, Any], Config, DataSpec]:
    """State, configuration and data of a checkpoint.

    Raises
    ------
    CheckpointError
        No such file, a truncated one, one that holds more than tensors and plain values, or of another format.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles, which are refused below
            state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: must be a checkpoint; found nothing there") from None
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: must hold tensors and plain values only; found something that would run code, or a damaged "
            f"file ({_first_line(error)}). Nothing of it was run. Use files of ruo2-wgan only"
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: must be a whole checkpoint; found a damaged file ({_first_line(error)}). Take an earlier one"
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise CheckpointError(f"{path}: must be a checkpoint of ruo2-wgan; found another file of tensors")
    if state["version"] != VERSION:
        raise CheckpointError(
            f"{path}: must be of format version {VERSION}; found {state['version']}. Read it with the ruo2-wgan "
            f"that wrote it"
        )
    return state, make_config(state["config"], str(path)), DataSpec.from_dict(state["spec"])


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
