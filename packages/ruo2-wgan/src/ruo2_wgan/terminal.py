"""What the commands print for people."""

from typing import Any

import tomli_w


def _bytes(n: float) -> str:
    for unit in ("B", "kB", "MB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} GB"


def plan_text(plan: dict[str, Any]) -> str:
    """Of `plan_run`."""
    sides = " x ".join(map(str, plan["shape"]))
    parameters, memory = plan["parameters"], plan["memory_bytes"]
    lines = [
        tomli_w.dumps(plan["configuration"]),
        f"{plan['store']}: {plan['training_rows']} training rows, {plan['held_out_rows']} held out",
        f"  grid      {','.join(plan['species'])} on {sides} voxels, {plan['classes'] or 'no'} classes",
        f"  networks  generator {parameters['generator']:,} parameters, critic {parameters['critic']:,}",
        f"  memory    about {_bytes(memory['weights_and_optimizers'])} for weights and optimizers, "
        f"{_bytes(memory['activations'])} for activations, {_bytes(memory['data'])} for data if resident",
        f"  steps     {plan['steps']:,} in all, {plan['steps_per_epoch']:g} an epoch",
        "nothing was trained (--dry-run)",
    ]
    return "\n".join(lines)


def train_text(result: dict[str, Any]) -> str:
    """Of `train`."""
    lines = [f"{result['run']}: {result['steps']} steps, {result['epochs']:g} epochs"]
    if result["ended_by"]:
        lines[0] += f", ended early by {result['ended_by']}: go on with --resume"
    lines.append(f"  last      {result['checkpoint']}")
    lines.append(f"  pictures  {result['run']}/losses.png, {result['run']}/samples/")
    return "\n".join(lines)


def generate_text(result: dict[str, Any]) -> str:
    """Of `generate`."""
    lines = [f"{result['location']}: {result['samples']} samples of step {result['step']}, seed {result['seed']}"]
    if result.get("labels"):
        lines.append("  labels    " + " ".join(f"{label}:{n}" for label, n in result["labels"].items()))
    lengths = ", ".join(f"{low:.2f} to {high:.2f}" for low, high in result["lattice_angstrom"])
    lines.append(f"  lattice   {lengths} Å ({result['lattice_from']})")
    if "plausible" in result:
        lines.append(f"  decoded   {result['atoms']} atoms; {result['plausible']} of {result['samples']} plausible")
    if result.get("sheet"):
        lines.append(f"  sheet     {result['sheet']}")
    return "\n".join(lines)
