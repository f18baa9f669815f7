"""What a build is going to do, resolved and checked before anything is written."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.errors import ManifestError, Ruo2Error
from ruo2_voxel.store.schema import DTYPES, bytes_per_structure
from ruo2_voxel.structures.classes import Method, check_classes
from ruo2_voxel.structures.frames import Frames
from ruo2_voxel.structures.labels import LABELS, SURFACE, is_label
from ruo2_voxel.structures.preparation import Preparation
from ruo2_voxel.structures.splits import Group
from ruo2_voxel.structures.surface_energy import SurfaceReference

Screen = Literal["off", "report", "drop"]
SCREENS: Final[tuple[Screen, ...]] = ("off", "report", "drop")
STRUCTURES_PER_BLOCK: Final = 64  # rendered and written together
ATOM_BYTES: Final = 18  # of an atom in a store, before compression


@dataclass(frozen=True)
class BuildOptions:
    """Everything that decides the bytes of a store, but for its sources.

    Parameters
    ----------
    grid
        Species, shape, Gaussian width, tolerance.
    copies
        Structures made of each frame; the first is moved like the others if `translate` or `rotate` is set.
    translate, rotate
        Move each copy by a random shift, of any fraction of a voxel, in all three directions; turn it about z by a
        random multiple of 90 degrees (thesis, section 3.2.1).
    seed
        Of those moves and of the split.
    dtype
        "uint8" (steps of 1/255), "float16" or "float32".
    combine
        "clip" values above 1, where Gaussians overlap, to 1 and count them, or "none" (floating-point dtypes only).
    chunk, shard
        Structures in a chunk (what a compressed reader fetches) and in a shard (one file).
    compress
        Compress the density as well (zstd): less than half the size, several times slower to read at random.
    preparation
        What is done to the cell of each structure before anything is made of it.
    screen
        Look for broken slabs, floating atoms, O2, peroxides and atoms too close: "report" keeps what was found with
        each structure, "drop" leaves such structures out.
    label, reference
        What `energy_class` sorts: "energy", "energy-per-atom", "surface-free-energy" (which needs the reference),
        "info:KEY", or "none"; "auto" is energy per atom if every structure has one.
    n_classes, class_method, clip
        Number of classes, and how their edges are found: see `classify`.
    allow_empty_classes
        Do not refuse a label by which some classes hold nothing.
    split_by, held_out
        Keys of `atoms.info` whose values tell groups of related structures apart, and the share of structures to hold
        out, in whole groups drawn by the seed. Without keys nothing is held out.
    held_out_groups
        The groups to hold out, by the values of those keys, instead of drawing them.
    on_error
        "raise" at the first frame that cannot be used, or "skip" it and keep its name and the reason.
    """

    grid: Grid = field(default_factory=Grid)
    copies: int = 1
    translate: bool = False
    rotate: bool = False
    seed: int = 0
    dtype: str = "uint8"
    combine: Literal["clip", "none"] = "clip"
    chunk: int = 16
    shard: int = 1024
    compress: bool = False
    preparation: Preparation = field(default_factory=Preparation)
    screen: Screen = "off"
    label: str = "auto"
    reference: SurfaceReference | None = None
    n_classes: int = 10
    class_method: Method = "equal-width"
    clip: tuple[float, float] = (0.01, 0.99)
    allow_empty_classes: bool = False
    split_by: tuple[str, ...] = ()
    held_out: float = 0.1
    held_out_groups: tuple[Group, ...] = ()
    on_error: Literal["raise", "skip"] = "raise"

    def __post_init__(self) -> None:
        for name, smallest in (("copies", 1), ("chunk", 1), ("shard", 1), ("seed", 0)):
            if getattr(self, name) < smallest:
                raise Ruo2Error(f"{name} must be at least {smallest}; found {getattr(self, name)}")
        for name, choices in (
            ("dtype", DTYPES),
            ("combine", ("clip", "none")),
            ("screen", SCREENS),
            ("on_error", ("raise", "skip")),
        ):
            if getattr(self, name) not in choices:
                raise Ruo2Error(f"{name} must be one of {', '.join(choices)}; found {getattr(self, name)!r}")
        if self.shard % self.chunk:
            raise Ruo2Error(f"shard must be a multiple of chunk ({self.chunk}); found {self.shard}")
        if not is_label(self.label):
            raise Ruo2Error(f"label must be one of {', '.join(LABELS)}, or info:KEY; found {self.label!r}")
        if (self.label == SURFACE) != (self.reference is not None):
            raise Ruo2Error(
                f"label {SURFACE} and a surface reference go together; found label {self.label!r} "
                f"{'with' if self.reference else 'without'} a reference"
            )
        check_classes(self.n_classes, self.class_method, self.clip)
        if self.combine == "none" and self.dtype == "uint8":
            raise Ruo2Error("combine must be clip with dtype uint8, which holds 0 to 1; use dtype float16 or float32")
        if not 0.0 <= self.held_out < 1.0:
            raise Ruo2Error(f"held_out must lie between 0 and 1; found {self.held_out}")
        for group in self.held_out_groups:
            if len(group) != len(self.split_by):
                keys = ", ".join(self.split_by) or "no key"
                raise Ruo2Error(f"held_out_groups must give a value for each key of split_by ({keys}); found {group}")
        if self.rotate and self.grid.shape[0] != self.grid.shape[1]:
            nx, ny, _ = self.grid.shape
            raise Ruo2Error(
                f"rotate needs as many voxels along x as along y, so that a turn maps the grid onto itself; "
                f"found {nx} and {ny}"
            )

    @property
    def structure_bytes(self) -> int:
        """Of one structure's density, uncompressed."""
        return bytes_per_structure(self.grid.n_species, self.grid.shape, self.dtype)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, grid and all, for JSON."""
        values = asdict(self)
        grid = values.pop("grid")
        return {
            "species": list(grid["species"]),
            "shape": list(grid["shape"]),
            "sigma_angstrom": grid["sigma"],
            "tol": grid["tol"],
            **{name: _lists(value) for name, value in values.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "BuildOptions":
        """The inverse of `as_dict`."""
        rest = dict(values)
        preparation = Preparation(**rest.pop("preparation"))
        reference = rest.pop("reference")
        species, shape = tuple(rest.pop("species")), tuple(rest.pop("shape"))
        grid = Grid(species=species, shape=shape, sigma=rest.pop("sigma_angstrom"), tol=rest.pop("tol"))
        plain: dict[str, Any] = {name: _tuples(value) for name, value in rest.items()}
        return cls(
            grid=grid,
            preparation=preparation,
            reference=None if reference is None else SurfaceReference(**reference),
            **plain,
        )

    def sha256(self) -> str:
        return options_sha256(self.as_dict())


def options_sha256(values: Mapping[str, Any]) -> str:
    """Checksum of options as `BuildOptions.as_dict` gives them, and as a store keeps them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _lists(value: Any) -> Any:
    return [_lists(each) for each in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value


@dataclass(frozen=True)
class ExpectedStore:
    """What must come out of a build, before it may be called complete.

    Parameters
    ----------
    structures
        How many.
    label_range
        Lowest and highest label allowed, in the label's unit; None is not checked.
    """

    structures: int
    label_range: tuple[float, float] | None = None

    def check(self, attributes: Mapping[str, Any], location: str) -> None:
        """Refuse the attributes of a store that is not what was expected.

        Raises
        ------
        ManifestError
            Another number of structures, or labels out of range.
        """
        remedy = "Correct the manifest, or find what changed in the data"
        if attributes["structures"] != self.structures:
            raise ManifestError(
                f"{location}: must hold {self.structures} structures, as expected; found {attributes['structures']} "
                f"({attributes['skipped_frames']} frames were left out). {remedy}"
            )
        if self.label_range is not None:
            edges = (attributes["classes"] or {"edges": [math.nan]})["edges"]
            if not self.label_range[0] <= edges[0] <= edges[-1] <= self.label_range[1]:
                raise ManifestError(
                    f"{location}: labels must lie from {self.label_range[0]} to {self.label_range[1]}, as expected; "
                    f"found {edges[0]} to {edges[-1]}. {remedy}"
                )


@dataclass(frozen=True)
class Plan:
    """A build: what from, what to, how; and how large it is going to be."""

    frames: Frames
    location: str
    options: BuildOptions
    workers: int
    expected: ExpectedStore | None = None

    @property
    def n_candidates(self) -> int:
        """Structures, if no frame has to be left out."""
        return len(self.frames) * self.options.copies

    @property
    def n_shards(self) -> int:
        return -(-self.n_candidates // self.options.shard)

    def summary(self) -> dict[str, Any]:
        """Resolved options, sizes and memory, for people and for --json."""
        options = self.options
        density = self.n_candidates * options.structure_bytes
        block = min(STRUCTURES_PER_BLOCK, self.n_candidates)
        row = options.grid.shape[2] + 24
        scratch = options.grid.shape[0] * options.grid.shape[1] * row * 4
        wide = 4 if options.dtype == "float16" else 0  # float16 is rounded from a float32 block
        memory = 3 * block * (options.structure_bytes + wide * options.structure_bytes // 2) + self.workers * scratch
        return {
            "location": self.location,
            "sources": [
                {"path": file.path, "format": file.format, "frames": file.n_frames, "selected": len(file.selected)}
                for file in self.frames.files
            ],
            "options": options.as_dict(),
            "cutoff_angstrom": options.grid.cutoff,
            "structures": self.n_candidates,
            "shards": self.n_shards,
            "shard_bytes": min(options.shard, self.n_candidates) * options.structure_bytes,
            "density_bytes": density,
            "working_memory_bytes": memory,
            "workers": self.workers,
        }
