"""The masked transformer against its definition with timm's blocks, and what must not leak."""

import pytest
import torch
from timm.models.vision_transformer import Block as TimmBlock
from timm.models.vision_transformer import VisionTransformer as TimmTransformer

from engine.nets.masked_vit import Decoder, MaskedViT
from engine.ops.patchify import Masking

IMAGES = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = MaskedViT(3, 32, 8, 48, 2, 4, Decoder(32, 2, 4))
    torch.nn.init.normal_(net.decoder_pred.bias)
    return net.eval()


def hide(net, kind="random", ratio=0.6, seed=0):
    return net.hide(len(IMAGES), ratio, kind, torch.Generator().manual_seed(seed))


def part(state, prefix):
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def test_parameters_are_named_as_in_the_released_weights(net):
    encoder = TimmTransformer(32, 8, 3, num_classes=0, embed_dim=48, depth=2, num_heads=4).state_dict()
    blocks = {f"decoder_{name}" for name in encoder if name.startswith("blocks.")}
    ends = {f"decoder_{name}.{kind}" for name in ("embed", "norm", "pred") for kind in ("weight", "bias")}
    assert set(net.state_dict()) == set(encoder) | blocks | ends | {"mask_token", "decoder_pos_embed"}


@torch.no_grad()
@pytest.mark.parametrize("width", [64, 768])
def test_released_weights_open_to_the_network_they_came_from(width):
    made = MaskedViT(3, 32, 8, width, 2, {64: 1, 768: 12}[width], Decoder(32, 3, 16)).eval()
    opened = MaskedViT.released(made.state_dict(), norm_pix=True).eval()
    assert (opened.size, opened.patch, opened.norm_pix) == (32, 8, True)
    hidden = hide(made)
    assert torch.equal(opened(IMAGES, hidden), made(IMAGES, hidden))


def test_released_weights_without_a_decoder_say_which_to_take(net):
    encoder = {name: value for name, value in net.state_dict().items() if not name.startswith("decoder")}
    with pytest.raises(ValueError, match="no decoder, so it paints nothing; of the releases take"):
        MaskedViT.released(encoder, norm_pix=False)


