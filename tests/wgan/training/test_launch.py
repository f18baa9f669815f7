"""Batches divide among ranks, parts and groups, or the error says what would do."""

import pytest

from ruo2_wgan.config import make_config
from ruo2_wgan.errors import ConfigError
from ruo2_wgan.training.launch import check_ranks


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
