"""The command that trains."""

import json
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--data", "store", required=True, metavar="STORE", help="Store made by ruo2-voxel build or slice.")
@click.option("--preset", metavar="NAME", help="Ready-made configuration: see ruo2-wgan presets.")
@click.option("--run", "--run-dir", "run", required=True, metavar="DIR", help="Folder for all that the run writes.")
@click.option(
    "--config", "config_file", metavar="FILE", help="TOML file with what differs from the preset, which it may name."
)
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Single keys, as in training.batch=64.")
@click.option("--max-steps", type=click.IntRange(min=1), help="Short for --set training.max_steps=N.")
@click.option("--seed", type=click.IntRange(min=0), help="Short for --set training.seed=N.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where to compute.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --run, if there is one.")
@click.option("--dry-run", is_flag=True, help="Print configuration, sizes, memory and steps; train nothing.")
@click.option(
    "--progress/--no-progress", default=None, help="Progress bar on stderr.  [default: if stderr is a terminal]"
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
def train(
    store: str,
    preset: str | None,
    run: str,
    config_file: str | None,
    assignments: tuple[str, ...],
    max_steps: int | None,
    seed: int | None,
    device: str,
    resume: bool,
    dry_run: bool,
    progress: bool | None,
    as_json: bool,
) -> None:
    """Train a generator and a critic on a store.

    A step is one update of the generator with its updates of the critic. The folder --run fills with config.toml,
    stats.jsonl, losses.png, sheets of samples, TensorBoard files and checkpoints. SIGTERM and SIGUSR1 end the run
    after its step, with a checkpoint; the same command with --resume goes on.

    \b
    ruo2-wgan train --data bh.zarr --preset recommended-3d --run run
    ruo2-wgan train --data bh.zarr --preset lattice-2d --run run --set training.batch=256 --max-steps 5000
    torchrun --nproc-per-node 4 -m ruo2_wgan train --data bh.zarr --preset vanilla-3d --run-dir run
    """
    from ruo2_wgan.terminal import plan_text, train_text

    config = _resolve(preset, config_file, assignments, max_steps, seed, Path(run) if resume else None)
    if dry_run:
        from ruo2_wgan.training.plan import plan_run

        plan = plan_run(store, config)
        click.echo(json.dumps(plan) if as_json else plan_text(plan))
        return

    from ruo2_wgan.cli.progress import show_log, training_bar
    from ruo2_wgan.training.train import train as run_training

    show_log()
    with training_bar(progress) as advance:
        result = run_training(store, run, config, device=device, resume=resume, progress=advance)
    if result["checkpoint"]:  # of rank zero, which speaks for all
        click.echo(json.dumps(result) if as_json else train_text(result))


def _resolve(
    preset: str | None,
    config_file: str | None,
    assignments: tuple[str, ...],
    max_steps: int | None,
    seed: int | None,
    resumed: Path | None,
) -> Any:
    """The configuration that the options ask for; without preset or file, that of the run to be resumed."""
    from ruo2_wgan.config import parse_assignments, read_config, resolve_config
    from ruo2_wgan.presets import read_preset

    layers: list[tuple[str, dict[str, Any]]] = []
    if config_file:
        tables = read_config(config_file)
        preset = preset or tables.get("preset")
        layers.append((config_file, {name: table for name, table in tables.items() if name != "preset"}))
    if preset:
        layers.insert(0, (f"preset {preset}", read_preset(preset).tables))
    if not layers:
        own = resumed / "config.toml" if resumed else None
        if own is None or not own.exists():
            raise click.UsageError(
                "name what to train with --preset NAME (see ruo2-wgan presets), --config FILE or both"
            )
        layers.append((str(own), read_config(own)))
    short = [("max_steps", max_steps), ("seed", seed)]
    layers.append(("--set", parse_assignments(assignments)))
    layers.append(("options", {"training": {name: value for name, value in short if value is not None}}))
    return resolve_config(layers)
