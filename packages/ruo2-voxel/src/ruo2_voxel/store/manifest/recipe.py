"""What a manifest says to make of its data: the options of the build, the slices, and the counts that must come out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ruo2_voxel.density.grid import Grid
from ruo2_voxel.errors import Ruo2Error
from ruo2_voxel.store.manifest.strict_toml import StrictTable
from ruo2_voxel.store.plan import BuildOptions, ExpectedStore
from ruo2_voxel.store.slice_view import SliceChoice
from ruo2_voxel.structures.preparation import Preparation
from ruo2_voxel.structures.surface_energy import SurfaceReference

# Keys of [build], by type, and the options that they set.
PREPARING: Final[Mapping[str, type]] = {
    "orthogonal": bool,
    "max_shear": float,
    "square": bool,
    "max_atoms": int,
    "max_length": float,
    "max_aspect": float,
    "min_length": float,
    "vacuum": float,
}
BUILDING: Final[Mapping[str, type]] = {
    "copies": int,
    "translate": bool,
    "rotate": bool,
    "seed": int,
    "dtype": str,
    "compress": bool,
    "screen": str,
    "label": str,
    "classes": int,
    "class_method": str,
    "allow_empty_classes": bool,
    "on_error": str,
}
RENAMED: Final = {"classes": "n_classes"}
REFERENCE: Final[Mapping[str, type]] = {
    "bulk_energy": float,
    "oxygen_energy": float,
    "delta_mu": float,
    "metal": str,
    "oxygen_per_metal": float,
}


@dataclass(frozen=True)
class Recipe:
    """How to build a store of a dataset. The split is the manifest's own."""

    options: Mapping[str, Any]  # of BuildOptions, by name
    grid: Grid
    expected: ExpectedStore
    slices: SliceChoice | None = None
    n_slices: int | None = None
    selection: str | None = None

    def build_options(self, **others: Any) -> BuildOptions:
        """The options of the build, with the split and what else is not in the recipe."""
        return BuildOptions(grid=self.grid, **self.options, **others)


def read_recipe(top: StrictTable) -> Recipe:
    """The tables [build], [slices] and [expected.store] of a manifest."""
    table = top.table("build")
    options = {RENAMED.get(name, name): value for name, value in _known(table, BUILDING).items()}
    if "clip" in table.keys:
        options["clip"] = table.range("clip", float)
    slices, n_slices = None, None
    if "slices" in top.keys:
        slices, n_slices = _read_slices(top.table("slices")), top.table("slices").count("expected", lowest=1)
    try:
        options["preparation"] = Preparation(**_known(table, PREPARING))
        if "reference" in table.keys:
            options["reference"] = SurfaceReference(**_known(table.table("reference"), REFERENCE))
        recipe = Recipe(
            options=options,
            grid=_read_grid(table),
            expected=_read_expected(top.table("expected").table("store")),
            slices=slices,
            n_slices=n_slices,
            selection=table.text("selection") if "selection" in table.keys else None,
        )
        recipe.build_options()
    except TypeError as error:
        top.refuse("build.reference", f"must hold bulk_energy and oxygen_energy; found: {error}")
    except Ruo2Error as error:
        top.refuse("build", str(error).removeprefix(f"{top.file}: "))
    return recipe


def _known(table: StrictTable, kinds: Mapping[str, type]) -> dict[str, Any]:
    return {name: table.take(name, kind) for name, kind in kinds.items() if name in table.keys}


def _read_grid(table: StrictTable) -> Grid:
    given: dict[str, Any] = {}
    if "species" in table.keys:
        given["species"] = table.array("species", str)
    if "grid" in table.keys:
        given["shape"] = table.array("grid", int)
    if "tol" in table.keys:
        given["tol"] = table.take("tol", float)
    if "alpha" in table.keys:
        return Grid.from_alpha(table.take("alpha", float), **given)
    if "sigma" in table.keys:
        given["sigma"] = table.take("sigma", float)
    return Grid(**given)


def _read_slices(table: StrictTable) -> SliceChoice:
    given: dict[str, Any] = {}
    if "planes" in table.keys:
        given["planes"] = table.array("planes", str)
    if "positions" in table.keys:
        given["positions"] = table.array("positions", int)
    if "every" in table.keys:
        given["positions"] = table.text("every")
    if "drop_empty" in table.keys:
        given["drop_empty"] = table.take("drop_empty", bool)
    return SliceChoice(**given)


def _read_expected(table: StrictTable) -> ExpectedStore:
    return ExpectedStore(
        structures=table.count("structures", lowest=1),
        label_range=table.range("label_range", float) if "label_range" in table.keys else None,
    )
