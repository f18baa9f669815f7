"""What a report shows beside the figures: histograms, nearest neighbours, some of the structures."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from ruo2_wgan.verdict.atoms.comparison import radial, ratios
from ruo2_wgan.verdict.atoms.geometry import BIN, Geometry, names_of_ordered_pairs, names_of_pairs
from ruo2_wgan.verdict.findings import COPY, Findings, Reference, moved_lattice
from ruo2_wgan.verdict.operations import apply_operation
from ruo2_wgan.verdict.typing import FloatArray

N_STRUCTURES = 12
N_REAL_STRUCTURES = 6
N_NEIGHBOURS = 8
N_BINS = 40
DIGITS = 4

Named = Mapping[str, Findings]


def gather_evidence(columns: Named, reference: Reference) -> dict[str, Any]:
    """Plain values: see `docs/evaluation.md` for the keys."""
    return {
        "histograms": _histograms(columns, reference),
        "neighbours": _neighbours(columns["samples"], reference),
        "structures": {
            "samples": _structures(columns["samples"], reference, N_STRUCTURES),
            "held_out": _structures(columns["held_out"], reference, N_REAL_STRUCTURES),
        },
    }


def _histograms(columns: Named, reference: Reference) -> list[dict[str, Any]]:
    species = reference.reals.spec.species
    of = {name: column.geometry for name, column in columns.items()} | {"train": reference.geometry}
    power = reference.geometry.lattice.shape[1] - 1
    found = [
        _of_counts(f"{symbol} atoms", {name: each.counts[:, channel] for name, each in of.items()})
        for channel, symbol in enumerate(species)
    ]
    if len(species) > 1:
        found.append(_of_values(f"{species[1]}:{species[0]}", "", {name: ratios(each) for name, each in of.items()}))
    found += [
        _of_bins(f"{pair} distance", "Å", {name: radial(each.pair_counts[which], power) for name, each in of.items()})
        for which, pair in enumerate(names_of_pairs(species))
    ]
    found += [
        _of_counts(around, {name: each.coordination[which] for name, each in of.items()})
        for which, around in enumerate(names_of_ordered_pairs(species))
    ]
    found += [
        _of_values(f"height of {symbol} above the slab's bottom", "Å", _heights(of, channel))
        for channel, symbol in enumerate(species)
    ]
    axes = "xyz" if power == 2 else "uz"
    found += [
        _of_values(f"lattice length along {axis}", "Å", {name: each.lattice[:, i] for name, each in of.items()})
        for i, axis in enumerate(axes)
    ]
    nearest = {name: column.nearest.similarity.mean(axis=1) for name, column in columns.items()} | {
        "train": np.empty(0)
    }
    found.append(_of_values("SSIM with the nearest training structure", "", nearest))
    residuals = {name: each.unexplained for name, each in of.items()}
    found.append(_of_values("share of the density that atoms leave", "", residuals))
    return found


def _heights(of: Mapping[str, Geometry], channel: int) -> dict[str, FloatArray]:
    return {name: each.heights[channel] for name, each in of.items()}


def _of_counts(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A bin for each whole number."""
    every = np.concatenate([np.asarray(each) for each in values.values()])
    low, high = (int(every.min()), int(every.max())) if len(every) else (0, 0)
    step = -(-(high - low + 1) // N_BINS)
    return _histogram(name, "", np.arange(low, high + step + 1, step) - 0.5, values)


def _of_values(name: str, unit: str, values: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Bins over all values but the rarest, which broken structures have far away."""
    real = values["train"]
    every = np.concatenate(list(values.values()))
    if not len(every):
        return _histogram(name, unit, np.array([0.0, 1.0]), values)
    low, high = np.quantile(every, [0.005, 0.995])
    if len(real):
        low, high = min(low, real.min()), max(high, real.max())
    room = 0.02 * (high - low) or 0.5
    return _histogram(name, unit, np.linspace(low - room, high + room, N_BINS + 1), values)


def _of_bins(name: str, unit: str, densities: Mapping[str, FloatArray]) -> dict[str, Any]:
    """From counts in fine bins, two of which are drawn as one."""
    edges = np.arange(len(next(iter(densities.values()))) // 2 + 1) * 2 * BIN
    middles = 0.5 * (edges[1:] + edges[:-1])
    drawn = {each: values[: 2 * len(middles)].reshape(-1, 2).sum(axis=1) for each, values in densities.items()}
    return _entry(name, unit, edges, drawn)


def _histogram(name: str, unit: str, edges: FloatArray, values: Mapping[str, Any]) -> dict[str, Any]:
    return _entry(name, unit, edges, {each: np.histogram(found, edges)[0] for each, found in values.items()})


def _entry(name: str, unit: str, edges: FloatArray, counts: Mapping[str, Any]) -> dict[str, Any]:
    """Counts as densities, which integrate to 1."""
    widths = np.diff(edges)
    densities = {
        each: (n / max(float(n.sum()), 1e-30) / widths).round(DIGITS + 2).tolist() for each, n in counts.items()
    }
    return {"name": name, "unit": unit, "edges": edges.round(DIGITS + 2).tolist(), **densities}


def _neighbours(samples: Findings, reference: Reference) -> list[dict[str, Any]]:
    """The samples that are most like a training structure, and others on the way to the one that is least."""
    found = samples.nearest.similarity.mean(axis=1)
    order = np.argsort(-found, kind="stable")
    n = min(N_NEIGHBOURS, len(order))
    first = n // 2
    chosen = [*order[:first], *order[np.linspace(first, len(order) - 1, n - first).astype(int)]]
    real = reference.reals.read(samples.nearest.row[chosen])
    species = reference.reals.spec.species
    lattice = moved_lattice(samples)
    entries = []
    for number, each in zip(chosen, real, strict=True):
        operation = samples.nearest.operations[number]
        fake = apply_operation(samples.structures.density[number], operation)
        entries.append(
            {
                "sample": int(number),
                "row": int(samples.nearest.row[number]),
                "ssim": round(float(found[number]), DIGITS),
                "ssim_by_species": dict(
                    zip(species, samples.nearest.similarity[number].round(DIGITS).tolist(), strict=True)
                ),
                "copy": bool(samples.displacement[number] <= COPY),
                "views": _views(fake, each, lattice[number]),
            }
        )
    return entries


def _views(fake: FloatArray, real: FloatArray, lengths: FloatArray) -> list[dict[str, Any]]:
    """Slices as they are; of structures the highest density along y and along x."""
    if fake.ndim == 3:
        return [_view("slice", lengths, fake, real)]
    return [
        _view("xz", lengths[[0, 2]], fake.max(axis=2), real.max(axis=2)),
        _view("yz", lengths[[1, 2]], fake.max(axis=1), real.max(axis=1)),
    ]


def _view(name: str, lengths: FloatArray, fake: FloatArray, real: FloatArray) -> dict[str, Any]:
    return {"name": name, "lengths": lengths.round(DIGITS).tolist(), "fake": _encode(fake), "real": _encode(real)}


def _encode(values: FloatArray) -> dict[str, Any]:
    levels = np.floor(np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return {"shape": list(levels.shape), "data": base64.b64encode(levels.tobytes()).decode()}


def _structures(column: Findings, reference: Reference, most: int) -> list[dict[str, Any]]:
    species = reference.reals.spec.species
    valid = column.valid
    found = []
    for number, sites in enumerate(column.structures.sites[:most]):
        order = np.argsort(sites.species, kind="stable")
        found.append(
            {
                "index": number,
                "lattice": sites.lattice.round(DIGITS).tolist(),
                "species": [species[channel] for channel in sites.species[order].tolist()],
                "positions": sites.positions[order].round(3).tolist(),
                "label": int(column.structures.asked[number]),
                "valid": bool(valid[number]),
                "why": [reason for reason, faults in column.faults.items() if faults[number]],
            }
        )
    return found
