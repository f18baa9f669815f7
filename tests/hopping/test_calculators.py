"""Calculators are found by their names, whatever is wrong with one is told, and stdout stays clean."""

import sys
from pathlib import Path

import ase
import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from ruo2_hopping.calculators import BUILT_IN, load_calculator, packages_of, parse_arguments
from ruo2_hopping.errors import CalculatorError, MissingExtraError
from ruo2_hopping.pair_potential import PairPotential

OWN = """
import sys
from ase.calculators.lj import LennardJones

print("imported")

class Wells:
    @staticmethod
    def deep(epsilon):
        print("made")
        return LennardJones(epsilon=epsilon)

def a_name():
    return "LennardJones"

def weights(path):
    return open(path)

made = LennardJones()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module in a folder of the user's."""
    name = f"own_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def hide(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed."""
    monkeypatch.setattr(sys, "path", [])
    for loaded in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, loaded)


def test_calculators_of_packages_and_the_one_built_in() -> None:
    assert isinstance(load_calculator(BUILT_IN), PairPotential)
    assert isinstance(load_calculator("ase.calculators.emt:EMT"), EMT)
    assert load_calculator("ase.calculators.lj:LennardJones", {"epsilon": 2.5}).parameters["epsilon"] == 2.5


def test_a_callable_may_lie_deeper_and_what_is_printed_goes_to_stderr(
    own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    calculator = load_calculator(f"{own}:Wells.deep", {"epsilon": 4.0})
    assert isinstance(calculator, LennardJones)
    assert calculator.parameters["epsilon"] == 4.0
    assert capsys.readouterr() == ("", "imported\nmade\n")


@pytest.mark.parametrize("spec", ["", "chgnet", "chgnet:", ":CHGNetCalculator", "ase.calculators.emt.EMT"])
def test_a_name_has_a_module_and_a_callable(spec: str) -> None:
    with pytest.raises(CalculatorError, match=rf"must be named as MODULE:CALLABLE, like chgnet\..*; found '{spec}'$"):
        load_calculator(spec)


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("mace.calculators", "found no mace. pip install mace-torch"),
        ("sevenn.calculator", "found no sevenn. pip install sevenn"),
        ("quippy.potential", "found no quippy. pip install quippy-ase"),
        ("not_there", "found no not_there. Install it, or name its folder in PYTHONPATH"),
    ],
)
def test_a_module_that_is_not_installed_is_named_with_what_to_install(
    module: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(module.partition(".")[0], monkeypatch)
    with pytest.raises(CalculatorError) as caught:
        load_calculator(f"{module}:Calculator")
    assert str(caught.value) == f"module {module} must be installed; {advice}"


def test_a_potential_that_an_extra_brings_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    hide("chgnet", monkeypatch)
    with pytest.raises(MissingExtraError, match=r"pip install 'ruo2-hopping\[mlip\]'$"):
        load_calculator("chgnet.model.dynamics:CHGNetCalculator")


def test_a_package_without_the_module_is_of_another_version() -> None:
    with pytest.raises(CalculatorError, match=r"found no ase\.moved\. There is ase: compare its version with the path"):
        load_calculator("ase.moved:EMT")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import missing_part", "ModuleNotFoundError: No module named 'missing_part'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise OSError('libgap.so:\\n  cannot open')", r"OSError: libgap\.so: cannot open$"),
        ("raise OSError('x' * 999)", r"OSError: .{0,10}\.\.\.$"),
    ],
)
def test_a_module_that_breaks_is_told_apart_from_one_that_is_missing(
    text: str, found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"broken_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CalculatorError, match=f"^module {name} must be importable; found {found}"):
        load_calculator(f"{name}:Calculator")


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("Nobody", {}, "Nobody must be found in the module own_.*; AttributeError: "),
        ("Wells.shallow", {}, "Wells.shallow must be found in the module own_"),
        ("made", {}, "must be a class or function that makes a calculator; found a LennardJones$"),
        ("a_name", {}, "must make a calculator of ASE; it made a str$"),
        ("Wells.deep", {"sigma": 2}, "must accept its arguments; with sigma=2 it raised TypeError: .*'sigma'"),
        ("Wells.deep", {}, "must accept its arguments; with no arguments it raised TypeError: .*'epsilon'"),
        ("weights", {"path": "/no/file"}, "with path='/no/file' it raised FileNotFoundError: "),
    ],
)
def test_a_callable_that_makes_no_calculator(own: str, path: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(CalculatorError, match=f"^calculator {own}:{path}: .*{message}"):
        load_calculator(f"{own}:{path}", arguments)


def test_arguments_are_a_json_object() -> None:
    assert parse_arguments("{}") == {}
    assert parse_arguments('{"device": "cpu", "steps": [1, 2]}') == {"device": "cpu", "steps": [1, 2]}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[1]", r"found '\[1\]'$"),
        ("cpu", r"found 'cpu', where Expecting value at character 1$"),
        ('{"device": cpu}', r"where Expecting value at character 12$"),
        ("", r"found '', where Expecting value at character 1$"),
    ],
)
def test_other_arguments_are_refused_with_an_example(text: str, found: str) -> None:
    with pytest.raises(
        CalculatorError, match=r"must be a JSON object, as in '\{\"use_device\": \"cpu\"\}'; .*" + found
    ):
        parse_arguments(text)


def test_a_record_names_the_package_and_its_version(own: str) -> None:
    assert packages_of("ase.calculators.emt:EMT") == {"ase": ase.__version__}
    assert packages_of(f"{own}:made") == {}
