"""Knobs and params: hyper-parameters declared once, from which forms, flags, validation and tests derive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

Preset = Literal["tiny", "demo", "paper"]
Kind = Literal["bool", "int", "float", "text", "choice", "choices"]


def knob(
    default: Any, help: str, low: float | None = None, high: float | None = None, *,
    tiny: Any = None, paper: Any = None, unit: str = "", log: bool = False, fold: bool = False, brush: bool = False,
    picture: bool = False,
) -> Any:  # fmt: skip
    """One hyper-parameter, declared once beside the code it steers.

    default: its value in the `demo` preset. help: what it does, in words. low, high: inclusive range.
    tiny, paper: its value in those presets where it differs. unit: "px", "steps", ...
    log: sliders move by factors. fold: shown under "all settings", not in first sight. brush: text that one paints over
    the picture (see `engine.lenses.brush`). picture: text that names one (see `engine.data.pictures`).
    """
    extra = {"low": low, "high": high, "tiny": tiny, "paper": paper, "unit": unit, "log": log, "fold": fold,
             "brush": brush, "picture": picture}  # fmt: skip
    return Field(default, description=help, ge=low, le=high, json_schema_extra=extra, validate_default=True)


@dataclass(frozen=True)
class Knob:
    """A knob as a form or command line sees it. `choices` are the allowed words of the kinds choice and choices."""

    name: str
    kind: Kind
    default: Any
    help: str
    low: float | None
    high: float | None
    paper: Any
    unit: str
    log: bool
    fold: bool
    brush: bool
    picture: bool
    choices: tuple[str, ...] = ()


class KnobError(ValueError):
    """Params that cannot be. `problems`: (knob, sentence) pairs; the knob is "" for a rule across knobs."""

    def __init__(self, problems: Sequence[tuple[str, str]]):
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{name}: {says}" if name else says for name, says in problems))


class Params(BaseModel):
    """Frozen, typed, ranged knobs of a method or lens. A rule across knobs is a pydantic validator with a sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def make(cls, values: Mapping[str, Any], preset: Preset = "demo") -> Self:
        """The preset with `values` on top. KnobError: what is wrong, the value, and what is allowed."""
        named = {name: _extra(cls, name)[preset] for name in cls.model_fields if preset != "demo"}
        named = {name: value for name, value in named.items() if value is not None}
        try:
            return cls.model_validate(named | dict(values))
        except ValidationError as error:
            raise KnobError([_sentence(cls, problem) for problem in error.errors()]) from None

    @classmethod
    def knobs(cls) -> tuple[Knob, ...]:
        """The knobs in the order of their declaration."""
        found = []
        for name, info in cls.model_fields.items():
            kind, choices = _kind(cls, name, info.annotation)
            extra = _extra(cls, name)
            shown = {key: extra[key] for key in ("low", "high", "paper", "unit", "log", "fold", "brush", "picture")}
            found.append(Knob(name, kind, info.default, info.description or "", choices=choices, **shown))
        return tuple(found)

    @classmethod
    def up_to(cls, ends: Mapping[str, int]) -> type[Self]:
        """The same knobs, of which those named end there, if they went further; defaults are brought back with them."""
        lower: dict[str, Any] = {}
        for name, end in ends.items():
            info, extra = cls.model_fields[name], _extra(cls, name)
            if extra["high"] is None or end < extra["high"]:
                end = max(end, extra["low"])
                lower[name] = (
                    info.annotation,
                    knob(min(info.default, end), info.description or "", **extra | {"high": end}),
                )
        return create_model(cls.__name__, __base__=cls, **lower) if lower else cls


def _extra(cls: type[Params], name: str) -> dict[str, Any]:
    extra = cls.model_fields[name].json_schema_extra
    if not isinstance(extra, dict) or "tiny" not in extra:
        raise TypeError(f"{cls.__name__}.{name} must be declared with knob(...)")
    return extra


def _kind(cls: type[Params], name: str, annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    plain: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}
    if annotation in plain:
        return plain[annotation], ()
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation)
    inner = get_args(annotation)
    if get_origin(annotation) is tuple and len(inner) == 2 and get_origin(inner[0]) is Literal and inner[1] is ...:
        return "choices", get_args(inner[0])
    raise TypeError(f"{cls.__name__}.{name}: a knob is bool, int, float, str, Literal[...] or tuple[Literal[...], ...]")


def _sentence(cls: type[Params], problem: Any) -> tuple[str, str]:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    says = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return name, f"there is no such knob; there are {', '.join(cls.model_fields)}"
    if not name or problem["type"] == "value_error":
        return name, says
    if problem["type"] in ("greater_than_equal", "less_than_equal"):
        low, high = _extra(cls, name)["low"], _extra(cls, name)["high"]
        says = f"allowed is {low} to {high}" if None not in (low, high) else f"{says[0].lower()}{says[1:]}"
        return name, f"{problem['input']!r} is out of range; {says}"
    return name, f"{problem['input']!r} does not fit; {says[0].lower()}{says[1:]}"
