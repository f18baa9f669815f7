"""What a voxel store is: its arrays, their dimensions, codecs and attributes. One Zarr v3 group for each dataset."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from ruo2_voxel.errors import StoreError

SCHEMA: Final = "ruo2-voxel"
SCHEMA_VERSION: Final = 2

SLICE_SCHEMA: Final = "ruo2-voxel-slices"
SLICE_SCHEMA_VERSION: Final = 1
VERSIONS: Final = {SCHEMA: SCHEMA_VERSION, SLICE_SCHEMA: SLICE_SCHEMA_VERSION}
NAMES: Final = {SCHEMA: "voxel store", SLICE_SCHEMA: "store of slices"}

FINISH: Final = "Finish it with ruo2-voxel build ... --resume, or, if it is to hold slices, cut them anew"

DENSITY: Final = "density"
DENSITY_DIMENSIONS: Final = ("structure", "species", "x", "y", "z")
SLICE_DIMENSIONS: Final = ("slice", "species", "u", "z")  # u is x or y
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
    "findings_by_kind",
    "without_energy",
    "sources",
    "seed",
    "options",
    "options_sha256",
    "versions",
    "created",
)


# The same of a store of slices.
SLICE_ATTRIBUTES: Final = (
    "species",
    "shape",
    "sigma_angstrom",
    "alpha_per_square_angstrom",
    "tol",
    "quantisation",
    "classes",
    "split_names",
    "split",
    "plane_names",
    "slicing",
    "slices",
    "structures",
    "sources",
    "options",
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
    _column(
        "magnetic_moment",
        ("structure",),
        "float64",
        units="bohr_magneton",
        long_name="total magnetic moment, NaN if there is none",
    ),
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
    _column(
        "supercell",
        ("structure", "vector_in_plane", "vector_as_read"),
        "int32",
        (2, 2),
        long_name="first two cell vectors, before moves, in units of those read",
    ),
    _column("shear", ("structure",), "float64", long_name="strain of preparation, 0 for none"),
    _column(
        "vacuum",
        ("structure", "before_after"),
        "float64",
        (2,),
        units="angstrom",
        long_name="gap along the third cell vector before and after preparation, NaN where it played no part",
    ),
    _column(
        "lift",
        ("structure",),
        "float64",
        units="angstrom",
        long_name="shift of the slab along its normal by preparation",
    ),
    _column("findings", ("structure",), "string", long_name="what screening found, as JSON; empty for nothing"),
)
ATOM_OFFSET: Final = _column(
    "atom_offset", ("structure_edge",), "int64", long_name="atoms of structure i: atom_offset[i] to atom_offset[i + 1]"
)
LABEL: Final = _column(
    "label", ("structure",), "float64", long_name="what energy_class sorts, NaN if there is no label"
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
COORDINATES: Final = (*STRUCTURE_COLUMNS, LABEL, ENERGY_CLASS, SPLIT)


def bytes_per_structure(n_species: int, shape: Sequence[int], dtype: str) -> int:
    return n_species * math.prod(shape) * np.dtype(dtype).itemsize


def scale_of(dtype: str) -> float:
    """Density of one step of a stored grid."""
    return 1.0 / FULL_SCALE if dtype == "uint8" else 1.0


SLICE_COLUMNS: Final = (
    _column("lattice", ("slice", "uz"), "float64", (2,), units="angstrom", long_name="lattice lengths along u and z"),
    _column("structure", ("slice",), "int64", long_name="structure in the store that the slice was cut from"),
    _column("plane", ("slice",), "int8", long_name="index into the attribute plane_names, -1 if generated"),
    _column("position", ("slice",), "int32", long_name="voxel at which it was cut, -1 if generated"),
    _column("energy", ("slice",), "float64", units="eV", long_name="potential energy of the structure"),
    _column("label", ("slice",), "float64", long_name="what energy_class sorts, NaN if there is no label"),
    _column("energy_class", ("slice",), "int8", long_name="class of the structure, -1 if there is none"),
    _column("split", ("slice",), "int8", long_name="index into the attribute split_names"),
    _column("source_id", ("slice",), "int32", long_name="index into the attribute sources"),
    _column("frame_id", ("slice",), "int64", long_name="frame in its source file; a database's row id"),
    _column("copy", ("slice",), "int32", long_name="which copy of the frame"),
)


def density_attributes(dtype: str, columns: Sequence[Column]) -> dict[str, Any]:
    """Of the array of grids, with the columns that are coordinates of it."""
    scale = {"scale_factor": scale_of(dtype), "add_offset": 0.0} if dtype == "uint8" else {}
    return {
        "long_name": "Gaussian density of each species",
        "coordinates": " ".join(column.name for column in columns),
        **scale,
    }


def check_attributes(attributes: dict[str, Any], location: str, wanted: str = SCHEMA) -> None:
    """Refuse what is no complete store of the wanted schema, in the version known here."""
    found = attributes.get("schema")
    if found != wanted:
        hint = {SCHEMA: ". It holds structures: use open_store", SLICE_SCHEMA: ". It holds slices: use open_slices"}
        advice = hint.get(str(found), "")
        raise StoreError(f"{location}: must be a {NAMES[wanted]} (schema {wanted!r}); found schema {found!r}{advice}")
    version = VERSIONS[wanted]
    if attributes.get("schema_version") != version:
        raise StoreError(
            f"{location}: must have schema version {version}; found {attributes.get('schema_version')!r}. "
            f"Read it with the release of ruo2-voxel that wrote it, or build it anew"
        )
    if attributes.get("complete") is not True:
        raise StoreError(f"{location}: the build of this store is not complete. {FINISH}")
    names = ATTRIBUTES if wanted == SCHEMA else SLICE_ATTRIBUTES
    missing = [name for name in names if name not in attributes]
    if missing:
        raise StoreError(
            f"{location}: must have the attributes {', '.join(missing)}; found none of that name. Its zarr.json was "
            f"altered: restore it from a copy, or build the store anew"
        )
