"""Energies are those of the calculator, after as many steps as asked for, and what it cannot stand is told."""

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms

from ruo2_wgan.errors import CalculatorError
from ruo2_wgan.verdict.energy.energies import HIGHEST, LOWEST, Failure, evaluate_energies, load_calculator


class Well(Calculator):
    """Each atom on a spring of 1 eV/Å^2 to the height of 2 Å, upon `depth` eV."""

    implemented_properties = ("energy", "forces")

    def __init__(self, depth: float = -1.0, **others: Any) -> None:
        super().__init__(**others)
        self.depth = depth

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        stretch = atoms.positions[:, 2] - 2.0
        forces = np.zeros((len(atoms), 3))
        forces[:, 2] = -stretch
        self.results = {"energy": self.depth * len(atoms) + 0.5 * (stretch**2).sum(), "forces": forces}


class Cliff(Well):
    """The same, but without numbers for atoms beyond the height of `edge` Å, nor for forces next to it."""

    edge = 3.0

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] *= -1.0  # away from the well, and over the edge
        if atoms.positions[:, 2].max() > self.edge:
            self.results = {"energy": float("nan"), "forces": np.full((len(atoms), 3), np.nan)}


def at(*heights: float) -> Atoms:
    positions = [(float(index), 0.0, height) for index, height in enumerate(heights)]
    return Atoms(f"Ru{len(heights)}", positions=positions, cell=[9, 9, 9], pbc=True)


def test_energies_of_structures_as_they_are() -> None:
    structures = [at(2.0), at(2.0, 4.0), at(1.0, 1.0, 5.0)]
    before = [atoms.positions.copy() for atoms in structures]
    seen: list[int] = []
    energies = evaluate_energies(structures, Well(-1.5), progress=seen.append)
    np.testing.assert_allclose(energies.values, [-1.5, -3.0 + 2.0, -4.5 + 0.5 + 0.5 + 4.5], rtol=1e-12)
    assert energies.failures == ()
    assert seen == [1, 1, 1]
    for atoms, positions in zip(structures, before, strict=True):
        assert atoms.calc is None
        np.testing.assert_array_equal(atoms.positions, positions)


def test_relaxation_goes_down_as_far_as_its_steps_and_its_force_allow() -> None:
    structures = [at(2.6, 1.5), at(2.0, 4.0)]
    points = [evaluate_energies(structures, Well(), relax_steps=steps).values for steps in (0, 1, 5, 500)]
    for before, after in itertools.pairwise(points):
        assert (after < before).all()
    # Converged forces of 0.05 eV/Å leave 0.05^2 / 2 eV an atom at most.
    assert (points[-1] + 2.0 <= 2 * 0.05**2 / 2).all()
    rough = evaluate_energies(structures, Well(), relax_steps=500, fmax=0.5).values
    assert (rough > points[-1]).all()
    np.testing.assert_array_equal(structures[0].positions[:, 2], [2.6, 1.5])


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_no_step_more_than_asked_for(steps: int) -> None:
    # Below its largest step FIRE begins with v += dt F and r += dt v, in its own units of time and dt = 0.1.
    (energy,) = evaluate_energies([at(2.4)], Well(), relax_steps=steps).values
    stretch, velocity = 0.4, 0.0
    for _ in range(steps):
        velocity -= 0.1 * stretch
        stretch += 0.1 * velocity
    assert energy == pytest.approx(-1.0 + 0.5 * stretch**2, rel=1e-12)


def test_atoms_that_a_structure_holds_stay() -> None:
    held = at(2.6, 1.5)
    held.set_constraint(FixAtoms([0]))
    (energy,) = evaluate_energies([held], Well(), relax_steps=500).values
    assert energy == pytest.approx(-2.0 + 0.5 * 0.6**2, abs=0.05**2)


def test_no_atoms_no_energy() -> None:
    energies = evaluate_energies([at(2.0), at(), at(2.0)], Well(), relax_steps=2)
    assert np.isnan(energies.values).tolist() == [False, True, False]
    assert energies.failures == (Failure(1, "no atoms"),)


@pytest.mark.parametrize("relax_steps", [0, 3])
def test_a_calculator_that_knows_some_elements_only(relax_steps: int) -> None:
    structures = [Atoms("Pt", cell=[5, 5, 5], pbc=True), at(2.0), Atoms("Cu", cell=[5, 5, 5], pbc=True)]
    energies = evaluate_energies(structures, EMT(), relax_steps)
    assert np.isnan(energies.values).tolist() == [False, True, False]
    (failure,) = energies.failures
    assert failure.sample == 1
    assert failure.error.startswith("NotImplementedError: No EMT-potential for Ru")
    alone = [evaluate_energies([each], EMT(), relax_steps).values[0] for each in structures[::2]]
    np.testing.assert_array_equal(energies.values[::2], alone)


def test_an_energy_that_is_no_number() -> None:
    energies = evaluate_energies([at(2.0), at(3.5)], Cliff())
    assert np.isnan(energies.values).tolist() == [False, True]
    assert "found nan eV of 1 atoms" in energies.failures[0].error


def test_atoms_inside_each_other_have_an_absurd_energy() -> None:
    near = Atoms("O2", positions=[(1, 1, 1), (1, 1, 1.05)], cell=[9, 9, 9], pbc=True)
    energies = evaluate_energies([near], LennardJones())
    assert np.isnan(energies.values).all()
    assert energies.failures[0].error.startswith("energy must lie from -1e+06 to 1000 eV per atom; found")


