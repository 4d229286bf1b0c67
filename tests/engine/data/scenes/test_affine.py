import torch

from engine.data.scenes import affine


def square(maps):
    """(..., 2, 3) -> (..., 3, 3) homogeneous."""
    last = torch.tensor([0, 0, 1.0], dtype=maps.dtype).expand(*maps.shape[:-2], 1, 3)
    return torch.cat((maps, last), -2)


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_compose_is_the_product_of_homogeneous_matrices():
    one, two = drawn(2, 5, 2, 3).unbind(0)
    torch.testing.assert_close(square(affine.compose(one, two)), square(one) @ square(two))


def test_invert_undoes():
    forward = drawn(7, 2, 3)
    torch.testing.assert_close(square(affine.invert(forward)), torch.linalg.inv(square(forward)))


def test_about_is_the_product_of_translations_turn_and_scale():
    centre, shift, angle, scale = drawn(4, 2), drawn(3, 4, 2)[2], drawn(4), drawn(4).exp()
    eye = torch.eye(2, dtype=torch.float64).expand(4, 2, 2)
    to, home, away = (square(affine.join(eye, offset)) for offset in (centre, -centre, shift))
    turn = square(affine.join(affine.rotation(angle) * scale[:, None, None], torch.zeros(4, 2).double()))
    torch.testing.assert_close(square(affine.about(centre, angle, scale, shift)), away @ to @ turn @ home)


def test_rotation_turns_x_towards_y():
    quarter = affine.rotation(torch.tensor(torch.pi / 2))
    torch.testing.assert_close(quarter @ torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
