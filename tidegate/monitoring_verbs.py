"""The verbs about monitoring: the files that Prometheus, Alertmanager and Grafana read, and a rehearsal of alerts."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Alerts and dashboards: write their files, check them, see alerts fire.")

IntoOption = Annotated[Path | None, typer.Option("--into", help="Folder to use instead of deploy/.")]


@app.command()
def write(into: IntoOption = None) -> None:
    """Write rules, scrape targets, Alertmanager's and Grafana's files from the configuration."""
    from config.settings import load
    from tidegate import monitoring_files

    raise typer.Exit(monitoring_files.write(load(), into))


@app.command()
def check(into: IntoOption = None) -> None:
    """Exit 1 when the files are not what the configuration asks for. Changes nothing."""
    from config.settings import load
    from tidegate import monitoring_files

    raise typer.Exit(monitoring_files.check(load(), into))


@app.command()
def alerts(
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as docs/alerts.md has it.")] = False,
    names: Annotated[list[str] | None, typer.Argument(help="Alerts to see; none: all.")] = None,
) -> None:
    """See alerts fire and resolve on a Prometheus of their own, with planted values. Exit 1 when one does not."""
    from config.settings import load
    from tidegate.alert_rehearsal import run

    raise typer.Exit(run(load(), names or [], as_markdown=as_markdown))
