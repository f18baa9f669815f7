"""Descriptions of data for tests that need no store."""

from ruo2_wgan.spec import DataSpec


def make_spec(
    shape: tuple[int, ...] = (16, 16), n_classes: int = 0, species: tuple[str, ...] = ("Ru", "O")
) -> DataSpec:
    """Of data with that grid."""
    n = len(shape)
    return DataSpec(
        species=species,
        shape=shape,
        sigma=0.45,
        tol=1e-4,
        label="energy" if n_classes else None,
        class_edges=tuple(float(edge) for edge in range(n_classes + 1)) if n_classes else (),
        lattice_low=tuple(6.0 + axis for axis in range(n)),
        lattice_high=tuple(9.0 + 2 * axis for axis in range(n)),
        lattice_typical=tuple(tuple(7.0 + axis for axis in range(n)) for _ in range(1 + n_classes)),
        n_train=100,
        n_held_out=10,
    )
