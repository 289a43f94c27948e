"""The verbs about the runbook: its steps with the numbers of now, and the drills that prove it."""

from typing import Annotated

import typer

app = typer.Typer()

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def runbook(
    section: Annotated[str, typer.Argument(help="A section: precision-halt, or the beginning of its name.")],
    as_json: JsonOption = False,
    redis_url: Annotated[str, typer.Option("--redis-url", help="Streams to look at, instead of redis.url.")] = "",
) -> None:
    """Print a section of docs/runbook.md with the numbers of now. Changes nothing. Exit 1 when no service runs."""
    from config.settings import load
    from tidegate.diagnosis import run

    raise typer.Exit(run(load(), section, redis_url, as_json=as_json))


@app.command()
def drill(
    name: Annotated[str, typer.Argument(help="A drill's name, list, or all.")],
    as_json: Annotated[bool, typer.Option("--json", help="list: print JSON.")] = False,
) -> None:
    """Cause a trouble for real in a stack of its own, and prove what docs/runbook.md says. Exit 1 when it fails."""
    from tidegate.drills.catalog import DRILLS
    from tidegate.drills.running import run, show

    raise typer.Exit(show(as_json=as_json) if name == "list" else run(list(DRILLS) if name == "all" else [name]))
