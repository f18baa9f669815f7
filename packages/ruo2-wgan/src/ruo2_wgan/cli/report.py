"""The command that writes the page of a run."""

import json

import click


@click.command()
@click.argument("run")
@click.option("--out", required=True, metavar="HTML", help="The page.")
@click.option("--overwrite", is_flag=True, help="Replace what stands at --out, once the page is complete.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout instead of text.")
def report(run: str, out: str, overwrite: bool, as_json: bool) -> None:
    """Tell in one page whether a run is any good.

    RUN is the folder of a run with the verdict.json of ruo2-wgan evaluate in it, or such a file alone, of any model's
    samples. The page is one file that needs no network: figures beside held-out structures and a broken control, atoms
    in space, nearest neighbours, distributions, and, of a run, its training.

    \b
    ruo2-wgan report run --out report.html
    ruo2-wgan report verdict.json --out report.html --overwrite
    """
    from ruo2_wgan.report import report_text, write_report

    summary = write_report(run, out, overwrite)
    click.echo(json.dumps(summary) if as_json else report_text(summary))
