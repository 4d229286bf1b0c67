"""A device that cannot be waited for: images without values ("meta") can be computed with, but not looked at."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Watch(TorchDispatchMode):
    """Counts what is asked of torch, and notes copies to the device for which the host waits."""

    def __init__(self):
        super().__init__()
        self.calls, self.waits = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.calls += 1
        moves = function.overloadpacket is torch.ops.aten._to_copy and kwargs.get("device") == torch.device("meta")
        if moves and not kwargs.get("non_blocking"):
            self.waits.append(args)
        return function(*args, **kwargs)


@pytest.fixture
def watch():
    """Makes a new Watch: `with watch() as seen: ...`."""
    return Watch
