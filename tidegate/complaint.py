"""What went wrong, told on stderr: stdout is for answers, which programs may read."""

from rich.console import Console
from rich.markup import escape


def complain(text: str, title: str = "") -> None:
    """Print one line, red where the terminal has colours; `title` stands before it."""
    told = f"[red]{escape(title)}[/] {escape(text)}" if title else f"[red]{escape(text)}[/]"
    Console(stderr=True, highlight=False, soft_wrap=True).print(told)
