"""What a model said of the same pictures a moment ago, kept while it is being looked at."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
MOST = 256 << 20
"""Bytes of tensors that are kept."""


class Recall:
    """The results of work by what it was done on, up to `most` bytes of tensors; the oldest are forgotten.

    A lens whose knobs only sort, cut or weigh what a model said (the first T samples, some of the views) asks the model
    once, and the hand follows at the speed of the sorting.
    """

    def __init__(self, most: int = MOST):
        self.most = most
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def __call__(self, work: Callable[[], T], *given: Any) -> T:
        """What `work()` gives; the kept result where it was done before on the same `given`.

        given: all that the result depends on besides the model, and a name of the work: tensors are told apart by
        their values, everything else by its repr. Random draws in `work` must come from a generator of its own.
        """
        key = digest(given)
        if key not in self._kept:
            result = work()
            self._kept[key] = result, sum(tensor.nbytes for tensor in tensors(result))
            while len(self._kept) > 1 and sum(size for _, size in self._kept.values()) > self.most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key][0]


def digest(given: tuple[Any, ...]) -> str:
    """Differs when a value differs, or a tensor's shape, type or one of its elements."""
    whole = hashlib.blake2b(digest_size=16)
    for value in given:
        if isinstance(value, Tensor):
            whole.update(repr((tuple(value.shape), value.dtype)).encode())
            whole.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        else:
            whole.update(repr(value).encode())
        whole.update(b"\n")
    return whole.hexdigest()


def tensors(result: Any) -> Iterator[Tensor]:
    """The tensors in a result: itself, or in its tuples, lists and dictionaries."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for one in result:
            yield from tensors(one)
    elif isinstance(result, dict):
        yield from tensors(tuple(result.values()))
