"""The verb that draws the dashboard's panels into a file."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def snapshot(
    prometheus: Annotated[
        str, typer.Option("--prometheus", help="Address of a Prometheus; without it one of our own looks for a while.")
    ] = "",
    last: Annotated[str, typer.Option("--last", help="With --prometheus: how far back: 90s, 15m, 2h, 1d.")] = "15m",
    watch: Annotated[str, typer.Option("--watch", help="Without it: for how long ours looks.")] = "30s",
    out: Annotated[Path | None, typer.Option("--out", help="The page; else snapshot.html below paths.var.")] = None,
    png: Annotated[Path | None, typer.Option("--png", help="Have Chromium draw the page into this file too.")] = None,
    redis_url: Annotated[str, typer.Option("--redis-url", help="Streams to look at, instead of redis.url.")] = "",
) -> None:
    """Draw every panel of the dashboard into one page that needs no Grafana and no network. Exit 1: nothing to draw."""
    from config.settings import load
    from tidegate.snapshot import Asked, run
    from tidegate.wording import length_of

    lengths = []
    for option, text in (("--last", last), ("--watch", watch)):
        try:
            lengths.append(length_of(text))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=option) from error
    settings = load()
    page = out or Path(settings.paths.var) / "snapshot.html"
    raise typer.Exit(run(settings, Asked(page, prometheus, lengths[0], lengths[1], redis_url, png)))
