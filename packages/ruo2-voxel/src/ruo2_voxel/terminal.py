"""What the commands print for people: a heading, then one line for each thing worth knowing."""

from typing import Any


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"


def _grid_text(options: dict[str, Any]) -> str:
    sides = " x ".join(map(str, options["shape"]))
    width = f"sigma {options['sigma_angstrom']:.3f} Å, tol {options['tol']:g}"
    return f"{','.join(options['species'])} on {sides} voxels, {width}"


def plan_text(plan: dict[str, Any]) -> str:
    """Of `Plan.summary`."""
    options = plan["options"]
    moves = " and ".join(name for name in ("translate", "rotate") if options[name])
    size, shard = _bytes(plan["density_bytes"]), _bytes(plan["shard_bytes"])
    lines = [f"{plan['location']}: {plan['structures']} structures in {plan['shards']} shards of {shard}"]
    lines += [
        f"  from      {each['path']}  {each['selected']} of {each['frames']} frames ({each['format']})"
        for each in plan["sources"]
    ]
    lines += [
        f"  grid      {_grid_text(options)}; Gaussians end at {plan['cutoff_angstrom']:.2f} Å",
        f"  copies    {options['copies']}{f', {moves} at random' if moves else ''}, seed {options['seed']}",
        f"  stored as {options['dtype']}{', zstd' if options['compress'] else ''}: {size} of densities uncompressed",
        f"  label     {options['label']}, {options['n_classes']} classes",
        f"  split by  {','.join(options['split_by']) or 'nothing: all structures are for training'}",
        f"  memory    about {_bytes(plan['working_memory_bytes'])} beside the interpreter, {plan['workers']} threads",
        "nothing was written (--dry-run)",
    ]
    return "\n".join(lines)


def build_text(result: dict[str, Any]) -> str:
    """Of what `build` returns."""
    lines = [
        f"{result['location']}: {result['structures']} structures, {result['atoms']} atoms, "
        f"{_bytes(result['density_bytes'])} of densities, in {result['seconds']:.1f} s"
    ]
    if result["resumed_structures"] == result["structures"]:
        lines.append("  resumed   the store was complete already")
    elif result["resumed_structures"]:
        lines.append(f"  resumed   {result['resumed_structures']} structures were there already")
    if result["skipped_frames"]:
        first = result["skipped"][0]
        where = f"frame {first['frame_id']} of {first['source']}"
        lines.append(f"  left out  {result['skipped_frames']} frames; the first, {where}: {first['reason']}")
    if result["clipped_voxels"]:
        lines.append(f"  clipped   {result['clipped_voxels']} voxels above 1, where Gaussians overlap")
    return "\n".join([*lines, *_label_lines(result)])


def _label_lines(summary: dict[str, Any]) -> list[str]:
    lines = []
    classes, split = summary["classes"], summary["split"]
    if summary["without_energy"]:
        lines.append(f"  energy    {summary['without_energy']} of {summary['structures']} structures have none")
    if classes:
        low, high = classes["edges"][0], classes["edges"][-1]
        counts = " ".join(map(str, classes["counts"]))
        lines.append(f"  classes   {counts}  ({classes['label']}, {low:.4g} to {high:.4g} {classes['units']})")
    if split["by"]:
        train, held_out = split["counts"]
        lines.append(
            f"  split     {train} for training, {held_out} held out "
            f"({len(split['held_out_groups'])} of {split['groups']} groups by {','.join(split['by'])})"
        )
    return lines


def info_text(summary: dict[str, Any]) -> str:
    """Of `summarize`."""
    options = summary["options"]
    fewest, most = summary["atoms_per_structure"]
    stored = f"{options['dtype']}{', zstd' if options['compress'] else ''}"
    n, n_atoms = summary["structures"], summary["atoms"]
    lines = [
        f"{summary['location']}: {n} structures, {n_atoms} atoms ({fewest} to {most} each)",
        f"  grid      {_grid_text(options)}",
        f"  stored as {stored}, {_bytes(summary['density_bytes'])} uncompressed, in shards of {options['shard']}",
        "  lattice   " + ", ".join(f"{low:.2f} to {high:.2f}" for low, high in summary["lattice_angstrom"]) + " Å",
    ]
    if summary["energy_per_atom"]:
        low, high = summary["energy_per_atom"]
        lines.append(f"  energy    {low:.4f} to {high:.4f} eV/atom")
    lines += _label_lines(summary)
    if summary["info_keys"]:
        lines.append(f"  info      {', '.join(summary['info_keys'])}")
    if summary["skipped_frames"]:
        lines.append(f"  left out  {summary['skipped_frames']} frames")
    lines += [f"  from      {each['path']}  sha256 {each['sha256'][:16]}..." for each in summary["sources"]]
    lines.append(f"  made      {summary['created']} by ruo2-voxel {summary['versions']['ruo2-voxel']}")
    return "\n".join(lines)


def verify_text(report: dict[str, Any]) -> str:
    """Of what `verify_store` returns."""
    arrays, chunks = report["arrays"], report["chunks"]
    return (
        f"{report['location']}: sound. {arrays} arrays and {chunks} chunks of densities are as they must be;\n"
        f"  {report['voxelized_anew']} of {report['structures']} structures voxelized anew differ by "
        f"{report['largest_difference']:.2g} at most"
    )


def manifest_text(report: dict[str, Any]) -> str:
    """Of `ManifestReport.as_dict`."""
    species = ", ".join(f"{symbol} in {n}" for symbol, n in report["species"].items())
    lines = [
        f"{report['name']}: {report['title']}",
        f"  files     {report['files']}, {_bytes(report['bytes'])}",
        f"  frames    {report['frames']} ({species})",
        f"  licence   {report['licence']}",
    ]
    if report["split"]:
        parts = ", ".join(f"{n} {part.replace('_', ' ')}" for part, n in report["split"].items())
        lines.append(f"  split     {parts}, in {report['groups']} groups")
    if report["ok"]:
        return "\n".join([*lines, "  all as the manifest says"])
    return "\n".join([*lines, *(f"  problem   {problem['message']}" for problem in report["problems"])])
