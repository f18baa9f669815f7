"""Batches divide among ranks, parts and groups, or the error says what would do; a slow precision is warned of."""

import re
import warnings
from pathlib import Path

import pytest

from ruo2_wgan.config import make_config
from ruo2_wgan.errors import ConfigError
from ruo2_wgan.training import launch as launching
from ruo2_wgan.training.launch import SlowPrecisionWarning, check_ranks, launch


@pytest.mark.parametrize(("n_ranks", "fits"), [(1, True), (2, True), (3, False), (4, False)])
def test_each_rank_holds_whole_groups(n_ranks: int, fits: bool) -> None:
    config = make_config({"model": {"minibatch_std": 8}, "training": {"batch": 32, "accumulate": 2}})
    if fits:
        check_ranks(config, n_ranks)
    else:
        with pytest.raises(ConfigError, match=f"found 32. Take a multiple of {16 * n_ranks}"):
            check_ranks(config, n_ranks)


def test_every_batch_of_a_growing_one_is_checked() -> None:
    config = make_config({"training": {"batch": 32, "batch_growth": [[10, 48], [20, 50]]}})
    check_ranks(config, 2)
    with pytest.raises(ConfigError, match="among 4 ranks, in 1 parts on each; found 50"):
        check_ranks(config, 4)


@pytest.mark.parametrize(
    ("precision", "computed", "slow"), [("bf16", False, True), ("bf16", True, False), ("float32", False, False)]
)
def test_a_precision_that_the_processor_emulates_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, precision: str, computed: bool, slow: bool
) -> None:
    monkeypatch.setattr(launching, "computes_bf16", lambda: computed)
    training = make_config({"training": {"precision": precision}}).training
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", SlowPrecisionWarning)
        launch("cpu", training)
    assert [each.category for each in seen] == [SlowPrecisionWarning] * slow


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="no Linux")
def test_whether_a_processor_computes_bf16_is_what_onednn_says() -> None:
    """Its kernels need AVX-512 on x86."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    if not re.search(r"^flags\s*:", told, re.MULTILINE):
        pytest.skip("no x86")
    assert launching.computes_bf16() == ("avx512bw" in told)
