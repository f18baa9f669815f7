"""A store tells where its structures come from well enough to read each of them again."""

from pathlib import Path

import ase.db
import numpy as np
import pytest

from ruo2_voxel.errors import StoreError
from ruo2_voxel.store.provenance import describe_sources, read_source_frame
from ruo2_voxel.structures.frames import open_frames
from tests.voxel.structure_files import slab, store


@pytest.mark.parametrize("name", ["a.traj", "a.extxyz", "a.xyz", "a.db", "a.json", "odd@name[1].traj"])
def test_every_frame_taken_from_a_file_is_found_in_it_again(name: str, tmp_path: Path) -> None:
    structures = [slab(seed) for seed in range(7)]
    path = store(tmp_path / name, structures)
    if name.endswith((".db", ".json")):
        with ase.db.connect(path) as rows:
            del rows[2]
        del structures[1]
    frames = open_frames(f"{path}@1::2")
    (source,) = describe_sources(frames)
    taken = list(frames)
    assert len(taken) == 3
    for frame, expected in zip(taken, structures[1::2], strict=True):
        again = read_source_frame(source, frame.index)
        np.testing.assert_allclose(again.positions, expected.positions, atol=1e-7)
        np.testing.assert_array_equal(again.numbers, expected.numbers)
        assert again.index == frame.index


def test_a_file_that_is_gone_or_changed_is_no_source_any_more(tmp_path: Path) -> None:
    path = store(tmp_path / "a.traj", [slab(1)])
    (source,) = describe_sources(open_frames(path))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(StoreError, match=rf"a.traj: must still be .* with sha256 {source['sha256']}; found \w{{64}}"):
        read_source_frame(source, 0)
    path.unlink()
    with pytest.raises(StoreError, match=r"a.traj: must still be there .* found: No such file"):
        read_source_frame(source, 0)
    path.mkdir()
    with pytest.raises(StoreError, match=r"a.traj: must still be there .* found: Is a directory"):
        read_source_frame(source, 0)
