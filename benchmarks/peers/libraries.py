"""Published packages, each made to give the same periodic density at the stated error, as well as it can."""

import itertools
import json
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from peers.task import N_SPECIES, InProcess, Peer, Renderer, Task, by_species, with_ghosts
from workloads import CELL_LENGTH, FloatArray, Structure

WORKER = Path(__file__).with_name("molgrid_worker.py")


def molvoxel(task: Task, library: str) -> Renderer:
    """Not periodic: ghost atoms are added. Its width is given as a share of the radius at which it truncates."""
    import molvoxel

    voxelizer = molvoxel.create_voxelizer(
        resolution=task.voxel,
        dimension=task.side,
        density_type="gaussian",
        library=library,
        sigma=task.sigma / task.cutoff,
    )
    middle = voxelizer.asarray(np.full(3, 0.5 * (task.side - 1) * task.voxel), "center")
    out = voxelizer.get_empty_grid(N_SPECIES)

    def prepare(structure: Structure) -> tuple[Any, Any]:
        positions, channel = with_ghosts(structure, task.cutoff)
        return voxelizer.asarray(positions, "coords"), voxelizer.asarray(channel, "types")

    def render(atoms: tuple[Any, Any]) -> Any:
        positions, channel = atoms
        return voxelizer.forward_types(positions, middle, channel, task.cutoff, out_grid=out)

    return InProcess(prepare, render)


def freud(task: Task) -> Renderer:
    """Periodic. Its Gaussians are normalised and sampled at the centres of voxels, its box is around the origin."""
    import freud

    freud.parallel.set_num_threads(1)
    box = freud.box.Box.cube(CELL_LENGTH)
    gaussians = freud.density.GaussianDensity(task.side, task.cutoff, task.sigma)
    peak = (2.0 * np.pi) ** 1.5 * task.sigma**3

    def prepare(structure: Structure) -> list[FloatArray]:
        return [((s + 0.5 / task.side) % 1.0 - 0.5) * CELL_LENGTH for s in by_species(structure)]

    def render(species: list[FloatArray]) -> FloatArray:
        return np.stack([gaussians.compute((box, positions)).density for positions in species]) * peak

    return InProcess(prepare, render)


