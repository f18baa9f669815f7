"""Writes the tables of the README from the records in benchmarks/results/, between their markers.

python benchmarks/tables.py            rewrite README.md
python benchmarks/tables.py --check    say whether it agrees with the records
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- /table -->)", re.DOTALL)

Record = dict[str, Any]


def kernel_table(record: Record) -> str:
    """Each peer's time over ours, workload by workload, and its largest error."""
    settings = {name: workload["window 9"] for name, workload in record["workloads"].items()}
    rows: dict[str, list[str]] = {}
    for setting in settings.values():
        for peer in setting["peers"]:
            cells = rows.setdefault(peer["peer"], [])
            if "skipped" in peer:
                cells += ["skipped", ""]
            else:
                error = peer.get("largest_error")  # None of those that render another function
                cells += [f"{peer['ratio']:.3g}", "other function" if error is None else f"{error:.1g}"]
        ours = setting["ours"]["orthorhombic"]
        rows.setdefault("**ruo2-voxel**", []).extend([f"1 ({ours['us']:.0f} µs)", f"{ours['largest_error']:.1g}"])
    heads = [head for name in settings for head in (f"{name}: time", "error")]
    ordered = dict(sorted(rows.items(), key=lambda row: row[0] != "**ruo2-voxel**"))
    table = _table(["renderer", *heads], [[name, *cells] for name, cells in ordered.items()])
    return f"{table}\n{_targets(record['targets'])}\n{_setting(record)}"


def build_table(record: Record) -> str:
    """Time a frame, beside the build."""
    times = record["microseconds_per_frame"]
    ours = times["build"]["best"]
    rows = [[name, f"{each['best']:.0f}", f"{each['best'] / ours:.3g}"] for name, each in times.items()]
    rows.sort(key=lambda row: row[0] != "build")
    table = _table(["", "µs a frame", "over `build`"], rows)
    return f"{table}\n{_targets(record['ratios'])}\n{_setting(record)}"


def reading_table(record: Record) -> str:
    """Structures a second."""
    rows = [[name, f"{each['best']:.3g}"] for name, each in record["structures_per_second"].items()]
    table = _table(["", "structures/s"], rows)
    return f"{table}\n{_targets(record['ratios'])}\n{_setting(record)}"


def preparation_table(record: Record) -> str:
    """Time a frame, beside ASE's reading."""
    times = record["microseconds_per_frame"]
    read = times["ASE Trajectory read"]["best"]
    rows = [[name, f"{each['best']:.1f}", f"{each['best'] / read:.2g}"] for name, each in times.items()]
    table = _table(["", "µs a frame", "over ASE's reading"], rows)
    return f"{table}\n{_targets(record['ratios'])}\n{_setting(record)}"


TABLES = {"kernel": kernel_table, "build": build_table, "reading": reading_table, "preparation": preparation_table}


def _targets(targets: list[Record]) -> str:
    """What was to be reached, and what was."""
    rows = []
    for target in targets:
        if target["measured"] is None or target["target"] is None:
            continue
        where = ", ".join(target[key] for key in ("workload", "setting") if key in target)
        what = f"{target['what']}{f' ({where})' if where else ''}"
        goal = f"{target['sense']} {target['target']:g}"
        rows.append([what, goal, f"{target['measured']:.3g}", "yes" if target["met"] else "no"])
    return _table(["ratio", "to be", "measured", "met"], rows)


def _setting(record: Record) -> str:
    machine = record["machine"]
    run = record.get("run", record)
    return (
        f"Measured {run['date']} on {machine['cores']} cores of {machine['processor']}, Python {machine['python']}, "
        f"with `{run['command']}`; best of all rounds.\n"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def rewritten(text: str) -> str:
    """The text with every marked table made anew from its record, if there is one."""

    def fill(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        path = RESULTS / f"{name}.json"
        body = TABLES[name](json.loads(path.read_text(encoding="utf-8"))) if path.exists() else ""
        return f"{begin}{body}{end}"

    return MARKED.sub(fill, text)


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Change nothing; fail if the README differs.")
def main(check: bool) -> None:
    text = README.read_text(encoding="utf-8")
    wanted = rewritten(text)
    if check:
        sys.exit("README.md differs from benchmarks/results: run python benchmarks/tables.py" if wanted != text else 0)
    README.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
