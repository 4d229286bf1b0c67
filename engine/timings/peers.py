"""The same work twice: as our methods do it, and as lightly's examples do it, on the same weights and pictures.

lightly is needed to measure only, so it is loaded when asked for.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.functional import to_pil_image

from engine.augment.multicrop import by_size
from engine.bench import Bench
from engine.data.base import Facts
from engine.losses.contrastive import nt_xent
from engine.losses.swapped import swapped_prediction
from engine.methods.representation import mae, simclr, swav

Work = Callable[[], Tensor]
"""A step of training: returns its loss, before the step."""


@dataclass(frozen=True)
class Pair:
    what: str
    batch: int
    ours: Work
    peer: Work


@dataclass(frozen=True)
class Size:
    """backbone: by name; size: pixels of a side; batch: pictures a step; small: pixels of SwAV's small crops."""

    backbone: str
    size: int
    batch: int
    small: int


def lightly() -> Any:
    """The package; ValueError when it is not installed."""
    try:
        import lightly.loss
        import lightly.models.modules
        import lightly.transforms
    except ModuleNotFoundError:
        raise ValueError("lightly is not installed, so there is nothing to compare with: pip install lightly") from None
    return lightly


def colours(batch: int, size: int, device: torch.device) -> Tensor:
    """Smooth random pictures (batch, 3, size, size) in [0, 1]."""
    small = torch.rand(batch, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return F.interpolate(small, (size, size), mode="bilinear").to(device)


def contrast(batch: int, width: int, device: torch.device) -> Pair:
    """NT-Xent of (batch, width) twice, forward and backward."""
    one, two = torch.randn(2, batch, width, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    theirs = lightly().loss.NTXentLoss(0.2)

    def once(loss_of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        loss = loss_of(one.detach().requires_grad_(), two.detach().requires_grad_())
        loss.backward()
        return loss.detach()

    return Pair(f"NT-Xent, {width} numbers", batch, lambda: once(lambda z, w: nt_xent(z, w, 0.2)), lambda: once(theirs))


def optimisers(*models: nn.Module) -> list[torch.optim.SGD]:
    return [torch.optim.SGD(model.parameters(), 1e-3, 0.9, weight_decay=1e-4) for model in models]


def their_step(optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def simclr_steps(how: Size, bench: Bench) -> Iterator[Pair]:
    """A step of SimCLR on given views, and one that makes them: ours of the batch, theirs of one picture at a time."""
    params = simclr.SimCLRParams.make({"backbone": how.backbone, "size": how.size, "blur": 0.5, "batch": how.batch})
    model = simclr.SimCLR(params, Facts(3, how.size, ()))
    bench.attach(model)
    other = copy.deepcopy(model)
    images, pictures = given(how, bench)
    mine, theirs = optimisers(model.train(), other.train())
    theirs_loss = lightly().loss.NTXentLoss(params.temperature)
    transform = lightly().transforms.SimCLRTransform(
        how.size, cj_strength=params.strength, min_scale=params.crop, gaussian_blur=params.blur, normalize=None
    )

    def ours(views: list[Tensor]) -> Tensor:
        with bench.autocast():
            one, two = model(torch.cat(views)).float().chunk(2)
            loss = nt_xent(one, two, params.temperature)
            bench.step(mine, loss)
        return loss.detach()

    def peer(views: list[Tensor]) -> Tensor:
        with bench.autocast():
            one, two = (other(view) for view in views)
            loss = theirs_loss(one.float(), two.float())
        return their_step(theirs, loss)

    views = [model.view(images, bench.generator) for _ in range(2)]
    what = f"SimCLR, {how.backbone}, {how.size} px"
    yield Pair(f"{what}: step", how.batch, lambda: ours(views), lambda: peer(views))
    yield Pair(
        f"{what}: views and step", how.batch,
        lambda: ours([model.view(images, bench.generator) for _ in range(2)]),
        lambda: peer(stacked(transform, pictures, bench)),
    )  # fmt: skip


def swav_steps(how: Size, bench: Bench) -> Iterator[Pair]:
    """A step of SwAV with two large and two small crops, likewise."""
    params = swav.SwAVParams.make({
        "backbone": how.backbone, "size": how.size, "small_size": how.small, "batch": how.batch, "epsilon": 0.05,
    })  # fmt: skip
    model = swav.SwAV(params, Facts(3, how.size, ()))
    bench.attach(model)
    net, prototypes = copy.deepcopy(model), lightly().models.modules.SwaVPrototypes(params.dim, params.prototypes)
    prototypes.to(bench.device)
    with torch.no_grad():
        prototypes.heads[0].weight.copy_(model.prototypes)
        prototypes.heads[0].bias.zero_()
    images, pictures = given(how, bench)
    mine, theirs = optimisers(model.train(), nn.ModuleList([net.train(), prototypes]))
    theirs_loss, crops = lightly().loss.SwaVLoss(params.temperature, params.iterations, params.epsilon), model.crops
    transform = lightly().transforms.SwaVTransform(
        crop_sizes=(how.size, how.small), crop_counts=(2, params.small), cj_strength=params.strength,
        crop_min_scales=(params.crop, params.small_crop), crop_max_scales=(1.0, params.crop), gaussian_blur=0.0,
        normalize=None,
    )  # fmt: skip

    def ours(seen: list[Tensor]) -> Tensor:
        with bench.autocast():
            with torch.no_grad():
                model.prototypes.copy_(F.normalize(model.prototypes, dim=1))
            z = by_size(model.project, seen)
            codes = [model.codes(z[place], place, False) for place in range(2)]
            loss = swapped_prediction([model.scores(one) for one in z], codes, params.temperature)
            bench.step(mine, loss)
        return loss.detach()

    def peer(seen: list[Tensor]) -> Tensor:
        with bench.autocast():
            prototypes.normalize()
            scores = [prototypes(F.normalize(net.project(view), dim=1)).float() for view in seen]
            loss = theirs_loss(scores[:2], scores[2:])[0]
        return their_step(theirs, loss)

    seen = crops(images, bench.generator)
    what = f"SwAV, {how.backbone}, {how.size} px"
    yield Pair(f"{what}: step", how.batch, lambda: ours(seen), lambda: peer(seen))
    yield Pair(
        f"{what}: crops and step", how.batch,
        lambda: ours(crops(images, bench.generator)), lambda: peer(stacked(transform, pictures, bench)),
    )  # fmt: skip


def mae_step(knobs: dict[str, Any], bench: Bench, what: str, compiled: bool = False) -> Pair:
    """A step of the masked autoencoder on the same weights, pictures and hidden patches; timm's blocks for lightly."""
    params = mae.MAEParams.make(knobs)
    model = mae.MAE(params, Facts(3, params.size, ()))
    bench.attach(model)
    encoder, decoder = their_mae(model, bench.device)
    images = colours(params.batch, params.size, bench.device)
    hidden = model.hide(params.batch, params.ratio, "random", bench.generator)
    keep = torch.cat((torch.zeros_like(hidden.ids_keep[:, :1]), hidden.ids_keep + 1), dim=1)
    both = nn.ModuleList([encoder, decoder])
    mine, theirs = (
        torch.optim.AdamW([weight for weight in one.parameters() if weight.requires_grad], 1e-3, (0.9, 0.95))
        for one in (model, both)
    )

    def ours() -> Tensor:
        with bench.autocast():
            loss = mae.masked_loss(model(images, hidden), model.targets(images), hidden.mask)
            bench.step(mine, loss)
        return loss.detach()

    def paint(seen: Tensor) -> Tensor:
        tokens = decoder.embed(encoder.encode(seen, idx_keep=keep))
        masks = decoder.mask_token.to(tokens.dtype).expand(len(seen), hidden.mask.shape[1] - keep.shape[1] + 1, -1)
        patches = torch.cat((tokens[:, 1:], masks), dim=1)
        patches = patches.gather(1, hidden.ids_restore[:, :, None].expand_as(patches))
        return decoder.predict(decoder.decode(torch.cat((tokens[:, :1], patches), dim=1)))[:, 1:].float()

    if compiled:
        model.compile()
        paint = torch.compile(paint)

    def peer() -> Tensor:
        with bench.autocast():
            loss = mae.masked_loss(paint(model.normalise(images)), model.targets(images), hidden.mask)
        return their_step(theirs, loss)

    return Pair(what, params.batch, ours, peer)


def their_mae(model: mae.MAE, device: torch.device) -> tuple[Any, Any]:
    """lightly's encoder (timm's ViT) and decoder with the weights of `model`, whose names are the release's too."""
    from timm.models.vision_transformer import VisionTransformer

    p, modules = model.params, lightly().models.modules
    vit = VisionTransformer(
        img_size=p.size, patch_size=p.patch, embed_dim=p.width, depth=p.depth, num_heads=p.heads, num_classes=0,
    )  # fmt: skip
    encoder = modules.MaskedVisionTransformerTIMM(vit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its successor in lightly 1.7 has the same blocks
        decoder = modules.MAEDecoderTIMM(
            (p.size // p.patch) ** 2, p.patch, embed_dim=p.width, decoder_embed_dim=p.decoder_width,
            decoder_depth=p.decoder_depth, decoder_num_heads=p.decoder_heads,
        )  # fmt: skip
    ours = model.state_dict()
    for part in (vit, decoder):
        part.load_state_dict({name: ours[name].reshape(value.shape) for name, value in part.state_dict().items()})
    return encoder.to(device), decoder.to(device)


def given(how: Size, bench: Bench) -> tuple[Tensor, list[Any]]:
    """The pictures of a batch as our views take them, and as lightly's transforms do."""
    images = colours(how.batch, how.size, bench.device)
    return images, [to_pil_image(image) for image in images.cpu()]


def stacked(transform: Callable[[Any], list[Tensor]], pictures: list[Any], bench: Bench) -> list[Tensor]:
    """The views of all pictures, made one picture at a time on the CPU, on the device as a batch a view."""
    return [torch.stack(view).to(bench.device) for view in zip(*map(transform, pictures), strict=True)]
