"""`ruo2-hopping summary`: what came of a search."""

import json

import click


@click.command()
@click.argument("file", metavar="FILE")
@click.option("--out", metavar="PICTURE", help="Draw the search, too: .png, .pdf or .svg. Needs the extra [pictures].")
@click.option("--minima", "minima_file", metavar="FILE.traj", help="Write the different minima, one frame for each.")
@click.option("--overwrite", is_flag=True, help="Replace what stands at --minima, once it is complete.")
@click.option("--oxygen-energy", type=float, metavar="eV", help="E_O of the grand potential.  [default: of FILE]")
@click.option("--unconverged", is_flag=True, help="Look for minima among relaxations that did not converge, too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
def summary(
    file: str,
    out: str | None,
    minima_file: str | None,
    overwrite: bool,
    oxygen_energy: float | None,
    unconverged: bool,
    as_json: bool,
) -> None:
    """Tell what came of a search: steps accepted, moves, the lowest structures, different minima.

    \b
    ruo2-hopping summary bh.traj --out bh.png
    ruo2-hopping summary bh.traj --minima minima.traj --json
    """
    from ruo2_hopping import terminal
    from ruo2_hopping.history_file import read_history
    from ruo2_hopping.minima import find_minima, write_minima
    from ruo2_hopping.summary import summarise_history

    history = read_history(file, oxygen_energy)
    minima = find_minima(history, unconverged=unconverged)
    if minima_file:
        write_minima(history, minima, minima_file, overwrite)
    if out:
        from ruo2_hopping.pictures import draw_search, save_figure

        save_figure(draw_search(history), out)
    result = summarise_history(history, minima)
    click.echo(json.dumps(result) if as_json else terminal.summary_text(result))