def finufft(task: Task, packed: bool) -> Renderer:
    """Periodic: Fourier coefficients of the atoms, times those of a Gaussian, transformed back.

    Coefficients beyond the grid's own are folded onto it. Of how many coefficients and how exact a transform, the
    cheapest that keep to the stated error are taken. Packed, two species are the real and the imaginary part of one
    transform, with the smaller of the two upsampling factors.
    """
    import finufft
    from scipy.fft import ifftn, ifftshift

    n = task.side
    options: dict[str, Any] = {"nthreads": 1, "isign": -1, "showwarn": 0}
    if packed:
        options["upsampfac"] = 1.25

    def prepare(structure: Structure) -> list[tuple[FloatArray, FloatArray]]:
        angles = [(2.0 * np.pi * scaled.T).astype(np.float32) for scaled in by_species(structure)]
        strengths = [np.full(a.shape[1], 1j**s if packed else 1.0, dtype=np.complex64) for s, a in enumerate(angles)]
        if packed:
            angles, strengths = [np.concatenate(angles, axis=1)], [np.concatenate(strengths)]
        return [(np.ascontiguousarray(a), c) for a, c in zip(angles, strengths, strict=True)]

    def renderer(modes: int, eps: float) -> InProcess:
        k = 2.0 * np.pi / n * (np.arange(modes) - modes // 2)  # radians a voxel
        width = task.sigma / task.voxel
        gaussian = (np.sqrt(2.0 * np.pi) * width / n * np.exp(-0.5 * (k * width) ** 2)).astype(np.float32)
        plane = gaussian[:, None] * gaussian
        folded = [modes // n, n] * 3

        def render(transforms: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
            densities = []
            for (x, y, z), strengths in transforms:
                coefficients = finufft.nufft3d1(x, y, z, strengths, (modes, modes, modes), eps=eps, **options)
                coefficients *= gaussian[:, None, None]
                coefficients *= plane
                coefficients = ifftshift(coefficients)
                if modes > n:
                    coefficients = coefficients.reshape(folded).sum(axis=(0, 2, 4))
                density = ifftn(coefficients, norm="forward", overwrite_x=True)
                densities += [density.real, density.imag] if packed else [density.real]
            return np.stack(densities)

        return InProcess(prepare, render)

    for modes, eps in itertools.product((n, 2 * n), (1e-2, 1e-3, 1e-4, 1e-5)):
        chosen = renderer(modes, eps)
        chosen.load([task.first])
        if task.largest_error(chosen.density()) <= task.tol:
            break
    return chosen


def pyuul(task: Task) -> Renderer:
    """Neither periodic nor a sum: 1 - prod (1 - g) over atoms, on a grid of its own around them; no ghost atoms."""
    import torch
    from pyuul.VolumeMaker import Voxels

    voxels = Voxels(sparse=False)
    radius = np.sqrt(2.0) * task.sigma / 0.93  # its Gaussian is exp(-(d / 0.93 radius)^2)

    def prepare(structure: Structure) -> tuple[Any, Any, Any]:
        positions = torch.tensor(structure.scaled @ structure.cell, dtype=torch.float32)
        return positions[None], torch.full((1, len(positions)), float(radius)), torch.tensor(structure.channel)[None]

    def render(atoms: tuple[Any, Any, Any]) -> Any:
        half = task.window // 2
        return voxels(
            *atoms, numberchannels=N_SPECIES, resolution=task.voxel, cubes_around_atoms_dim=half, function="gaussian"
        )

    return InProcess(prepare, render)


class Molgrid:
    """libmolgrid, in an interpreter of its own: it needs NumPy 1. Not periodic: ghost atoms are added."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.folder = Path(task.resources.enter_context(tempfile.TemporaryDirectory()))
        self.process = subprocess.Popen(
            [task.other_python, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        task.resources.callback(self.process.communicate)  # closes its input, at which it ends
        settings = {"voxel": task.voxel, "side": task.side, "sigma": task.sigma, "cutoff": task.cutoff}
        self.versions: dict[str, str] = self._ask({"start": {**settings, "n_species": N_SPECIES}})

    def load(self, structures: list[Structure]) -> None:
        atoms = [with_ghosts(structure, self.task.cutoff) for structure in structures]
        np.savez(
            self.folder / "atoms.npz",
            positions=np.concatenate([positions for positions, _ in atoms]),
            channel=np.concatenate([channel for _, channel in atoms]),
            counts=np.array([len(channel) for _, channel in atoms]),
        )
        self._ask({"load": str(self.folder / "atoms.npz")})

    def run(self) -> None:
        self._ask({"run": None})

    def density(self) -> FloatArray:
        self._ask({"save": str(self.folder / "density.npy")})
        density: FloatArray = np.load(self.folder / "density.npy")
        return density

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = json.loads(self.process.stdout.readline() or '{"failed": "it ended"}')
        if "failed" in answer:
            raise ImportError(answer["failed"])
        return answer["done"]


LIBRARIES = (
    Peer("molvoxel-numba", "library", ("molvoxel", "numba"), partial(molvoxel, library="numba")),
    Peer("molvoxel-torch", "library", ("molvoxel", "torch"), partial(molvoxel, library="torch")),
    Peer("molvoxel-numpy", "library", ("molvoxel",), partial(molvoxel, library="numpy")),
    Peer("libmolgrid", "library", ("molgrid",), Molgrid),
    Peer("freud", "library", ("freud-analysis",), freud),
    Peer("finufft", "transform", ("finufft", "scipy"), partial(finufft, packed=False)),
    Peer("finufft-packed", "transform", ("finufft", "scipy"), partial(finufft, packed=True)),
    Peer("pyuul", "other function", ("pyuul", "torch"), pyuul),
)
