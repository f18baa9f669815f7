"""Items of an ulm file, read fast: usually one `pread` an item, and its JSON text parsed without Python code.

An item is a few arrays, then the size of a JSON text, then the text, which says where the arrays lie: {"positions.":
{"ndarray": [shape, dtype, offset]}, ...}. Format and slow path: `ase.io.ulm`, whose values these are bit for bit.
"""

import functools
import json
import math
import os
from typing import Any, BinaryIO

import numpy as np
from ase.io.jsonio import decode, intkey

from ruo2_voxel.typing import Array

_FARTHEST = 1 << 20  # bytes: arrays that begin further ahead of their text are read on their own
_MOST_WORDS = 4096


class UlmItems:
    """The items of one open file, of which one at a time is loaded; for one thread, but it never moves the file."""

    def __init__(self, file: BinaryIO) -> None:
        self._descriptor = file.fileno()
        self._n_bytes = os.fstat(self._descriptor).st_size
        self._words: set[str] = set()  # keys that are known to be no numbers
        self._chunk = b""
        self._start = self._offset = self._lowest = 0
        self._little_endian = True
        self._ahead = 4096  # bytes that the text may take

    def load(self, offset: int) -> dict[Any, Any]:
        """Go to the item at `offset` and return what its text says; its arrays are places until asked for.

        Raises
        ------
        EOFError
            The item does not lie within the file.
        ValueError
            The text is no JSON.
        """
        reach = self._offset - self._lowest  # what the last item needed is the best guess for this one
        self._start = max(offset - reach if reach <= _FARTHEST else offset, 0)
        self._offset = self._lowest = offset
        self._chunk = os.pread(self._descriptor, offset - self._start + 8 + self._ahead, self._start)
        text = self._chunk[offset - self._start :]
        size = int.from_bytes(text[:8], "little", signed=True)
        if size < 1:
            raise EOFError
        text = text[8 : 8 + size] if size <= len(text) - 8 else self._pread(size, offset + 8)
        self._ahead = size + 256
        data = self._parse(text.decode())
        self._little_endian = data.pop("_little_endian", True)
        return data

    def raw(self, place: dict[str, Any]) -> bytes:
        """The bytes of an array as they stand in the file."""
        count, stored, offset, _ = self._locate(place)
        begin = offset - self._start
        end = begin + count * stored.itemsize
        return self._chunk[begin:end] if begin >= 0 and end <= len(self._chunk) else self._pread(end - begin, offset)

    def array(self, place: dict[str, Any], dtype: type) -> Array:
        """A fresh array of that dtype, in this machine's byte order.

        Raises
        ------
        EOFError
            It does not lie within the file.
        """
        count, stored, offset, shape = self._locate(place)
        begin = offset - self._start
        if begin >= 0 and begin + count * stored.itemsize <= len(self._chunk):
            flat = np.frombuffer(self._chunk, stored, count, begin)
        else:
            flat = np.frombuffer(self._pread(count * stored.itemsize, offset), stored)
        return flat.astype(dtype).reshape(shape)

    def _locate(self, place: dict[str, Any]) -> tuple[int, np.dtype[Any], int, list[int]]:
        shape, name, offset = place["ndarray"]
        self._lowest = min(self._lowest, offset)
        return math.prod(shape), _stored_dtype(name, self._little_endian), offset, shape

    def _pread(self, n_bytes: int, offset: int) -> bytes:
        if not 0 <= offset <= self._n_bytes - n_bytes:
            raise EOFError
        read = os.pread(self._descriptor, n_bytes, offset)
        if len(read) < n_bytes:
            raise EOFError
        return read

    def _parse(self, text: str) -> dict[Any, Any]:
        """Plain JSON where ASE's decoder would give the same, else ASE's decoder.

        Its hook acts on keys that begin with two underscores, spelled out or escaped; then it turns keys that
        read as numbers into numbers, in dictionaries within dictionaries.
        """
        if '"__' not in text and "\\u005" not in text:
            data: dict[Any, Any] = json.loads(text)
            if not self._has_number_keys(data):
                return data
        decoded: dict[Any, Any] = decode(text, False)
        return decoded

    def _has_number_keys(self, data: dict[str, Any]) -> bool:
        if not self._words.issuperset(data):
            if any(intkey(key) is not key for key in data):
                return True
            if len(self._words) > _MOST_WORDS:
                self._words.clear()
            self._words.update(data)
        for value in data.values():
            if type(value) is dict and self._has_number_keys(value):
                return True
        return False


@functools.lru_cache(maxsize=64)
def _stored_dtype(name: str, little_endian: bool) -> np.dtype[Any]:
    """How numbers of that name stand in the file."""
    return np.dtype(name).newbyteorder("<" if little_endian else ">")
