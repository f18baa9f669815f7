"""The folder of a run: what is read back from it."""

from pathlib import Path

import pytest

from ruo2_wgan.errors import RunError
from ruo2_wgan.training.run_folder import RunFolder


@pytest.mark.parametrize("broken", ['{"step": 20, "cri', "", "[1, 2]", '{"epoch": 1.0}'])
def test_a_broken_line_of_statistics_is_named(broken: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_stats() == []
    folder.stats_file.write_text(f'{{"step": 10}}\n{broken}\n{{"step": 30}}\n')
    with pytest.raises(RunError, match=r"stats\.jsonl, line 2: must be a JSON object with a step"):
        folder.read_stats()
    folder.stats_file.write_text('{"step": 10}\n{"step": 30}\n')
    assert [line["step"] for line in folder.read_stats()] == [10, 30]
