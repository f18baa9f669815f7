"""To xarray a store is a dataset with named dimensions and coordinates, whose densities are those of our reader."""

from pathlib import Path

import numpy as np
import pytest

from ruo2_voxel import open_store
from tests.voxel.stores import N_FRAMES

xarray = pytest.importorskip("xarray")


def test_densities_have_named_dimensions_and_coordinates(store_path: Path) -> None:
    dataset = xarray.open_zarr(store_path, consolidated=False)
    store = open_store(store_path)
    density = dataset["density"]
    assert dict(density.sizes) == {"structure": N_FRAMES, "species": 2, "x": 8, "y": 10, "z": 12}
    assert density["species"].values.tolist() == ["Ru", "O"]
    for axis, side in zip("xyz", (8, 10, 12), strict=True):
        np.testing.assert_array_equal(density[axis], np.arange(side) / side)
    for name in ("energy", "lattice", "cell", "energy_class", "n_atoms", "frame_id", "split", "translation"):
        assert name in dataset.coords
    np.testing.assert_array_equal(density["energy"], store.energy)
    assert density["energy"].attrs["units"] == "eV"
    assert dataset["positions"].dims == ("atom", "xyz")
    assert dataset.attrs["complete"] is True


def test_decoded_densities_are_those_of_our_reader(store_path: Path) -> None:
    density = xarray.open_zarr(store_path, consolidated=False)["density"]
    found = density.values
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found, open_store(store_path).densities(range(N_FRAMES)), rtol=1e-6)
    oxygen = density.sel(species="O").isel(structure=17, z=3).values
    np.testing.assert_allclose(oxygen, open_store(store_path).density(17)[1, :, :, 3], rtol=1e-6)


def test_stored_densities_are_there_as_they_are(store_path: Path) -> None:
    density = xarray.open_zarr(store_path, consolidated=False, mask_and_scale=False)["density"]
    assert density.dtype == np.uint8
    np.testing.assert_array_equal(density.values, open_store(store_path).read(range(N_FRAMES)))


def test_structures_are_chosen_by_their_coordinates(store_path: Path) -> None:
    density = xarray.open_zarr(store_path, consolidated=False)["density"].compute()
    store = open_store(store_path)
    low = density.where(density["energy_class"] < 3, drop=True)
    assert low.sizes["structure"] == np.count_nonzero(store.energy_class < 3)


def test_info_and_frames_left_out_are_groups(store_path: Path) -> None:
    info = xarray.open_zarr(store_path, group="info", consolidated=False)
    store = open_store(store_path)
    assert sorted(info) == ["accepted", "facet", "mu_O", "run"]
    assert info["facet"].values.tolist() == store.info["facet"].tolist()
    assert info["accepted"].dtype == bool
    assert xarray.open_zarr(store_path, group="skipped", consolidated=False).sizes["skipped"] == 0
