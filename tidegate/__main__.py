"""python -m tidegate: the operator's command. Each verb imports what it needs when it is called."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tidegate import drill_verbs, monitoring_verbs, release_verbs, snapshot_verbs

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="An ML lifecycle platform for one live trading model."
)

app.add_typer(release_verbs.app)
app.add_typer(drill_verbs.app)
app.add_typer(snapshot_verbs.app)
app.add_typer(monitoring_verbs.app, name="monitoring")

SourceOption = Annotated[
    Path | None, typer.Option("--source", help="Folder of recorded market data; without it days are simulated.")
]


@app.command()
def demo(
    source: SourceOption = None,
    releases: Annotated[bool, typer.Option(help="Promote a good version and withdraw a bad one at the end.")] = True,
) -> None:
    """Run the main job end to end: market data, gap scan, model, parity, registry, paper trading, releases."""
    from tidegate.demo import run

    raise typer.Exit(run(source, with_releases=releases))


@app.command()
def up(
    source: SourceOption = None,
    dagster_port: Annotated[int, typer.Option(help="Port of the Dagster page.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow page.")] = 5000,
    live: Annotated[bool, typer.Option(help="Run the live services on paper beside the pages.")] = True,
) -> None:
    """Open the Dagster and MLflow pages and run the live services, on loopback, until Ctrl-C."""
    from tidegate.up import serve

    raise typer.Exit(serve(source, dagster_port, mlflow_port, live=live))


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    brief: Annotated[bool, typer.Option("--brief", help="Only what is not ok, and the count.")] = False,
    redis_url: Annotated[str, typer.Option("--redis-url", help="Streams to look at, instead of redis.url.")] = "",
) -> None:
    """Look at everything a run needs, and name what mends each trouble. Exit 1 when something must be mended."""
    from tidegate.doctor.visit import run

    raise typer.Exit(run(redis_url, as_json=as_json, brief=brief))


UrlOption = Annotated[str, typer.Option("--redis-url", help="Streams to look at, instead of redis.url.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Again every second, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    redis_url: UrlOption = "",
) -> None:
    """Show the live services: heartbeats, books, mode, models, queues. Exit 1 unless all that trades is ready."""
    from config.settings import load
    from tidegate.status import run

    raise typer.Exit(run(load(), redis_url, watch=watch, as_json=as_json))


@app.command()
def why(
    symbol: Annotated[str, typer.Argument(help="One of market.symbols.")],
    last: Annotated[str, typer.Option("--last", help="How far back: 90s, 10m, 2h, 1d.")] = "10m",
    as_json: JsonOption = False,
    redis_url: UrlOption = "",
) -> None:
    """Show what became of a symbol's candidates: scores, approvals, drops by gate, orders."""
    from config.settings import load
    from tidegate.why import run
    from tidegate.wording import length_of

    try:
        seconds = length_of(last)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--last") from error
    raise typer.Exit(run(load(), redis_url, symbol, seconds, as_json=as_json))


@app.command()
def tail(
    streams: Annotated[
        list[str] | None, typer.Argument(help="sig:approved, md:{BTCUSDT}:book, ...; none: all but md.")
    ] = None,
    count: Annotated[int, typer.Option("-n", help="Newest messages of each stream to begin with.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    redis_url: UrlOption = "",
) -> None:
    """Print messages of the streams, one line each."""
    from config.settings import load
    from tidegate.tail import run

    raise typer.Exit(run(load(), redis_url, streams or [], count, follow=follow, as_json=as_json))


@app.command()
def retrain(
    verify: Annotated[str, typer.Option("--verify", help="Version to make again: number, alias or model id.")],
    seed: Annotated[int | None, typer.Option(help="Another seed, to see that a difference is found.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a version again, three ways: the same model bit for bit, or the first tree that differs (exit 1)."""
    from tidegate.retrain import run

    raise typer.Exit(run(verify, seed, as_json=as_json))


def main() -> None:
    """Enter from the console script; a configuration that is refused ends every verb alike, with exit status 1."""
    from config.errors import SettingsError
    from tidegate.complaint import complain

    try:
        app(prog_name="tidegate")
    except SettingsError as error:
        complain(str(error))
        sys.exit(1)


if __name__ == "__main__":
    main()
