"""Types of options that several commands share."""

from typing import Any

import click


class JsonObject(click.ParamType[dict[str, Any]]):
    """Keyword arguments as JSON."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        from ruo2_hopping.calculators import parse_arguments
        from ruo2_hopping.errors import CalculatorError

        if isinstance(value, dict):
            return value
        try:
            return parse_arguments(str(value))
        except CalculatorError as error:
            self.fail(str(error), param, ctx)


class OxygenEnergy(click.ParamType[float | str]):
    """A number or auto."""

    name = "eV|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if value == "auto":
            return "auto"
        try:
            return float(value)
        except ValueError:
            self.fail(f"must be an energy in eV per atom, or auto; found {value!r}", param, ctx)
