"""What a benchmark's numbers belong to: the machine, the versions, the threads; and how they are written down."""

import json
import os
import platform
import shlex
import sys
from collections.abc import Iterable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

DIGITS = 4  # significant: more would be noise
THREADS_OF_LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def describe_machine() -> dict[str, Any]:
    """Processor, cores, caches, memory, system and Python; nothing that names the machine itself."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "caches": _caches(),
        "memory_GiB": _memory(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "python": platform.python_version(),
    }


def package_versions(names: Iterable[str]) -> dict[str, str | None]:
    """Installed versions of distributions; None where one is missing."""
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return versions


def describe_run() -> dict[str, str]:
    """When and how this program was started; of absolute paths only the last part."""
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    return {"date": date.today().isoformat(), "command": shlex.join(["python", *words])}


def hold_libraries_to_one_thread() -> None:
    """Start this program anew with BLAS and OpenMP held to one thread, unless they are.

    They read the environment when they are loaded, which has happened by the time anyone could call this.
    """
    wanted = dict.fromkeys(THREADS_OF_LIBRARIES, "1")
    if any(os.environ.get(name) != n for name, n in wanted.items()):
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **wanted})


def write_record(record: dict[str, Any], path: Path) -> None:
    """JSON with sorted keys and four significant digits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(record), indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _caches() -> dict[str, str]:
    """Sizes of the caches that the first core sees, as the kernel states them; empty where it does not."""
    caches: dict[str, str] = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ("".join(_lines(folder / name)).strip() for name in ("level", "type", "size"))
        if level and size:
            caches[f"L{level}{'' if kind == 'Unified' else ' ' + kind.lower()}"] = size
    return caches


def _memory() -> float | None:
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) / 2**20
    return None


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []
