"""Writes the tables of the documentation from the records in benchmarks/results/, between their markers.

python benchmarks/tables.py            rewrite the pages that hold such tables
python benchmarks/tables.py --check    say whether they agree with the records
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import click

from quality.recipes import recipe_title

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    ROOT / "README.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("decoding", "evaluation", "hopping", "label-consistency", "recipes")),
)
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


def decode_table(record: Record) -> str:
    """Time a frame, beside voxelizing and a pipeline of SciPy's parts, and errors."""
    rows = []
    for kind, times in record["microseconds_per_frame"].items():
        ours = times["decode"]["best"]
        for name, each in times.items():
            accuracy = record["accuracy"][kind].get(name)
            error = "" if accuracy is None else f"{accuracy['rms_angstrom']:.2g}"
            rows.append([kind, name, f"{each['best']:.0f}", f"{each['best'] / ours:.3g}", error])
    table = _table(["densities", "", "µs a frame", "over `decode`", "RMS error, Å"], rows)
    targets = [{**ratio, "setting": ratio["kind"]} for ratio in record["ratios"]]
    return f"{table}\n{_targets(targets)}\n{_setting(record)}"


def decode_accuracy_table(record: Record) -> str:
    """Recall, precision and error, first on the default grid, then over grids and widths."""
    default = record["default"]
    n = f"{default['frames']:,} frames"
    rows = [
        [kind, *(f"{each[name]:.5g}" for name in ("recall", "precision")), *_errors(each)]
        for kind, each in sorted(default["kinds"].items(), key=lambda item: _by_noise(item[0]))
    ]
    first = _table([f"default grid, {n}", "recall", "precision", "RMS error, Å", "largest, Å"], rows)
    kinds = sorted(next(row["kinds"] for row in record["rows"] if "kinds" in row), key=_by_noise)
    rows = []
    for row in record["rows"]:
        head = ["×".join(map(str, row["shape"])), f"{row['sigma_angstrom']:g}", f"{row['sigma_in_widest_voxels']:.2f}"]
        rows.append(
            head + ([_accuracy(row["kinds"][kind]) for kind in kinds] if "kinds" in row else ["refused"] * len(kinds))
        )
    second = _table(["grid", "sigma, Å", "sigma, voxels", *kinds], rows)
    return f"{first}\n{second}\n{_setting(record, '')}"


def _by_noise(kind: str) -> tuple[int, str]:
    """In the order of what is done to a density: nothing, steps of 1/255, more and more noise."""
    _, _, share = kind.partition("noise ")
    return int(share.removesuffix(" %") or 0), kind


def _errors(each: Record) -> list[str]:
    return [f"{each[name]:.2g}" for name in ("rms_angstrom", "largest_angstrom")]


def _accuracy(each: Record) -> str:
    """The RMS error, and recall and precision in per cent where they are not full."""
    if each["missed"] == each["extra"] == 0:
        return f"{each['rms_angstrom']:.2g}"
    return f"{each['rms_angstrom']:.2g} ({100 * each['recall']:.4g}, {100 * each['precision']:.4g})"


def train_step_table(record: Record) -> str:
    """Structures a second, by preset, precision and batch; waiting by source; two ranks beside one."""
    rows = [
        [each["preset"], each["precision"], str(each["batch"]), f"{each['structures_per_second']:.3g}"]
        for each in record["steps"]
    ]
    table = _table(["preset", "precision", "batch", "structures/s"], rows)
    waits = [[name, f"{each['data_wait']:.2%}"] for name, each in record["sources"].items()]
    sources = _table(["source, of recommended-2d with batch 32", "time spent waiting for data"], waits)
    ranks = f"Two ranks of one thread each do {record['two_ranks']['speedup']:.3g} times what one does.\n"
    return f"{table}\n{sources}\n{ranks}\n{_setting(record, '')}"


def label_consistency_table(record: Record) -> str:
    """Errors of energies, shares of classes and time, by what was done to structures."""
    rows = []
    for name, each in sorted(record["cases"].items(), key=lambda item: item[1]["mean_absolute_error_eV"]):
        errors = [f"{each[key]:.2g}" for key in ("mean_absolute_error_eV", "largest_error_eV", "mean_error_eV")]
        shares = [f"{each[key]:.0%}" for key in ("exact", "within_one")]
        others = [f"{each['spearman']:.2f}", str(each["below"]), str(each["above"]), f"{each['seconds_each']:.2g}"]
        rows.append([name, str(each["n"]), *errors, *shares, *others])
    errors_of = ["mean absolute error, eV", "largest, eV", "mean, eV"]
    heads = ["structures", "n", *errors_of, "exact", "within one", "Spearman", "below", "above", "s each"]
    table = _table(heads, rows)
    return f"{table}\n{_setting(record, '; one thread')}"


def verdict_table(record: Record) -> str:
    """What shortlists miss, and how long a verdict takes."""
    lengths = list(record["searches"][0]["mean_gap"])
    lengths.sort(key=int)
    rows = [
        [
            each["samples"],
            f"{each['best_ssim']:.3f}",
            f"{each['median_ssim']:.3f}",
            *(f"{each['mean_gap'][length]:.1g} ({each['largest_gap'][length]:.1g})" for length in lengths),
        ]
        for each in record["searches"]
    ]
    first, of, pair = record["searches"][0], record["verdict"], record["similarity"]
    searched = (
        f"How much less similar (SSIM) than the most similar of {first['reals']} structures under all operations those "
        "are that a shortlist of so many structures finds: mean and, in brackets, largest of "
        f"{first['n']} samples. Ours has {lengths[-1]}.\n"
    )
    table = _table(["samples", "best SSIM", "median SSIM", *lengths], rows)
    timed = (
        f"A verdict on {of['samples']:,} samples beside {of['real_structures']:,} structures of 2 x 32³ voxels took "
        f"{of['seconds']:.0f} s with {of['workers']} threads, {of['seconds_over_limit']:.2g} of the ten minutes that "
        f"it may take, and {of['peak_memory_MiB'] / 1024:.2g} GiB. scikit-image's SSIM of a pair takes "
        f"{pair['ratio']:.3g} times as long as ours; with it, trying every operation of every structure would take "
        f"{pair['core_years_of_everything']:.2g} core-years.\n"
    )
    return f"{searched}\n{table}\n{timed}\n{_setting(record, '')}"


FIGURES = {  # of a verdict: head of the column, and how it is written
    "valid": ("valid", "{:.0%}"),
    "valid_unique_new": ("valid, unique, new", "{:.0%}"),
    "copied": ("copied", "{:.0%}"),
    "decode_residual": ("residual", "{:.0%}"),
    "precision": ("precision", "{:.2f}"),
    "recall": ("recall", "{:.2f}"),
    "coverage": ("coverage", "{:.2f}"),
    "sliced_wasserstein": ("sliced W", "{:.2f}"),
    "diversity": ("diversity", "{:.2g}"),
    "stripe_index": ("stripes", "{:.2f}"),
    "composition_w1": ("composition, atoms", "{:.2g}"),
    "lattice_mae": ("lattice, Å", "{:.2f}"),
}


def hopping_table(record: Record) -> str:
    """Time of each part of a search, beside the calculator's."""
    times = record["microseconds"]
    whole = times.get("CHGNet", {"best": float("nan")})["best"]
    rows = [[name, f"{each['best']:.3g}", f"{each['best'] / whole:.2g}"] for name, each in times.items()]
    table = _table([f"{record['atoms']} atoms", "µs", "over CHGNet"], rows)
    return f"{table}\n{_targets(record['ratios'])}\n{_setting(record)}"


def quality_table(records: Record) -> str:
    """Verdicts of all runs of the study, those of a chain together."""
    chains = {
        "structures, from the thesis": ["thesis"],
        "structures": ["recommended"],
        "slices": ["slices-thesis", "slices"],
    }
    return "\n".join(
        "\n".join([*(_quality_of(head, roots, runs) for head, roots in chains.items()), _quality_setting(runs)])
        for _, runs in sorted(records.items())
    )


def _quality_of(head: str, roots: list[str], runs: Record) -> str:
    """A row for each recipe of a chain, each behind the one that it changes; then held-out structures and control."""
    rows = []
    titles = {name: recipe_title(name) for name in runs}

    def add(name: str) -> None:
        run = runs[name]
        title = f"{'+ ' if run['recipe']['of'] else ''}{titles[name]}{_values(run)}"
        spent = run["recipe"]["budget"] * run["scale"]["tflop"]
        rows.append([title, f"{spent:g}", f"{run['steps']:,}", *_figures(run["verdict"]["samples"])])
        for other in sorted(runs, key=titles.__getitem__):
            if runs[other]["recipe"]["of"] == name:
                add(other)

    found = [root for root in roots if root in runs]
    if not found:
        return ""
    for root in found:
        add(root)
    for column in ("held_out", "control"):
        rows.append([f"*{column.replace('_', '-')}*", "", "", *_figures(runs[found[0]]["verdict"][column])])
    return _table([head, "TFLOP", "steps", *(name for name, _ in FIGURES.values())], rows)


