"""A store is plain Zarr to the world."""

import numpy as np
import pytest
import xarray
import zarr

from ruo2_voxel import VoxelStore, build, open_store
from tests.end_to_end.commands import TRAJECTORY


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> VoxelStore:
    path = tmp_path_factory.mktemp("xarray") / "bh.zarr"
    build(f"{TRAJECTORY}@::40", path)
    return open_store(path)


def test_xarray_names_dimensions_and_coordinates(store: VoxelStore) -> None:
    data = xarray.open_zarr(store.location, consolidated=False)
    assert data.density.dims == ("structure", "species", "x", "y", "z")
    assert data.species.values.tolist() == ["Ru", "O"]
    np.testing.assert_array_equal(data.z, np.arange(32) / 32)
    assert {"energy", "energy_class", "split", "frame_id"} <= set(data.density.coords)
    assert data.lattice.dims == ("structure", "xyz")
    np.testing.assert_array_equal(data.energy, store.energy)
    assert data.energy.attrs["units"] == "eV"
    assert data.lattice.attrs["units"] == "angstrom"
    low = data.density.sel(species="O").where(data.energy < np.median(store.energy), drop=True)
    assert 0 < low.sizes["structure"] < len(store)


def test_xarray_decodes_densities(store: VoxelStore) -> None:
    data = xarray.open_zarr(store.location, consolidated=False)
    np.testing.assert_allclose(data.density[:5], store.densities(range(5)), atol=1e-7)
    raw = xarray.open_zarr(store.location, consolidated=False, mask_and_scale=False)
    assert raw.density.dtype == np.uint8
    np.testing.assert_array_equal(raw.density[:5], store.read(range(5)))


def test_info_opens_as_a_group_of_its_own(store: VoxelStore) -> None:
    info = xarray.open_zarr(store.location, group="info", consolidated=False)
    assert info.facet.values.tolist() == store.info["facet"].tolist()
    np.testing.assert_array_equal(info.mu_O, store.info["mu_O"])


def test_zarr_reads_every_array(store: VoxelStore) -> None:
    group = zarr.open_group(store.location, mode="r")
    np.testing.assert_array_equal(group["density"][3:9], store.read(range(3, 9)))
    for _, array in group.arrays():
        assert array[:].shape == array.shape
