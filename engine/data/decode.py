"""The one place where bytes become pixels: files and uploads, guarded, and made to fit a model.

Whatever is wrong with an image (not a picture, cut off, too large, a number format without a white) becomes an
`ImageError` that names the file, the cause and what to do. Nothing else leaves these functions.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from engine.data.base import Facts

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm")
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64 * 10**6

BROKEN = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError, MemoryError,
    NotImplementedError, struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
"""All that Pillow's readers were seen to raise on damaged files."""

STRANGERS = {
    b"%PDF": "a PDF document; export its page as PNG",
    b"<!do": "a web page; download the picture itself",
    b"<htm": "a web page; download the picture itself",
    b"<svg": "an SVG drawing; export it as PNG",
    b"<?xm": "an XML or SVG file; export it as PNG",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"8BPS": "a Photoshop file; export it as PNG",
}
"""First bytes of what people take for pictures."""

ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF tag 274 (Exif 2.32, section 4.6.4): what to do to see the picture upright."""


class ImageError(ValueError):
    """An image that cannot be used. name: the file; cause: what is wrong with it and what to do."""

    def __init__(self, name: str, cause: str):
        self.name, self.cause = name, cause
        super().__init__(f"{name}: {cause}")

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return ImageError, (self.name, self.cause)


class Refused(ValueError):
    """Our own verdict on an image that Pillow could read; its text is the cause."""


def decode(source: Path | str | bytes, name: str = "", least: int = 0) -> Tensor:
    """The picture as uint8 (3, H, W), upright, in RGB; what is transparent shows white.

    source: a path, or the bytes of an upload called `name`. least: a JPEG may be read at a half, a quarter or an eighth
    of its size as long as both sides stay at least this long (0: never), which saves most of the time on large photos.
    """
    with opened(source, name) as image:
        if least:
            image.draft(None, (least, least))
        return pixels(image)


def decode_cutout(source: Path | str | bytes, name: str = "") -> tuple[Tensor, Tensor]:
    """The picture's colours as stored, uint8 (3, H, W), and its opacity, uint8 (H, W), 255 where it has none."""
    with opened(source, name) as image:
        rgba = _tensor(upright(image).convert("RGBA"))
        return rgba[:3], rgba[3]


def decode_labels(source: Path | str | bytes, name: str = "") -> Tensor:
    """A label map as int64 (H, W): the stored numbers. A palette's colours are never looked at."""
    with opened(source, name) as image:
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
            raise Refused(f"has the mode {image.mode}, but a label map has one number a pixel; save it as L or P")
        numbers = np.asarray(image).astype(np.int64)
        return torch.from_numpy(numbers)


@contextmanager
def opened(source: Path | str | bytes, name: str = "") -> Iterator[Image.Image]:
    """The picture as Pillow sees it, not yet read; whatever fails inside the block becomes an ImageError."""
    with guarded(name or ("the upload" if isinstance(source, bytes) else str(source))):
        data = source if isinstance(source, bytes) else _read(Path(source))
        if not data:
            raise Refused("is empty (0 bytes); delete it or copy it again")
        if len(data) > MAX_BYTES:
            raise Refused(f"has more than {MAX_BYTES >> 20} MiB; save it smaller")
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except Image.UnidentifiedImageError:
            raise Refused(_stranger(data)) from None
        with image:
            if image.width * image.height > MAX_PIXELS:
                size, most = f"{image.width} x {image.height}", MAX_PIXELS // 10**6
                raise Refused(f"has {size} pixels, allowed are {most} million; reduce it")
            yield image


@contextmanager
def guarded(name: str) -> Iterator[None]:
    """Whatever Pillow raises inside the block becomes an ImageError about `name`."""
    try:
        yield
    except ImageError:
        raise
    except Refused as error:
        raise ImageError(name, str(error)) from None
    except FileNotFoundError:
        raise ImageError(name, "does not exist; check the path") from None
    except PermissionError:
        raise ImageError(name, "may not be read; change its permissions") from None
    except BROKEN as error:
        cause = str(error).strip() or type(error).__name__
        raise ImageError(name, f"is damaged ({cause}); replace it or delete it") from error


def pixels(image: Image.Image) -> Tensor:
    """A Pillow image as uint8 (3, H, W), upright, in RGB, on white."""
    image = upright(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return _tensor(image.convert("RGB"))


def upright(image: Image.Image) -> Image.Image:
    """The picture read, turned as its EXIF data asks, with 8 bits a channel (16 bits are divided by 257)."""
    image.load()
    turn = ORIENTATIONS.get(orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        wide = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((wide * 255 + 32767) // 65535).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise Refused("has 32 bits a pixel, of which nobody knows which is white; save it with 8 or 16 bits")
    return image


def orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) to 8; 1 where there is none or the EXIF data, but not the pixels, are damaged."""
    try:
        return int(image.getexif().get(274, 1))
    except BROKEN:
        return 1


def fit(images: Tensor, facts: Facts) -> Tensor:
    """uint8 (..., C, H, W) -> (..., facts.channels, size, size): the central square, resized (antialiased bilinear).

    Cropping first is the same as resizing the short side and then cropping, but a picture of 1 x 10 000 costs nothing.
    Grey is ITU-R BT.601 luma in integers, so grey stays exactly grey.
    """
    side = min(images.shape[-2:])
    top, left = (images.shape[-2] - side) // 2, (images.shape[-1] - side) // 2
    square = channels(images[..., top : top + side, left : left + side], facts.channels)
    return resize(square, facts.size, facts.size)


def resize(images: Tensor, height: int, width: int) -> Tensor:
    """uint8 (..., C, H, W) -> (..., C, height, width), antialiased bilinear, rounded."""
    if images.shape[-2:] == (height, width):
        return images.contiguous()
    flat = images.reshape(-1, *images.shape[-3:])
    small = functional.interpolate(flat, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return small.reshape(*images.shape[:-2], height, width)


def channels(images: Tensor, count: int) -> Tensor:
    """uint8 (..., 1 or 3, H, W) -> (..., count, H, W)."""
    if images.shape[-3] == count:
        return images
    if count == 3:
        return images.expand(*images.shape[:-3], 3, *images.shape[-2:])
    red, green, blue = images.to(torch.int32).unbind(-3)
    luma = (299 * red + 587 * green + 114 * blue + 500) // 1000
    return luma.to(torch.uint8).unsqueeze(-3)


def _tensor(image: Image.Image) -> Tensor:
    """(C, H, W), channels last in memory: resizing is four times as fast so."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise Refused("is a folder, not an image")
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _stranger(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"mif1", b"avif"):
        return "is a HEIC or AVIF photo; export it as JPEG"
    for start, what in STRANGERS.items():
        if data[:64].lstrip().lower().startswith(start.lower()):
            return f"is not a picture but {what}"
    return f"is not a picture that can be read; allowed are {', '.join(FORMATS)}"
