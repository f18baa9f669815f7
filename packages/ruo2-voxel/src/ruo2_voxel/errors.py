"""The errors that this package raises on purpose: each says where, what must hold, what was found, and what to do."""

OR_DROP = ", or drop such frames with --on-error skip"  # the last advice on a frame that cannot be used


class Ruo2Error(ValueError):
    """Base of every error that bad input, a bad file or a bad target can cause."""


class GridError(Ruo2Error):
    """A grid, density array or symmetry operation whose numbers cannot be."""


class StructureError(Ruo2Error):
    """A structure that cannot become a density: positions not finite, no cell, a species without a channel."""


class SourceError(Ruo2Error):
    """A file of structures that is missing, truncated, empty, or not what its name says."""


class StoreError(Ruo2Error):
    """A voxel store that is missing, incomplete, damaged or in the way."""


class ManifestError(Ruo2Error):
    """A dataset manifest that is malformed, or data that are not what it promises."""


class MissingExtraError(Ruo2Error):
    """An optional dependency is not installed; the message names the extra that brings it."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f"{purpose} needs the optional extra [{extra}]: pip install 'ruo2-voxel[{extra}]'")
