"""From atoms to densities: the input is checked here once, then the kernels run, in threads over structures."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from ruo2_voxel.density import kernels
from ruo2_voxel.density.grid import DENSEST, Grid
from ruo2_voxel.density.simd import LANES
from ruo2_voxel.errors import OR_DROP, GridError, StructureError
from ruo2_voxel.typing import Array, FloatArray, IntArray

STRUCTURES_PER_TASK = 8  # what a thread takes at a time
MOST_IDLE = 8  # kinds of workspaces kept for the next call
LARGEST_FACTOR = 17.0  # powers of 2 between the factors and their product: below 2^-40 those count as 0
LARGEST_BEYOND = 100.0  # the same for lanes beyond a window: with the other factors still a float32 number
SMALLEST_VOLUME = 1e-6  # Å^3
PERPENDICULAR = 1e-10  # cosine between cell vectors below which the separable kernel serves

_idle_workspaces: dict[tuple[object, ...], list[kernels.Workspace]] = {}  # threads come and go, these stay


def voxelize(atoms: Atoms, grid: Grid) -> FloatArray:
    """Gaussian density of each species on a periodic grid.

    Parameters
    ----------
    atoms
        Any cell with a volume, taken as periodic in all three directions; positions in Å.
    grid
        Species order, shape, Gaussian width (Å) and tolerance.

    Returns
    -------
    density
        Shape (n_species, nx, ny, nz), float32, dimensionless: 1 at the centre of a lone atom. Overlaps add up.

    Raises
    ------
    StructureError
        A species that is no channel, a position that is not finite, a cell without volume.

    Notes
    -----
    rho_s(r) = sum over atoms i of species s, and their periodic images, of exp(-|r - r_i|^2 / 2 sigma^2), within
    `grid.tol`. The order of the atoms does not change a bit of the result.
    """
    density: FloatArray = voxelize_many([atoms], grid)[0]
    grid.warn_if_aliased(np.asarray(atoms.cell), "structure")
    return density


def voxelize_many(
    structures: Sequence[Atoms], grid: Grid, n_threads: int = 1, out: FloatArray | None = None
) -> FloatArray:
    """Densities of many structures, bit for bit the same for any number of threads.

    Parameters
    ----------
    structures
        As for `voxelize`; sizes and cells may differ.
    grid
        Species order, shape, Gaussian width (Å) and tolerance.
    n_threads
        Threads that share the structures.
    out
        Where to write: C-contiguous float32 of the shape returned.

    Returns
    -------
    densities
        Shape (len(structures), n_species, nx, ny, nz), float32.

    Raises
    ------
    StructureError
        As for `voxelize`, naming the structure.
    GridError
        An `out` of another shape or type.
    """
    for index, atoms in enumerate(structures):
        if not isinstance(atoms, Atoms):
            raise StructureError(f"structure {index}: must be ase.Atoms, got {type(atoms).__name__}")
    batch = make_batch(
        positions=np.concatenate([np.zeros((0, 3)), *(atoms.positions for atoms in structures)]),
        numbers=np.concatenate([np.zeros(0, dtype=np.int64), *(atoms.numbers for atoms in structures)]),
        counts=np.array([len(atoms) for atoms in structures], dtype=np.int64),
        cells=np.array([np.asarray(atoms.cell) for atoms in structures]).reshape(-1, 3, 3),
        grid=grid,
        where=lambda index: f"structure {index}",
    )
    shape = (len(structures), grid.n_species, *grid.shape)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not (out.flags.c_contiguous and out.flags.writeable):
        raise GridError(
            f"out must be writable C-contiguous float32 of shape {shape}, got {out.dtype} of shape {out.shape}"
        )
    render(batch, grid, n_threads, out)
    return out


def make_batch(
    positions: FloatArray,
    numbers: IntArray,
    counts: IntArray,
    cells: FloatArray,
    grid: Grid,
    where: Callable[[int], str] | None,
) -> kernels.Batch:
    """Check structures laid one behind the other, and work out what the kernels need to know of each.

    Parameters
    ----------
    positions, numbers
        Of all atoms, shapes (atoms, 3) in Å and (atoms,).
    counts, cells
        Atoms of each structure, shape (structures,), and cell vectors in rows, shape (structures, 3, 3), in Å.
    where
        The name of a structure in an error message, from its index; None if all were checked before.
    """
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    offsets = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    if where is not None:
        for index, message in sorted(find_faults(positions, numbers, offsets, cells, grid).items()):
            raise StructureError(f"{where(index)}: {message}")
    channel = grid.channel_of_number[numbers]
    volumes = np.abs(np.linalg.det(cells))
    n_structures, n_species = len(counts), grid.n_species
    crowded = counts / volumes
    if (crowded > DENSEST).any():  # of all species together: only then it matters how many there are of one
        of_structure = np.repeat(np.arange(n_structures), counts)
        populations = np.bincount(of_structure * n_species + channel, minlength=n_structures * n_species)
        crowded = populations.reshape(n_structures, n_species).max(axis=1) / volumes
    cutoffs = grid.cutoffs(crowded)
    inverses = np.linalg.inv(cells)
    steps = cells / np.array(grid.shape)[:, None]
    gram = steps @ steps.transpose(0, 2, 1)
    squares = gram[:, (0, 1, 2), (0, 1, 2)]
    products = gram[:, (0, 0, 1), (1, 2, 2)]
    slanted = np.abs(products) > PERPENDICULAR * np.sqrt(squares[:, (0, 0, 1)] * squares[:, (1, 2, 2)])
    metrics = gram / grid.sigma**2
    radii = cutoffs[:, None] * grid.sigma * np.linalg.norm(inverses, axis=1) * grid.shape
    # Largest exponents (base 2) of the three factors of the general kernel, half a voxel from a node, taken together.
    slopes = 0.5 * math.log2(math.e) * np.abs(metrics).sum(axis=2)
    largest = (np.floor(radii + 0.5) * slopes).sum(axis=1)
    beyond = (LANES - 1) * slopes[:, 2]
    return kernels.Batch(
        positions=positions,
        channel=channel,
        offsets=offsets,
        inverse_cells=inverses,
        metrics=metrics,
        cutoffs=cutoffs,
        radii=radii,
        separable=~slanted.any(axis=1),
        factored=(largest < LARGEST_FACTOR) & (beyond < LARGEST_BEYOND),
    )


def find_faults(
    positions: FloatArray, numbers: IntArray, offsets: IntArray, cells: FloatArray, grid: Grid
) -> dict[int, str]:
    """Structures that cannot be rendered, by index, each with what must hold, what was found and what to do."""
    faults: dict[int, str] = {}
    with np.errstate(invalid="ignore"):  # of cells that hold no numbers
        volumes = np.abs(np.linalg.det(cells))
    hollow = ~((volumes > SMALLEST_VOLUME) & (volumes < np.inf))
    for structure in np.flatnonzero(hollow).tolist():
        faults[structure] = (
            f"the cell must have a volume; found the vectors {cells[structure].tolist()} Å. "
            f"Give it one, say with atoms.center(vacuum=6.0){OR_DROP}"
        )
    names = ",".join(grid.species)
    channel = grid.channel_of_number[numbers]
    for atom in np.flatnonzero(channel < 0).tolist() if channel.size and channel.min() < 0 else ():
        symbol = chemical_symbols[numbers[atom]]
        faults[_structure_of(atom, offsets)] = (
            f"species must be among {names}; found {symbol}. Add it with --species {names},{symbol} "
            f"(or * for all others){OR_DROP}"
        )
    finite = np.isfinite(positions)
    for atom in () if finite.all() else np.flatnonzero(~finite.all(axis=1)).tolist():
        structure = _structure_of(atom, offsets)
        faults[structure] = (
            f"positions must be finite; found atom {atom - offsets[structure]} at {positions[atom].tolist()} Å. "
            f"Mend it{OR_DROP}"
        )
    return faults


def _structure_of(atom: int, offsets: IntArray) -> int:
    return int(np.searchsorted(offsets, atom, side="right")) - 1


def render(batch: kernels.Batch, grid: Grid, n_threads: int, out: Array, clipped: IntArray | None = None) -> None:
    """Fill out (structures, species, nx, ny, nz) in threads; where it is uint8, also the counts of clipped voxels."""
    n_structures = len(batch.offsets) - 1
    if n_structures == 0:
        return
    counts = np.zeros(n_structures, dtype=np.int64) if clipped is None else clipped
    window = kernels.window_of(batch.radii).max(axis=0)
    quantise = out.dtype == np.uint8
    exact = np.empty((0, *out.shape[1:]), dtype=np.float32) if quantise else out
    quantised = out if quantise else np.empty((0, *out.shape[1:]), dtype=np.uint8)

    needed: tuple[int, int, int] = tuple(window.tolist())
    if len(_idle_workspaces) >= MOST_IDLE:
        _idle_workspaces.clear()
    idle = _idle_workspaces.setdefault((grid.shape, grid.n_species, needed), [])

    def render_range(begin: int) -> None:
        end = min(begin + size, n_structures)
        try:
            work = idle.pop()
        except IndexError:
            work = kernels.make_workspace(grid.shape, grid.n_species, needed)
        kernels.render(batch, begin, end, work, exact, quantised, counts)
        idle.append(work)

    n_threads = min(n_threads, n_structures)
    if n_threads <= 1:
        size = n_structures
        render_range(0)
    else:
        size = min(STRUCTURES_PER_TASK, math.ceil(n_structures / n_threads))
        with ThreadPoolExecutor(n_threads) as pool:
            list(pool.map(render_range, range(0, n_structures, size)))
