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


def _preparation_texts(preparation: dict[str, Any]) -> list[str]:
    """What is done to cells, if anything."""
    done = []
    if preparation["orthogonal"]:
        shear = preparation["max_shear"]
        done.append("orthorhombic cells" + (f" (shear up to {shear:g})" if shear else ""))
    if preparation["square"]:
        done.append(f"nearly square ones (to {preparation['max_length']:g} Å, {preparation['max_atoms']} atoms)")
    if preparation["vacuum"] is not None:
        done.append(f"{preparation['vacuum']:g} Å of vacuum")
    return [", ".join(done)] if done else []


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
        *(f"  prepare   {text}" for text in _preparation_texts(options["preparation"])),
        *([f"  screening {options['screen']}s what it finds"] if options["screen"] != "off" else []),
        f"  label     {options['label']}, {options['n_classes']} {options['class_method']} classes",
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
    lines += _finding_line(result["findings_by_kind"])
    lines += _label_lines(result)
    if result.get("slices") is not None:
        lines.append(f"  slices    {result['slices']}, as expected; ruo2-voxel slice --manifest writes them")
    return "\n".join(lines)


def _finding_line(found: dict[str, int]) -> list[str]:
    kinds = ", ".join(f"{kind} in {n}" for kind, n in found.items())
    return [f"  screening found {kinds} structures"] if found else []


def _label_lines(summary: dict[str, Any]) -> list[str]:
    lines = []
    classes, split = summary["classes"], summary["split"]
    if summary.get("without_energy") and summary.get("generated") is None:
        lines.append(f"  energy    {summary['without_energy']} of {summary['structures']} structures have none")
    if classes:
        low, high = classes["edges"][0], classes["edges"][-1]
        counts = " ".join(map(str, classes["counts"]))
        sort = f"{classes['label']}, {classes['method']}, {low:.4g} to {high:.4g} {classes['units']}".rstrip()
        lines.append(f"  classes   {counts}  ({sort})")
    if split["by"]:
        train, held_out = split["counts"]
        lines.append(
            f"  split     {train} for training, {held_out} held out "
            f"({len(split['held_out_groups'])} of {split['groups']} groups by {','.join(split['by'])})"
        )
    return lines


def prepare_text(result: dict[str, Any]) -> str:
    """Of what `prepare_file` returns."""
    cells = ", ".join(f"{n} of {size} cells" for size, n in result["structures_by_number_of_cells"].items())
    lines = [
        f"{result['location']}: {result['structures']} of {result['frames']} structures, {result['atoms']} atoms",
        f"  supercells {cells.replace('of 1 cells', 'as they were')}",
    ]
    if result["sheared"]:
        lines.append(f"  sheared   {result['sheared']} structures")
    lines += _finding_line(result["findings_by_kind"])
    if result["skipped_frames"]:
        first = result["skipped"][0]
        lines.append(f"  left out  {result['skipped_frames']} frames; the first, {first['frame']}: {first['reason']}")
    return "\n".join(lines)


def surfaces_text(result: dict[str, Any]) -> str:
    """Of what `write_surfaces` returns."""
    slabs = [f"  {slab:<24} {n}" for slab, n in result["slabs"].items()]
    return "\n".join([f"{result['location']}: {result['structures']} slabs, {result['atoms']} atoms", *slabs])


def _generated_line(summary: dict[str, Any]) -> list[str]:
    """What made the grids, of a store without structures."""
    said = ", ".join(f"{name} {value}" for name, value in (summary["generated"] or {}).items())
    return [] if summary["generated"] is None else [f"  generated {said or 'by something that is not named'}"]


