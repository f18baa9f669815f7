"""Two ranks train what one process trains with the whole batch, for all variants, over several steps."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.wgan.training.ranks import VARIANTS, take_steps

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("precision", "dimensions", "tolerance"), [("float64", 2, 1e-12), ("float64", 3, 1e-12), ("float32", 2, 1e-6)]
)
def test_two_ranks_equal_one_process_with_the_whole_batch(
    precision: str, dimensions: int, tolerance: float, tmp_path: Path
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "tests.wgan.training.ranks", str(tmp_path), precision, str(dimensions), *VARIANTS]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2)]
    for variant in VARIANTS:
        whole = take_steps(variant, precision, dimensions)
        assert whole.keys() == ranks[0][variant].keys()
        for name in whole:  # what DDP does not touch must be alike by itself: running averages above all
            assert torch.equal(ranks[0][variant][name], ranks[1][variant][name]), f"{variant}: {name}"
        found = ranks[0][variant]
        for update in sorted({name.rsplit(" ", 1)[0] for name in whole if "gradient" in name}):
            names = [name for name in whole if name.startswith(f"{update} ")]
            expected = torch.cat([whole[name].flatten() for name in names])
            off = torch.cat([found[name].flatten() for name in names]) - expected
            assert off.norm() <= tolerance * expected.norm(), f"{variant}, {update}: {off.norm() / expected.norm():.2g}"
        if precision == "float64":  # in float32, where a gradient is 0 but for rounding, Adam makes a step of rounding
            for name, expected in whole.items():
                assert (found[name] - expected).abs().max() <= 10 * tolerance, f"{variant}: {name}"
