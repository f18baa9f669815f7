"""ASE databases (.db, .json): rows in the order of their ids, a few at a time."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
from ase.db.core import parse_selection
from ase.db.row import AtomsRow

from ruo2_voxel.errors import SourceError
from ruo2_voxel.structures.frame import Frame, unreadable
from ruo2_voxel.typing import IntArray

_MOST_ROWS = 64  # in memory at once


class DatabaseFile:
    """The rows of one database that a selection picks: their ids (8 bytes each), but no open connection.

    ASE's own `select` fetches all rows at once, hence the small ranges of ids here. A .json database is an exception:
    ASE can only load it whole.

    Parameters
    ----------
    path
        SQLite or JSON, told apart by the first bytes.
    selection
        As for `ase.db`, e.g. "phase=1,energy<-250"; None or "" for all rows.

    Raises
    ------
    SourceError
        Not an ASE database, a selection that is none.
    """

    backwards = True

    def __init__(self, path: str, selection: str | None = None) -> None:
        self.path = path
        self.selection = selection or None
        self.broken: tuple[int, str] | None = None
        self._expressions = [part.strip() for part in selection.split(",")] if selection else []
        try:
            parse_selection(self._expressions)
        except ValueError as error:
            raise SourceError(
                f"{path}: the selection must be one that ase.db knows, such as phase=1,energy<-250; "
                f"found {selection!r} ({error})"
            ) from error
        with open(path, "rb") as file:
            self._kind = "db" if file.read(16) == b"SQLite format 3\0" else "json"
        try:
            self._ids = self._sqlite_ids() if self._kind == "db" else self._json_ids()
        except Exception as error:  # ASE may raise anything
            raise SourceError(
                f"{path}: must be an ASE database, as its name says; found {type(error).__name__}: {error}"
            ) from error
        self.n_frames = len(self._ids)

    def read(self, indices: range) -> Iterator[Frame | SourceError]:
        """The rows of these places among those selected; for one that cannot be read, the error that says why."""
        n_rows = _MOST_ROWS if self._kind == "db" else max(len(indices), 1)
        for first in range(0, len(indices), n_rows):
            ids = self._ids[np.array(indices[first : first + n_rows])].tolist()
            rows = self._rows(ids)
            for row_id in ids:
                yield self._frame(row_id, rows.pop(row_id, None))

    def _frame(self, row_id: int, row: AtomsRow | None) -> Frame | SourceError:
        try:
            if row is None:
                (row,) = self._select([("id", "=", row_id)])
            scalars = {key: value for key, value in row.data.items() if isinstance(value, bool | int | float | str)}
            info = {**scalars, **row.key_value_pairs}
            return Frame.from_atoms(row.toatoms(), self.path, row_id, info=info, noun="row")
        except Exception as error:  # ASE may raise anything
            return unreadable(self.path, row_id, error, noun="row")

    def _rows(self, ids: list[int]) -> dict[int, AtomsRow]:
        """Rows by id, in one query if that fetches few others; those left out are to be read one by one."""
        low, high = min(ids), max(ids)
        if self._kind == "db" and high - low >= 4 * len(ids):
            return {}
        try:
            rows = self._select([*self._expressions, ("id", ">=", low), ("id", "<=", high)])
        except Exception:  # one of them is damaged: reading one by one tells which
            return {}
        return {row.id: row for row in rows}

    def _select(self, expressions: Sequence[str | tuple[str, str, Any]]) -> list[AtomsRow]:
        with ase.db.connect(self.path, type=self._kind, use_lock_file=False) as database:
            return list(database.select(expressions))

    def _sqlite_ids(self) -> IntArray:
        """Ids that the selection picks, by ASE's query for it."""
        uri = f"{Path(self.path).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("SELECT id FROM systems LIMIT 1")  # ASE would create the missing table
            with ase.db.connect(self.path, type="db", use_lock_file=False) as database:
                database.count()  # lets ASE look at the version
                query, values = database.create_select_statement(*parse_selection(self._expressions), what="systems.id")
            rows = connection.execute(f"{query}\nORDER BY systems.id", values)
            return np.fromiter((row[0] for row in rows), dtype=np.int64)

    def _json_ids(self) -> IntArray:
        return np.array([row.id for row in self._select(self._expressions)], dtype=np.int64)