def _slices_text(summary: dict[str, Any]) -> str:
    options, slicing = summary["options"], summary["slicing"]
    where = slicing["positions"] if isinstance(slicing["positions"], str) else ",".join(map(str, slicing["positions"]))
    empty = f", {slicing['empty']} empty ones left out" if slicing["empty"] else ""
    cut = f", cut at {where} into {' and '.join(slicing['planes'])}-planes{empty}" if slicing["planes"] else ""
    head = f"{summary['slices']} slices of {summary['structures']} structures" if cut else f"{summary['slices']} slices"
    lines = [
        f"{summary['location']}: {head}",
        f"  grid      {_grid_text(options)}{cut}",
        f"  stored as {options['dtype']}{', zstd' if slicing['compress'] else ''}, "
        f"{_bytes(summary['density_bytes'])} uncompressed",
        "  lattice   " + ", ".join(f"{low:.2f} to {high:.2f}" for low, high in summary["lattice_angstrom"]) + " Å",
    ]
    lines += _label_lines(summary)
    lines += _generated_line(summary)
    lines += [f"  from      {each['path']}  sha256 {each['sha256'][:16]}..." for each in summary["sources"]]
    lines.append(f"  made      {summary['created']} by ruo2-voxel {summary['versions']['ruo2-voxel']}")
    return "\n".join(lines)


def info_text(summary: dict[str, Any]) -> str:
    """Of `summarize` and `summarize_slices`."""
    if "slicing" in summary:
        return _slices_text(summary)
    options = summary["options"]
    fewest, most = summary["atoms_per_structure"]
    stored = f"{options['dtype']}{', zstd' if options['compress'] else ''}"
    atoms = f"{summary['atoms']} atoms ({fewest} to {most} each)" if summary["atoms"] else "without atoms"
    lines = [
        f"{summary['location']}: {summary['structures']} structures, {atoms}",
        f"  grid      {_grid_text(options)}",
        f"  stored as {stored}, {_bytes(summary['density_bytes'])} uncompressed, in shards of {options['shard']}",
        "  lattice   " + ", ".join(f"{low:.2f} to {high:.2f}" for low, high in summary["lattice_angstrom"]) + " Å",
    ]
    if summary["energy_per_atom"]:
        low, high = summary["energy_per_atom"]
        lines.append(f"  energy    {low:.4f} to {high:.4f} eV/atom")
    lines += [f"  prepared  {text}" for text in _preparation_texts(options["preparation"])]
    lines += _finding_line(summary["findings_by_kind"])
    lines += _label_lines(summary)
    if summary["info_keys"]:
        lines.append(f"  info      {', '.join(summary['info_keys'])}")
    if summary["skipped_frames"]:
        lines.append(f"  left out  {summary['skipped_frames']} frames")
    lines += _generated_line(summary)
    lines += [f"  from      {each['path']}  sha256 {each['sha256'][:16]}..." for each in summary["sources"]]
    lines.append(f"  made      {summary['created']} by ruo2-voxel {summary['versions']['ruo2-voxel']}")
    return "\n".join(lines)


def verify_text(report: dict[str, Any]) -> str:
    """Of what `verify_store` and `verify_slices` return."""
    arrays, chunks = report["arrays"], report["chunks"]
    sound = f"{report['location']}: sound. {arrays} arrays and {chunks} chunks of densities are as they must be"
    if "slices" in report:
        return sound
    if report["generated"]:
        return f"{sound};\n  the grids were generated: there are no structures to voxelize anew"
    return (
        f"{sound};\n"
        f"  {report['voxelized_anew']} of {report['structures']} structures voxelized anew differ by "
        f"{report['largest_difference']:.2g} at most"
    )


def decode_text(report: dict[str, Any]) -> str:
    """Of what `decode_store` returns."""
    n = report["structures"]
    lines = [
        f"{report['location']}: {report['atoms']} atoms in {n} structures",
        f"  plausible {report['plausible']} of {n}: with atoms, none too close, none standing for several",
        f"  residual  {report['mean_residual']:.2g} of density, root mean square",
    ]
    if report["with_merged_peaks"]:
        lines.append(f"  merged    peaks too near each other in {report['with_merged_peaks']} structures")
    if report["with_crowded_peaks"]:
        lines.append(f"  crowded   several atoms in one place in {report['with_crowded_peaks']} structures")
    if report["with_other_counts"]:
        lines.append(
            f"  atoms     other numbers than the store was made of in {report['with_other_counts']} structures"
        )
    return "\n".join(lines)


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
