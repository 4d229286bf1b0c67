"""A checkpoint is one safetensors file: the weights, and what training needs to go on. Written atomically.

Tensors lie under "model/" and "state/"; the rest of the state, the params and the facts are JSON in the file's header,
and so are checksums: what a disk has spoilt must not pass for weights. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from engine.data.base import Facts
from engine.files import replace_file

FORMAT = "visionarium-1"


class CheckpointError(ValueError):
    """A file that cannot be opened as a checkpoint; the text names the file and says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """method: "<wing>.<name>". params: plain knob values. step: optimiser steps done. state: see `Bench.state`."""

    method: str
    params: Mapping[str, Any]
    facts: Facts
    step: int
    weights: Mapping[str, Tensor]
    state: Any = field(default=None, repr=False)


def pack(tree: Any, tensors: dict[str, Tensor]) -> Any:
    """`tree` (dicts, lists, tuples, numbers, strings, None, tensors) as JSON; its tensors are added to `tensors`."""
    if isinstance(tree, Tensor):
        name = f"{len(tensors):05d}"
        tensors[name] = tree.detach().cpu().contiguous()
        return {"tensor": name}
    if isinstance(tree, Mapping):
        return {"dict": [[pack(key, tensors), pack(value, tensors)] for key, value in tree.items()]}
    if isinstance(tree, (list, tuple)):
        kind = "list" if isinstance(tree, list) else "tuple"
        return {kind: [pack(value, tensors) for value in tree]}
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"a checkpoint holds tensors, numbers, strings, lists, tuples and dicts, not {type(tree).__name__}")


def unpack(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `pack`."""
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "dict":
        return {unpack(key, tensors): unpack(item, tensors) for key, item in value}
    return (list if kind == "list" else tuple)(unpack(item, tensors) for item in value)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path` atomically. OSError when the disk refuses (the old file stays)."""
    state_tensors: dict[str, Tensor] = {}
    state = pack(checkpoint.state, state_tensors)
    tensors = {f"model/{name}": value.detach().cpu().contiguous().clone() for name, value in checkpoint.weights.items()}
    tensors |= {f"state/{name}": value.clone() for name, value in state_tensors.items()}
    header = {
        "format": FORMAT,
        "method": checkpoint.method,
        "params": json.dumps(dict(checkpoint.params)),
        "facts": json.dumps(vars(checkpoint.facts)),
        "step": str(checkpoint.step),
        "state": json.dumps(state),
    }
    sums = {part: checksum({}, tensors, part) for part in ("model/", "state/")} | {"header": checksum(header)}
    replace_file(path, save(tensors, metadata=header | {"sums": json.dumps(sums)}))


def checksum(words: Mapping[str, str], tensors: Mapping[str, Tensor] | None = None, part: str = "") -> int:
    """CRC-32 of named words, then of the tensors whose names begin with `part`, each in the order of their names."""
    found = 0
    for name in sorted(words):
        found = zlib.crc32(f"{name}={words[name]}".encode(), found)
    for name in sorted(name for name in tensors or {} if name.startswith(part)):
        content = tensors[name].reshape(-1).view(torch.uint8).numpy().data  # type: ignore[index]
        found = zlib.crc32(content, zlib.crc32(name.encode(), found))
    return found


def read_checkpoint(path: Path, *, with_state: bool = False) -> Checkpoint:
    """Open a checkpoint on the CPU. CheckpointError when the file is missing, torn or not one of ours."""
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise CheckpointError(f"{path} is a safetensors file but no run's checkpoint: it has no method in it")
            wanted = file.keys() if with_state else [key for key in file.keys() if key.startswith("model/")]  # noqa: SIM118
            tensors = {key: file.get_tensor(key) for key in wanted}
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint at {path}") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} cannot be opened as a checkpoint ({error}); use an earlier one") from None
    try:
        return _read(header, tensors, with_state)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged ({error}); use an earlier one") from None


def _read(header: dict[str, str], tensors: Mapping[str, Tensor], with_state: bool) -> Checkpoint:
    """A checkpoint from what stands in its file. ValueError and others when that is not what was written."""
    if "sums" in header:  # the first version wrote none
        sums = json.loads(header.pop("sums"))
        for part, found in (
            ("header", checksum(header)),
            ("model/", checksum({}, tensors, "model/")),
            ("state/", checksum({}, tensors, "state/") if with_state else sums["state/"]),
        ):
            if sums[part] != found:
                raise ValueError(f"the checksum of its {part.rstrip('/')} is wrong")
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "state": {}}
    for key, value in tensors.items():
        part, _, name = key.partition("/")
        parts[part][name] = value
    facts = json.loads(header["facts"])
    return Checkpoint(
        method=header["method"],
        params=json.loads(header["params"]),
        facts=Facts(facts["channels"], facts["size"], tuple(facts["classes"])),
        step=int(header["step"]),
        weights=parts["model"],
        state=unpack(json.loads(header["state"]), parts["state"]) if with_state else None,
    )


def random_state() -> dict[str, Any]:
    """torch's default random states."""
    return {"cpu": torch.get_rng_state(), "cuda": list(torch.cuda.get_rng_state_all())}


def set_random_state(state: Mapping[str, Any]) -> None:
    """The inverse of `random_state`; states of devices that are not here are left out."""
    torch.set_rng_state(state["cpu"])
    if len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