def _values(run: Record) -> str:
    """What numbers or words became, where a few words say it, and what the machine asked for."""
    told = {f"{there} → {here}" for there, here in run["changed"].values()}
    short = len(told) == 1 and not told & {"True → False", "False → True"}
    over = [str(value) for table in run.get("over", {}).values() for value in table.values()]
    return (f" ({told.pop()})" if short else "") + (f" [{', '.join(over)}]" if over else "")


def _figures(column: Record) -> list[str]:
    return ["" if column[key] is None else form.format(column[key]) for key, (_, form) in FIGURES.items()]


def _quality_setting(runs: Record) -> str:
    run = min(runs.items(), key=lambda item: item[0])[1]
    seconds = sorted(each["seconds_of_training"] for each in runs.values())
    processors = " or ".join(sorted({each["machine"]["processor"] for each in runs.values()}))
    return (
        f"{len(runs)} runs on {run['scale']['about']}. Training took {seconds[0] / 60:.0f} to {seconds[-1] / 60:.0f} "
        f"minutes with {run['threads']} of {run['machine']['cores']} cores of {processors}; "
        f"{run['verdict']['samples']['n']} samples of each run are judged.\n"
    )


def combined_table(records: Record) -> str:
    """What the model with class and lattice lengths was to reach, and what it and held-out structures reached."""
    name = "combined-latent-small"
    run = next(runs[name] for _, runs in sorted(records.items()) if name in runs)
    verdict = run["verdict"]
    samples, held_out = ({**verdict[key], **verdict["labels"][key]} for key in ("samples", "held_out"))
    rows = [
        [what, goal, *(form.format(column[key]) for column in (samples, held_out))]
        for what, goal, key, form in (
            ("valid, unique and no copy", "at least 90 %", "valid_unique_new", "{:.0%}"),
            ("valid", "", "valid", "{:.0%}"),
            ("copied", "", "copied", "{:.0%}"),
            ("of the class asked for or one beside it", "at least 80 %", "within_one", "{:.0%}"),
            ("of the class asked for", "", "exact", "{:.0%}"),
            ("error of lattice lengths, Å", "at most 0.06, 1 % of the shortest", "lattice_mae", "{:.1g}"),
            ("stripe index", "at most 1.5", "stripe_index", "{:.2f}"),
        )
    ]
    table = _table(["", "to be", "samples", "held-out"], rows)
    spent = f"{run['steps']:,} steps in {run['seconds_of_training'] / 60:.0f} minutes with {run['threads']} thread"
    return f"{table}\n{spent}; classes of {samples['n']} samples by {verdict['labels']['calculator']}.\n"


SOURCES = {"combined": "quality"}  # tables of another record than that of their name
TABLES = {
    "combined": combined_table,
    "hopping": hopping_table,
    "quality": quality_table,
    "verdict": verdict_table,
    "kernel": kernel_table,
    "build": build_table,
    "reading": reading_table,
    "preparation": preparation_table,
    "decode": decode_table,
    "decode_accuracy": decode_accuracy_table,
    "train_step": train_step_table,
    "label_consistency": label_consistency_table,
}


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


def _setting(record: Record, rounds: str = "; best of all rounds") -> str:
    machine = record["machine"]
    run = record.get("run", record)
    return (
        f"Measured {run['date']} on {machine['cores']} cores of {machine['processor']}, Python {machine['python']}, "
        f"with `{run['command']}`{rounds}.\n"
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def rewritten(text: str) -> str:
    """The text with every marked table made anew from its record, if there is one."""

    def fill(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        source = RESULTS / SOURCES.get(name, name)
        record = _read(source) or _read(source.with_suffix(".json"))
        return f"{begin}{TABLES[name](record) if record else ''}{end}"

    return MARKED.sub(fill, text)


def _read(path: Path) -> Record:
    """A record; of a folder, all that are in it by name; empty where nothing is."""
    if path.is_dir():
        return {each.stem: _read(each) for each in path.iterdir()}
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


@click.command(help=__doc__)
@click.option("--check", is_flag=True, help="Change nothing; fail if a page differs.")
def main(check: bool) -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        wanted = rewritten(text)
        if check and wanted != text:
            sys.exit(f"{page.name} differs from benchmarks/results: run python benchmarks/tables.py")
        if not check:
            page.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