@torch.no_grad()
def test_the_painting_is_the_definition_image_by_image(net):
    hidden, state = hide(net), net.state_dict()
    encoder = TimmTransformer(32, 8, 3, num_classes=0, embed_dim=48, depth=2, num_heads=4).eval()
    encoder.load_state_dict({name: state[name] for name in encoder.state_dict()})
    blocks = [TimmBlock(32, 4, qkv_bias=True, norm_layer=torch.nn.LayerNorm).eval() for _ in range(2)]
    for number, block in enumerate(blocks):
        block.norm1.eps = block.norm2.eps = 1e-6
        block.load_state_dict(part(state, f"decoder_blocks.{number}."))
    painted = net(IMAGES, hidden)
    for image in range(len(IMAGES)):
        visible = [place for place in range(16) if hidden.mask[image, place] == 0]
        patches = encoder.patch_embed(net.normalise(IMAGES[image : image + 1])) + state["pos_embed"][:, 1:]
        tokens = torch.cat([state["cls_token"] + state["pos_embed"][:, :1], patches[:, visible]], dim=1)
        encoded = net.decoder_embed(encoder.norm(encoder.blocks(tokens)))
        rows = [encoded[:, 0]]
        for place in range(16):
            rows.append(encoded[:, 1 + visible.index(place)] if place in visible else state["mask_token"][:, 0])
        tokens = torch.stack(rows, dim=1) + state["decoder_pos_embed"]
        for block in blocks:
            tokens = block(tokens)
        expected = net.decoder_pred(net.decoder_norm(tokens))[0, 1:]
        torch.testing.assert_close(painted[image], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_hidden_pixels_do_not_leak(net):
    hidden = hide(net)
    other = torch.where(net.hole(hidden).bool(), 1 - IMAGES, IMAGES)
    assert torch.equal(net(IMAGES, hidden), net(other, hidden))
    assert not torch.equal(net.features(IMAGES), net.features(other))


@torch.no_grad()
def test_the_order_of_visible_patches_does_not_matter(net):
    hidden = hide(net)
    kept = hidden.ids_keep.shape[1]
    order = torch.randperm(kept, generator=torch.Generator().manual_seed(1))
    # Place p holds the token number ids_restore[p]; token t has moved to order.argsort()[t].
    moved = torch.cat([order.argsort(), torch.arange(kept, 16)])[hidden.ids_restore]
    shuffled = Masking(hidden.ids_keep[:, order], moved, hidden.mask)
    torch.testing.assert_close(net(IMAGES, shuffled), net(IMAGES, hidden), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("norm_pix", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_the_inverse_of_targets(channels, norm_pix):
    net = MaskedViT(channels, 32, 8, 16, 1, 2, Decoder(16, 1, 2), norm_pix)
    images = IMAGES[:, :channels]
    torch.testing.assert_close(net.pixels(net.targets(images), images), images, atol=1e-5, rtol=0)
    assert (net.pixels(100 * net.targets(images), images) <= 1).all()


def test_normalised_targets_are_each_patch_less_its_mean_over_its_deviation():
    net = MaskedViT(1, 32, 8, 16, 1, 2, Decoder(16, 1, 2), norm_pix=True)
    targets, units = net.targets(IMAGES[:, :1]), net.normalise(IMAGES[:, :1])
    for image in range(3):
        for place in range(16):
            top, left = 8 * (place // 4), 8 * (place % 4)
            patch = units[image, 0, top : top + 8, left : left + 8].flatten().double()
            expected = (patch - patch.mean()) / ((patch - patch.mean()).square().sum() / 63 + 1e-6).sqrt()
            torch.testing.assert_close(targets[image, place].double(), expected, atol=1e-5, rtol=0)


def test_statistics_of_seen_patches_stand_in_for_the_true_ones():
    net = MaskedViT(1, 32, 8, 16, 1, 2, Decoder(16, 1, 2), norm_pix=True)
    images, seen = IMAGES[:, :1], torch.zeros(3, 16)
    seen[:, 5] = 1
    drawn = net.pixels(torch.zeros(3, 16, 64), images, seen)
    expected = images[:, :, 8:16, 8:16].mean(dim=(2, 3), keepdim=True).expand_as(drawn)
    torch.testing.assert_close(drawn, expected, atol=1e-5, rtol=0)


def test_a_hole_covers_the_pixels_of_hidden_patches(net):
    hidden = hide(net, "block")
    hole = net.hole(hidden)
    for place in range(16):
        top, left = 8 * (place // 4), 8 * (place % 4)
        assert (hole[:, 0, top : top + 8, left : left + 8] == hidden.mask[:, place, None, None]).all()


@torch.no_grad()
def test_where_the_encoder_looks(net):
    hidden = hide(net)
    looks, asking = net.encoder_looks(IMAGES, hidden, 6)
    assert [tuple(look.shape) for look in looks] == [(3, 4, 16)] * 2
    for image in range(3):
        visible = (hidden.mask[image] == 0).nonzero()[:, 0].tolist()
        away = {place: (place // 4 - 1) ** 2 + (place % 4 - 2) ** 2 for place in visible}
        assert away[asking[image].item()] == min(away.values())
        for look in looks:
            assert (look[image][:, hidden.mask[image] == 1] == 0).all()
            assert (look[image][:, hidden.mask[image] == 0] > 0).all()
            assert (look[image].sum(dim=1) < 1).all()  # the rest goes to the class token
    nothing = net.hide(3, 0.0, "random", torch.Generator().manual_seed(0))
    looks, asking = net.encoder_looks(IMAGES, nothing, 6)
    assert asking.tolist() == [6] * 3
    for look, weights in zip(looks, net.attention(net.normalise(IMAGES)), strict=True):
        torch.testing.assert_close(look, weights[:, :, 7, 1:])


@torch.no_grad()
def test_where_the_decoder_looks(net):
    looks = net.decoder_looks(IMAGES, hide(net), 6)
    assert [tuple(look.shape) for look in looks] == [(3, 4, 16)] * 2
    assert all((look > 0).all() and (look.sum(dim=2) < 1).all() for look in looks)
