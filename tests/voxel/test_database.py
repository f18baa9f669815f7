import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import ase.db
import pytest
from ase.db.sqlite import SQLite3Database

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures.frames import Frame, open_frames
from tests.voxel.same_as_ase import assert_same
from tests.voxel.structure_files import slab, store


def test_selections_pick_rows_in_the_order_of_their_ids(tmp_path: Path) -> None:
    path = store(tmp_path / "bh.db", [slab(seed) for seed in range(300)])
    with ase.db.connect(path) as database:
        database.delete(range(20, 90))
        database.write(slab(7), run=5, id=None)
    assert [frame.info["run"] for frame in open_frames(path, selection="run<6")] == [0, 1, 2, 3, 4, 5, 5]
    assert len(open_frames(path)) == 231
    with ase.db.connect(path) as database:
        for selection in (
            "run>100,run<=250",
            "energy<-300",
            "run=30",
            "facet=r110",
            "O>3,run>10",
            "-facet",
            "natoms=4",
        ):
            ids = sorted(row.id for row in database.select(selection))
            found: list[Frame] = list(open_frames(f"{path}@::3", selection=selection)) if ids else []
            assert [frame.index for frame in found] == ids[::3]
            for frame in found:
                assert_same(frame, database.get(frame.index).toatoms(), info=frame.info)


def test_rows_far_apart_are_fetched_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store(tmp_path / "bh.db", [slab(seed) for seed in range(400)])
    frames = open_frames(f"{path}@::100")
    most = 0
    real: Any = SQLite3Database._convert_tuple_to_row

    def count(self: object, values: object) -> object:
        nonlocal most
        most += 1
        return real(self, values)

    monkeypatch.setattr(SQLite3Database, "_convert_tuple_to_row", count)
    assert [frame.info["run"] for frame in frames] == [0, 100, 200, 300]
    assert most == 4


def test_a_damaged_row_is_named_and_the_next_ones_are_read(tmp_path: Path) -> None:
    path = store(tmp_path / "bh.db", [slab(seed) for seed in range(10)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE systems SET positions = X'00' WHERE id = 4")
        connection.execute("UPDATE systems SET constraints = '[]]' WHERE id = 6")
    frames = open_frames(path)
    with pytest.raises(SourceError, match=r"row 4 of .*bh\.db: must be a structure .*; found ValueError"):
        list(frames)
    errors: list[int] = []
    read = [ordinal for ordinal, _ in frames.iterate(1, lambda ordinal, _: errors.append(ordinal))]
    assert read == [1, 2, 4, 6, 7, 8, 9]
    assert errors == [3, 5]


def test_a_selection_needs_a_database(tmp_path: Path) -> None:
    for name in ("bh.traj", "bh.json"):
        store(tmp_path / name, [slab(seed) for seed in range(5)])
    with pytest.raises(SourceError, match=r"selection 'run=1': needs an ASE database"):
        open_frames(tmp_path / "bh.traj", selection="run=1")
    assert len(open_frames([tmp_path / "bh.traj", tmp_path / "bh.json"], selection="run=1")) == 6


def test_a_selection_that_is_none_or_matches_nothing_is_refused(tmp_path: Path) -> None:
    path = store(tmp_path / "bh.db", [slab(1)])
    with pytest.raises(SourceError, match=r"bh\.db: the selection must be .* found 'energy=low' \(Wrong type"):
        open_frames(path, selection="energy=low")
    with pytest.raises(SourceError, match=r"bh\.db: must hold at least a row that matches 'run>99'; found 0"):
        open_frames(path, selection="run>99")


def test_a_file_that_is_no_ase_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE numbers (n INTEGER)")
    before = path.read_bytes()
    with pytest.raises(SourceError, match=r"other\.db: must be an ASE database, .* no such table: systems"):
        open_frames(path)
    assert path.read_bytes() == before
    for name in ("text.db", "text.json"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(SourceError, match=rf"{name}: must be an ASE database"):
            open_frames(tmp_path / name)
