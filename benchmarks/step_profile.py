"""Where the time of a training step goes: its kernels, their launches, and when a GPU has nothing to do."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

N_STEPS = 2


def profile_steps(step: Callable[[int], object], device: str) -> dict[str, Any]:
    """Some steps, each of which ends by waiting for its figures, under torch's profiler.

    Returns
    -------
    profile
        Names and shares of the ten kernels (on a CPU: operations) that take the most time, and how many run in a step.
        On a GPU also how often a step launches something and waits for the device, and the share of time in which the
        GPU had nothing to do, from the first kernel of all steps to the last.
    """
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities):
        step(0)  # the first time, the profiler itself has to begin
    with profile(activities=activities) as recorded:
        for number in range(N_STEPS):
            step(1 + number)
    events = [event for event in recorded.events() if not event.is_user_annotation]
    if device == "cpu":
        return _longest([(event.name, event.self_cpu_time_total) for event in events if event.name.startswith("aten")])
    kernels = [event for event in events if event.device_type == torch.autograd.DeviceType.CUDA]
    calls = [event.name for event in events if event.device_type == torch.autograd.DeviceType.CPU]
    return {
        **_longest([(event.name, event.time_range.elapsed_us()) for event in kernels]),
        "launches_per_step": sum(name.startswith("cu") and "Launch" in name for name in calls) / N_STEPS,
        "waits_per_step": sum(name.startswith("cu") and "Synchronize" in name for name in calls) / N_STEPS,
        "idle_share": idle_share([(event.time_range.start, event.time_range.end) for event in kernels]),
    }


def idle_share(spans: list[tuple[float, float]]) -> float:
    """Share of the time from the first beginning to the last end that no span covers; spans may overlap."""
    first = reached = min(begin for begin, _ in spans)
    idle = 0.0
    for begin, end in sorted(spans):
        idle += max(0.0, begin - reached)
        reached = max(reached, end)
    return idle / (reached - first)


def _longest(times: list[tuple[str, float]]) -> dict[str, Any]:
    by_name: Counter[str] = Counter()
    for name, time in times:
        by_name[name] += time
    return {
        "kernels_per_step": len(times) / N_STEPS,
        "longest": [{"name": name[:100], "share": time / by_name.total()} for name, time in by_name.most_common(10)],
    }
