"""What a voxel store is: its arrays, their dimensions, codecs and attributes. One Zarr v3 group for each dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ruo2_voxel.errors import StoreError

SCHEMA: Final = "ruo2-voxel"
SCHEMA_VERSION: Final = 1

DENSITY: Final = "density"
DENSITY_DIMENSIONS: Final = ("structure", "species", "x", "y", "z")
DTYPES: Final = ("uint8", "float16", "float32")
FULL_SCALE: Final = 255  # what uint8 stores for a density of 1

ROWS: Final = 2**16  # structures in a chunk of a one-line-per-structure array
ATOM_ROWS: Final = 2**18  # atoms in a chunk of a one-line-per-atom array
ZSTD_LEVEL: Final = 1

INFO: Final = "info"  # subgroup: the scalars of atoms.info, one array for each key
SKIPPED: Final = "skipped"  # subgroup: the frames left out, and why
SPLIT_NAMES: Final = ("train", "held_out")

# What every store says of itself, beside `schema`, `schema_version` and `complete`.
ATTRIBUTES: Final = (
    "species",
    "shape",
    "sigma_angstrom",
    "alpha_per_square_angstrom",
    "tol",
    "cutoff_angstrom",
    "quantisation",
    "classes",
    "split_names",
    "split",
    "info_keys",
    "structures",
    "atoms",
    "skipped_frames",
    "without_energy",
    "sources",
    "seed",
    "options",
    "options_sha256",
    "versions",
    "created",
)


@dataclass(frozen=True)
class Column:
    """An array with one line for each structure, atom, species, source or frame left out."""

    name: str
    dimensions: tuple[str, ...]
    dtype: Any
    attributes: dict[str, str]
    tail: tuple[int, ...] = ()  # shape beyond the first axis

    @property
    def rows(self) -> int:
        return ATOM_ROWS if self.dimensions[0] == "atom" else ROWS


def _column(name: str, dimensions: Sequence[str], dtype: Any, tail: tuple[int, ...] = (), **attributes: str) -> Column:
    return Column(name, tuple(dimensions), dtype, attributes, tail)


ATOM_COLUMNS: Final = (
    _column("positions", ("atom", "xyz"), "float32", (3,), units="angstrom", long_name="Cartesian positions"),
    _column("atom_number", ("atom",), "uint8", long_name="atomic number"),
    _column("atom_species", ("atom",), "uint8", long_name="channel of the atom's species"),
    _column("atom_tag", ("atom",), "int32", long_name="ASE tag"),
    _column("atom_fixed", ("atom",), "bool", long_name="held by FixAtoms"),
)
STRUCTURE_COLUMNS: Final = (
    _column("energy", ("structure",), "float64", units="eV", long_name="potential energy, NaN if there is none"),
    _column("lattice", ("structure", "xyz"), "float64", (3,), units="angstrom", long_name="lattice lengths"),
    _column(
        "cell", ("structure", "vector", "xyz"), "float64", (3, 3), units="angstrom", long_name="cell vectors in rows"
    ),
    _column("pbc", ("structure", "vector"), "bool", (3,), long_name="periodicity as given; grids are periodic anyway"),
    _column("n_atoms", ("structure",), "int32", long_name="number of atoms"),
    _column("source_id", ("structure",), "int32", long_name="index into source_name"),
    _column("frame_id", ("structure",), "int64", long_name="frame in its source file; a database's row id"),
    _column("copy", ("structure",), "int32", long_name="which copy of the frame"),
    _column("translation", ("structure", "xyz"), "float64", (3,), long_name="shift of the copy, scaled coordinates"),
    _column(
        "quarter_turns", ("structure",), "int8", long_name="turns of the copy about z by 90 degrees, after the shift"
    ),
)
ATOM_OFFSET: Final = _column(
    "atom_offset", ("structure_edge",), "int64", long_name="atoms of structure i: atom_offset[i] to atom_offset[i + 1]"
)
ENERGY_CLASS: Final = _column(
    "energy_class", ("structure",), "int8", long_name="class of the label, -1 if there is none"
)
SKIPPED_COLUMNS: Final = (
    _column("source_id", ("skipped",), "int32", long_name="index into source_name"),
    _column("frame_id", ("skipped",), "int64", long_name="frame in its source file; a database's row id"),
    _column("reason", ("skipped",), "string", long_name="why it was left out"),
)
SPLIT: Final = _column("split", ("structure",), "int8", long_name="index into the attribute split_names")


def bytes_per_structure(n_species: int, shape: Sequence[int], dtype: str) -> int:
    return n_species * math.prod(shape) * np.dtype(dtype).itemsize


def scale_of(dtype: str) -> float:
    """Density of one step of a stored grid."""
    return 1.0 / FULL_SCALE if dtype == "uint8" else 1.0


DENSITY_ATTRIBUTES: Final = {
    dtype: {
        "long_name": "Gaussian density of each species",
        "coordinates": " ".join(column.name for column in (*STRUCTURE_COLUMNS, ENERGY_CLASS, SPLIT)),
        **({"scale_factor": scale_of(dtype), "add_offset": 0.0} if dtype == "uint8" else {}),
    }
    for dtype in DTYPES
}


def check_attributes(attributes: dict[str, Any], location: str) -> None:
    """Refuse what is no complete voxel store of a schema known here."""
    if attributes.get("schema") != SCHEMA:
        raise StoreError(
            f"{location}: must be a voxel store (schema {SCHEMA!r}); found schema {attributes.get('schema')!r}"
        )
    if attributes.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(
            f"{location}: must have schema version {SCHEMA_VERSION}; found {attributes.get('schema_version')!r}. "
            f"Read it with the release of ruo2-voxel that wrote it, or build it anew"
        )
    if attributes.get("complete") is not True:
        raise StoreError(
            f"{location}: the build of this store is not complete. Finish it with ruo2-voxel build ... --resume"
        )
    missing = [name for name in ATTRIBUTES if name not in attributes]
    if missing:
        raise StoreError(
            f"{location}: must have the attributes {', '.join(missing)}; found none of that name. Its zarr.json was "
            f"altered: restore it from a copy, or build the store anew"
        )
