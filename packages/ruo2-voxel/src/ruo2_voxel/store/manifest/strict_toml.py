"""TOML read strictly: a key that is missing, unknown or of the wrong type is an error that names file and key."""

import tomllib
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

from ruo2_voxel.errors import ManifestError

_T = TypeVar("_T")
_NAMES = {
    str: "a string",
    int: "an integer",
    float: "a float",
    bool: "a boolean",
    list: "an array",
    dict: "a table",
}


class StrictTable:
    """One table of a file. Keys are taken by name and type; `finish` refuses those that nobody took."""

    def __init__(self, file: Path, name: str, content: dict[str, Any]) -> None:
        self.file, self.name, self._content = file, name, content
        self._taken: set[str] = set()
        self._inner: dict[str, Self] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._content)

    def refuse(self, key: str, why: str) -> NoReturn:
        raise ManifestError(f"{self.file}: {self.name}{key}: {why}")

    def take(self, key: str, kind: type[_T]) -> _T:
        """The value of `key`, which must be there and of this type; a boolean is no integer, an integer no float."""
        if key not in self._content:
            self.refuse(key, f"must be there, {_NAMES[kind]}; found only the keys {', '.join(self.keys) or 'none'}")
        value = self._content[key]
        if type(value) is not kind:
            self.refuse(key, f"must be {_NAMES[kind]}; found {value!r}")
        self._taken.add(key)
        return value

    def text(self, key: str) -> str:
        text = self.take(key, str).strip()
        return text or self.refuse(key, "must say something; found an empty string")

    def count(self, key: str, lowest: int = 0) -> int:
        count = self.take(key, int)
        return count if count >= lowest else self.refuse(key, f"must be at least {lowest}; found {count}")

    def array(self, key: str, kind: type[_T]) -> tuple[_T, ...]:
        """An array whose elements all have this type."""
        elements = self.take(key, list)
        for element in elements:
            if type(element) is not kind:
                self.refuse(key, f"each element must be {_NAMES[kind]}; found {element!r}")
        return tuple(elements)

    def range(self, key: str, kind: type[_T]) -> tuple[_T, _T]:
        ends: tuple[Any, ...] = self.array(key, kind)
        if len(ends) != 2 or not ends[0] <= ends[1]:
            self.refuse(key, f"must be [lowest, highest]; found {list(ends)}")
        return ends

    def table(self, key: str) -> Self:
        if key not in self._inner:
            self._inner[key] = type(self)(self.file, f"{self.name}{key}.", self.take(key, dict))
        return self._inner[key]

    def tables(self, key: str) -> list[Self]:
        elements = self.array(key, dict) or self.refuse(key, "must have at least one table; found none")
        for number, element in enumerate(elements):
            self._inner[f"{key}[{number}]"] = type(self)(self.file, f"{self.name}{key}[{number}].", element)
        return [self._inner[f"{key}[{number}]"] for number in range(len(elements))]

    def finish(self) -> None:
        """Refuse the keys, here and in the tables within, that have not been taken."""
        for key in self._content:
            if key not in self._taken:
                known = ", ".join(sorted(self._taken))
                self.refuse(key, f"is not known; keys here are {known}. Misspelt, or of a newer version?")
        for table in self._inner.values():
            table.finish()


def read_toml(path: Path) -> StrictTable:
    """The top table of a file, or a ManifestError if it cannot be read or is no TOML."""
    try:
        with path.open("rb") as file:
            return StrictTable(path, "", tomllib.load(file))
    except OSError as error:
        raise ManifestError(f"{path}: must be a file that can be read; found: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: must be TOML in UTF-8; found: {error}") from error
