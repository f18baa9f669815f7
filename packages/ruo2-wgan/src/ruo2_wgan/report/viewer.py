"""What viewer.js is given: atoms, their colours and radii, and which of them are drawn as bonded."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ase.data import atomic_numbers, covalent_radii

from ruo2_wgan.pictures.sheet import colours_of
from ruo2_wgan.report.figures import REASONS

BOND = 1.2  # times the sum of covalent radii
SUBSCRIPTS = str.maketrans("0123456789", "".join(chr(0x2080 + digit) for digit in range(10)))


def describe_structures(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values for the view in space.

    Parameters
    ----------
    verdict
        Of format 1.

    Returns
    -------
    scene
        `species` with symbol, colour and radius (Å); `bonds`, for each two of them, in the order of a square table, the
        largest distance of a bond (Å); `flat`, whether there is no y; `structures` with group, name, caption, lattice
        (Å), number of the species and position (Å) of each atom.

    Notes
    -----
    A bond is shorter than 1.2 times the sum of covalent radii (doi:10.1039/b801115j), and than the distance up to which
    the verdict takes atoms for linked.
    """
    found = verdict["evidence"]["structures"]
    groups = [("Samples", "sample", found["samples"]), ("Held-out structures", "held-out", found["held_out"])]
    used = {symbol for _, _, structures in groups for each in structures for symbol in each["species"]}
    species = [symbol for symbol in verdict["data"]["species"] if symbol in used]
    species += sorted(used - set(species))
    radii = [float(covalent_radii[atomic_numbers[symbol]]) for symbol in species]
    colours = [[round(255 * float(part)) for part in colour] for colour in colours_of(species)]
    link = verdict["limits"].get("link") or float("inf")
    return {
        "species": [
            {"symbol": symbol, "colour": colour, "radius": radius}
            for symbol, colour, radius in zip(species, colours, radii, strict=True)
        ],
        "bonds": [round(min(BOND * (one + other), link), 4) for one in radii for other in radii],
        "flat": verdict["data"]["dimensions"] == 2,
        "structures": [
            {"group": title, "name": f"{name} {each['index']}", **_describe(each, species)}
            for title, name, structures in groups
            for each in structures
        ],
    }


def _describe(structure: Mapping[str, Any], species: Sequence[str]) -> dict[str, Any]:
    lattice, positions = structure["lattice"], structure["positions"]
    if len(lattice) == 2:  # (u, z)
        lattice, positions = [lattice[0], 0.0, lattice[1]], [[u, 0.0, z] for u, z in positions]
    return {
        "caption": describe_structure(structure, species),
        "valid": structure["valid"],
        "lattice": lattice,
        "kinds": [species.index(symbol) for symbol in structure["species"]],
        "positions": [[round(part, 3) for part in position] for position in positions],
    }


def describe_structure(structure: Mapping[str, Any], species: Sequence[str]) -> str:
    """Formula, lattice lengths, class, and whether it is valid or why not."""
    counts = Counter(structure["species"])
    formula = "".join(f"{symbol}{counts[symbol]}" for symbol in species if counts[symbol]).translate(SUBSCRIPTS)
    lengths = " × ".join(f"{length:.2f}" for length in structure["lattice"])
    words = [formula or "no atoms", f"{lengths} Å"]
    if structure["label"] >= 0:
        words.append(f"class {structure['label']}")
    if structure["valid"]:
        return ", ".join([*words, "valid"])
    return ", ".join([*words, f"not valid: {' and '.join(REASONS.get(why, why) for why in structure['why'])}"])
