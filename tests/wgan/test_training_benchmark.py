"""What the benchmark of training relies on: a record that survives failures, configurations that exist, idle time."""

import json
from pathlib import Path
from typing import Any

import pytest

from ruo2_wgan.config import parse_assignments, resolve_config
from ruo2_wgan.presets import read_preset

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks_find_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_a_record_keeps_what_was_measured_before_a_failure_and_is_gone_on_with() -> None:
    from jobs import Job, fill_record

    ran, written = [], []

    def job(name: str, fails: bool = False, seconds: float = 1.0) -> Job:
        def run() -> dict[str, Any]:
            ran.append(name)
            if fails:
                raise RuntimeError("out of memory")
            return {"rate": 2.5}

        return Job("cases", {"name": name, "set": ["a=1"]}, run, seconds)

    jobs = [job("one"), job("two", fails=True), job("long", seconds=200.0), job("three")]
    record: dict[str, Any] = {}
    assert not fill_record(record, jobs, lambda now: written.append(json.dumps(now)), 100.0, answers=lambda: False)
    assert ran == ["one", "two"]
    assert [json.loads(text)["cases"][-1].get("rate") for text in written] == [2.5, None]
    again = json.loads(written[-1])
    assert fill_record(again, jobs, lambda now: None, 100.0, answers=lambda: True)
    assert ran == ["one", "two", "three"]
    found = {entry["name"]: entry.get("failed", "") for entry in again["cases"]}
    assert found == {"one": "", "two": "RuntimeError: out of memory", "long": "no time left", "three": ""}
    assert 0 < again["seconds"] < 100


def test_seconds_of_earlier_runs_count() -> None:
    from jobs import Job, fill_record

    record = {"seconds": 90.0}
    assert fill_record(record, [Job("cases", {"n": 1}, dict, 20.0)], lambda now: None, 100.0, answers=lambda: True)
    assert record["cases"] == [{"n": 1, "failed": "no time left"}]


def test_cases_of_a_gpu_are_configurations_and_no_two_are_alike() -> None:
    from train_step_cuda import PRESETS, comparisons, cuda_cases

    cases = list(cuda_cases())
    assert len({json.dumps(case, sort_keys=True) for case in cases}) == len(cases)
    for case in [*cases, *(case for _, *pair in comparisons("cuda") for case in pair)]:
        layers = [("preset", read_preset(case["preset"]).tables), ("--set", parse_assignments(case["set"]))]
        config = resolve_config(layers)
        assert config.data.source == "resident"
        for name in ("batch", "precision", "channels_last", "cuda_graphs", "compile"):
            assert getattr(config.training, name) == case.get(name, False), name
    assert {case["preset"] for case in cases[:6]} == set(PRESETS)
    assert all(case["precision"] == "bf16" and case["channels_last"] for case in cases[:12])


def test_targets_are_judged_by_the_fastest_case_that_did_not_fail() -> None:
    from train_step_cuda import cuda_targets

    cases = [
        {"preset": "vanilla-3d", "batch": 32, "structures_per_second": 2680.0, "data_wait": 0.01},
        {"preset": "vanilla-3d", "batch": 64, "structures_per_second": 26.8, "data_wait": 0.03},
        {"preset": "vanilla-3d", "batch": 128, "failed": "no time left"},
        {"preset": "recommended-3d", "batch": 32, "structures_per_second": 9999.0, "data_wait": 0.0},
    ]
    found = cuda_targets({"cases": cases})
    assert found["fastest"]["vanilla-3d"]["batch"] == 32
    assert [(each["measured"], each["met"]) for each in found["ratios"]] == [(100.0, True), (0.03, False)]
    assert [each["met"] for each in cuda_targets({"cases": cases[2:3]})["ratios"]] == [False, False]


def test_idle_time_is_what_no_kernel_covers() -> None:
    from step_profile import idle_share

    assert idle_share([(0.0, 4.0), (1.0, 2.0), (3.0, 5.0), (7.0, 10.0)]) == pytest.approx(0.2)
    assert idle_share([(5.0, 6.0), (1.0, 5.0)]) == 0.0