@pytest.mark.parametrize(("depth", "kept"), [(HIGHEST, True), (HIGHEST * 1.01, False), (LOWEST, True), (2e6, False)])
def test_energies_are_bounded_per_atom(depth: float, kept: bool) -> None:
    (value,) = evaluate_energies([at(2.0, 2.0)], Well(depth)).values
    assert value == 2 * depth if kept else np.isnan(value)


def test_a_relaxation_that_explodes_ends_with_the_step_at_which_it_did() -> None:
    energies = evaluate_energies([at(2.5), at(2.0), at(2.9)], Cliff(), relax_steps=200)
    assert np.isnan(energies.values).tolist() == [True, False, True]
    texts = [failure.error for failure in energies.failures]
    steps = [int(text.removeprefix("forces must be finite; found others after ").split()[0]) for text in texts]
    assert 200 > steps[0] > steps[1] > 0


class Refusing(Well):
    """Raises what it is made with."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def calculate(self, *_: Any, **__: Any) -> None:
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("CUDA\nout of   memory"), AssertionError(), MemoryError("x" * 999)])
def test_any_error_of_the_calculator_is_told_on_one_short_line(error: Exception) -> None:
    energies = evaluate_energies([at(2.0), at(1.0)], Refusing(error))
    assert [failure.sample for failure in energies.failures] == [0, 1]
    text = energies.failures[0].error
    assert text.startswith(f"{type(error).__name__}:")
    assert len(text) <= 200
    assert "CUDA" not in str(error) or text == "RuntimeError: CUDA out of memory"


@pytest.mark.parametrize("relax_steps", [0, 2])
def test_an_interrupt_ends_the_evaluation(relax_steps: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate_energies([at(2.0)], Refusing(KeyboardInterrupt()), relax_steps)


# ---- Loading.

MODULE = """
from ase.calculators.lj import LennardJones

print("a word of the module")

class Maker:
    @classmethod
    def build(cls, epsilon=1.0):
        print("a word of the maker")
        return LennardJones(epsilon=epsilon)

def nothing():
    return None

def file(path):
    return open(path)

ready = LennardJones()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, by its name."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_calculator_of_ase_by_its_name() -> None:
    calculator = load_calculator("ase.calculators.lj:LennardJones", {"epsilon": 2.5})
    assert isinstance(calculator, LennardJones)
    assert calculator.parameters.epsilon == 2.5
    assert isinstance(load_calculator("ase.calculators.emt:EMT"), EMT)


def test_what_makes_it_may_lie_deeper_and_what_it_prints_goes_to_stderr(
    module: str, capsys: pytest.CaptureFixture[str]
) -> None:
    calculator = load_calculator(f"{module}:Maker.build", {"epsilon": 3.0})
    assert calculator.parameters["epsilon"] == 3.0
    out, err = capsys.readouterr()
    assert (out, err) == ("", "a word of the module\na word of the maker\n")


@pytest.mark.parametrize("spec", ["chgnet", "", ":CHGNet", "chgnet:", "chgnet.model.dynamics.CHGNetCalculator"])
def test_a_name_without_both_parts(spec: str) -> None:
    with pytest.raises(CalculatorError, match=r"must be named as MODULE:CALLABLE, like chgnet\.model\.dynamics:CHGN"):
        load_calculator(spec)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("chgnet.model.dynamics", r"found no chgnet\. pip install 'ruo2-wgan\[mlip\]'"),
        ("mace.calculators", r"found no mace\. pip install mace-torch \(the extra \[mlip\] has chgnet only\)"),
        ("sevenn.calculator", r"found no sevenn\. pip install sevenn"),
        ("quippy.potential", r"found no quippy\. pip install quippy-ase"),
        ("no_such_module", r"found no no_such_module\. Install it, or name its folder in PYTHONPATH"),
        ("ase.no_such_part", r"found no ase\.no_such_part\. There is ase: compare its version"),
    ],
)
def test_a_module_that_is_not_installed(name: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = name.partition(".")[0]
    if package in ("chgnet", "mace", "sevenn", "quippy"):  # wherever it is installed, it is not found now
        monkeypatch.setattr(sys, "path", [])
        for loaded in [each for each in sys.modules if each.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, loaded)
    with pytest.raises(CalculatorError, match=rf"module {name} must be installed; {advice}"):
        load_calculator(f"{name}:Calculator")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
        ("from ase import Molecules", "ImportError: cannot import name 'Molecules'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_cannot_be_imported(
    text: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CalculatorError, match=rf"module {name} must be importable; found {found}"):
        load_calculator(f"{name}:Calculator")


def test_what_is_not_in_the_module_or_makes_no_calculator(module: str) -> None:
    for path, message in {
        "Nobody": r"Nobody must be found in the module .*; AttributeError: .* has no attribute 'Nobody'",
        "Maker.destroy": "Maker.destroy must be found in the module",
        "ready": "must be a class or function that makes a calculator; found a LennardJones",
        "nothing": "must make a calculator of ASE; it made a NoneType",
    }.items():
        with pytest.raises(CalculatorError, match=rf"calculator {module}:{path}: {message}"):
            load_calculator(f"{module}:{path}")


def test_arguments_that_it_refuses(module: str) -> None:
    with pytest.raises(CalculatorError, match=r"with sigma=2 it raised TypeError: .*unexpected keyword .*'sigma'"):
        load_calculator(f"{module}:Maker.build", {"sigma": 2})
    with pytest.raises(CalculatorError, match=r"with path='/no/file' it raised FileNotFoundError: "):
        load_calculator(f"{module}:file", {"path": "/no/file"})
    with pytest.raises(CalculatorError, match=r"with no arguments it raised TypeError: .*missing 1 required"):
        load_calculator(f"{module}:file")
