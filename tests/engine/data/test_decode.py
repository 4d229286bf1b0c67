"""The guarded decoder: what must come out right, and the files that must be refused with a sentence."""

import io
import pickle
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional as tv

from engine.data import decode as module
from engine.data.base import Facts
from engine.data.decode import ImageError, channels, decode, decode_cutout, decode_labels, fit, orientation

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]


def photo(height=40, width=60, seed=0):
    """A smooth random picture, which JPEG keeps nearly as it is."""
    noise = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)[0]
    return Image.fromarray((smooth * 255).byte().permute(1, 2, 0).numpy())


def saved(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def as_tensor(image):
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_exactly(format, tmp_path):
    image = photo()
    path = tmp_path / "photo"
    path.write_bytes(saved(image, format))
    assert torch.equal(decode(path), as_tensor(image))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
def test_exif_rotation_as_pillow_turns_it(turn, format):
    exif = Image.Exif()
    exif[274] = turn
    data = saved(photo(), format, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert torch.equal(decode(data), as_tensor(upright))


def test_damaged_exif_leaves_the_picture_as_it_is():
    exif = Image.Exif()
    exif[274] = 6
    data = saved(photo(), "JPEG", exif=exif)
    place = data.index(b"Exif\0\0") + 6
    broken = data[:place] + b"\xff" * 12 + data[place + 12 :]
    assert orientation(Image.open(io.BytesIO(broken))) == 1
    assert torch.equal(decode(broken), as_tensor(Image.open(io.BytesIO(broken))))


def test_cmyk_is_close_to_the_rgb_it_came_from():
    image = photo()
    decoded = decode(saved(image.convert("CMYK"), "JPEG", quality=95))
    assert (decoded.float() - as_tensor(image)).abs().mean() < 4


def test_16_bit_grey_is_divided_by_257():
    wide = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    for format in ("PNG", "TIFF"):
        decoded = decode(saved(Image.fromarray(wide), format))
        assert torch.equal(decoded, torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(3, -1, -1))
    # half way between two bytes and a bit above: rounded, not cut off
    assert decode(saved(Image.fromarray(np.full((2, 2), 257 * 9 + 129, np.uint16)))).unique().tolist() == [10]


def test_16_bit_pgm():
    data = b"P5\n2 1\n65535\n" + struct.pack(">HH", 257 * 200, 0)
    assert decode(data)[0].tolist() == [[200, 0]]


def test_transparency_shows_white_in_every_form():
    colour = np.zeros((1, 3, 4), np.uint8)
    colour[0] = [(255, 0, 0, 255), (255, 0, 0, 0), (0, 0, 0, 128)]
    expected = [[255, 0, 0], [255, 255, 255], [127, 127, 127]]
    for format in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True, "exact": True} if format == "WEBP" else {}
        decoded = decode(saved(Image.fromarray(colour), format, **options))
        assert decoded[:, 0].T.tolist() == expected, format
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    assert decode(saved(palette, transparency=1))[:, 0].T.tolist() == [[10, 20, 30], [255, 255, 255]]
    grey = Image.fromarray(np.array([[[7, 255], [7, 0]]], np.uint8), "LA")
    assert decode(saved(grey))[:, 0].T.tolist() == [[7, 7, 7], [255, 255, 255]]


def test_cutout_keeps_colour_and_opacity():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    colour, opacity = decode_cutout(saved(Image.fromarray(pixels)))
    assert torch.equal(colour, torch.from_numpy(pixels[..., :3]).permute(2, 0, 1))
    assert torch.equal(opacity, torch.from_numpy(pixels[..., 3]))
    assert decode_cutout(saved(photo()))[1].unique().tolist() == [255]


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_label_maps_are_the_stored_numbers(mode):
    numbers = np.array([[0, 1], [1, 0]]) if mode == "1" else np.array([[0, 7], [255, 3]])
    if mode == "I;16":
        numbers = numbers * 100
        image = Image.fromarray(numbers.astype(np.uint16))
    else:
        image = Image.fromarray(numbers.astype(bool) if mode == "1" else numbers.astype(np.uint8))
    if mode == "P":
        image = Image.fromarray(numbers.astype(np.uint8), "P")
        image.putpalette([(value * 7) % 256 for value in range(768)])
    labels = decode_labels(saved(image))
    assert labels.dtype == torch.int64
    assert labels.tolist() == numbers.tolist()


def test_colour_picture_is_no_label_map():
    with pytest.raises(ImageError, match=r"mask\.png: has the mode RGB.*save it as L or P"):
        decode_labels(saved(photo()), "mask.png")


def bomb():
    """A PNG that says it has 60 000 x 60 000 pixels."""
    data = bytearray(saved(Image.new("L", (1, 1))))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def nasty():
    jpeg, png = saved(photo(), "JPEG"), saved(photo())
    animation = saved(photo(), "GIF", save_all=True, append_images=[photo(seed=1)])
    floats = Image.fromarray(np.random.default_rng(0).random((4, 4), dtype=np.float32))
    return {
        "empty": (b"", "empty"),
        "one byte": (b"\xff", "not a picture"),
        "text": (b"hello world" * 20, "not a picture that can be read; allowed are JPEG"),
        "web page": (b"<!DOCTYPE html><html></html>", "a web page"),
        "pdf": (b"%PDF-1.7 ...", "PDF"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", "SVG"),
        "zip": (b"PK\x03\x04" + b"\0" * 60, "zip"),
        "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        "eps is not allowed": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        "jpeg head only": (jpeg[:20], "not a picture|damaged"),
        "jpeg cut in half": (jpeg[: len(jpeg) // 2], "damaged"),
        "jpeg without its last tenth": (jpeg[: len(jpeg) * 9 // 10], "damaged"),
        "png head only": (png[:24], "not a picture|damaged"),
        "png cut in half": (png[: len(png) // 2], "damaged"),
        "png with a broken checksum": (png[:40] + b"\0\0\0\0" + png[44:], "damaged|not a picture"),
        "png bomb": (bomb(), "pixels|bomb"),
        "tiff cut": (saved(photo(), "TIFF")[:100], "damaged|not a picture"),
        "webp cut": (saved(photo(), "WEBP")[:60], "damaged|not a picture"),
        "gif cut": (animation[:30], "damaged|not a picture"),
        "32-bit float tiff": (saved(floats, "TIFF"), "32 bits"),
        "32-bit integer tiff": (saved(Image.new("I", (3, 3), 70_000), "TIFF"), "32 bits"),
    }


@pytest.mark.parametrize("case", nasty())
def test_nasty_files_are_refused_with_name_and_cause(case, tmp_path):
    data, cause = nasty()[case]
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=cause) as refused:
        decode(path)
    assert str(refused.value).startswith(f"{path}: ")
    with pytest.raises(ImageError, match=cause) as refused:
        decode(data, "holiday.jpg")
    assert str(refused.value).startswith("holiday.jpg: ")


def test_missing_folder_and_limits(tmp_path, monkeypatch):
    with pytest.raises(ImageError, match="does not exist"):
        decode(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder"):
        decode(tmp_path)
    data = saved(photo())
    monkeypatch.setattr(module, "MAX_BYTES", len(data) - 1)
    with pytest.raises(ImageError, match="more than 0 MiB"):
        decode(data)
    monkeypatch.setattr(module, "MAX_BYTES", len(data))
    assert decode(data).shape == (3, 40, 60)
    monkeypatch.setattr(module, "MAX_PIXELS", 40 * 60 - 1)
    with pytest.raises(ImageError, match="60 x 40 pixels"):
        decode(data)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_flipped_bytes_give_a_picture_or_an_image_error(format):
    """No other error gets out, whatever byte is wrong."""
    data = saved(photo(16, 16), format)
    draw = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in draw.integers(0, len(data), 3):
            broken[place] = draw.integers(0, 256)
        try:
            picture = decode(bytes(broken[: draw.integers(1, len(data) + 1)] if draw.random() < 0.3 else broken))
        except ImageError:
            continue
        assert picture.dtype == torch.uint8
        assert picture.shape[0] == 3


def test_error_survives_pickling():
    """Loader processes send errors home."""
    error = pickle.loads(pickle.dumps(ImageError("a.jpg", "is damaged")))
    assert (error.name, error.cause, str(error)) == ("a.jpg", "is damaged", "a.jpg: is damaged")


def test_jpeg_read_small_is_the_same_picture():
    data = saved(photo(800, 1200), "JPEG", quality=95)
    whole, small = decode(data), decode(data, least=128)
    assert min(small.shape[1:]) >= 128
    assert small.shape[1] < whole.shape[1]
    facts = Facts(3, 64)
    assert (fit(whole, facts).float() - fit(small, facts)).abs().max() <= 4


@pytest.mark.parametrize(("height", "width"), [(64, 64), (40, 60), (61, 40), (200, 90)])
def test_fit_is_torchvisions_centre_crop_and_antialiased_resize(height, width):
    image = as_tensor(photo(height, width))
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = tv.crop(image, top, left, side, side)
    expected = tv.resize(square, [32, 32], antialias=True)
    assert torch.equal(fit(image, Facts(3, 32)), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_fit_of_extreme_shapes(shape):
    image = torch.full((3, *shape), 77, dtype=torch.uint8)
    assert fit(image, Facts(1, 16)).unique().tolist() == [77]


def test_fit_of_a_batch_is_fit_of_each():
    images = torch.stack([as_tensor(photo(30, 50, seed)) for seed in range(4)])
    assert torch.equal(fit(images, Facts(1, 20)), torch.stack([fit(image, Facts(1, 20)) for image in images]))


def test_grey_is_pillows_luma_and_keeps_grey():
    image = photo()
    pillow = torch.from_numpy(np.array(image.convert("L")))
    assert (channels(as_tensor(image), 1)[0].int() - pillow.int()).abs().max() <= 1
    ramp = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    assert torch.equal(channels(channels(ramp, 3), 1), ramp)


def test_two_pictures_in_one_jpeg_give_the_first():
    """Telephones and 3-D cameras write such files."""
    data = saved(photo(), "MPO", save_all=True, append_images=[photo(seed=1)], quality=95)
    assert (decode(data).float() - as_tensor(photo())).abs().mean() < 3
