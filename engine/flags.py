"""Command lines from params, both ways."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from engine.params import Params, Preset

if TYPE_CHECKING:
    from engine.bench import Setup


def parse(prog: str, arguments: Sequence[str], description: str, **parts: Any) -> Any:
    """Parse flags into an object with the given parts: name -> default (a Params gives its knobs as flags).

    Exits with code 2 and a sentence when a flag is wrong, as command lines do.
    """
    import tyro

    fields: list[Any] = []
    for name, default in parts.items():
        plain = type(default) if isinstance(default, Params) else Path | None if default is None else type(default)
        fields.append((name, Annotated[plain, tyro.conf.arg(prefix_name=False)], field(default=default)))
    shape = make_dataclass("Flags", fields, frozen=True)
    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagConversionOff)
    return tyro.cli(shape, prog=prog, args=list(arguments), description=description, config=config)


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
    for given, usual in ((params, type(params).make({}, preset)), (setup, type(setup)())):
        for name, value in given:
            if value != getattr(usual, name):
                words.append("--" + name.replace("_", "-"))
                words += [str(item) for item in value] if isinstance(value, tuple) else [str(value)]
    return shlex.join(words)
