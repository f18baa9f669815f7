"""`ruo2-hopping calibrate`: the energy of oxygen that suits a calculator."""

import json
from typing import TYPE_CHECKING, Any

import click

from ruo2_hopping.cli.options import JsonObject

if TYPE_CHECKING:
    from ruo2_hopping.calibration import Calibration


@click.command()
@click.option(
    "--calculator",
    "spec",
    required=True,
    metavar="MODULE:CALLABLE",
    help="What makes a calculator of ASE, as in chgnet.model.dynamics:CHGNetCalculator.",
)
@click.option("--calculator-args", type=JsonObject(), default="{}", help="Its keyword arguments, a JSON object.")
@click.option(
    "--formation-enthalpy",
    type=float,
    default=-3.16,
    metavar="eV",
    help="Of RuO2 from Ru and O2, per formula unit, to give back.",
)
@click.option(
    "--fmax", type=click.FloatRange(min=0, min_open=True), default=0.01, metavar="eV/Å", help="Where relaxations end."
)
@click.option("--steps", type=click.IntRange(min=1), default=500, help="Each relaxation may take.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
def calibrate(
    spec: str, calculator_args: dict[str, Any], formation_enthalpy: float, fmax: float, steps: int, as_json: bool
) -> None:
    """Find the energy of oxygen that a run with some calculator should refer to.

    Many potentials that were fitted to solids are poor at the O2 molecule, and grand potentials that refer to it favour
    too much or too little oxygen. Here RuO2, Ru and O2 are relaxed, and oxygen gets the energy with which RuO2 has its
    measured formation enthalpy.

    \b
    ruo2-hopping calibrate --calculator chgnet.model.dynamics:CHGNetCalculator
    ruo2-hopping calibrate --calculator mace.calculators:MACECalculator --calculator-args '{"model_paths": "own.model"}'
    """
    from ruo2_hopping.calculators import load_calculator, packages_of
    from ruo2_hopping.calibration import calibrate as run

    calculator = load_calculator(spec, calculator_args)
    found = run(calculator, formation_enthalpy, fmax, steps)
    click.echo(
        json.dumps(_record(spec, packages_of(spec), found)) if as_json else _text(spec, packages_of(spec), found)
    )


def _record(spec: str, versions: dict[str, str], found: "Calibration") -> dict[str, Any]:
    return {
        "calculator": spec,
        "versions": versions,
        "oxide_energy_ev": found.oxide_energy,
        "oxide_lattice_angstrom": found.oxide_lattice,
        "oxide_position": found.oxide_position,
        "metal_energy_ev": found.metal_energy,
        "metal_lattice_angstrom": found.metal_lattice,
        "molecule_energy_ev": found.molecule_energy,
        "bond_angstrom": found.bond,
        "plain_formation_enthalpy_ev": found.plain_formation_enthalpy,
        "formation_enthalpy_ev": found.formation_enthalpy,
        "oxygen_energy_ev": found.oxygen_energy,
    }


def _text(spec: str, versions: dict[str, str], found: "Calibration") -> str:
    """Of a calibration, for people."""
    installed = ", ".join(f"{name} {version}" for name, version in versions.items())
    (a, c), u = found.oxide_lattice, found.oxide_position
    metal_a, metal_c = found.metal_lattice
    if found.molecule_energy is None or found.bond is None or found.plain_formation_enthalpy is None:
        molecule, plain, relation = "  none: O2 is not bound", "  none without O2", ""
    else:
        molecule = f"{found.molecule_energy:10.4f} eV per atom          bond {found.bond:.3f} Å (measured 1.208)"
        plain = f"{found.plain_formation_enthalpy:10.4f} eV per formula unit with this O2"
        gap = found.oxygen_energy - found.molecule_energy
        relation = f", {abs(gap):.4f} {'below' if gap < 0 else 'above'} half of this O2"
    return "\n".join(
        [
            f"{spec}{f' ({installed})' if installed else ''}",
            f"  RuO2, rutile {found.oxide_energy:10.4f} eV per formula unit  a {a:.3f}, c {c:.3f} Å, u {u:.4f}"
            " (measured 4.492, 3.107, 0.306)",
            f"  Ru, hcp      {found.metal_energy:10.4f} eV per atom          a {metal_a:.3f}, c {metal_c:.3f} Å"
            " (measured 2.706, 4.282)",
            f"  O2, half     {molecule}",
            f"  formation    {plain} (to give back: {found.formation_enthalpy:.4f})",
            f"  oxygen       {found.oxygen_energy:10.4f} eV per atom, with which it is that{relation}",
            f"Refer to it in a run: --oxygen-energy {found.oxygen_energy:.4f}",
        ]
    )
