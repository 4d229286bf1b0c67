from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from engine.data.scenes import PRESETS, Scenes, affine, motion
from engine.data.scenes.annotate import amodal
from engine.data.scenes.parameters import layout, uniforms
from engine.data.scenes.render import LIGHT, RELIEF, normals, sample


def slow(dataset, index):
    """The scenes drawn one by one, each object over the whole image, far to near: images without noise, instances."""
    preset, stage = dataset.preset, dataset._stage
    drawn = layout(preset, uniforms(preset, dataset.seed, dataset.split, index.tolist()))
    size = preset.size
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    pixels = torch.stack((x, y, torch.ones_like(x)), -1).double()
    images, instances = [], []
    for b in range(len(index)):
        at = (pixels @ drawn.view[b].T).float()[None]
        count = len(stage.photos)
        photo = int(drawn.photo[b] * count)
        image = float(drawn.gain[b]) * F.grid_sample(
            stage.photos[photo, None].float() / 255, at, padding_mode="reflection", align_corners=False
        )
        if preset.ground:
            other = (photo + 2 + int(drawn.ground[b] * (count - 3))) % count
            ground = y > drawn.horizon[b] + drawn.slope[b] * (x - size / 2)
            below = F.grid_sample(
                stage.photos[other, None].float() / 255, at, padding_mode="reflection", align_corners=False
            )
            image = torch.where(ground, float(drawn.ground_gain[b]) * below, image)
        numbers = torch.zeros(size, size, dtype=torch.int64)
        for n in range(int(drawn.active[b].sum())):
            pose = torch.cat((drawn.pose[b, n], torch.tensor([[0, 0, 1.0]]).double()))
            grid = (pixels @ torch.linalg.inv(pose)[:2].T).float()[None]
            bank = stage.bank
            which = int(bank.pick(drawn.kind[b, n, None], drawn.member[b, n, None]))
            planes = bank.alpha[which], bank.height[which]
            alpha, height = F.grid_sample(torch.stack(planes)[None], grid, align_corners=False)[0]
            tint = drawn.tint[b, n].float()[:, None, None]
            if bank.colours is None:
                texture = stage.textures[int(drawn.texture[b, n] * 256)]
                colour = F.grid_sample(texture[None], grid, align_corners=False)[0]
                colour = preset.texture * colour * (0.5 + tint) + (1 - preset.texture) * tint
            else:
                colour = F.grid_sample(bank.colours[which, None], grid, align_corners=False)[0]
                colour = colour * tint if bank.tinted else colour
            slope = F.pad(height, (1, 1, 1, 1))
            steep = RELIEF * float(drawn.extent[b, n])
            across = steep * (slope[1:-1, 2:] - slope[1:-1, :-2]) / 2
            down = steep * (slope[2:, 1:-1] - slope[:-2, 1:-1]) / 2
            facing = (-LIGHT[0] * across - LIGHT[1] * down + LIGHT[2]) / (across**2 + down**2 + 1).sqrt()
            colour = colour * (1 - bank.shade + bank.shade * facing.clamp(min=0) / LIGHT[2])
            image = image + alpha * (colour - image)
            numbers[alpha >= 0.5] = n + 1
        images.append(image[0].clamp(0, 1))
        instances.append(numbers)
    return torch.stack(images), torch.stack(instances)


@pytest.mark.parametrize("bank", ["emoji", "shapes", "sprites"])
@pytest.mark.parametrize("preset", ["scene64h", "scene96"])
def test_patches_paint_what_whole_images_would(preset, bank):
    dataset = Scenes(replace(PRESETS[preset], noise=0.0), bank=bank)
    index = torch.arange(4)
    fast = dataset.render(index)
    images, instances = slow(dataset, index)
    # A pixel whose alpha is 0.5 to the last bit may fall to either side, and shading differs at the image's border,
    # where the slow drawing sees no height beyond it.
    assert (fast.instances != instances).float().mean() < 1e-4
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    torch.testing.assert_close(fast.images[inner], images[inner], atol=2e-4, rtol=0)


@pytest.mark.parametrize("preset", ["scene64", "scene96", "scene32b"])
@pytest.mark.parametrize("bank", ["emoji", "shapes"])
def test_a_scene_does_not_depend_on_its_batch(preset, bank):
    dataset = Scenes(preset, bank=bank)
    alone, within = dataset.batch(torch.tensor([7])), dataset.batch(torch.tensor([3, 30, 7, 1, *range(40, 60)]))
    for name in ("images", "semantic", "instances", "depth"):
        assert torch.equal(getattr(alone, name)[0], getattr(within, name)[2]), name
    for name in ("boxes", "box_labels", "box_ignore", "amodal"):
        assert torch.equal(getattr(alone, name)[0], getattr(within, name)[2]), name
    assert torch.equal(dataset.render(torch.tensor([7])).images[0], dataset.render(torch.tensor([3, 30, 7])).images[2])


def test_the_same_seed_gives_the_same_scenes_and_another_does_not():
    index = torch.arange(6)
    once, again, other = (Scenes("scene64", seed=seed).batch(index).images for seed in (5, 5, 6))
    assert torch.equal(once, again)
    assert (once != other).float().mean() > 0.5


