"""A verdict as it lies on the disk, and whose it is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruo2_voxel import whole_file
from ruo2_wgan.errors import VerdictError
from ruo2_wgan.verdict.verdict import FORMAT

NAME = "verdict.json"
SECTIONS = ("format", "made", "data", "limits", "samples", "held_out", "control", "labels", "signs", "evidence")


def find_verdict(path: Path) -> Path:
    """The file that a path means: itself, or that of the run in a folder."""
    return path / NAME if path.is_dir() else path


def read_verdict(path: str | Path) -> dict[str, Any]:
    """The verdict of a run, or of any model's samples.

    Parameters
    ----------
    path
        A run folder with verdict.json in it, or such a file.

    Returns
    -------
    verdict
        As `ruo2-wgan evaluate` writes it.

    Raises
    ------
    VerdictError
        No such file, a truncated one, one that is no verdict, or one of another format.
    """
    file = find_verdict(Path(path))
    try:
        verdict = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        advice = f"Run ruo2-wgan evaluate {path} first" if Path(path).is_dir() else "Name a run folder or a verdict"
        raise VerdictError(f"{file}: must be a verdict on samples; found nothing there. {advice}") from None
    except json.JSONDecodeError as error:
        raise VerdictError(
            f"{file}: must be a whole JSON file; found it damaged at line {error.lineno} ({error.msg}). "
            f"Write it again with ruo2-wgan evaluate"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise VerdictError(f"{file}: must be a readable JSON file; found: {error}") from None
    if isinstance(verdict, dict) and verdict.get("format", FORMAT) != FORMAT:
        raise VerdictError(
            f"{file}: must be a verdict of format {FORMAT}; found format {verdict['format']!r}. Read it with the "
            f"ruo2-wgan that wrote it, or write it again with ruo2-wgan evaluate"
        )
    missing = SECTIONS if not isinstance(verdict, dict) else [name for name in SECTIONS if name not in verdict]
    if missing:
        raise VerdictError(f"{file}: must be a verdict of ruo2-wgan evaluate; found JSON without {', '.join(missing)}")
    return dict(verdict)


def write_verdict(verdict: Mapping[str, Any], path: Path, overwrite: bool = False) -> None:
    """Write a verdict, whole or not at all.

    Raises
    ------
    Ruo2Error
        It cannot be written; what stood there stays.
    """
    text = json.dumps(verdict, allow_nan=False)
    with whole_file(path, overwrite) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")
