from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from engine.data.scenes import PRESETS, Scenes, affine, motion
from engine.data.scenes.render import background


@pytest.fixture(scope="module")
def flow64():
    dataset = Scenes("flow64")
    return dataset, dataset.pair(torch.arange(48))


def pixels(size):
    y, x = torch.meshgrid(torch.arange(size) + 0.5, torch.arange(size) + 0.5, indexing="ij")
    return torch.stack((x, y))


def warped(images, flow):
    """I(p + F(p)), bilinear."""
    at = (pixels(images.shape[-1]) + flow).permute(0, 2, 3, 1) * 2 / images.shape[-1] - 1
    return F.grid_sample(images, at, align_corners=False)


def moved(dataset, moves):
    drawn = dataset._layout([0, 1, 2])
    drawn = replace(drawn, move=moves[0].expand_as(drawn.move), camera=moves[1].expand_as(drawn.camera))
    return drawn, motion.step(dataset.preset, drawn, drawn.pose)


def test_numbers_in_the_middle_mean_no_motion():
    dataset = Scenes("flow64")
    _, moves = moved(dataset, torch.full((2, 4), 0.5).double())
    still = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).double()
    torch.testing.assert_close(moves.objects, still.expand_as(moves.objects))
    torch.testing.assert_close(moves.camera, still.expand_as(moves.camera))


def test_an_object_moves_turns_and_grows_about_its_own_centre():
    dataset = Scenes("flow64")
    drawn, moves = moved(dataset, torch.tensor([[1.0, 0.25, 1.0, 0.25], [0.5, 0.5, 0.5, 0.5]]).double())
    centre = drawn.pose[..., 2]
    after = affine.compose(moves.objects, drawn.pose)
    # g = 1 gives the whole range; g = -1/2 minus a quarter of it, of growth minus an eighth.
    torch.testing.assert_close(after[..., 2] - centre, torch.tensor([8.0, -2.0]).double().expand_as(centre))
    before, then = (torch.linalg.det(pose[..., :2]) for pose in (drawn.pose, after))
    torch.testing.assert_close(then / before, torch.full_like(before, -2 * 0.12 / 8).exp())
    turned = after[..., :2] @ torch.linalg.inv(drawn.pose[..., :2])
    torch.testing.assert_close(torch.atan2(turned[..., 1, 0], turned[..., 0, 0]), torch.full_like(before, 0.25))


def test_the_camera_has_a_third_of_the_range_and_carries_the_objects():
    dataset = Scenes("flow64")
    drawn, moves = moved(dataset, torch.tensor([[0.5, 0.5, 0.5, 0.5], [1.0, 0.0, 0.5, 0.5]]).double())
    shift = torch.tensor([8 / 3, -8 / 3], dtype=torch.float64)
    torch.testing.assert_close(moves.camera[:, :, 2], shift.expand(3, 2))
    torch.testing.assert_close(
        affine.compose(moves.objects, drawn.pose)[..., 2], drawn.pose[..., 2] + shift, atol=1e-9, rtol=0
    )


def test_flow_of_every_pixel_is_where_its_instance_goes():
    dataset = Scenes("flow64", bank="shapes")
    drawn = dataset._layout(range(3))
    moves = motion.step(dataset.preset, drawn, drawn.pose)
    instances = dataset.render(torch.arange(3)).instances
    fast = motion.flow(moves, instances)
    after = affine.compose(moves.objects, drawn.pose)
    for b in range(3):
        for r, c in [(0, 0), (10, 50), (30, 30), (33, 12), (60, 40), (63, 63)]:
            n = int(instances[b, r, c])
            point = torch.tensor([c + 0.5, r + 0.5]).double()
            if n:
                # F(p) = P' P^-1 p - p.
                local = torch.linalg.solve(drawn.pose[b, n - 1, :, :2], point - drawn.pose[b, n - 1, :, 2])
                target = after[b, n - 1, :, :2] @ local + after[b, n - 1, :, 2]
            else:
                target = moves.camera[b, :, :2] @ point + moves.camera[b, :, 2]
            torch.testing.assert_close(fast[b, :, r, c].double(), target - point, atol=1e-4, rtol=0)


def test_going_there_and_back_leads_home(flow64):
    dataset, _ = flow64
    drawn = dataset._layout(range(4))
    moves = motion.step(dataset.preset, drawn, drawn.pose)
    there, home = moves, motion.back(moves)
    torch.testing.assert_close(
        affine.compose(home.objects, there.objects), torch.eye(2, 3).double().expand_as(there.objects)
    )
    torch.testing.assert_close(
        affine.compose(home.camera, there.camera), torch.eye(2, 3).double().expand_as(there.camera)
    )


