"""Pictures of pixels inside a page: densities side by side, and the sheets of a run."""

import io
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ruo2_voxel import mix_inks

MOST_SHEETS = 8
WIDEST_SHEET = 1200  # pixels
LARGE_SHEET, QUALITY = 150_000, 85  # bytes, from which on a sheet becomes a WebP of this quality
# Pixels of the page, for a pair of pictures of each channel in one row, and for the height of a picture.
ROW, TALLEST, LARGEST_SCALE = 270.0, 190.0, 8.0

Bytes = NDArray[np.uint8]


class Pair(NamedTuple):
    """A fake beside a real one: addresses of their pictures, and how large both are on the page, pixels."""

    fake: str
    real: str
    width: float
    height: float


class Channel(NamedTuple):
    """A fake and its neighbour in one channel or in all: a pair for each view, and their likeness."""

    name: str
    ssim: float | None
    pairs: list[Pair]


def draw_neighbour(neighbour: Mapping[str, Any], species: Sequence[str]) -> list[Channel]:
    """Pairs of pictures of a sample and its nearest neighbour, all channels first, then each alone.

    Parameters
    ----------
    neighbour
        Of a verdict.
    species
        Element symbols in the order of the channels.

    Notes
    -----
    Pictures keep the proportions of the lattice lengths, with one scale for all of a neighbour (thesis, figs. 4.8 and
    4.24).
    """
    views = neighbour["views"]
    densities = [[_read_density(view[side]) for side in ("fake", "real")] for view in views]
    everything = slice(0, len(species))
    chosen: list[tuple[str, slice, float | None]] = [("all", everything, neighbour["ssim"])]
    if len(species) > 1:
        scores = neighbour["ssim_by_species"]
        chosen += [(symbol, slice(k, k + 1), scores.get(symbol)) for k, symbol in enumerate(species)]
    wide, tall = (max(view["lengths"][axis] for view in views) for axis in (0, 1))
    scale = min(LARGEST_SCALE, ROW / (2 * len(chosen) * wide), TALLEST / tall)
    channels = []
    for name, part, ssim in chosen:
        pairs = []
        for view, sides in zip(views, densities, strict=True):
            fake, real = (_draw_density(density[part], species[part]) for density in sides)
            width, height = (round(scale * length, 1) for length in view["lengths"])
            pairs.append(Pair(fake, real, width, height))
        channels.append(Channel(name, ssim, pairs))
    return channels


def choose_sheets(folder: Path) -> list[Path]:
    """The first and the last sheet of a run, and others evenly between."""
    sheets = sorted(folder.glob("*.png"))
    places = np.unique(np.linspace(0, max(len(sheets) - 1, 0), MOST_SHEETS).round().astype(int))
    return [sheets[place] for place in places] if sheets else []


def read_sheet(path: Path) -> str:
    """The address of a sheet inside the page, smaller if it is large."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        if len(data) <= LARGE_SHEET and image.width <= WIDEST_SHEET:
            return _address(data, "png")
        width = min(image.width, WIDEST_SHEET)
        size = width, round(image.height * width / image.width)
        smaller = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    smaller.save(stream, format="WEBP", quality=QUALITY)
    return _address(stream.getvalue(), "webp")


def _address(data: bytes, kind: str) -> str:
    """That of a picture which it holds itself."""
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


def _read_density(block: Mapping[str, Any]) -> Bytes:
    return np.frombuffer(b64decode(block["data"]), dtype=np.uint8).reshape(block["shape"])


def _draw_density(levels: Bytes, species: Sequence[str]) -> str:
    """The address of a picture with z upwards and a pixel for each voxel."""
    colours = np.rint(255.0 * mix_inks(levels / 255.0, species)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(colours.swapaxes(0, 1)[::-1])).save(stream, format="PNG", optimize=True)
    return _address(stream.getvalue(), "png")
