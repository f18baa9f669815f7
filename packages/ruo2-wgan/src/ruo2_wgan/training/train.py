"""The training loop, to be read from top to bottom."""

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from ruo2_voxel import Ruo2Error
from ruo2_wgan.config import Config, differing_keys
from ruo2_wgan.data import Batches, Rows, open_rows
from ruo2_wgan.errors import RunError, TrainingError
from ruo2_wgan.networks import build_networks, count_parameters
from ruo2_wgan.training.chance import start_step
from ruo2_wgan.training.checkpoint import read_checkpoint
from ruo2_wgan.training.launch import check_ranks, count_ranks, dtype_of, launch
from ruo2_wgan.training.losses import CriticTerms, GeneratorTerms
from ruo2_wgan.training.preemption import heed_signals
from ruo2_wgan.training.provenance import describe_run
from ruo2_wgan.training.reporting import Reporter
from ruo2_wgan.training.run_folder import RunFolder
from ruo2_wgan.training.schedule import Schedule
from ruo2_wgan.training.showing import Showing
from ruo2_wgan.training.step import Adversaries
from ruo2_wgan.training.supply import Supply

logger = logging.getLogger("ruo2_wgan")

# What a resumed run may have otherwise: how long it goes on, how fast it learns, and what has no part in it.
MAY_DIFFER = (
    "training.epochs",
    "training.max_steps",
    "optimizer.critic_lr",
    "optimizer.generator_lr",
    "data.read_ahead",
)
LEARNED_SECTIONS = ("model", "data", "loss", "optimizer", "training")

Progress = Callable[[Mapping[str, float | int], int], None]


