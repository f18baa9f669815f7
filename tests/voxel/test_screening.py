"""Sound structures pass, each planted defect is found, and on real ones brute force finds the same."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc111, make_supercell, molecule
from ase.collections import g2
from ase.data import chemical_symbols, covalent_radii, reference_states
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ruo2_voxel import (
    TERMINATIONS,
    Finding,
    Frame,
    Ruo2Error,
    Screening,
    StructureError,
    build_surface,
    open_frames,
    screen,
    surface_family,
)
from ruo2_voxel.structures.screening import KINDS, Kind
from tests.voxel.random_structures import LAW, rotation

TRAJECTORY = Path(__file__).parents[2] / "data" / "ruo2-bh-mini.traj"
SLABS = [(facet, termination) for facet, terminations in TERMINATIONS.items() for termination in terminations]

every_facet = pytest.mark.parametrize("facet", TERMINATIONS)
every_slab = pytest.mark.parametrize(("facet", "termination"), SLABS)


def summary(structure: Atoms | Frame) -> list[tuple[Kind, tuple[int, ...]]]:
    return [(finding.kind, finding.atoms) for finding in screen(structure)]


def stoichiometric(facet: str) -> Atoms:
    """A slab of about 10 Å, two cells each way."""
    return build_surface(facet, "stoichiometric").repeat((2, 2, 1))


def with_atoms(atoms: Atoms, symbols: str, positions: object) -> Atoms:
    return atoms + Atoms(symbols, positions=positions)


def top_oxygen(atoms: Atoms) -> int:
    oxygen = np.flatnonzero(atoms.numbers == 8)
    return int(oxygen[atoms.positions[oxygen, 2].argmax()])


def above(atoms: Atoms, height: float) -> NDArray[np.float64]:
    """A place that far above the highest atom."""
    return atoms.positions[atoms.positions[:, 2].argmax()] + [0.0, 0.0, height]


# ---- Each makes one defect and says what must be found.

Planted = tuple[Atoms, list[tuple[Kind, tuple[int, ...]]]]


def broken(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    heights = atoms.positions[:, 2]
    ru = np.unique(heights[atoms.numbers == 44].round(3))
    upper = heights > ru[len(ru) // 2] + 0.6  # the smaller part
    atoms.positions[upper, 2] += 3.0
    return atoms, [("broken-slab", tuple(np.flatnonzero(upper).tolist()))]


def floating(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    return with_atoms(atoms, "O", [above(atoms, 3.0)]), [("floating", (len(atoms),))]


def floating_water(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    water = molecule("H2O")
    water.positions += above(atoms, 4.0)
    n = len(atoms)
    return atoms + water, [("floating", (n, n + 1, n + 2))]


def lost_ru(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    return with_atoms(atoms, "Ru", [above(atoms, 4.5)]), [("broken-slab", (len(atoms),))]


def molecular(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    n = len(atoms)
    return with_atoms(atoms, "O2", [above(atoms, 3.5), above(atoms, 4.71)]), [("molecular-oxygen", (n, n + 1))]


def superoxide(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    oxygen = top_oxygen(atoms)
    return with_atoms(atoms, "O", [atoms.positions[oxygen] + [0.0, 0.0, 1.31]]), [
        ("molecular-oxygen", (oxygen, len(atoms)))
    ]


def peroxide(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    oxygen = top_oxygen(atoms)
    return with_atoms(atoms, "O", [atoms.positions[oxygen] + [0.0, 0.0, 1.45]]), [("peroxide", (oxygen, len(atoms)))]


def ozone(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    n = len(atoms)
    bent = above(atoms, 3.5) + np.array([[0.0, 0.0, 0.0], [1.09, 0.0, 0.67], [-1.09, 0.0, 0.67]])
    return with_atoms(atoms, "O3", bent), [("clustered-oxygen", (n, n + 1, n + 2))]


def crowded(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    oxygen = top_oxygen(atoms)
    return with_atoms(atoms, "O", [atoms.positions[oxygen] + [0.0, 0.0, 1.85]]), [
        ("clustered-oxygen", (oxygen, len(atoms))),
        ("floating", (len(atoms),)),
    ]


def too_close(facet: str) -> Planted:
    atoms = stoichiometric(facet)
    oxygen = top_oxygen(atoms)
    ru = np.flatnonzero(atoms.numbers == 44)
    bonds = atoms.get_distances(oxygen, ru, mic=True, vector=True)
    partner = int(np.linalg.norm(bonds, axis=1).argmin())
    atoms.positions[oxygen] += bonds[partner] * (1.0 - 1.3 / np.linalg.norm(bonds[partner]))
    return atoms, [("too-close", tuple(sorted((oxygen, int(ru[partner])))))]


DEFECTS = (
    broken,
    floating,
    floating_water,
    lost_ru,
    molecular,
    superoxide,
    peroxide,
    ozone,
    crowded,
    too_close,
)
every_defect = pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)


@every_slab
def test_ideal_slabs_pass(facet: str, termination: str) -> None:
    atoms = build_surface(facet, termination)
    assert screen(atoms) == []
    assert screen(atoms.repeat((3, 2, 1))) == []
    assert screen(make_supercell(atoms, [[1, 0, 0], [-1, 2, 0], [0, 0, 1]])) == []  # a rectangle of (111)
    assert screen(build_surface(facet, termination, n_layers=3, vacuum=8.0)) == []


def test_shaken_slabs_pass() -> None:
    for atoms in surface_family(copies=5, rattle=0.05, seed=7):
        assert screen(atoms) == []
        shifted = atoms.copy()
        shifted.positions[:, 2] += atoms.cell[2, 2] / 2  # the slab straddles the boundary
        shifted.wrap()
        assert screen(shifted) == []


@every_facet
@every_defect
def test_planted_defects_are_found(defect: Callable[[str], Planted], facet: str) -> None:
    atoms, expected = defect(facet)
    assert summary(atoms) == expected


@LAW
@given(st.sampled_from(DEFECTS), st.sampled_from(list(TERMINATIONS)), st.integers(0, 2**32 - 1))
def test_findings_do_not_depend_on_origin_order_or_orientation(
    defect: Callable[[str], Planted], facet: str, seed: int
) -> None:
    atoms, expected = defect(facet)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(atoms))
    moved = atoms[order]
    moved.positions += rng.uniform(-40.0, 40.0, 3)
    moved.wrap()
    turn = rotation(rng.uniform(0.0, 6.0), (1.0, 2.0, -1.0))
    moved.set_cell(moved.cell.array @ turn, scale_atoms=True)
    renamed = np.argsort(order)
    expected = [(kind, tuple(sorted(renamed[list(members)].tolist()))) for kind, members in expected]
    assert summary(moved) == expected
    assert summary(Frame.from_atoms(moved)) == expected


def test_findings_of_many_kinds_are_sorted() -> None:
    atoms = molecular("110")[0]
    n = len(atoms)
    atoms = with_atoms(atoms, "O2Ru", [above(atoms, 4.0), above(atoms, 8.0), above(atoms, 12.0)])
    oxygen = top_oxygen(stoichiometric("110"))
    atoms = with_atoms(atoms, "O", [atoms.positions[oxygen] + [0.0, 0.0, 1.45]])
    kinds = [kind for kind, _ in summary(atoms)]
    assert kinds == ["molecular-oxygen", "peroxide", "floating", "floating", "broken-slab"]
    assert sorted(kinds, key=KINDS.index) == kinds
    assert summary(atoms)[2:] == [("floating", (n,)), ("floating", (n + 1,)), ("broken-slab", (n + 2,))]


@every_facet
def test_the_gap_of_a_broken_slab_is_told(facet: str) -> None:
    atoms, ((_, upper),) = broken(facet)
    heights = atoms.positions[:, 2]
    rest = np.setdiff1d(np.arange(len(atoms)), upper)
    gap = heights[list(upper)].min() - heights[rest].max()
    height = atoms.cell[2, 2]
    boundary = height - heights[rest].max() - gap / 2  # moves the boundary of the cell into the gap
    for shift in (0.0, 10.0, boundary, 3 * height + 1.0):
        for upside_down in (False, True):
            moved = atoms.copy()
            moved.positions[:, 2] += shift
            if upside_down:
                moved.positions[:, 2] *= -1.0
            wrapped, scattered = moved.copy(), moved.copy()
            wrapped.wrap()
            scattered.positions[list(upper), 2] += 5 * height
            for same in (moved, wrapped, scattered):
                reason = screen(same)[0].reason
                assert f" from the {len(rest)} atoms of the slab by a gap of {gap:.2f} Å along the surface " in reason
                assert reason.startswith(f"{len(upper)} atoms (")


@pytest.mark.parametrize(
    ("symbols", "positions", "finding"),
    [
        (
            "O2",
            [[0, 0, 0], [0, 0, 1.21]],
            Finding(
                "molecular-oxygen",
                (0, 1),
                "O0 and O1, bound to no other element, are 1.21 Å apart; O2 has 1.21 Å and superoxide 1.28-1.35 Å",
            ),
        ),
        (
            "RuO2",
            [[0, 0, 0], [1.85, 0, 0.73], [1.85, 0, -0.73]],
            Finding("peroxide", (1, 2), "O1 and O2, bound to Ru0, are 1.46 Å apart; peroxides have 1.4-1.5 Å"),
        ),
        (
            "RuO2",
            [[0, 0, 0], [1.8, 0, 0.9], [1.8, 0, -0.9]],
            Finding(
                "clustered-oxygen", (1, 2), "O1 and O2, bound to Ru0, are 1.80 Å apart; O atoms of an oxide keep 2 Å"
            ),
        ),
        (
            "O3",
            [[0, 0, 0], [1.09, 0.67, 0], [-1.09, 0.67, 0]],
            Finding(
                "clustered-oxygen",
                (0, 1, 2),
                "O0, O1, O2 hang together by short O-O contacts: O0-O1 1.28 Å, O0-O2 1.28 Å",
            ),
        ),
        (
            "OH",
            [[0, 0, 0], [0, 0.5, 0]],
            Finding("too-close", (0, 1), "O0 and H1 are 0.50 Å apart; such atoms keep at least 0.68 Å"),
        ),
        (
            "Ru2O",
            [[0, 0, 0], [2.6, 0, 0], [0, 0, 2.8]],
            Finding(
                "floating", (2,), "O2 cut off from the 2 atoms of the slab; the nearest are Ru0 and O2, 2.80 Å apart"
            ),
        ),
        (
            "Ru2O",
            [[0, 0, 0], [2.6, 0, 0], [0, 0, 7.5]],
            Finding(
                "floating",
                (2,),
                "O2 cut off from the 2 atoms of the slab; none of those within 3.65 Å, 7.50 Å along the surface normal",
            ),
        ),
    ],
    ids=["O2", "peroxide", "crowded", "ozone", "OH", "near", "far"],
)
def test_reasons_are_sentences(symbols: str, positions: list[list[float]], finding: Finding) -> None:
    assert screen(Atoms(symbols, positions, cell=[15.0, 16.0, 17.0], pbc=True)) == [finding]
    assert screen(Atoms(symbols, positions)) == [finding]  # without a cell


@pytest.mark.parametrize(
    ("distance", "free", "bound"),
    [
        (0.85, "too-close", "too-close"),
        (1.10, "molecular-oxygen", "molecular-oxygen"),
        (1.21, "molecular-oxygen", "molecular-oxygen"),
        (1.35, "molecular-oxygen", "molecular-oxygen"),
        (1.40, "molecular-oxygen", "peroxide"),
        (1.50, "molecular-oxygen", "peroxide"),
        (1.68, "molecular-oxygen", "peroxide"),
        (1.72, "clustered-oxygen", "clustered-oxygen"),
        (1.98, "clustered-oxygen", "clustered-oxygen"),
        (2.02, None, None),
        (2.46, None, None),
    ],
)
def test_the_distance_of_two_oxygen_atoms_tells_what_they_are(
    distance: float, free: Kind | None, bound: Kind | None
) -> None:
    pair = Atoms("O2", [[0, 0, -distance / 2], [0, 0, distance / 2]])
    kinds = {finding.kind for finding in screen(pair)} - {"floating"}
    assert kinds == ({free} if free else set())
    held = with_atoms(pair, "Ru", [[math.sqrt(1.98**2 - distance**2 / 4), 0, 0]])
    assert {finding.kind for finding in screen(held)} == ({bound} if bound else set())


@pytest.mark.parametrize("kind", ["empty", "atom", "atom in a cell"])
def test_nothing_and_a_single_atom_pass(kind: str) -> None:
    n_atoms, cell = {"empty": (0, [5, 5, 5]), "atom": (1, None), "atom in a cell": (1, [5, 5, 5])}[kind]
    assert screen(Atoms(f"O{n_atoms}", np.zeros((n_atoms, 3)), cell=cell, pbc=cell is not None)) == []


@pytest.mark.parametrize(
    ("symbol", "length", "expected"),
    [
        ("Ru", 1.9, [("too-close", (0,))]),
        ("O", 1.2, [("clustered-oxygen", (0,))]),
        ("H", 0.4, [("too-close", (0,))]),
        ("Ru", 2.7, []),
    ],
)
def test_atoms_meet_their_own_images(symbol: str, length: float, expected: list[object]) -> None:
    atoms = Atoms(symbol, cell=[[length, 0, 0], [0.3, 9.0, 0], [0.1, 0.2, 9.0]], pbc=True)
    assert summary(atoms) == expected
    for finding in screen(atoms):
        assert f"{symbol}0" in finding.reason
        assert f"{length:.2f} Å" in finding.reason


def test_two_atoms_that_meet_twice_are_named_once() -> None:
    rng = np.random.default_rng(0)
    cell = np.array([2.1, 2.2, 2.3])
    for _ in range(20):  # any image may be the nearest
        atoms = Atoms("Ru2", rng.uniform(0.0, cell, (2, 3)), cell=cell, pbc=True)
        distance = atoms.get_distance(0, 1, mic=True)
        (finding,) = screen(atoms)
        assert finding.atoms == (0, 1)
        assert finding.reason.startswith(f"Ru0 and Ru1 are {distance:.2f} Å apart")
    chain = Atoms("O2", [[0, 0, 0], [1.2, 0, 0]], cell=[2.4, 9.0, 9.0], pbc=True)
    assert summary(chain) == [("clustered-oxygen", (0, 1))]


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)], ids=str)
def test_atoms_are_bound_across_the_borders_of_the_plane(pbc: tuple[int, int, int]) -> None:
    atoms = Atoms("RuO2", [[0.2, 0.2, 5.0], [5.3, 0.2, 5.0], [0.2, 6.3, 5.0]], cell=[7.0, 8.0, 20.0], pbc=pbc)
    assert screen(atoms) == []
    atoms.positions[2, 1] = 5.0
    assert summary(atoms) == [("floating", (2,))]


@pytest.mark.parametrize("pbc", [(0, 0, 0), (1, 1, 0), (1, 1, 1)], ids=str)
def test_the_plane_is_always_periodic_and_the_normal_where_it_says_so(pbc: tuple[int, int, int]) -> None:
    atoms = stoichiometric("110")
    atoms.positions += [1.3, 2.7, 0.0]
    atoms.wrap()
    atoms.pbc = pbc
    assert screen(atoms) == []
    atoms.cell[2, 2] = np.ptp(atoms.positions[:, 2]) - 1.0  # the faces would run into each other
    assert bool(screen(atoms)) == bool(pbc[2])


def test_metals_bulk_pass() -> None:
    passed = 0
    for number, state in enumerate(reference_states[:100]):
        if state is not None and state["symmetry"] in ("fcc", "bcc", "hcp", "diamond", "sc", "rhombohedral"):
            try:
                atoms = bulk(chemical_symbols[number])
            except ValueError:  # ASE knows no coordinates of some
                continue
            assert screen(atoms) == []
            passed += 1
    assert passed > 60


def test_among_the_molecules_of_g2_only_oxygen_bound_to_oxygen_is_found() -> None:
    found = {name: [finding.kind for finding in screen(g2[name])] for name in g2.names}
    assert {name: kinds for name, kinds in found.items() if kinds} == {
        "O2": ["molecular-oxygen"],
        "O3": ["clustered-oxygen"],
        "H2O2": ["peroxide"],
    }


def test_other_materials_pass_and_are_found() -> None:
    assert screen(bulk("NaCl", "rocksalt", a=5.64)) == []
    slab = fcc111("Pt", (2, 2, 4), vacuum=8.0)
    assert screen(slab) == []
    add_adsorbate(slab, molecule("CO"), 1.85, "ontop", mol_index=1)
    assert screen(slab) == []
    slab.positions[-2:, 2] += 2.0
    assert summary(slab) == [("floating", (16, 17))]


def test_fragments_without_metal_count_as_floating_while_they_are_small() -> None:
    slab = fcc111("Pt", (3, 3, 3), vacuum=10.0)
    for name, kind in (("CH3OH", "floating"), ("C6H6", "broken-slab")):
        guest = molecule(name)
        guest.positions += above(slab, 5.0)
        assert summary(slab + guest) == [(kind, tuple(range(27, 27 + len(guest))))]
    assert [finding.kind for finding in screen(slab + guest, Screening(largest_fragment=12))] == ["floating"]


def test_a_lone_atom_above_a_slab_floats_unless_it_is_a_metal() -> None:
    slab = fcc111("Pt", (3, 3, 3), vacuum=10.0)
    no_metals = "H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Sb Te I Xe At Rn "
    for symbol in chemical_symbols[1:]:
        kind = "floating" if f"{symbol} " in no_metals else "broken-slab"
        assert summary(with_atoms(slab, symbol, [above(slab, 8.0)])) == [(kind, (27,))]


def test_a_floating_pair_that_is_too_close_is_both() -> None:
    atoms = stoichiometric("100")
    n = len(atoms)
    for symbols, distance in (("OH", 0.5), ("O2", 0.85)):
        pair = with_atoms(atoms, symbols, [above(atoms, 4.0), above(atoms, 4.0 + distance)])
        assert summary(pair) == [("too-close", (n, n + 1)), ("floating", (n, n + 1))]


# ---- Real structures: distances by minimum image in NumPy, which holds in these cells up to half of 6.33 Å.


def suspicious(frame: Frame) -> set[str]:
    """What is wrong by the plain definitions, without neighbour lists and graphs."""
    vectors = frame.positions[:, None] - frame.positions
    vectors -= np.round(vectors / frame.cell.diagonal()) * frame.cell.diagonal()
    distances = np.linalg.norm(vectors, axis=-1) + 99.0 * np.eye(len(vectors))
    radii = covalent_radii[frame.numbers]
    ratio = distances / (radii[:, None] + radii)
    oxygen = frame.numbers == 8
    found = set()
    if ratio.min() < 0.7:
        found.add("too-close")
    apart = distances[np.ix_(oxygen, oxygen)]
    if ((apart < 2.0) & (ratio[np.ix_(oxygen, oxygen)] >= 0.7)).any():
        found.add("oxygen")
    if (ratio.min(axis=1) >= 1.25).any():
        found.add("floating")
    return found


def test_on_real_structures_brute_force_finds_the_same() -> None:
    n_found = dict.fromkeys(KINDS, 0)
    n_invalid = 0
    for frame in open_frames(str(TRAJECTORY)):
        kinds = {finding.kind for finding in screen(frame)}
        grouped = {"oxygen" if "oxygen" in kind or kind == "peroxide" else kind for kind in kinds}
        assert grouped == suspicious(frame)
        for kind in kinds:
            n_found[kind] += 1
        if not frame.info["valid"]:  # the search rejected the relaxed end for desorbed O or O-O < 1.60 Å
            assert "floating" in kinds or "peroxide" in kinds or frame.info["substep"] < 18
            assert kinds
            n_invalid += 1
    assert n_invalid == 30
    assert n_found["broken-slab"] == 0
    assert min(n_found[kind] for kind in KINDS if kind != "broken-slab") > 0


def test_relaxed_structures_pass() -> None:
    n_relaxed = 0
    for frame in open_frames(str(TRAJECTORY)):
        if frame.info["valid"] and frame.info["converged"] and frame.info["substep"] > 20:
            assert screen(frame) == []
            n_relaxed += 1
    assert n_relaxed > 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bond": 0.6}, "too_close must be below bond, 0.6; found 0.7"),
        ({"too_close": 0.0}, "too_close must be a positive number; found 0.0"),
        ({"bond": math.nan}, "bond must be a positive number; found nan"),
        ({"molecular": "1.3"}, "molecular must be a positive number; found '1.3'"),
        (
            {"peroxide": 1.2},
            "molecular, peroxide and oxygen_contact must ascend; found 1.375, 1.2 and 2 Å",
        ),
    ],
)
def test_thresholds_that_cannot_be_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(Ruo2Error, match=f"^{re.escape(message)}$"):
        Screening(**options)  # type: ignore[arg-type]


def test_thresholds_can_be_chosen() -> None:
    atoms, _ = peroxide("110")
    assert [finding.kind for finding in screen(atoms, Screening(molecular=1.5))] == ["molecular-oxygen"]
    assert [finding.kind for finding in screen(atoms, Screening(peroxide=1.4))] == ["clustered-oxygen"]
    strict = screen(stoichiometric("110"), Screening(bond=0.93))
    assert {finding.kind for finding in strict} <= {"floating", "broken-slab"}
    assert strict
    assert {finding.kind for finding in screen(stoichiometric("110"), Screening(too_close=0.93))} == {"too-close"}


def test_what_cannot_be_screened_is_refused() -> None:
    atoms = stoichiometric("110")
    atoms.positions[3, 1] = np.nan
    with pytest.raises(StructureError, match=r"^structure: positions must be finite .* found atom 3 at "):
        screen(atoms)
    frame = Frame.from_atoms(atoms, source="md.traj", index=17)
    with pytest.raises(StructureError, match=r"^frame 17 of md.traj: positions must be finite"):
        screen(frame)
    with pytest.raises(StructureError, match=r"^structure: lattice planes must be"):
        screen(Atoms("O", cell=np.ones((3, 3)), pbc=True))
    with pytest.raises(StructureError, match=r"^a structure to screen must be ase.Atoms or a Frame, got str$"):
        screen("110")  # type: ignore[arg-type]
