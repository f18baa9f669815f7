"""What `train_step.py --device cuda` measures, in what order, and what is to be reached."""

import gc
import operator
from collections.abc import Iterator
from typing import Any

import torch

from ceilings import measure_ceilings
from jobs import Job, Record
from training_case import compare_gradients, measure_case

THESIS = 26.8  # structures a second on four A100s
COMPILING = 120.0  # seconds
WAITING = "largest share of time spent waiting for data"
PRESETS = ("vanilla-3d", "recommended-3d")
WASSERSTEIN = ("loss.kind=wgan-gp", "loss.n_critic=5", "optimizer.beta1=0.5", "optimizer.beta2=0.9")


def make_case(preset: str, batch: int, device: str = "cuda", add: tuple[str, ...] = (), **options: Any) -> Record:
    """A configuration to be measured; in bfloat16 with channels last, unless the options say otherwise."""
    training = {"batch": batch, "precision": "bf16", "channels_last": True, **options}
    tuned = training.pop("cudnn_benchmark", False)
    assignments = [f"training.{name}={str(value).lower()}" for name, value in training.items()]
    case = {"preset": preset, "device": device, **training, "set": [*assignments, "data.source=resident", *add]}
    return {**case, "cudnn_benchmark": True} if tuned else case


def cuda_cases() -> Iterator[Record]:
    """The cheap and telling ones first: what the time limit cuts off is the last."""
    for graphs in (False, True):
        for preset in PRESETS:
            for batch in (512, 128, 1024):
                yield make_case(preset, batch, cuda_graphs=graphs)
    yield make_case("recommended-3d", 512, add=WASSERSTEIN)
    for preset in PRESETS:
        yield make_case(preset, 512, cudnn_benchmark=True)
        for graphs in (False, True):
            yield make_case(preset, 32, cuda_graphs=graphs)  # the batch of the thesis
    for graphs in (False, True):
        for preset in PRESETS:
            yield make_case(preset, 512, compile=True, cuda_graphs=graphs)
    for preset in PRESETS:
        yield make_case(preset, 512, channels_last=False)
        yield make_case(preset, 128, precision="tf32")
        yield make_case(preset, 128, precision="float32")
        yield make_case(preset, 128, compile=True)


def comparisons(device: str, add: tuple[str, ...] = (), batch: int = 64) -> Iterator[tuple[Record, Record, Record]]:
    """Pairs of configurations whose gradients should agree, each with what names it."""
    still = (*add, "model.critic_dropout=0.0")  # another precision may drop other features
    for preset in PRESETS:
        exact = make_case(preset, batch, device, still, precision="float32")
        yield {"preset": preset, "what": "bf16 beside float32"}, exact, make_case(preset, batch, device, still)
        if device == "cuda":
            rough = make_case(preset, batch, device, still, precision="tf32")
            yield {"preset": preset, "what": "tf32 beside float32"}, exact, rough
            plain = make_case(preset, batch, device, add)
            yield {"preset": preset, "what": "the same again"}, plain, plain
            recorded = make_case(preset, batch, device, add, cuda_graphs=True)
            yield {"preset": preset, "what": "recorded beside plain"}, plain, recorded


def compare_all(store: str, device: str, add: tuple[str, ...] = (), batch: int = 64) -> Iterator[Job]:
    """A job for each comparison."""
    for names, one, other in comparisons(device, add, batch):
        yield Job("comparisons", names, lambda one=one, other=other: compare_gradients(store, one, other))


def cuda_jobs(store: str, record: Record) -> Iterator[Job]:
    """All there is to be measured on a GPU."""
    yield Job("ceilings", describe_gpu(), lambda: measure_ceilings("cuda", quick=False))
    yield from compare_all(store, "cuda")
    for case in cuda_cases():
        seconds = COMPILING if "compile" in case else 20.0
        yield Job("cases", case, lambda case=case: _measure(store, case, record), seconds)


def _measure(store: str, case: Record, record: Record) -> Record:
    gc.collect()
    torch.cuda.empty_cache()
    torch.compiler.reset()
    found = measure_case(store, case, 1.5, profiled=True)
    return {**found, "share_of_matrix_rate": found["TFLOP_per_s"] / record["ceilings"][0]["matrix_TFLOP_per_s"]}


def describe_gpu() -> Record:
    """The card and its libraries."""
    return {
        "name": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def gpu_answers() -> bool:
    """Whether the GPU still computes for this process; after some errors it does not."""
    try:
        return bool(torch.ones(1, device="cuda").item() == 1)
    except RuntimeError:
        return False


def cuda_targets(record: Record) -> Record:
    """The fastest case of each preset, and what was to be reached."""
    measured = [case for case in record["cases"] if "failed" not in case]
    by_rate = sorted(measured, key=lambda case: case["structures_per_second"])
    fastest = {case["preset"]: case for case in by_rate}
    vanilla = fastest.get("vanilla-3d", {}).get("structures_per_second", 0.0) / THESIS
    wait = max((case["data_wait"] for case in measured), default=1.0)
    ratios = [
        {"what": "fastest vanilla-3d over the thesis", "sense": "at least", "target": 100.0, "measured": vanilla},
        {"what": WAITING, "sense": "at most", "target": 0.02, "measured": wait},
    ]
    reached = {"at least": operator.ge, "at most": operator.le}
    for each in ratios:
        each["met"] = reached[each["sense"]](each["measured"], each["target"])
    return {"fastest": fastest, "ratios": ratios}
