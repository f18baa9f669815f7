"""The benchmarks run, tiny, and what they write is what they promise. No time is judged here."""

import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = ("window 9", "default tol")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What the quick kernel benchmark writes, and what it says on stderr."""
    out = tmp_path_factory.mktemp("benchmarks") / "new" / "kernel.json"
    command = [sys.executable, "benchmarks/kernel.py", "--quick", "--out", str(out)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out.read_text(), done.stderr


@pytest.fixture
def record(run: tuple[str, str]) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(run[0])
    return loaded


def measured(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was measured for each workload at each stated error."""
    for workload in record["workloads"].values():
        for setting in SETTINGS:
            yield workload[setting]


def test_all_workloads_are_measured(record: dict[str, Any]) -> None:
    assert list(record["workloads"]) == ["W1", "W2", "W3"]
    assert [w["shape"] for w in record["workloads"].values()] == [[32] * 3, [32] * 3, [64] * 3]


def test_the_targets_are_measured_with_a_window_of_nine_voxels_in_either_cell(record: dict[str, Any]) -> None:
    for workload in record["workloads"].values():
        assert workload["window 9"]["window"] == {"orthorhombic": [9, 9, 9], "triclinic": [9, 9, 9]}
        assert workload["default tol"]["tol"] == 1e-4


def test_our_errors_keep_to_the_stated_one_in_every_way_timed(record: dict[str, Any]) -> None:
    for of in measured(record):
        assert {"orthorhombic", "triclinic", "single calls", "render to uint8"} < set(of["ours"])
        for name, row in of["ours"].items():
            rounding = 0.5 / 255 if name == "render to uint8" else 0.0
            assert 0.0 < row["largest_error"] <= of["tol"] + rounding, name
            assert 0.0 < row["us"] <= row["us_median"]


def test_what_is_written_by_hand_gives_the_same_density_as_far_as_it_can(record: dict[str, Any]) -> None:
    for of in measured(record):
        errors = {peer["peer"]: peer["largest_error"] for peer in of["peers"] if peer.get("kind") == "by hand"}
        assert errors["numpy-gemm"] < 5e-6
        assert errors["numpy-gemm-blocks"] < 5e-6
        assert errors["numpy-stencil"] < of["tol"]
        if "scipy-histogram" in errors:
            assert of["tol"] < errors["scipy-trilinear"] < errors["scipy-histogram"] < 2.0


def test_a_peer_is_measured_or_skipped_with_a_reason(run: tuple[str, str], record: dict[str, Any]) -> None:
    names = [[peer["peer"] for peer in of["peers"]] for of in measured(record)]
    assert all(of == names[0] for of in names)
    assert {"molvoxel-numba", "libmolgrid", "freud", "finufft", "pyuul"} < set(names[0])
    for of in measured(record):
        for peer in of["peers"]:
            assert ("us" in peer) != bool(peer.get("skipped"))
            assert ("skipped" in peer) == (f"{peer['peer']} is skipped: " in run[1])


def test_verdicts_follow_from_what_was_measured(record: dict[str, Any]) -> None:
    assert {target["workload"] for target in record["targets"]} == {"W1", "W2", "W3"}
    for target in record["targets"]:
        if target["measured"] is None:
            assert target["met"] is None
            continue
        of = record["workloads"][target["workload"]][target["setting"]]
        us = {"L1 bound": of["limits"]["l1_bound_us"], **{name: row["us"] for name, row in of["ours"].items()}}
        us |= {peer["peer"]: peer["us"] for peer in of["peers"] if "us" in peer}
        above, below = target["contenders"]
        assert target["measured"] == pytest.approx(us[above] / us[below], rel=2e-3)
        reached = target["measured"] >= target["target"]
        assert target["met"] == (reached if target["sense"] == "at least" else not reached)


def test_records_compare_line_by_line_and_do_not_name_the_machine(run: tuple[str, str], record: dict[str, Any]) -> None:
    def rounded(value: float) -> float:
        return float(f"{value:.4g}")

    sorted_and_rounded = json.loads(run[0], parse_float=lambda digits: rounded(float(digits)))
    assert run[0] == json.dumps(sorted_and_rounded, indent=2, sort_keys=True) + "\n"
    assert record["command"] == "python benchmarks/kernel.py --quick --out kernel.json"
    assert platform.node() not in record["machine"].values()
    assert record["versions"]["numpy"]


def test_the_tables_of_the_documentation_are_those_of_the_records() -> None:
    done = subprocess.run([sys.executable, "benchmarks/tables.py", "--check"], check=False, cwd=ROOT)
    assert done.returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        *("build", "reading", "scaling", "preparation", "decode", "decode_accuracy"),
        *("train_step", "label_consistency", "verdict", "hopping"),
    ],
)
def test_a_quick_run_gives_a_record(name: str, tmp_path: Path) -> None:
    command = [sys.executable, f"benchmarks/{name}.py", "--quick", "--out", str(tmp_path / "record.json")]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=300)
    record = json.loads((tmp_path / "record.json").read_text())
    assert {"machine", "run", "versions"} <= set(record)
