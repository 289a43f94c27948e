"""python -m tidegate: the operator's command. Each verb imports what it needs when it is called."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="An ML lifecycle platform for one live trading model."
)

SourceOption = Annotated[
    Path | None, typer.Option("--source", help="Folder of recorded market data; without it days are simulated.")
]


@app.command()
def demo(source: SourceOption = None) -> None:
    """Run the main job end to end: market data, gap scan, features, labels, model, ONNX, parity, card, registry."""
    from tidegate.demo import run

    raise typer.Exit(run(source))


@app.command()
def up(
    source: SourceOption = None,
    dagster_port: Annotated[int, typer.Option(help="Port of the Dagster page.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of the MLflow page.")] = 5000,
) -> None:
    """Open the Dagster and MLflow pages on loopback until Ctrl-C."""
    from tidegate.up import serve

    raise typer.Exit(serve(source, dagster_port, mlflow_port))


def main() -> None:
    """Enter from the console script."""
    app(prog_name="tidegate")


if __name__ == "__main__":
    main()
