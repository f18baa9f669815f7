"""Everything that decides a run, in frozen dataclasses; the defaults are the thesis's three-dimensional network.

A resolved configuration is defaults, then a preset, then a file, then single keys: `resolve_config`.
"""

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ruo2_wgan.errors import ConfigError

Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Axes = Literal["", "x", "y", "z", "xy", "xz", "yz", "xyz"]
Channels = Annotated[tuple[Count, ...], Field(min_length=1)]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Model:
    """Both networks. In two dimensions the axes are (x or y, z): x or y in `*_periodic` stands for the first."""

    dimensions: Literal[2, 3] = 3
    latent: Count = 512  # length of z
    generator_channels: Channels = (512, 256, 128, 64)  # each stage doubles the sides
    critic_channels: Channels = (64, 128, 256, 512)  # each stage halves them
    upsampling: Literal["transposed", "even", "resize"] = "transposed"  # even: transposed, without stripes at first
    generator_periodic: Axes = ""
    generator_norm: Literal["none", "batch"] = "batch"
    output_norm: bool = True  # batch norm before the sigmoid, as in the thesis
    output_bias: float = 0.0  # added before the sigmoid; below 0 an untrained generator starts dark
    critic_periodic: Axes = "xyz"
    critic_norm: Literal["none", "layer"] = "layer"
    critic_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5  # after the first stage
    minibatch_std: Whole = 0  # structures in a group that the critic compares; 0 for none
    conditioning: Literal["none", "integer", "onehot", "embedding"] = "none"
    condition_size: Count = 206  # of what is concatenated to z
    lattice: bool = False  # heads that predict lattice lengths
    lattice_hidden: Count = 512


@dataclass(frozen=True, config=_STRICT)
class Data:
    """What a batch is made of, and how it comes to the device."""

    source: Literal["auto", "resident", "stream", "atoms"] = "auto"
    planes: Literal["xz", "yz", "both"] = "both"  # two dimensions, cut from a store of structures
    positions: Literal["even", "all"] | Whole = "even"
    drop_empty: bool = True
    augment: tuple[Literal["roll", "roll-z", "mirror", "rotate"], ...] = ()
    augment_fake: bool = False  # the same operations, drawn anew, on what the generator makes
    resident_gigabytes: Annotated[float, Field(gt=0)] = 8.0  # `auto` streams what is larger
    window: Count = 8192  # grids that a stream shuffles among each other
    read_ahead: Count = 2  # batches


@dataclass(frozen=True, config=_STRICT)
class Loss:
    """What the networks minimise."""

    kind: Literal["wgan-gp", "relativistic"] = "wgan-gp"
    n_critic: Count = 5  # critic updates for one of the generator
    gp_weight: Weight = 10.0  # WGAN-GP: (|grad| - 1)^2 at interpolates
    drift: Weight = 0.0  # WGAN-GP: mean of D(real)^2, which keeps scores near 0
    r1_weight: Weight = 0.5  # relativistic: |grad|^2 / 2 at real structures
    r2_weight: Weight = 0.5  # relativistic: the same at fakes
    lattice_weight: Weight = 0.1  # gamma of the generator's lattice loss; the critic's has 1


@dataclass(frozen=True, config=_STRICT)
class Optimizer:
    """Adam for both networks, and how its learning rate goes on."""

    critic_lr: Rate = 1e-3
    generator_lr: Rate = 1e-3
    beta1: Beta = 0.5
    beta2: Beta = 0.9
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: Whole = 0
    final_lr: Share = 0.0  # of the first rate, at the last step of a linear or cosine schedule


@dataclass(frozen=True, config=_STRICT)
class Training:
    """How long, in which batches, in which numbers. A step is one generator update with its critic updates."""

    batch: Count = 32  # structures in one critic update, over all ranks and accumulated parts
    batch_growth: tuple[tuple[Count, Count], ...] = ()  # (step, batch from there on), in order
    accumulate: Count = 1  # parts that an update is computed in, to save memory
    epochs: Count = 300
    max_steps: Count | None = None  # instead of epochs
    seed: Whole = 100
    precision: Literal["float32", "tf32", "bf16", "float64"] = "float32"
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0  # decay of the averaged generator; 0 for none
    compile: bool = False
    channels_last: bool = False  # memory format of convolution weights
    cuda_graphs: bool = False  # record the kernels of an update once and replay them: one GPU, one size of batch


@dataclass(frozen=True, config=_STRICT)
class Output:
    """What a run writes, and how often. None of it changes what is learned."""

    log_every: Count = 10  # steps
    samples_every: Annotated[float, Field(gt=0)] = 1.0  # epochs
    checkpoint_every: Count = 500  # steps
    keep_last: Count = 3  # checkpoints
    n_samples: Count = 64  # on a sheet
    watch: Count = 256  # fakes and held-out structures that are compared for signs of collapse


