"""Any calculator of ASE: how it is named, what becomes of one that cannot be had, and what a record says of it."""

import contextlib
import json
import sys
import textwrap
from collections.abc import Mapping
from functools import reduce
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any, Final

from ase.calculators.calculator import BaseCalculator

from ruo2_hopping.errors import CalculatorError, MissingExtraError

BUILT_IN: Final = "ruo2_hopping.pair_potential:PairPotential"
EXAMPLE: Final = "chgnet.model.dynamics:CHGNetCalculator"
# What to install for the modules of well-known potentials. The extra brings CHGNet alone, for the others want versions
# of e3nn that exclude each other.
PACKAGES: Final = {"mace": "mace-torch", "quippy": "quippy-ase", "sevenn": "sevenn"}
LONGEST_REASON: Final = 200


def load_calculator(spec: str, arguments: Mapping[str, Any] | None = None) -> BaseCalculator:
    """A calculator of ASE, by the name of what makes it.

    Parameters
    ----------
    spec
        MODULE:CALLABLE, as in "chgnet.model.dynamics:CHGNetCalculator". The callable may be an attribute of another, as
        in "chgnet.model.dynamics:CHGNetCalculator.from_file".
    arguments
        Its keyword arguments.

    Raises
    ------
    CalculatorError
        No colon; a module that is not installed or cannot be imported; no such attribute, or one that cannot be
        called; arguments that it refuses; something else than a calculator of ASE.
    MissingExtraError
        CHGNet, where it is not installed.

    Notes
    -----
    What importing and calling it print goes to stderr, as stdout may be for a program to read.
    """
    module_name, _, path = spec.partition(":")
    if not (module_name and path):
        raise CalculatorError(f"a calculator must be named as MODULE:CALLABLE, like {EXAMPLE}; found {spec!r}")
    with contextlib.redirect_stdout(sys.stderr):
        module = _import(module_name)
        try:
            make = reduce(getattr, path.split("."), module)
        except AttributeError as error:
            raise CalculatorError(
                f"calculator {spec}: {path} must be found in the module {module_name}; {told(error)}"
            ) from error
        if not callable(make):
            raise CalculatorError(
                f"calculator {spec}: must be a class or function that makes a calculator; found a {type(make).__name__}"
            )
        try:
            calculator = make(**(arguments or {}))
        except Exception as error:  # whatever it does not like, a missing file or an unknown name
            given = ", ".join(f"{name}={value!r}" for name, value in (arguments or {}).items()) or "no arguments"
            raise CalculatorError(
                f"calculator {spec}: must accept its arguments; with {given} it raised {told(error)}"
            ) from error
    if not isinstance(calculator, BaseCalculator):
        raise CalculatorError(
            f"calculator {spec}: must make a calculator of ASE; it made a {type(calculator).__name__}"
        )
    return calculator


def parse_arguments(text: str) -> dict[str, Any]:
    """Keyword arguments of a calculator, of a JSON object such as '{"use_device": "cpu"}'.

    Raises
    ------
    CalculatorError
        Text that is no JSON, or no object.
    """
    try:
        arguments = json.loads(text)
    except json.JSONDecodeError as error:
        found = f"{text!r}, where {error.msg} at character {error.pos + 1}"
    else:
        if isinstance(arguments, dict):
            return arguments
        found = repr(text)
    raise CalculatorError(
        f'arguments of a calculator must be a JSON object, as in \'{{"use_device": "cpu"}}\'; found {found}'
    )


def packages_of(spec: str) -> dict[str, str]:
    """The installed packages that a calculator comes from, with their versions.

    Parameters
    ----------
    spec
        As for `load_calculator`.

    Returns
    -------
    versions
        Empty for a module that no package brought, such as a file of one's own.
    """
    top = spec.partition(":")[0].partition(".")[0]
    versions = {}
    for package in sorted(set(packages_distributions().get(top, ()))):
        with contextlib.suppress(PackageNotFoundError):  # an installation that is half removed
            versions[package] = version(package)
    return versions


def told(error: Exception) -> str:
    """Kind and message of an error of another program, in one line."""
    return textwrap.shorten(f"{type(error).__name__}: {error}", LONGEST_REASON, placeholder=" ...")


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:  # modules with compiled parts fail in many ways
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{name}.".startswith(f"{missing}."):
            raise CalculatorError(f"module {name} must be importable; found {told(error)}") from error
        package = name.partition(".")[0]
        if missing != package:
            advice = f"There is {package}: compare its version with the path of the module"
        elif package == "chgnet":
            raise MissingExtraError("the calculator CHGNet", "mlip") from error
        elif package in PACKAGES:
            advice = f"pip install {PACKAGES[package]}"
        else:
            advice = "Install it, or name its folder in PYTHONPATH"
        raise CalculatorError(f"module {name} must be installed; found no {missing}. {advice}") from error
