"""JPEGs in variants that Pillow reads but does not write, and pictures that the engine decodes in part."""

import io
import itertools
from typing import Any

from PIL import Image, ImageOps

from odd_files import Files, Picture


def jpegs(picture: Picture) -> Files:
    def encoded(image: Image.Image, **options: Any) -> bytes:
        whole = io.BytesIO()
        image.save(whole, "JPEG", **options)
        return whole.getvalue()

    for (width, height), subsampling, progressive in itertools.product(
        ((1, 1), (7, 3), (16, 16), (33, 17), (64, 48)), ("4:4:4", "4:2:2", "4:2:0"), (False, True)
    ):
        image = picture(width, height)
        name = f"{width}x{height}_{subsampling.replace(':', '')}{'_progressive' if progressive else ''}"
        yield f"{name}.jpg", encoded(image, subsampling=subsampling, progressive=progressive, quality=75)
        yield (
            f"{name}_restarts.jpg",
            encoded(image, subsampling=subsampling, progressive=progressive, restart_marker_blocks=1),
        )
    for ratio in ("11", "12", "14", "21", "41", "22", "42", "24", "44"):
        yield f"sampling_{ratio}.jpg", resampled(encoded(picture(48, 40), subsampling=0), int(ratio[0]), int(ratio[1]))
    image = picture(40, 30)
    for mode in ("L", "RGB", "CMYK"):
        plain = encoded(image.convert(mode))
        yield f"{mode}_junk.jpg", plain[:2] + b"\xff\xff\xff" + plain[3:]
        yield f"{mode}_comment.jpg", plain[:2] + b"\xff\xfe\0\6abcd" + plain[2:]
        yield f"{mode}_trailing.jpg", plain + b"trailing bytes" * 50
        for adobe in (0, 1, 2):
            marker = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([adobe])
            yield f"{mode}_adobe{adobe}.jpg", plain[:2] + marker + plain[2:]


def parts(picture: Picture) -> Files:
    """JPEGs large enough for a part to leave out blocks, and pictures stored in each EXIF orientation, with the upright ones."""
    for subsampling, progressive in itertools.product(("4:4:4", "4:2:2", "4:2:0", "4:1:1"), (False, True)):
        whole = io.BytesIO()
        picture(181, 139).save(whole, "JPEG", subsampling=subsampling, progressive=progressive, quality=85)
        name = f"part_{subsampling.replace(':', '')}{'_progressive' if progressive else ''}.jpg"
        yield name, whole.getvalue()
        if progressive:
            # Without its last scans: libjpeg guesses what is missing from neighboring blocks.
            scans = [at for at in range(len(whole.getvalue())) if whole.getvalue()[at : at + 2] == b"\xff\xda"]
            yield f"part_unfinished_{name[5:]}", whole.getvalue()[: scans[3]] + b"\xff\xd9"
    for mode in ("L", "CMYK"):
        whole = io.BytesIO()
        picture(181, 139).convert(mode).save(whole, "JPEG")
        yield f"part_{mode}.jpg", whole.getvalue()
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        stored = io.BytesIO()
        picture(83, 57).save(stored, "PNG", exif=exif)
        yield f"part_oriented_{orientation}.png", stored.getvalue()
        upright = io.BytesIO()
        ImageOps.exif_transpose(Image.open(stored)).save(upright, "PNG")
        yield f"part_upright_{orientation}.png", upright.getvalue()


def resampled(data: bytes, horizontal: int, vertical: int) -> bytes:
    """The same scan with another sampling of the first component in its header: noise, but noise that all decoders must agree on."""
    at = data.index(b"\xff\xc0")
    changed = bytearray(data)
    changed[at + 11] = horizontal << 4 | vertical
    return bytes(changed)
