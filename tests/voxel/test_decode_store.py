"""The atoms of a store come back from its grids into a file, whole or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read

from ruo2_voxel import Grid, Ruo2Error, VoxelStore, build, decode_store, open_store
from ruo2_voxel.store import decode as module
from tests.voxel.match import assert_same_atoms

TRAJECTORY = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"
N = 8


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> VoxelStore:
    out = tmp_path_factory.mktemp("stores") / "bh.zarr"
    build(f"{TRAJECTORY}@::200", out, Grid())
    return open_store(out)


@pytest.mark.parametrize("name", ["decoded.traj", "decoded.extxyz", "decoded.xyz", "decoded.xyz.gz", "decoded.json"])
def test_every_structure_comes_back_in_order(
    store: VoxelStore, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 3)
    steps: list[int] = []
    report = decode_store(store, tmp_path / name, n_threads=2, progress=steps.append)
    found = read(tmp_path / name, ":")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(found) == len(store) == sum(steps) == N
    for index, atoms in enumerate(found):
        assert_same_atoms(atoms, store.atoms(index), within=0.005)
        np.testing.assert_allclose(atoms.cell.array, store.cell[index], atol=1e-6)
    assert report["structures"] == N
    assert report["atoms"] == store.n_atoms.sum()
    assert report["with_other_counts"] == 0
    assert 0.0 < report["mean_residual"] < 0.002


def test_chosen_structures_come_back_with_their_figures(store: VoxelStore, tmp_path: Path) -> None:
    decode_store(store, tmp_path / "some.traj", indices=[5, -1, 2])
    found = read(tmp_path / "some.traj", ":")
    assert [atoms.info["structure"] for atoms in found] == [5, N - 1, 2]
    for atoms in found:
        assert_same_atoms(atoms, store.atoms(atoms.info["structure"]), within=0.005)
        assert len(atoms.info["confidence"]) == len(atoms)
        np.testing.assert_allclose(atoms.info["confidence"], 1.0, atol=0.05)


def test_the_threshold_reaches_the_kernel(store: VoxelStore, tmp_path: Path) -> None:
    report = decode_store(store, tmp_path / "held.traj", indices=[0], fit_heights=False)
    assert report["with_other_counts"] == 0
    report = decode_store(store, tmp_path / "merged.traj", indices=[0], exclusion={("Ru", "O"): 2.2})
    assert report["with_other_counts"] == report["with_merged_peaks"] == 1
    assert report["atoms"] < store.n_atoms[0]


def test_one_structure_fits_a_format_for_one(store: VoxelStore, tmp_path: Path) -> None:
    decode_store(store, tmp_path / "POSCAR", indices=[3])
    assert_same_atoms(read(tmp_path / "POSCAR"), store.atoms(3), within=0.005)


def test_nothing_is_replaced_unless_asked(store: VoxelStore, tmp_path: Path) -> None:
    out = tmp_path / "bh.traj"
    out.write_text("precious")
    with pytest.raises(Ruo2Error, match=r"bh\.traj: must not exist yet\..*--overwrite$"):
        decode_store(store, out, indices=[0])
    assert out.read_text() == "precious"
    decode_store(store, out, indices=[0], overwrite=True)
    assert len(read(out, ":")) == 1


def test_a_failure_leaves_nothing_behind(store: VoxelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        decode_store(store, tmp_path / "bh.traj", progress=fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out": "bh.nothing"}, r"bh\.nothing: its name must end like a format .*; found .*nothing"),
        ({"out": "POSCAR"}, r"POSCAR: its name must end like a format in which ASE writes many structures.*found vasp"),
        ({"out": "there/bh.traj"}, r"the folder .*there must exist"),
        ({"indices": [0, N]}, r"bh\.zarr: indices must lie within 8 structures; found \[0, 8\]"),
    ],
)
def test_bad_requests_are_refused(store: VoxelStore, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    out = tmp_path / changes.pop("out", "bh.traj")
    with pytest.raises(Ruo2Error, match=message):
        decode_store(store, out, **changes)
    assert list(tmp_path.iterdir()) == []
