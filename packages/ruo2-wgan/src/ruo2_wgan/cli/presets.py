"""The command that lists the ready-made configurations."""

import json

import click


@click.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
def presets(name: str | None, as_json: bool) -> None:
    """List the ready-made configurations, or show one.

    A run is a preset, then --config FILE, then --set section.key=value; what none of them names keeps its default.

    \b
    ruo2-wgan presets                    what there is, of which section of the thesis, and when to take it
    ruo2-wgan presets recommended-2d     a file for --config, to change
    """
    from ruo2_wgan.presets import read_preset, read_presets

    chosen = [read_preset(name)] if name else read_presets()
    if as_json:
        table = {
            each.name: {"about": each.about, "thesis": each.thesis, "when": each.when, **each.tables} for each in chosen
        }
        click.echo(json.dumps(table))
    elif name:
        click.echo(chosen[0].text, nl=False)
    else:
        for each in chosen:
            click.echo(f"{each.name:<22}{each.about} ({each.thesis})\n{'':<22}take it {each.when}")
