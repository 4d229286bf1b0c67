"""Films as sets of frames."""

import cv2
import numpy as np
import pytest
import torch

from engine.data import open_data, video
from engine.data.base import Facts
from engine.data.decode import ImageError


@pytest.fixture(params=["mp4v", "MJPG"])
def film(request, tmp_path):
    """Twenty frames, each of one grey, the left edge red."""
    path = tmp_path / ("film.mp4" if request.param == "mp4v" else "film.avi")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*request.param), 10, (64, 48))
    for number in range(20):
        frame = np.full((48, 64, 3), 10 * number, np.uint8)
        frame[:, :16] = (0, 0, 255)  # OpenCV writes blue, green, red
        writer.write(frame)
    writer.release()
    return path


def test_frames_in_order_and_in_rgb(film):
    train, test = open_data(f"video:{film}", size=48), open_data(f"video:{film}", "test", size=48)
    assert (len(train), len(test)) == (16, 4)
    images = torch.cat((train.rows.images, test.rows.images)).float()
    greys = images[:, :, 20:30, 25:40].mean((1, 2, 3))
    assert (greys - 10 * torch.arange(20)).abs().max() < 8
    # The central square begins at column 8: its first columns are red.
    red = images[10, :, 20:30, 0:6].mean((1, 2))
    assert red[0] > 200
    assert red[2] < 60
    assert train.rows.labels is None


def test_shipped_films_go_by_their_name():
    assert len(open_data("video:pedestrians", size=16)) == 96
    assert len(open_data("video:bunny", "test", size=16, channels=1)) == 26


def test_what_is_no_film(tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"not a film" * 100)
    with pytest.raises(ImageError, match="has no frame that can be read"):
        open_data(f"video:{tmp_path / 'film.mp4'}")


def test_films_too_long_for_memory(film, monkeypatch):
    monkeypatch.setattr(video, "LONGEST", 5 * 3 * 8 * 8)
    with pytest.raises(ImageError, match="more than 6 frames of this size; cut it, or lower size"):
        video.frames(film, Facts(3, 8))