@pytest.mark.parametrize("preset", [*PRESETS])
def test_no_object_touches_the_border_of_its_patch(preset):
    for bank in ("emoji", "shapes", "sprites"):
        dataset = Scenes(replace(PRESETS[preset], free_rotation=True), bank=bank)
        drawn = dataset._layout(range(24 if dataset.preset.size < 200 else 1))
        solid = sample(dataset._stage, drawn, drawn.pose, dataset.preset.patch()).alpha >= 0.5
        assert not torch.stack((solid[:, 0], solid[:, -1], solid[:, :, 0], solid[:, :, -1])).any()
        assert solid.flatten(1).any(1).all()


def test_objects_that_grow_and_move_stay_in_their_patches():
    dataset = Scenes("flow64", bank="shapes")
    drawn = dataset._layout(range(100))
    # The largest growth and shift a step can have.
    drawn = replace(drawn, move=torch.ones_like(drawn.move), camera=torch.ones_like(drawn.camera))
    moves = motion.step(dataset.preset, drawn, drawn.pose)
    poses = affine.compose(moves.objects, drawn.pose)
    solid = sample(dataset._stage, drawn, poses, dataset.preset.patch(motion.GROWTH)).alpha >= 0.5
    assert not torch.stack((solid[:, 0], solid[:, -1], solid[:, :, 0], solid[:, :, -1])).any()


def test_what_is_seen_is_part_of_the_whole_and_what_is_hidden_lies_behind_a_nearer_object(scenes96):
    _, scenes, _ = scenes96
    hidden = 0
    for mask, scene, rank in zip(amodal(scenes), scenes.layers.scene, scenes.layers.rank, strict=True):
        numbers = scenes.instances[scene]
        seen = numbers == rank + 1
        assert not (seen & ~mask).any()
        assert (numbers[mask & ~seen] > rank + 1).all()
        hidden += int((mask & ~seen).sum())
    assert hidden > 100


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noise_has_its_standard_deviation_and_no_mean(noise):
    preset = PRESETS["scene64"]
    index = torch.arange(20)
    clean, noisy = (Scenes(replace(preset, noise=value)).render(index).images for value in (0.0, noise))
    # Where clamping cannot have cut the noise.
    middle = (clean > 0.3) & (clean < 0.7)
    difference = (noisy - clean)[middle]
    assert difference.std() == pytest.approx(noise, rel=0.02)
    assert abs(difference.mean()) < 0.02 * noise


def test_noise_differs_between_scenes():
    dataset = Scenes("scene32b")
    one, two = dataset._noise([0, 1], 0)
    assert abs((one * two).mean()) < 0.1 * dataset.preset.noise**2


def test_every_pose_of_the_horizon_shows_ground_below_it():
    dataset = Scenes("scene64s")
    scenes = dataset.render(torch.arange(30))
    assert not scenes.ground[:, 0].any()
    # Once a column is ground it stays ground to the bottom.
    assert (scenes.ground[:, 1:] >= scenes.ground[:, :-1]).all()
    assert 0.15 < scenes.ground.float().mean() < 0.4
    assert not Scenes("scene64").render(torch.arange(30)).ground.any()


def test_normals_of_a_paraboloid_are_its_closed_form():
    at = torch.arange(41, dtype=torch.float64) - 20
    height = 1 - (at[:, None] ** 2 + at**2) / 800
    normal = normals(height[None], torch.tensor([30.0], dtype=torch.float64))[0]
    # dh/dx = -x / 400, and central differences of a parabola are exact.
    steep = RELIEF * 30 / 400
    expected = torch.stack((steep * at.expand(41, 41), steep * at[:, None].expand(41, 41), torch.ones(41, 41).double()))
    expected = expected / expected.norm(dim=0)
    torch.testing.assert_close(normal[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1])


@pytest.mark.parametrize("preset", ["scene64s", "scene96"])
def test_no_scenes_at_all_give_empty_tensors_of_the_right_rank(preset):
    dataset = Scenes(preset)
    size = dataset.preset.size
    batch = dataset.batch(torch.empty(0, dtype=torch.int64))
    assert batch.images.shape == (0, 3, size, size)
    assert batch.images.dtype == torch.uint8
    assert batch.semantic.shape == batch.instances.shape == batch.depth.shape == (0, size, size)
    assert len(batch.boxes) == len(batch.box_labels) == len(batch.box_ignore) == len(batch.amodal) == 0
    pair = dataset.pair(torch.empty(0, dtype=torch.int64))
    assert pair.first.flow.shape == pair.backward.shape == (0, 2, size, size)
    assert pair.occluded.shape == (0, size, size)


def test_scenes_without_objects_are_legal():
    dataset = Scenes(replace(PRESETS["scene64"], fewest=0))
    bare = (~dataset.render(torch.arange(40)).layout.active.any(1)).nonzero()[:, 0]
    assert len(bare)
    batch = dataset.batch(bare)
    assert all(boxes.shape == (0, 4) for boxes in batch.boxes)
    assert all(masks.shape == (0, 64, 64) for masks in batch.amodal)
    assert not batch.instances.any()
    assert not batch.semantic.any()
