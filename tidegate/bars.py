"""Progress bars for the assets of a run."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Drawing

from pipelines.progress import Progress


class Bars(Progress):
    """Draws a bar for every asset that reports."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._drawing: Drawing | None = None
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def titled(self, title: str) -> Iterator[None]:
        """Print a stage's title and draw the bars of the assets that report inside the block."""
        self._console.print(f"[bold cyan]{title}[/]")
        columns = (
            SpinnerColumn(finished_text="[green]+"), TextColumn("{task.description:<14}"), BarColumn(bar_width=28),
            MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("[dim]{task.fields[detail]}"),
        )  # fmt: skip
        with Drawing(*columns, console=self._console) as self._drawing:
            yield
        self._drawing = None
        self._tasks.clear()

    def step(self, asset: str, done: int, total: int, detail: str = "") -> None:
        """Move the asset's bar to `done` of `total`; a second block of the same asset goes on where the first ended."""
        if self._drawing is None:
            return
        if asset not in self._tasks:
            self._tasks[asset] = self._drawing.add_task(asset, total=total, detail=detail)
        self._drawing.update(self._tasks[asset], completed=done, total=total, detail="" if done == total else detail)
