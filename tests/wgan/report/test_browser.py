"""The page in a browser: on a phone and on a desktop it fits, complains of nothing, and its parts answer."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ruo2_wgan.report import write_report
from tests.wgan.report.browser import PROGRAM, Browser
from tests.wgan.report.example import make_verdict
from tests.wgan.report.test_page import make_run

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium or Chrome is installed")

# How many pixels of the canvas are coloured as ruthenium and as oxygen are, and a number that tells pictures apart.
LOOK = """(() => {
  const canvas = document.getElementById("space");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let [yellow, red, hash] = [0, 0, 0];
  for (let k = 0; k < data.length; k += 4) {
    const [r, g, b, a] = data.subarray(k, k + 4);
    if (a > 200 && r > 180 && g > 120 && b < 120) yellow++;
    if (a > 200 && r > 150 && g < 90 && b < 90) red++;
    hash = (hash * 31 + r + 256 * g + 65536 * b) % 4294967291;
  }
  return { yellow, red, hash, width: canvas.width, height: canvas.height };
})()"""
PLACE = """(() => {
  document.getElementById("space").scrollIntoView({ block: "center", behavior: "instant" });
  const { left, top, width, height } = document.getElementById("space").getBoundingClientRect();
  return [left + width / 2, top + height / 2];
})()"""
CAPTION = 'document.getElementById("space-caption").textContent'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as started:
        yield started


@pytest.fixture(scope="module", params=[3, 2], ids=["3d", "2d"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_report(make_run(folder / "run", request.param), folder / "page.html")
    return folder / "page.html"


def look(browser: Browser) -> dict[str, int]:
    browser.settle()
    seen: dict[str, int] = browser.run(LOOK)
    return seen


@pytest.mark.parametrize(("width", "ratio"), [(360, 3.0), (1280, 1.0)])
def test_the_page_fits_and_complains_of_nothing(browser: Browser, page: Path, width: int, ratio: float) -> None:
    browser.open(page, width, ratio=ratio)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("innerWidth") == width  # a phone zooms out of a page that is too wide
    assert browser.problems == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    seen = look(browser)
    assert seen["width"] == round(ratio * browser.run('document.getElementById("space").clientWidth'))
    assert seen["yellow"] > 0.002 * seen["width"] * seen["height"]
    assert seen["red"] > 0.0005 * seen["width"] * seen["height"]


def test_the_view_turns_zooms_and_goes_home(browser: Browser, page: Path) -> None:
    browser.open(page, 1000)
    home = look(browser)
    x, y = browser.run(PLACE)
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
    browser.run(PLACE)
    assert look(browser)["hash"] == home["hash"]  # before it is clicked, the wheel is the page's
    x, y = browser.run(PLACE)
    browser.mouse("mousePressed", x, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", x + 70, y + 30, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 70, y + 30, button="left", clickCount=1)
    turned = look(browser)
    assert turned["hash"] != home["hash"]
    browser.mouse("mouseMoved", x, y)
    assert look(browser)["hash"] == turned["hash"]
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
    assert look(browser)["yellow"] > 1.3 * turned["yellow"]
    for count in (1, 2):
        browser.mouse("mousePressed", x, y, button="left", clickCount=count)
        browser.mouse("mouseReleased", x, y, button="left", clickCount=count)
    assert look(browser)["hash"] == home["hash"]
    browser.press("ArrowLeft")
    assert look(browser)["hash"] != home["hash"]
    browser.press("0")
    assert look(browser)["hash"] == home["hash"]


def test_structures_are_chosen_and_repeated(browser: Browser, page: Path) -> None:
    browser.open(page, 1000)
    scene = json.loads(browser.run('document.getElementById("scene").textContent'))
    first, captions = look(browser), [f"{each['name']}: {each['caption']}" for each in scene["structures"]]
    assert browser.run(CAPTION) == captions[0]
    browser.run('document.getElementById("previous").click()')
    assert browser.run(CAPTION) == captions[-1]
    browser.run('document.getElementById("next").click()')
    assert look(browser) == first
    browser.run(
        '{ const s = document.getElementById("structure"); s.selectedIndex = 1; s.dispatchEvent(new Event("change")); }'
    )
    assert browser.run(CAPTION) == captions[1]
    assert browser.run('document.getElementById("space").getAttribute("aria-label")').endswith(captions[1])
    assert look(browser)["hash"] != first["hash"]
    browser.run('document.getElementById("previous").click()')
    browser.run('document.getElementById("repeat").click()')
    assert look(browser)["hash"] != first["hash"]
    browser.run('document.getElementById("repeat").click()')
    assert look(browser)["hash"] == first["hash"]


def test_one_sheet_at_a_time(browser: Browser, page: Path) -> None:
    browser.open(page, 360)
    shown = (
        '[...document.querySelectorAll(".stepper figure")].filter((f) => f.offsetHeight).map((f) => f.innerText.trim())'
    )
    assert browser.run(shown) == ["epoch 11, step 1,100"]
    browser.run(
        '{ const s = document.querySelector(".stepper input"); s.value = 0; s.dispatchEvent(new Event("input")); }'
    )
    assert browser.run(shown) == ["epoch 1, step 100"]
    assert browser.run('document.querySelector(".stepper input").getAttribute("aria-valuetext")') == "epoch 1, step 100"


def test_hostile_names_run_nothing(browser: Browser, tmp_path: Path) -> None:
    nasty = """</script><script>document.title = "taken"</script><img src=x onerror="document.title = 'taken'">"""
    verdict = make_verdict()
    verdict["made"]["samples"] = verdict["signs"][0] = nasty
    verdict["evidence"]["structures"]["samples"][0] |= {"valid": False, "why": [nasty]}
    (tmp_path / "verdict.json").write_text(json.dumps(verdict))
    write_report(tmp_path, tmp_path / "page.html")
    browser.open(tmp_path / "page.html", 800)
    assert browser.run("document.title") == f"Verdict on {nasty}"
    assert browser.problems == []
    assert nasty in browser.run(CAPTION)
