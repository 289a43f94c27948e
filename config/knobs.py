"""One knob: a configuration value with its description, unit and bounds, declared once and read by everything else.

The table of all knobs, made from the schema, serves the environment rule (`LABEL_TP_PCT` is `label.tp_pct`), the
suggestions in error messages, `scripts/validate_config.py --show` and docs/configuration.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError

from config.errors import shown

_SQLITE = "sqlite:///"


def _anchor(path: Path, info: ValidationInfo) -> Path:
    """Make a relative path absolute when the validation was told the root to count from."""
    return (info.context["root"] / path).resolve() if info.context else path


def _anchor_url(text: str, info: ValidationInfo) -> str:
    """Do the same for a folder written as text and for an SQLite file; leave every other URL alone."""
    scheme = _SQLITE if text.startswith(_SQLITE) else ""
    rest = text.removeprefix(scheme)
    return text if "://" in rest else f"{scheme}{_anchor(Path(rest), info)}"


Anchored = Annotated[Path, AfterValidator(_anchor)]
AnchoredUrl = Annotated[str, AfterValidator(_anchor_url)]


class Section(BaseModel):
    """A part of app.yml: frozen, no unknown key, no infinite number, no `yes` where a number is wanted."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, hide_input_in_errors=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """YAML reads `yes` and `on` as true, which pydantic would take for the number 1."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and wanted in (int, float):
            raise PydanticKnownError("int_type" if wanted is int else "float_type")
        return value


@dataclass(frozen=True, slots=True)
class Knob:
    """One leaf of the configuration: its dotted key, its variable, and what may stand there."""

    key: str
    default: Any
    kind: str
    unit: str
    bounds: str
    description: str
    is_list: bool

    @property
    def variable(self) -> str:
        """The environment variable that overrides it: `label.tp_pct` is LABEL_TP_PCT."""
        return self.key.replace(".", "_").upper()


def knob(default: Any, description: str, unit: str = "", **bounds: Any) -> Any:
    """Declare a field of a Section; bounds are pydantic's (gt, ge, lt, le, min_length, pattern)."""
    return Field(default, description=description, json_schema_extra={"unit": unit}, **bounds)


def knobs_of(model: type[BaseModel], prefix: str = "") -> Iterator[Knob]:
    """Yield every leaf below a model in the order it is declared, sections walked through at any depth."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from knobs_of(field.annotation, f"{key}.")
        else:
            yield _knob(key, field)


def _knob(key: str, field: FieldInfo) -> Knob:
    extra = field.json_schema_extra
    unit = str(extra["unit"]) if isinstance(extra, dict) else ""
    return Knob(
        key=key,
        default=field.default,
        kind=_kind(field.annotation),
        unit=unit,
        bounds=", ".join(_bound(mark) for mark in field.metadata if _bound(mark)),
        description=field.description or "",
        is_list=get_origin(field.annotation) is tuple,
    )


def _kind(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0])
    if origin is Literal:
        return " or ".join(str(choice) for choice in inner)
    if origin is tuple:
        return f"list of {_kind(inner[0])}"
    if origin in (Union, UnionType):
        return " or ".join("empty" if part is NoneType else _kind(part) for part in inner)
    names = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    return names.get(annotation) or str(annotation.__name__).lower()


def _bound(mark: object) -> str:
    match mark:
        case annotated_types.Gt(gt=limit):
            return f"> {shown(limit)}"
        case annotated_types.Ge(ge=limit):
            return f">= {shown(limit)}"
        case annotated_types.Lt(lt=limit):
            return f"< {shown(limit)}"
        case annotated_types.Le(le=limit):
            return f"<= {shown(limit)}"
        case annotated_types.MinLen(min_length=limit):
            return f"at least {limit}"
    pattern = getattr(mark, "pattern", None)
    return f"matches {pattern}" if pattern else ""
