"""Build a voxel store: plan it, write its shards, resume where an earlier run was stopped, finish it."""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.errors import Ruo2Error, StoreError
from ruo2_voxel.store.distributed import connect
from ruo2_voxel.store.finish import finish
from ruo2_voxel.store.plan import BuildOptions, ExpectedStore, Plan
from ruo2_voxel.store.provenance import describe_sources
from ruo2_voxel.store.reader import open_store
from ruo2_voxel.store.stream import Shard, read_shards
from ruo2_voxel.store.target import STATE, Target, local_path, open_target
from ruo2_voxel.store.write import Progress, explain_write_errors, part_key, shard_key, write_shard
from ruo2_voxel.structures.frames import open_frames
from ruo2_voxel.structures.specs import Specs

PLAN_KEY = f"{STATE}plan.json"
# A resumed build may choose these anew;
DECIDED_LATER = (
    *("label", "reference", "n_classes", "class_method", "clip", "allow_empty_classes"),
    *("split_by", "held_out", "held_out_groups", "on_error"),
)
# but not these, once frames were left out for want of what they ask for.
DECIDE_FAULTS = ("label", "reference", "split_by")


def plan_build(
    source: Specs,
    out: str | os.PathLike[str],
    options: BuildOptions,
    *,
    selection: str | None = None,
    workers: int | None = None,
    expected: ExpectedStore | None = None,
) -> Plan:
    """Open the sources and resolve what a build would do; nothing is written."""
    if workers is not None and workers < 1:
        raise Ruo2Error(f"workers must be at least 1; found {workers}")
    frames = open_frames(source, selection=selection)
    return Plan(frames, os.fspath(out), options, workers or available_cores(), expected)


