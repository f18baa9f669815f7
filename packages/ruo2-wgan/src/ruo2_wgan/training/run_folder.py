"""The folder of a run: what it is made of, how it goes, and what it can be resumed or sampled from.

config.toml      the configuration, resolved         provenance.json  versions, device, store, command, seed
log.txt          what happened, with times           stats.jsonl      one JSON object for each logged step
tensorboard/     the same figures                    losses.png       the same figures, drawn
samples/         sheets by epoch                     checkpoints/     the last ones, and the best
"""

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from ruo2_wgan.config import Config, config_toml, make_config, read_config
from ruo2_wgan.errors import CheckpointError, RunError
from ruo2_wgan.spec import DataSpec
from ruo2_wgan.training.checkpoint import SUFFIX, write_checkpoint

BEST = f"best{SUFFIX}"

logger = logging.getLogger("ruo2_wgan")


class RunFolder:
    """Paths in the folder of a run, and its files, of which rank zero is the only writer.

    Parameters
    ----------
    path
        Of the folder, which need not exist yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.stats_file = self.path / "stats.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.samples = self.path / "samples"
        self._board: SummaryWriter | None = None
        self._log: logging.Handler | None = None

    @property
    def is_started(self) -> bool:
        return self.config_file.exists()

    def check_free(self) -> None:
        """See that nothing would be lost by starting a run here.

        Raises
        ------
        RunError
            Something is there.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            what = "a run" if self.is_started else "something else"
            raise RunError(
                f"{self.path}: must be a new or an empty folder; found {what}. "
                f"Name another{', or go on with --resume' if self.is_started else ''}"
            )

    def read_config(self) -> Config:
        """Of the run that was started here.

        Raises
        ------
        RunError
            No run is here.
        """
        if not self.is_started:
            raise RunError(f"{self.path}: must be the folder of a run; found no config.toml in it")
        return make_config(read_config(self.config_file), str(self.config_file))

    def begin(self, config: Config, provenance: Mapping[str, Any], from_step: int) -> None:
        """Open the files of a run that starts, or goes on from a step; later lines of an earlier attempt are dropped.

        Raises
        ------
        RunError
            The folder cannot be written.
        """
        try:
            for folder in (self.path, self.checkpoints, self.samples):
                folder.mkdir(parents=True, exist_ok=True)
            for part in self.checkpoints.glob("*.part"):  # of an attempt that was killed
                part.unlink()
            self.config_file.write_text(config_toml(config))
            self._write_provenance(provenance, from_step)
            self._keep_stats_before(from_step)
            self._log = logging.FileHandler(self.path / "log.txt")
        except OSError as error:
            raise RunError(f"{self.path}: must be writable; found {error.strerror}") from error
        self._log.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(self._log)
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)
        board = self.path / "tensorboard"
        if not from_step:
            shutil.rmtree(board, ignore_errors=True)
        self._board = SummaryWriter(str(board), purge_step=from_step or None)

    def append_stats(self, line: Mapping[str, float | int]) -> None:
        """One logged step, to stats.jsonl and to TensorBoard.

        Raises
        ------
        RunError
            It cannot be written.
        """
        try:
            with open(self.stats_file, "a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise RunError(f"{self.stats_file}: must be writable and have room; found {error.strerror}") from error
        assert self._board is not None
        for name, value in line.items():
            if name not in ("step", "epoch"):
                self._board.add_scalar(name, value, int(line["step"]))

    def read_stats(self) -> list[dict[str, Any]]:
        """All logged steps.

        Raises
        ------
        RunError
            A line that is no JSON object with a step.
        """
        if not self.stats_file.exists():
            return []
        return [
            self._read_line(number, line) for number, line in enumerate(self.stats_file.read_text().splitlines(), 1)
        ]

    def read_provenance(self) -> dict[str, Any]:
        """What the run was made with; empty where nobody wrote it down.

        Raises
        ------
        RunError
            A file that is no JSON object.
        """
        path = self.path / "provenance.json"
        try:
            return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
        except (TypeError, ValueError):
            raise RunError(f"{path}: must be a JSON object; found it damaged. Remove it, or mend it") from None

    def save(self, step: int, state: dict[str, Any], config: Config, spec: DataSpec) -> Path:
        """Write the checkpoint after a number of steps, and remove all but the last ones.

        Raises
        ------
        CheckpointError
            It cannot be written. Those that are there stay.
        """
        path = self.checkpoints / f"step-{step:08d}{SUFFIX}"
        write_checkpoint(path, {"step": step, **state}, config, spec)
        for old in self.numbered()[: -config.output.keep_last]:
            old.unlink()
        return path

    def save_best(self, step: int, state: dict[str, Any], config: Config, spec: DataSpec) -> None:
        """Replace the best checkpoint."""
        write_checkpoint(self.checkpoints / BEST, {"step": step, **state}, config, spec)

    def numbered(self) -> list[Path]:
        """Checkpoints by step, the newest last."""
        return sorted(self.checkpoints.glob(f"step-*{SUFFIX}"))

    def find_checkpoint(self, which: str = "last") -> Path:
        """The newest or the best checkpoint.

        Raises
        ------
        CheckpointError
            There is none.
        """
        best = self.checkpoints / BEST
        if which == "best" and best.exists():
            return best
        found = self.numbered()
        if which == "best" or not found:
            raise CheckpointError(f"{self.path}: must hold a {which} checkpoint in checkpoints/; found none")
        return found[-1]

    def close(self) -> None:
        if self._board is not None:
            self._board.close()
        if self._log is not None:
            logger.removeHandler(self._log)
            self._log.close()

    def _read_line(self, number: int, line: str) -> dict[str, Any]:
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            values = None
        if not isinstance(values, dict) or "step" not in values:
            raise RunError(
                f"{self.stats_file}, line {number}: must be a JSON object with a step; found {line[:60]!r}. "
                f"Remove the line, or mend it"
            )
        return values

    def _write_provenance(self, provenance: Mapping[str, Any], from_step: int) -> None:
        path = self.path / "provenance.json"
        earlier = json.loads(path.read_text()) if from_step and path.exists() else None
        whole = dict(provenance)
        if earlier is not None:
            resumed = [*earlier.pop("resumed", []), {"from_step": from_step, **provenance}]
            whole = {**earlier, "resumed": resumed}
        path.write_text(json.dumps(whole, indent=2) + "\n")

    def _keep_stats_before(self, from_step: int) -> None:
        kept = [line for line in self.read_stats() if line["step"] <= from_step] if from_step else []
        self.stats_file.write_text("".join(json.dumps(line) + "\n" for line in kept))
