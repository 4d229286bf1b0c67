"""Command lines from params, both ways."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import field, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from engine.params import Params, Preset

if TYPE_CHECKING:
    from engine.bench import Setup


def parse(prog: str, arguments: Sequence[str], description: str, **parts: Any) -> Any:
    """Parse flags into an object with the given parts: name -> default (a Params gives its knobs as flags).

    Exits with code 2 and a sentence when a flag is wrong, as command lines do; KnobError when its value cannot be.
    """
    import tyro

    fields: list[Any] = []
    for name, default in parts.items():
        if isinstance(default, Params):
            plain = _plain(default)
            fields.append((name, plain, field(default=plain())))
        else:
            fields.append((name, Path | None if default is None else type(default), field(default=default)))
    shape = make_dataclass("Flags", fields, frozen=True)
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff)
    given: Any = tyro.cli(shape, prog=prog, args=list(arguments), description=description, config=config)
    made = {name: type(old).make(vars(getattr(given, name))) for name, old in parts.items() if isinstance(old, Params)}
    return replace(given, **made)


def _plain(params: Params) -> Any:
    """The knobs as a dataclass of plain types, so that all values reach `Params.make` and its sentences."""
    import tyro

    fields: list[Any] = []
    for knob in params.knobs():
        known = [knob.help]
        if knob.low is not None or knob.high is not None:
            low, high = ("" if bound is None else bound for bound in (knob.low, knob.high))
            known.append(f"{low}..{high} {knob.unit}".rstrip())
        if knob.paper is not None:
            known.append(f"paper: {knob.paper}")
        kind: Any = type(params).model_fields[knob.name].annotation
        told = tyro.conf.arg(help="; ".join(known))
        fields.append((knob.name, Annotated[kind, told], field(default=getattr(params, knob.name))))
    return make_dataclass(type(params).__name__, fields, frozen=True)


def take_preset(arguments: Sequence[str]) -> tuple[Preset, list[str]]:
    """The value of --preset (demo without one), and the other arguments. ValueError when there is no such preset."""
    rest, preset = list(arguments), "demo"
    for i, word in enumerate(rest):
        if word == "--preset" or word.startswith("--preset="):
            given = rest[i : i + 2] if word == "--preset" else word.split("=", 1)
            preset = given[1] if len(given) == 2 else ""
            del rest[i : i + (2 if word == "--preset" else 1)]
            break
    if preset not in get_args(Preset):
        raise ValueError(f"--preset {preset!r} cannot be; choose {', '.join(get_args(Preset))}")
    return preset, rest  # type: ignore[return-value]


def command(method: str, params: Params, setup: Setup, preset: Preset = "demo") -> str:
    """The shortest command line that starts this run."""
    words = ["visionarium", "train", method] + ([] if preset == "demo" else ["--preset", preset])
    usual = type(params).make({}, preset), type(setup)()
    return shlex.join([*words, *changed(params, usual[0]), *changed(setup, usual[1])])


def changed(given: Params, usual: Params) -> list[str]:
    """The flags that make `given` of `usual`."""
    words = []
    for name, value in given:
        if value != getattr(usual, name):
            words.append("--" + name.replace("_", "-"))
            words += [str(item) for item in value] if isinstance(value, tuple) else [str(value)]
    return words
