"""Many networks of one shape as one, whose every tensor has a first axis for them: one call asks them all."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state


class Stacked(nn.Module):
    """M networks of the same build; images (B, ...) for all, or (M, B, ...) for each its own -> outputs (M, B, ...).

    Each parameter and buffer of `net` is that of the M networks, stacked: an optimiser that works element by element
    (SGD, Adam) on them, and the sum of the networks' losses, trains each as if it were alone. Batch norm keeps the
    statistics of each; dropout draws other masks for each. The modes are those of `net`.
    """

    def __init__(self, nets: Sequence[nn.Module]):
        super().__init__()
        shapes = [{name: value.shape for name, value in net.state_dict().items()} for net in nets]
        if not nets or any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"nets: expected one network or more, all of one build, got {len(nets)} that differ")
        self.count, self.net = len(nets), copy.deepcopy(nets[0])
        parameters, buffers = stack_module_state(list(nets))
        for name, value in (parameters | buffers).items():
            owner, _, leaf = name.rpartition(".")
            held = nn.Parameter(value.detach()) if name in parameters else value
            setattr(self.net.get_submodule(owner), leaf, held)

    def forward(self, images: Tensor, own: bool = False) -> Tensor:
        """own: whether `images` begin with an axis for the networks."""

        def one(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], images: Tensor) -> Tensor:
            return functional_call(self.net, (dict(parameters), dict(buffers)), (images,))

        parameters, buffers = dict(self.net.named_parameters()), dict(self.net.named_buffers())
        ask = torch.vmap(one, in_dims=(0, 0, 0 if own else None), randomness="different")
        return ask(parameters, buffers, images)

    def member(self, place: int) -> nn.Module:
        """One of them as a network of its own, which shares nothing with this one."""
        alone = copy.deepcopy(self.net)
        for name, value in (*self.net.named_parameters(), *self.net.named_buffers()):
            owner, _, leaf = name.rpartition(".")
            part = value.detach()[place].clone()
            setattr(alone.get_submodule(owner), leaf, nn.Parameter(part) if isinstance(value, nn.Parameter) else part)
        return alone
