"""What is wrong with a configuration, said so that it can be mended without reading code.

SettingsError       one or more problems, each naming file or variable, key, value and bound
"""

import difflib
from collections.abc import Iterable, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitoring.masking import masked

# pydantic's error type -> what a value must be; {names} are filled from the error's own context.
_MUST_BE = {
    "greater_than": "> {gt}",
    "greater_than_equal": ">= {ge}",
    "less_than": "< {lt}",
    "less_than_equal": "<= {le}",
    "literal_error": "one of {expected}",
    "too_short": "a list of at least {min_length} values",
    "too_long": "a list of at most {max_length} values",
    "string_too_short": "a text of at least {min_length} characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "path_type": "a path",
    "tuple_type": "a list",
    "model_type": "a mapping of keys to values",
    "date_type": "a day such as 2026-01-06",
    "date_parsing": "a day such as 2026-01-06",
    "date_from_datetime_parsing": "a day such as 2026-01-06",
    "date_from_datetime_inexact": "a day such as 2026-01-06",
}


class SettingsError(Exception):
    """The configuration cannot be used; `problems` holds one sentence for each thing to mend."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def problems_in(error: ValidationError, where: Mapping[str, str], file: str, known: Iterable[str]) -> list[str]:
    """Turn pydantic's findings into sentences: `config/app.yml: label.tp_pct must be > 0, was -1`.

    where maps a dotted key to the file or variable its value came from, file serves for the keys it lacks; known are
    all sections and dotted keys, from which the nearest is suggested for one that does not exist.
    """
    names = tuple(known)
    sentences = []
    for finding in error.errors(include_url=False):
        # Pydantic counts only the elements that passed; those that did not have sentences of their own.
        if finding["type"] == "too_short" and len(finding["input"]) >= finding["ctx"]["min_length"]:
            continue
        key = ".".join(str(part) for part in finding["loc"])
        # A rule between several keys is found at its section; its sentence begins with the key that breaks it.
        sentence = str(finding["ctx"]["error"]) if finding["type"] == "value_error" else _sentence(key, finding, names)
        sentence = masked(sentence)
        place = sentence.split(" ", 1)[0]
        sentences.append(f"{where.get(place) or where.get(place.rpartition('.')[0]) or file}: {sentence}")
    return sentences


def nearest(wanted: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name most like the wanted one, or None when nothing comes close."""
    found = difflib.get_close_matches(wanted, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


def shown(value: object) -> str:
    """Write a value as it would stand in app.yml, addresses without user, password and token."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case int() | float():
            return str(value)
        case tuple() | list():
            return ", ".join(shown(part) for part in value) or "empty"
    return masked(str(value))


def _sentence(key: str, finding: ErrorDetails, known: tuple[str, ...]) -> str:
    if finding["type"] == "extra_forbidden":
        suggestion = nearest(key, known)
        return f"{key} is not a key" + (f"; did you mean {suggestion}?" if suggestion else "; remove it")
    must_be = _MUST_BE.get(finding["type"])
    found = f"'{finding['input']}'" if isinstance(finding["input"], str) else shown(finding["input"])
    if must_be is None:
        return f"{key} cannot be {found}: {finding['msg']}"
    limits = {name: limit if isinstance(limit, str) else shown(limit) for name, limit in finding.get("ctx", {}).items()}
    return f"{key} must be {must_be.format(**limits)}, was {found}"
