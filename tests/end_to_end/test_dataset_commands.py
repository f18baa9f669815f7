"""Preparing, labelling, slicing and replaying data sets, as users do it on the command line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read

from ruo2_voxel import open_slices, open_store
from ruo2_voxel.structures.surfaces import bulk_rutile
from tests.end_to_end.command import MINI, ROOT, Result, run
from tests.voxel.stores import flip_bit, write_frames

GRID = ["--grid", "16,16,32", "--sigma", 0.8]


def result_of(result: Result) -> dict[str, Any]:
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def slabs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slabs") / "gap-like.traj"
    assert result_of(run("surfaces", "--out", path, "--json"))["structures"] == 17
    return path


def test_slabs_are_built_prepared_and_voxelized(slabs: Path, tmp_path: Path) -> None:
    steps = ["--orthogonal", "--square", "--vacuum", 12]
    prepared = result_of(run("prepare", slabs, tmp_path / "extended.traj", *steps, "--json"))
    assert (prepared["structures"], prepared["skipped_frames"]) == (17, 0)
    for atoms in read(tmp_path / "extended.traj", ":"):
        np.testing.assert_allclose(atoms.cell.angles(), 90.0)
        assert atoms.info["vacuum"][1] == 12.0
        assert max(atoms.cell.lengths()[:2]) <= 20.0
    built = result_of(run("build", "--db", slabs, "--out", tmp_path / "gap.zarr", *GRID, *steps, "--json"))
    store = open_store(tmp_path / "gap.zarr")
    assert built["structures"] == len(store) == 17
    assert store.n_atoms.tolist() == [len(atoms) for atoms in read(tmp_path / "extended.traj", ":")]
    np.testing.assert_allclose(store.array("vacuum")[:], [[20.0, 12.0]] * 17, atol=1e-6)
    text = run("info", tmp_path / "gap.zarr").out
    assert "prepared  orthorhombic cells, nearly square ones (to 20 Å, 2000 atoms), 12 Å of vacuum" in text


def test_preparing_needs_something_to_do_and_keeps_what_is_there(slabs: Path, tmp_path: Path) -> None:
    nothing = run("prepare", slabs, tmp_path / "out.traj")
    assert nothing.code == 2
    assert "nothing to do: give --orthogonal, --square, --vacuum or --screen" in nothing.err
    (tmp_path / "out.traj").write_text("mine")
    refused = run("prepare", slabs, tmp_path / "out.traj", "--vacuum", 12)
    assert refused.code == 1
    assert "must not exist yet. Name another, or replace it with --overwrite" in refused.err
    assert (tmp_path / "out.traj").read_text() == "mine"
    assert run("prepare", slabs, tmp_path / "out.traj", "--vacuum", 12, "--overwrite").code == 0


def test_a_frame_that_cannot_be_prepared_is_named_or_left_out(tmp_path: Path) -> None:
    source = write_frames(tmp_path / "bulk.traj", [bulk_rutile() for _ in range(4)])
    out = tmp_path / "out.traj"
    refused = run("prepare", source, out, "--vacuum", 12)
    assert refused.code == 1
    assert refused.err.startswith(f"error: frame 0 of {source}: a slab must have a vacuum of at least 4 Å")
    assert refused.err.count("\n") == 1
    assert not list(tmp_path.glob("*out*"))
    skipping = run("prepare", source, out, "--vacuum", 12, "--on-error", "skip")
    assert skipping.code == 1
    assert "must get at least one structure" in skipping.err


def test_surface_free_energies_label_a_store(tmp_path: Path) -> None:
    energies = ["--bulk-energy", -23.4386, "--metal-energy", -9.1408, "--delta-mu", -0.5]
    label = ["--label", "surface-free-energy", *energies, "--class-method", "quantile"]
    classes = result_of(run("build", "--db", f"{MINI}@::10", "--out", tmp_path / "bh.zarr", *GRID, *label, "--json"))[
        "classes"
    ]
    assert (classes["label"], classes["units"]) == ("surface-free-energy", "eV/Å^2")
    assert max(classes["counts"]) - min(classes["counts"]) <= 1
    store = open_store(tmp_path / "bh.zarr")
    atoms = store.atoms(7)
    n_ru, n_o = (int(np.sum(atoms.symbols == symbol)) for symbol in ("Ru", "O"))
    oxygen = (-23.4386 + 9.1408 + 3.16) / 2 - 0.5
    excess = atoms.get_potential_energy() - n_ru * -23.4386 - (n_o - 2 * n_ru) * oxygen
    np.testing.assert_allclose(store.label[7], excess / np.linalg.norm(np.cross(atoms.cell[0], atoms.cell[1])))
    assert run("verify", tmp_path / "bh.zarr").code == 0


def test_one_class_that_holds_most_is_warned_of(tmp_path: Path) -> None:
    result = run("build", "--db", f"{MINI}@::10", "--out", tmp_path / "bh.zarr", *GRID)
    assert result.code == 0
    assert "warning: class 0 of the label energy-per-atom holds" in result.err
    assert "quantile classes (11% in the largest)" in result.err
    refused = run("build", "--db", f"{MINI}@::10", "--out", tmp_path / "no.zarr", *GRID, "--label", "energy-per-atom")
    assert refused.code == 1
    assert "each of the 10 equal-width classes must hold a structure" in refused.err


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--label", "surface-free-energy"], "needs --bulk-energy, and either --oxygen-energy or --metal-energy"),
        (["--bulk-energy", -23.0], "go with --label surface-free-energy"),
        (["--clip", "0.1"], "must be two quantiles, as in 0.01,0.99"),
        (["--manifest", ROOT / "data_manifests/ruo2-bh-mini.toml", "--seed", 3], "leave out --db, --seed"),
    ],
)
def test_options_that_do_not_go_together_are_usage_errors(options: list[object], found: str, tmp_path: Path) -> None:
    result = run("build", "--db", MINI, "--out", tmp_path / "bh.zarr", *options)
    assert result.code == 2
    assert found in result.err.replace("\n", " ")


def test_a_store_is_sliced(slabs: Path, tmp_path: Path) -> None:
    assert run("build", "--db", slabs, "--out", tmp_path / "gap.zarr", *GRID).code == 0
    sliced = result_of(run("slice", tmp_path / "gap.zarr", "--out", tmp_path / "s.zarr", "--json"))
    assert sliced["slices"] == len(open_slices(tmp_path / "s.zarr")) == 17 * 8 * 2
    text = run("info", tmp_path / "s.zarr")
    assert text.out.startswith(f"{tmp_path / 's.zarr'}: 272 slices of 17 structures")
    sound = run("verify", tmp_path / "s.zarr")
    assert (sound.code, sound.err) == (0, "")
    assert sound.out == f"{tmp_path / 's.zarr'}: sound. 12 arrays and 2 chunks of densities are as they must be\n"
    flip_bit(tmp_path / "s.zarr" / "density/c/0/0/0/0", 1000)
    damaged = run("verify", tmp_path / "s.zarr")
    assert damaged.code == 1
    assert "chunk 0 of the shard must have the checksum" in damaged.err
    refused = run("slice", tmp_path / "s.zarr", "--out", tmp_path / "t.zarr")
    assert refused.code == 1
    assert "It holds slices: use open_slices" in refused.err
    beyond = run("slice", tmp_path / "gap.zarr", "--out", tmp_path / "t.zarr", "--positions", "3,16")
    assert beyond.code == 1
    assert "positions must be different ones from 0 to 15" in beyond.err


def test_grids_become_atoms_again_and_files_for_viewers(tmp_path: Path) -> None:
    assert run("build", "--db", f"{MINI}@::100", "--out", tmp_path / "bh.zarr", "--label", "none").code == 0
    store = open_store(tmp_path / "bh.zarr")
    report = result_of(run("decode", tmp_path / "bh.zarr", "--out", tmp_path / "decoded.traj", "--json"))
    assert (report["structures"], report["atoms"]) == (len(store), store.n_atoms.sum())
    assert report["with_other_counts"] == 0
    decoded = read(tmp_path / "decoded.traj", ":")
    assert [len(atoms) for atoms in decoded] == store.n_atoms.tolist()
    one = run("decode", tmp_path / "bh.zarr", "--out", tmp_path / "one.xyz", "--index", 3, "--exclude", "Ru-O=2.2")
    assert one.code == 0
    assert "1 structures" in one.out
    assert "merged    peaks too near each other in 1 structures" in one.out
    for arguments, code, found in (
        (["--out", tmp_path / "decoded.traj"], 1, "must not exist yet. Name another, or replace it with --overwrite"),
        (["--out", tmp_path / "other.traj", "--exclude", "Ru"], 2, "as in Ru-O=1.2; found 'Ru'"),
        (["--out", tmp_path / "other.traj", "--exclude", "Ru-H=1"], 1, "exclusion must be of pairs of Ru,O"),
        (["--out", tmp_path / "other.traj", "--index", 99], 1, "indices must lie within 16 structures; found [99]"),
    ):
        refused = run("decode", tmp_path / "bh.zarr", *arguments)
        assert refused.code == code
        assert found in refused.err
    exported = run("export", tmp_path / "bh.zarr", "--out", tmp_path / "bh.cube", "--index", -1)
    assert exported.out.split() == [str(tmp_path / f"bh-{symbol}.cube") for symbol in ("Ru", "O")]
    assert len(read(tmp_path / "bh-O.cube")) == store.n_atoms[-1]
    assert run("export", tmp_path / "bh.zarr", "--out", tmp_path / "bh.xsf", "--species", "O").code == 0
    assert len(read(tmp_path / "bh.xsf")) == store.n_atoms[0]


def test_the_demonstration_set_is_replayed_from_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data_manifests").mkdir()
    manifest = tmp_path / "data_manifests" / "surfaces-demo.toml"
    manifest.write_text((ROOT / "data_manifests" / "surfaces-demo.toml").read_text(encoding="utf-8"), encoding="utf-8")
    missing = run("build", "--manifest", manifest, "--out", tmp_path / "demo.zarr")
    assert missing.code == 1
    assert "Make it: ruo2-voxel surfaces --out data/surfaces-demo.traj --copies 4 --rattle 0.1" in missing.err
    made = run("surfaces", "--out", tmp_path / "data/surfaces-demo.traj", "--copies", 4, "--rattle", 0.1)
    assert made.code == 0
    result = run("build", "--manifest", manifest, "--out", tmp_path / "demo.zarr", "--json")
    assert result.code == 0
    assert json.loads(result.out)["structures"] == 272
    assert json.loads(result.out)["slices"] == 8704
    sliced = result_of(
        run("slice", tmp_path / "demo.zarr", "--manifest", manifest, "--out", tmp_path / "s.zarr", "--json")
    )
    assert sliced["slices"] == 8704
