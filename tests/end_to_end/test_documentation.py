"""What the documentation shows is run, and what it points to is there.

In the Markdown files `<!-- run -->` before a fenced block of bash or Python asks for it to be run; with
`<!-- run: COMMANDS -->` these shell commands run first, unseen by the reader. The blocks of one page run in their
order, in one folder that holds `data` and `data_manifests` at first; the first that fails, or warns, fails the page.
"""

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import zarr

from ruo2_hopping.cli import cli as hopping_cli
from ruo2_voxel import build
from ruo2_voxel.cli import cli
from ruo2_wgan.cli import cli as wgan_cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "packages").glob("*/README.md"))]
MARKDOWN = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]

BLOCK = re.compile(r"(?:^<!-- run(?::(?P<first>.*?))? -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.S | re.M)
RUN = re.compile(r"^<!-- run", re.M)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
TABLE = re.compile(r"<!-- table: .*?<!-- /table -->", re.S)  # of benchmarks, whose programs have options of their own
LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)\s#]*)(?:#([^)\s]*))?\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def marked_blocks(page: Path) -> Iterator[tuple[int, re.Match[str]]]:
    """Blocks to be run, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if RUN.match(match.group()):
            yield text.count("\n", 0, match.start("text")) + 1, match


def as_script(page: Path, folder: Path) -> str:
    """One shell script of all the page's blocks. Python goes into files beside it, several blocks into one."""
    commands = ["set -euo pipefail"]
    module: Path | None = None  # that the next block of Python may go on with
    for line, match in marked_blocks(page):
        if match["first"] or match["language"] != "python":
            commands += [match["first"] or "", f"echo '{name_of(page)}, line {line}' >&2"]
            module = None
        if match["language"] == "python":
            if module is None:
                module = folder / f"{page.stem}_from_line_{line}.py"
                module.touch()
                commands.append(f"python {module.name}")
            # At the same lines as in the page, so that a traceback tells them.
            text = module.read_text(encoding="utf-8")
            module.write_text(text + "\n" * (line - 1 - text.count("\n")) + match["text"], encoding="utf-8")
        else:
            assert match["language"] == "bash", f"{name_of(page)}, line {line}: only bash and python can be run"
            commands.append(match["text"])
    return "\n".join(commands)


RUNNABLE = [page for page in PAGES if RUN.search(page.read_text(encoding="utf-8"))]
MARKS = {"docs/clusters.md": [pytest.mark.distributed, pytest.mark.slow]}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=name_of(page), marks=MARKS.get(name_of(page), pytest.mark.slow)) for page in RUNNABLE],
)
def test_what_a_page_shows_can_be_run(page: Path, tmp_path: Path) -> None:
    for name in ("data", "data_manifests"):
        (tmp_path / name).symlink_to(ROOT / name)
    script = as_script(page, tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        # That classes are unbalanced is news to a user and no fault of the page: warnings that begin with "class" pass.
        env={**os.environ, "PATH": path, "PYTHONWARNINGS": "error,ignore:class"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_mark_stands_before_a_block() -> None:
    for page in PAGES:
        n_marks = len(RUN.findall(page.read_text(encoding="utf-8")))
        assert len(list(marked_blocks(page))) == n_marks, name_of(page)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_that_is_only_shown_is_at_least_python(page: Path) -> None:
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["language"] == "python":
            compile(textwrap.dedent(match["text"]), name_of(page), "exec")


def test_options_in_the_text_are_options_of_the_command() -> None:
    known = {"--help", "--version"}

    def collect(command: click.Command) -> None:
        known.update(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts))
        for inner in getattr(command, "commands", {}).values():
            collect(inner)

    collect(cli)
    collect(wgan_cli)
    collect(hopping_cli)
    for page in PAGES:
        for code in INLINE_CODE.findall(TABLE.sub("", page.read_text(encoding="utf-8"))):
            for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", code):
                assert option in known, f"{name_of(page)}: {option}"


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        there = page.parent / target if target else page
        assert there.exists(), f"{name_of(page)}: {target}"
        assert not anchor or anchor in anchors(there), f"{name_of(page)}: {target}#{anchor}"


def test_the_page_on_the_store_names_each_array_and_attribute_as_it_is(tmp_path: Path) -> None:
    build(f"{ROOT}/data/ruo2-bh-mini.traj@::500", tmp_path / "bh.zarr")
    group = zarr.open_group(tmp_path / "bh.zarr", mode="r")
    text = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    arrays = text.partition("## Arrays")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in arrays.splitlines() if "|" in line]
    told = {name: row[1:] for row in rows for name in re.findall(r"`(\w+)`", row[0]) if "/" not in row[0]}
    for name, array in group.arrays():
        dimensions, dtype = told[name][:2]
        assert dtype.startswith("string" if array.dtype.kind == "T" else str(array.dtype)), name
        assert ", ".join(array.metadata.dimension_names) in dimensions.split("; "), name
    for name in group.attrs:
        assert f"`{name}`" in text, name