def build(
    source: Specs,
    out: str | os.PathLike[str],
    grid: Grid | None = None,
    *,
    selection: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    scheduler: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Voxelize trajectories into a store.

    Parameters
    ----------
    source
        Files, globs, `file@start:stop:step`, or a list of them; whatever ASE reads.
    out
        Path or fsspec URL of the store.
    grid
        Species, shape, Gaussian width, tolerance; `Grid()` if left out.
    selection
        Rows to read from ASE databases, as for `ase.db`.
    workers
        Threads; all cores available if left out. The bytes written do not depend on it.
    resume, overwrite
        Go on with an unfinished build of the same sources and options; replace what stands at `out`.
    scheduler
        Address of a Dask scheduler whose workers see `out` under the same name; then `workers` does not matter.
    progress
        Called with the number of structures just written, from any thread.
    **options
        The fields of `BuildOptions`: copies, translate, rotate, seed, dtype, chunk, shard, ...

    Returns
    -------
    summary
        Counts, sizes and time, as `ruo2-voxel build --json` prints them.

    Raises
    ------
    Ruo2Error
        Options that cannot be, a source or frame that cannot be used, a target that is in the way or cannot be
        written. What is already written stays, and `resume` goes on from there.
    """
    plan = plan_build(source, out, BuildOptions(grid=grid or Grid(), **options), selection=selection, workers=workers)
    return run(plan, resume=resume, overwrite=overwrite, scheduler=scheduler, progress=progress)


def run(
    plan: Plan,
    *,
    resume: bool = False,
    overwrite: bool = False,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Carry out a plan; the arguments are those of `build`."""
    started = time.perf_counter()
    if resume and overwrite:
        raise Ruo2Error("resume and overwrite exclude each other: go on with what is there, or begin anew")
    target = open_target(plan.location)
    if target.exists() and resume:
        return _completed_before(plan)
    target.check_free(overwrite)
    with target.lock(), ThreadPoolExecutor(1) as background:
        sources = background.submit(describe_sources, plan.frames)
        finished = _begin(target, plan, resume, overwrite, sources)
        resumed = sum(marker["n_structures"] for marker in finished.values())
        if progress is not None and resumed:
            progress(resumed)
        markers = dict(finished)
        for index, marker in _write_shards(plan, target, finished, sources, scheduler, progress):
            markers[index] = marker
        with explain_write_errors(plan.location):
            attributes = finish(plan, target, markers, sources.result())
    seconds = time.perf_counter() - started
    skipped = [
        {**skip, "source": plan.frames.files[skip["source_id"]].path}
        for index in sorted(markers)
        for skip in markers[index]["skipped"]
    ]
    return _summary(plan, attributes, skipped[:10], resumed, seconds)


def _completed_before(plan: Plan) -> dict[str, Any]:
    """The summary of a build that has nothing left to resume: a job that is run again finds its work done."""
    store = open_store(plan.location)
    _require_same(store.attrs, plan, describe_sources(plan.frames), free=("on_error",))
    if plan.expected is not None:
        plan.expected.check(store.attrs, plan.location)
    skipped = [{**skip, "source": store.sources[skip["source_id"]]["path"]} for skip in store.skipped()[:10]]
    return _summary(plan, store.attrs, skipped, resumed=len(store), seconds=0.0)


def _summary(
    plan: Plan, attributes: Mapping[str, Any], skipped: Sequence[Mapping[str, Any]], resumed: int, seconds: float
) -> dict[str, Any]:
    """What a build returns."""
    n_structures = attributes["structures"]
    return {
        "location": plan.location,
        "structures": n_structures,
        "atoms": attributes["atoms"],
        "frames": len(plan.frames),
        "skipped_frames": attributes["skipped_frames"],
        "skipped": list(skipped),
        "findings_by_kind": attributes["findings_by_kind"],
        "without_energy": attributes["without_energy"],
        "clipped_voxels": attributes["quantisation"]["clipped_voxels"],
        "density_bytes": n_structures * plan.options.structure_bytes,
        "classes": attributes["classes"],
        "split": attributes["split"],
        "resumed_structures": resumed,
        "seconds": round(seconds, 3),
        "structures_per_second": round((n_structures - resumed) / seconds, 1) if seconds else 0.0,
    }


def _begin(
    target: Target, plan: Plan, resume: bool, overwrite: bool, sources: "Future[list[dict[str, Any]]]"
) -> dict[int, dict[str, Any]]:
    """Markers of the shards that an earlier run finished and this one may keep; removes what it may not."""
    markers = read_markers(target)
    earlier = target.get(PLAN_KEY)
    n_done = sum(marker["n_structures"] for marker in markers.values())
    if n_done and earlier and not overwrite:
        if not resume:
            raise StoreError(
                f"{plan.location}: found an unfinished build ({n_done} of {plan.n_candidates} structures). "
                f"Go on with --resume, or begin anew with --overwrite"
            )
        has_skipped = any(marker["skipped"] for marker in markers.values())
        free = [name for name in DECIDED_LATER if not (has_skipped and name in DECIDE_FAULTS)]
        _require_same(json.loads(earlier), plan, sources.result(), free)
        _put_plan(target, plan, sources)
        return markers
    target.clear()
    return {}


def read_markers(target: Target) -> dict[int, dict[str, Any]]:
    """Markers of finished shards whose files are there in full."""
    markers = {}
    for key in target.keys(STATE):
        name = key.removeprefix(STATE)
        if name.startswith("shard-") and name.endswith(".json"):
            index = int(name.removeprefix("shard-").removesuffix(".json"))
            marker = json.loads(target.get(key) or b"{}")
            files = ((shard_key(index), "density_bytes"), (part_key(index), "atoms_bytes"))
            if all((target.size(file) or 0) == marker.get(size) for file, size in files):
                markers[index] = marker
    return markers


def _put_plan(target: Target, plan: Plan, sources: "Future[list[dict[str, Any]]]") -> None:
    with explain_write_errors(plan.location):
        options = plan.options.as_dict()
        target.put(PLAN_KEY, json.dumps({"options": options, "sources": sources.result()}).encode())


def _fingerprint(
    options: Mapping[str, Any], sources: Sequence[Mapping[str, Any]], free: Sequence[str]
) -> dict[str, Any]:
    """What must be the same for one run to go on with what another has written: sources, and options but the free."""
    return {
        **{name: value for name, value in options.items() if name not in free},
        "sources": [[source["sha256"], source.get("selection"), source["selected"]] for source in sources],
    }


def _require_same(
    earlier: Mapping[str, Any], plan: Plan, sources: Sequence[Mapping[str, Any]], free: Sequence[str]
) -> None:
    """Refuse to mix shards of different origin."""
    before = _fingerprint(earlier["options"], earlier["sources"], free)
    for name, wanted in _fingerprint(plan.options.as_dict(), sources, free).items():
        if before.get(name) != wanted:
            found = "other files or frames" if name == "sources" else f"{name} {before.get(name)!r}, not {wanted!r}"
            raise StoreError(
                f"{plan.location}: to resume, files and options must be those of the earlier build; it has {found}. "
                f"Repeat them, or begin anew with --overwrite"
            )


def _write_shards(
    plan: Plan,
    target: Target,
    finished: Mapping[int, Mapping[str, Any]],
    sources: "Future[list[dict[str, Any]]]",
    scheduler: str | None,
    progress: Progress | None,
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read here, render and write in the executor; whatever goes wrong, shards under way are completed first."""
    options = plan.options.as_dict()
    path = local_path(plan.location)
    location = plan.location if path is None else str(path.absolute())  # workers may stand in another folder
    # Two at a time, so that one is rendered while the other is written; each may use all threads.
    n_parallel = min(2, plan.workers)
    with _executor(scheduler, n_parallel) as (executor, n_slots):
        pending: dict[Future[dict[str, Any]], int] = {}
        try:
            for shard in read_shards(plan, finished):
                if not pending and not target.size(PLAN_KEY):
                    _warn_of_width(plan, shard)
                    _put_plan(target, plan, sources)
                if scheduler is None:
                    future = executor.submit(write_shard, location, options, shard, plan.workers, progress)
                else:
                    future = executor.submit(write_shard, location, options, shard)
                pending[future] = shard.index
                while len(pending) >= n_slots:
                    yield from _collect(pending, progress if scheduler else None)
        finally:
            wait(pending)
        while pending:
            yield from _collect(pending, progress if scheduler else None)


def _collect(
    pending: "dict[Future[dict[str, Any]], int]", progress: Progress | None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Results of the shards that are done, at least one."""
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        index = pending.pop(future)
        marker = future.result()
        if progress is not None:
            progress(marker["n_structures"])
        yield index, marker


@contextlib.contextmanager
def _executor(scheduler: str | None, n_parallel: int) -> Iterator[tuple[Executor, int]]:
    """Where shards are written, and how many may be under way: those at work and one that waits."""
    if scheduler is None:
        with ThreadPoolExecutor(n_parallel) as threads:
            yield threads, n_parallel + 1
    else:
        with connect(scheduler) as (executor, n_workers):
            yield executor, 2 * n_workers


def _warn_of_width(plan: Plan, shard: Shard) -> None:
    """Once for each build, of Gaussians too wide, or too narrow for the widest voxels of the first shard."""
    plan.options.grid.warn_if_wide()
    if shard.table is not None:
        spacings = plan.options.grid.voxel_spacings(shard.table.cells).max(axis=1)
        widest = int(np.argmax(spacings))
        source = plan.frames.files[int(shard.table.source_ids[widest])].path
        frame = int(shard.table.frame_ids[widest])
        plan.options.grid.warn_if_aliased(shard.table.cells[widest], f"frame {frame} of {source}")


def available_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