def test_the_first_frame_is_the_scene_itself(flow64):
    dataset, pair = flow64
    batch = dataset.batch(torch.arange(48))
    assert torch.equal(pair.first.images, batch.images)
    assert torch.equal(pair.first.instances, batch.instances)
    assert batch.flow is None
    assert pair.second.flow is None


def test_flow_explains_the_second_frame(flow64):
    _, pair = flow64
    now, then = pair.first.images / 255, pair.second.images / 255
    hidden = F.max_pool2d(pair.occluded[:, None].float(), 5, 1, 2)[:, 0] > 0
    mixed = F.max_pool2d(pair.first.instances[:, None].float(), 3, 1, 1)[:, 0] != pair.first.instances
    inner = ~hidden & ~mixed
    error = {name: (warped(then, flow) - now).abs().mean(1) for name, flow in {
        "right": pair.first.flow, "none": 0 * pair.first.flow, "flipped": -pair.first.flow}.items()}  # fmt: skip
    right = error["right"][inner].mean()
    assert right < 0.02
    assert right < 0.3 * error["none"][inner].mean()
    assert error["none"][inner].mean() < error["flipped"][inner].mean()
    assert error["right"][pair.occluded].mean() > 5 * right


def test_backward_flow_explains_the_first_frame(flow64):
    _, pair = flow64
    now, then = pair.first.images / 255, pair.second.images / 255
    hidden = motion.occluded(pair.backward, pair.second.instances, pair.first.instances)
    inner = F.max_pool2d(hidden[:, None].float(), 5, 1, 2)[:, 0] == 0
    right = (warped(now, pair.backward) - then).abs().mean(1)[inner].mean()
    wrong = (warped(now, pair.first.flow) - then).abs().mean(1)[inner].mean()
    assert right < 0.025
    assert right < 0.3 * wrong


def test_occlusion_is_what_following_each_pixel_shows(flow64):
    _, pair = flow64
    for b in range(2):
        for r in range(64):
            for c in range(64):
                dx, dy = pair.first.flow[b, :, r, c].tolist()
                x, y = torch.tensor([c + 0.5 + dx, r + 0.5 + dy]).floor().int().tolist()
                outside = not (0 <= x < 64 and 0 <= y < 64)
                gone = outside or pair.second.instances[b, y, x] != pair.first.instances[b, r, c]
                assert bool(pair.occluded[b, r, c]) == bool(gone)


def test_most_motions_are_small_and_none_exceeds_its_range(flow64):
    _, pair = flow64
    behind = pair.first.flow.permute(0, 2, 3, 1)[pair.first.instances == 0].norm(dim=1)
    # Shift, turn and growth of the camera at a corner, 32 sqrt(2) px from the middle.
    corner = 32 * 2**0.5
    assert behind.max() < 8 / 3 * 2**0.5 + corner * (0.25 / 3 + 0.05)
    assert behind.median() < 0.4 * behind.max()


def test_the_horizon_moves_with_the_camera():
    dataset = Scenes(replace(PRESETS["scene64s"], noise=0.0, fewest=0))
    drawn = dataset._layout(range(20))
    # One pixel down: d = shift / 3 * g^2, g = 2 u - 1.
    up = replace(drawn, camera=torch.tensor([0.5, (1 + (3 / 8) ** 0.5) / 2, 0.5, 0.5]).double().expand(20, 4))
    moves = motion.step(dataset.preset, up, up.pose)
    _, before = background(dataset._stage, up)
    _, after = background(dataset._stage, up, moves.camera)
    assert torch.equal(after[:, 1:], before[:, :-1])
    assert not torch.equal(after, before)


def test_pairs_do_not_depend_on_their_batch(flow64):
    dataset, pair = flow64
    alone = dataset.pair(torch.tensor([9]))
    assert torch.equal(alone.second.images[0], pair.second.images[9])
    assert torch.equal(alone.first.flow[0], pair.first.flow[9])
    assert torch.equal(alone.backward[0], pair.backward[9])
    assert torch.equal(alone.occluded[0], pair.occluded[9])


def test_both_frames_have_noise_of_their_own():
    index = torch.arange(8)
    clean, noisy = (Scenes(replace(PRESETS["flow64"], noise=noise)).pair(index) for noise in (0.0, 0.05))
    one, two = (
        (getattr(noisy, frame).images.float() - getattr(clean, frame).images.float()).flatten()
        for frame in ("first", "second")
    )
    # Clamping shrinks the noise in the darkest and brightest places.
    assert 0.03 * 255 < two.std() < 0.05 * 255
    assert torch.corrcoef(torch.stack((one, two)))[0, 1].abs() < 0.05