@dataclass(frozen=True, config=_STRICT)
class Config:
    """A run. Keys are written `section.name`, as in `training.batch`."""

    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    loss: Loss = field(default_factory=Loss)
    optimizer: Optimizer = field(default_factory=Optimizer)
    training: Training = field(default_factory=Training)
    output: Output = field(default_factory=Output)


_ADAPTER = TypeAdapter(Config)


def make_config(values: Mapping[str, Any], origin: str = "configuration") -> Config:
    """A configuration from nested tables, checked.

    Parameters
    ----------
    values
        Sections by name; what is not named keeps its default.
    origin
        Of the values, for errors.

    Raises
    ------
    ConfigError
        An unknown key, a value of the wrong type or out of range, parts that contradict each other.
    """
    config = _validate(values, origin)
    _check_together(config, origin)
    return config


def resolve_config(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Config:
    """The configuration of layers of (origin, tables); later ones win, key by key."""
    merged: dict[str, Any] = {}
    for origin, values in layers:
        _validate(values, origin)  # so that an error names the layer that it is in
        merged = merge_tables(merged, values)
    return make_config(merged)


def merge_tables(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, section by section; a key of `over` wins."""
    return {**under, **{section: {**under.get(section, {}), **table} for section, table in over.items()}}


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Tables of `section.name=value` texts; a value is TOML, or else a word.

    Raises
    ------
    ConfigError
        A text without `=`, or a key without a section.
    """
    tables: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        section, dot, name = key.strip().partition(".")
        if not (equals and dot and section and name):
            raise ConfigError(f"--set {text}: must be section.name=value, say training.batch=64")
        tables.setdefault(section, {})[name] = _parse_value(value.strip())
    return tables


def read_config(path: str | Path) -> dict[str, Any]:
    """Tables of a TOML file.

    Raises
    ------
    ConfigError
        No such file, or not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: must be a TOML file; {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: must be TOML; {error}") from None


def config_tables(config: Config) -> dict[str, Any]:
    """All keys as plain tables, without those that are None."""
    return _without_none(_ADAPTER.dump_python(config, mode="json"))


def config_toml(config: Config) -> str:
    """All keys as TOML, from which `read_config` and `make_config` make the same again."""
    return tomli_w.dumps(config_tables(config))


def differing_keys(one: Config, other: Config, sections: Sequence[str]) -> list[str]:
    """Keys of the sections in which two configurations differ, each with both values."""
    found = []
    for section in sections:
        mine, theirs = vars(getattr(one, section)), vars(getattr(other, section))
        found += [f"{section}.{name} ({mine[name]} and {theirs[name]})" for name in mine if mine[name] != theirs[name]]
    return found


def _validate(values: Mapping[str, Any], origin: str) -> Config:
    try:
        return _ADAPTER.validate_python(dict(values))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {_explain(error)}") from None


def _without_none(tables: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in tables.items()
        if value is not None
    }


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(error: ValidationError) -> str:
    """The first thing that is wrong, with its key."""
    first = error.errors(include_url=False)[0]
    path = [str(part) for part in first["loc"] if not str(part).startswith(("function-", "literal[", "constrained-"))]
    key, found = ".".join(path), first["input"]
    if first["type"] == "unexpected_keyword_argument":
        known = _known_names(path[:-1])
        near = difflib.get_close_matches(path[-1], known, n=1)
        meant = f"; did you mean {near[0]}?" if near else f". Known there: {', '.join(known)}"
        return f"unknown key {key}{meant}"
    says = first["msg"].removeprefix("Input ")
    says = says.removeprefix("should be ") if says.startswith("should be ") else says[:1].lower() + says[1:]
    return f"{key} must be {says}; found {found!r}"


def _known_names(sections: Sequence[str]) -> list[str]:
    place: Any = Config
    for name in sections:
        place = place.__dataclass_fields__[name].type
    return list(place.__dataclass_fields__)


def _check_together(config: Config, origin: str) -> None:
    """What single values cannot tell."""
    model, training = config.model, config.training
    steps = [step for step, _ in training.batch_growth]
    if steps != sorted(set(steps)):
        raise ConfigError(f"{origin}: the steps of training.batch_growth must increase; found {steps}")
    if training.cuda_graphs and training.batch_growth:
        raise ConfigError(
            f"{origin}: training.cuda_graphs replays an update with batches of one size; found training.batch_growth "
            f"at the steps {steps}. Leave one of them out"
        )
    for batch in (training.batch, *(batch for _, batch in training.batch_growth)):
        if batch % training.accumulate:
            raise ConfigError(
                f"{origin}: a batch must divide into training.accumulate parts; found {batch} and {training.accumulate}"
            )
        part = batch // training.accumulate
        if model.minibatch_std and part % model.minibatch_std:
            raise ConfigError(
                f"{origin}: a batch, or each accumulated part of it, must divide into groups of model.minibatch_std; "
                f"found {part} and {model.minibatch_std}"
            )
