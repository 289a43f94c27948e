"""Write docs/configuration.md from the schema: `python -m config.reference > docs/configuration.md`."""

import sys

from config.errors import shown
from config.knobs import Knob
from config.settings import Settings, all_knobs

_HEAD = """# Configuration

Written by `python -m config.reference` from the schema in `config/sections.py`; a test fails when it is out of date.

`config/app.yml` holds the values. A key left out takes its default; an unknown one is an error that suggests the
nearest. Every key has a variable that overrides it: `label.tp_pct` is `LABEL_TP_PCT`, a list is separated by commas,
and an empty variable counts as unset. Relative paths start at the folder above the one that holds `app.yml`. Secrets
have no key. `python scripts/validate_config.py --show` prints each value in force and where it came from.
"""


def markdown() -> str:
    """Return the page: one table a section, one row a knob."""
    return "\n".join([_HEAD, *(_section(name) for name in Settings.model_fields)])


def _section(name: str) -> str:
    section = Settings.model_fields[name].annotation
    rows = [_row(each) for each in all_knobs() if each.key.startswith(f"{name}.")]
    head = "| key | default | unit | must be | what it does |\n|---|---|---|---|---|"
    return "\n".join([f"## {name}", "", section.__doc__ or "", "", head, *rows, ""])


def _row(each: Knob) -> str:
    must_be = ", ".join(part for part in (each.kind, each.bounds) if part)
    default = "empty" if each.default is None else f"`{shown(each.default)}`"
    return f"| `{each.key}` | {default} | {each.unit} | {must_be} | {each.description} |"


if __name__ == "__main__":
    sys.stdout.write(markdown())
