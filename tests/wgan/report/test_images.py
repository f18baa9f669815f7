"""Pictures inside the page: the densities of the verdict in their proportions, and a few of the sheets of a run."""

import io
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ruo2_voxel import mix_inks
from ruo2_wgan.report.images import MOST_SHEETS, WIDEST_SHEET, choose_sheets, draw_neighbour, read_sheet
from tests.wgan.report.example import make_verdict


def open_address(address: str) -> Image.Image:
    head, _, data = address.partition(";base64,")
    assert head.startswith("data:image/")
    return Image.open(io.BytesIO(b64decode(data)))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_pictures_are_the_densities_of_the_verdict(dimensions: int) -> None:
    neighbour = make_verdict(dimensions)["evidence"]["neighbours"][2]
    channels = draw_neighbour(neighbour, ["Ru", "O"])
    assert [channel.name for channel in channels] == ["all", "Ru", "O"]
    scores = neighbour["ssim_by_species"]
    assert [channel.ssim for channel in channels] == [neighbour["ssim"], scores["Ru"], scores["O"]]
    for channel, part in zip(channels, (slice(0, 2), slice(0, 1), slice(1, 2)), strict=True):
        assert len(channel.pairs) == len(neighbour["views"]) == dimensions - 1
        for pair, view in zip(channel.pairs, neighbour["views"], strict=True):
            for side, address in (("fake", pair.fake), ("real", pair.real)):
                block = view[side]
                levels = np.frombuffer(b64decode(block["data"]), np.uint8).reshape(block["shape"]) / 255
                colours = np.asarray(open_address(address), dtype=float) / 255
                expected = mix_inks(levels[part], ["Ru", "O"][part])
                for u, z in ((0, 0), (3, 20), (15, 17)):  # z upwards
                    np.testing.assert_allclose(colours[levels.shape[2] - 1 - z, u], expected[u, z], atol=0.51 / 255)


def test_pictures_have_the_proportions_of_the_lattice() -> None:
    neighbour = make_verdict()["evidence"]["neighbours"][0]
    neighbour["views"][1]["lengths"] = [31.0, 20.0]
    sides = [(pair.width, pair.height) for channel in draw_neighbour(neighbour, ["Ru", "O"]) for pair in channel.pairs]
    scale = sides[1][0] / 31.0
    for (width, height), view in zip(sides, 3 * neighbour["views"], strict=True):
        assert (width, height) == pytest.approx([scale * length for length in view["lengths"]], abs=0.1)
    assert 6 * max(width for width, _ in sides) <= 271  # a phone has room for them


def test_one_species_has_one_picture() -> None:
    neighbour = make_verdict(2)["evidence"]["neighbours"][0]
    for side in ("fake", "real"):
        block = neighbour["views"][0][side]
        block["shape"] = [1, 2 * block["shape"][1], block["shape"][2]]
    (channel,) = draw_neighbour(neighbour, ["Ru"])
    assert channel.name == "all"


@pytest.mark.parametrize("n", [0, 1, 5, 8, 9, 40])
def test_sheets_are_the_first_the_last_and_some_between(n: int, tmp_path: Path) -> None:
    for k in range(n):
        (tmp_path / f"epoch-{k:04d}-step-{10 * k:07d}.png").touch()
    found = [int(path.name[6:10]) for path in choose_sheets(tmp_path)]
    assert len(found) == min(n, MOST_SHEETS)
    assert found == sorted(set(found))
    if n:
        assert (found[0], found[-1]) == (0, n - 1)
        assert max(np.diff(found), default=1) - min(np.diff(found), default=1) <= 1


def test_a_large_sheet_is_made_smaller_and_a_small_one_is_kept(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 2400, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    Image.fromarray(noise[:50, :60]).save(tmp_path / "small.png")
    large = open_address(read_sheet(tmp_path / "large.png"))
    assert large.size == (WIDEST_SHEET, 150)
    assert len(read_sheet(tmp_path / "large.png")) < (tmp_path / "large.png").stat().st_size / 2
    small = open_address(read_sheet(tmp_path / "small.png"))
    np.testing.assert_array_equal(np.asarray(small), noise[:50, :60])