def train(
    store: str | Path,
    run: str | Path,
    config: Config,
    *,
    device: str = "auto",
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the networks of a configuration on a store, into the folder of a run.

    Parameters
    ----------
    store
        Voxel store of structures, or of slices for two dimensions.
    run
        Folder, new or empty; or that of a run to go on with.
    config
        Everything that decides what is learned.
    device
        "cpu", "cuda", or "auto".
    resume
        Go on from the last checkpoint in the folder, if there is one.
    progress
        Called after each step, on rank zero, with its figures and the number of steps in all.

    Returns
    -------
    summary
        Folder, steps and epochs done, last checkpoint, and the signal that ended the run early, if one did.

    Raises
    ------
    Ruo2Error
        A store or folder that does not fit, a checkpoint that cannot be read or written, a loss that is not finite.
    """
    check_ranks(config, count_ranks())
    fabric = launch(device, config.training)
    rows = open_rows(store, config)
    folder = RunFolder(run)
    schedule = Schedule(config, rows.spec.n_train)
    adversaries = Adversaries(fabric, *build_networks(config.model, rows.spec, config.training.seed), config)

    first, rows_taken, best = 0, 0, math.inf
    if not (resume and folder.is_started):
        folder.check_free()
    elif folder.numbered():
        first, rows_taken, best = _restore(folder, adversaries, config, rows, fabric)
    fabric.barrier()  # no rank may find the folder in use by rank zero

    batches = Batches(
        rows,
        config,
        fabric.device,
        seed=config.training.seed,
        rank=fabric.global_rank,
        n_ranks=fabric.world_size,
        cursor=rows_taken // fabric.world_size,
        dtype=dtype_of(config.training),
    )
    batches.check_size(schedule.largest_batch // fabric.world_size // config.training.accumulate)
    supply = Supply(batches, config, rows.spec)
    showing = reporter = None
    if fabric.is_global_zero:
        folder.begin(config, describe_run(rows, fabric.device, fabric.world_size, config.training.seed), first)
        showing = Showing(folder, config, rows)
        output = config.output
        reporter = Reporter(folder, showing, schedule, batches, output.log_every, output.samples_every, first, best)
        _log_start(folder, adversaries, rows, schedule, first, fabric)

    def state() -> dict[str, Any]:
        return _state(adversaries, batches.cursor * fabric.world_size, reporter.best if reporter else best)

    saved = first  # step of the newest checkpoint

    def save(step: int) -> None:
        nonlocal saved
        if fabric.is_global_zero and step > saved:
            folder.save(step, state(), config, rows.spec)
        saved = step

    step, ended_by = first, None
    try:
        with heed_signals() as notice:
            for step in range(first + 1, schedule.n_steps + 1):  # numbered from 1: steps done
                random = start_step(config.training.seed, step, fabric.global_rank, fabric.device)
                adversaries.set_rate(schedule.rate(step - 1))
                size = schedule.batch(step - 1) // fabric.world_size // config.training.accumulate

                for _ in range(config.loss.n_critic):
                    parts = supply.for_critic(size, random)
                    of_critic, critic_norm = adversaries.update_critic(parts)
                of_generator, generator_norm = adversaries.update_generator(supply.for_generator(parts, random))

                figures, ending = _gather(
                    fabric, of_critic, critic_norm, of_generator, generator_norm, notice.name, config.model.lattice
                )
                _check_finite(figures, step, saved)
                if reporter is not None:
                    line, is_best = reporter.report(step, figures, adversaries.sampler())
                    if is_best:
                        folder.save_best(step, state(), config, rows.spec)
                    if progress is not None:
                        progress(line, schedule.n_steps)
                if step % config.output.checkpoint_every == 0:
                    save(step)
                if ending:
                    ended_by = notice.name or "a signal to another rank"
                    break
        save(step)
        logger.info("step %d done%s", step, f"; ended early by {ended_by}" if ended_by else "")
    except Ruo2Error as error:
        logger.error("%s", error)
        raise
    finally:
        batches.close()
        if showing is not None:
            showing.draw_losses()
            folder.close()
    return {
        "run": str(folder.path),
        "steps": step,
        "epochs": round(schedule.epoch(step), 3),
        "checkpoint": str(folder.find_checkpoint()) if fabric.is_global_zero else None,
        "ended_by": ended_by,
    }


def _gather(
    fabric: Fabric,
    of_critic: CriticTerms,
    critic_norm: torch.Tensor,
    of_generator: GeneratorTerms,
    generator_norm: torch.Tensor,
    notice: str | None,
    lattice: bool,
) -> tuple[dict[str, float], bool]:
    """Figures of a step, means over all ranks, and whether any rank was told to end: one transfer from the device."""
    named = {
        "critic_loss": of_critic.loss,
        "generator_loss": of_generator.loss,
        "wasserstein": of_critic.wasserstein,
        "gradient_penalty": of_critic.penalty,
        "critic_gradient_norm": critic_norm,
        "generator_gradient_norm": generator_norm,
    }
    if lattice:
        named |= {"critic_lattice_loss": of_critic.lattice, "generator_lattice_loss": of_generator.lattice}
    values = torch.stack([*(value.double() for value in named.values()), critic_norm.new_tensor(notice is not None)])
    if fabric.world_size > 1:
        torch.distributed.all_reduce(values)
        values /= fabric.world_size
    *means, told = values.tolist()
    return dict(zip(named, means, strict=True)), told > 0


def _check_finite(figures: Mapping[str, float], step: int, saved: int) -> None:
    """Stop at a figure that is not finite, rather than train on what it has spoilt."""
    wrong = [f"{name} {value}" for name, value in figures.items() if not math.isfinite(value)]
    if wrong:
        kept = f"the checkpoint of step {saved} is the last good one" if saved else "there is no checkpoint yet"
        raise TrainingError(
            f"step {step}: losses and gradients must be finite; found {', '.join(wrong)}; {kept}. Go on with --resume "
            f"and a lower optimizer.critic_lr and optimizer.generator_lr, or begin anew in float32"
        )


def _state(adversaries: Adversaries, rows_taken: int, best: float) -> dict[str, Any]:
    """All that a run needs to go on; its random numbers follow from seed and step."""
    average = adversaries.average
    return {
        "generator": adversaries.generator.state_dict(),
        "critic": adversaries.critic.state_dict(),
        "average": None if average is None else average.state_dict(),
        "generator_optimizer": adversaries.generator_optimizer.state_dict(),
        "critic_optimizer": adversaries.critic_optimizer.state_dict(),
        "rows_taken": rows_taken,
        "best_distance": best,
    }


def _restore(
    folder: RunFolder, adversaries: Adversaries, config: Config, rows: Rows, fabric: Fabric
) -> tuple[int, int, float]:
    """Load the last checkpoint; returns its step, the rows taken so far, and the best distance."""
    path = folder.find_checkpoint()
    state, its_config, its_spec = read_checkpoint(path, fabric.device)
    different = [
        key for key in differing_keys(config, its_config, LEARNED_SECTIONS) if key.split(" ")[0] not in MAY_DIFFER
    ]
    if different:
        raise RunError(
            f"{folder.path}: a run goes on with the configuration that it was started with; found another "
            f"{', '.join(different)}. Leave the preset and these keys away, or start a run in another folder"
        )
    if rows.spec != its_spec:
        raise RunError(
            f"{folder.path}: a run goes on with the data that it was started with; {rows.location} has another "
            f"{', '.join(name for name, value in vars(rows.spec).items() if value != getattr(its_spec, name))}"
        )
    adversaries.generator.load_state_dict(state["generator"])
    adversaries.critic.load_state_dict(state["critic"])
    if adversaries.average is not None:
        adversaries.average.load_state_dict(state["average"])
    adversaries.generator_optimizer.load_state_dict(state["generator_optimizer"])
    adversaries.critic_optimizer.load_state_dict(state["critic_optimizer"])
    return state["step"], state["rows_taken"], state["best_distance"]


def _log_start(
    folder: RunFolder, adversaries: Adversaries, rows: Rows, schedule: Schedule, first: int, fabric: Fabric
) -> None:
    logger.info(
        "%s: %d training rows, %d held out, of %s", folder.path, rows.spec.n_train, rows.spec.n_held_out, rows.location
    )
    logger.info(
        "generator %d parameters, critic %d; on %s, %d ranks",
        count_parameters(adversaries.generator),
        count_parameters(adversaries.critic),
        fabric.device,
        fabric.world_size,
    )
    logger.info("%s to step %d", f"resumed after step {first}" if first else "from step 1", schedule.n_steps)
