"""Makes the reference folder for rust/media/tests/image_parity.rs.

    python tests/parity/make_image_reference.py build/image-reference [--photos DIR ...]

It has images of every format and mode, written with Pillow (and real photos from the DIRs), and the odd files of
`pictures` next to this script. There are also two archives of many small ones (picture_archives.py). For each image it
has the values that a model gets from Pillow plus torchvision's arithmetic (written here with numpy). For broken files
it has the expected error. cases.toml is the list of all. Needs Pillow and numpy. Everything is seeded: two runs with
the same Pillow give the same bytes.
"""

import argparse
import io
import pathlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

import picture_archives
from odd_files import png

Spec = Mapping[str, Any]
"""The settings of an image in model.toml."""
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
LITE0 = {"resize": 256, "crop": 224, "interpolation": "bicubic", "scale": 1.0, "mean": [127.0] * 3, "std": [128.0] * 3}
SMALL = {"resize": 40, "crop": 32, "scale": 1.0}
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".webp", ".bmp"}


def resize_and_crop(image: Image.Image, spec: Spec) -> Image.Image:
    """torchvision's Resize and CenterCrop on a PIL image."""
    method = FILTERS[spec.get("interpolation", "bilinear")]
    width, height = image.size
    resize = spec.get("resize")
    if isinstance(resize, int):
        if width <= height:
            image = image.resize((resize, int(resize * height / width)), method)
        else:
            image = image.resize((int(resize * width / height), resize), method)
    elif resize is not None:
        image = image.resize((resize[1], resize[0]), method)
    crop = spec.get("crop")
    if crop is None:
        return image
    crop_height, crop_width = (crop, crop) if isinstance(crop, int) else crop
    width, height = image.size
    if crop_width > width or crop_height > height:
        wide, high = max(crop_width - width, 0), max(crop_height - height, 0)
        image = ImageOps.expand(image, (wide // 2, high // 2, (wide + 1) // 2, (high + 1) // 2), fill=0)
        width, height = image.size
    left, top = round((width - crop_width) / 2.0), round((height - crop_height) / 2.0)
    return image.crop((left, top, left + crop_width, top + crop_height))


def prepare(data: bytes, spec: Spec) -> NDArray[np.float32]:
    """The float32 HWC array that a model with `spec` gets from the encoded image `data`."""
    image: Image.Image = Image.open(io.BytesIO(data))
    if spec.get("exif_orientation"):
        image = ImageOps.exif_transpose(image)
    background = spec.get("background")
    if background and (image.has_transparency_data or image.mode in ("LA", "RGBA")):
        flat = Image.new("RGB", image.size, tuple(background))
        image = image.convert("RGBA")
        flat.paste(image.convert("RGB"), mask=image.getchannel("A"))
        image = flat
    channels = spec.get("channels", "RGB")
    image = image.convert("RGB")
    image = image.convert("L") if channels == "L" else image
    values = np.asarray(resize_and_crop(image, spec), dtype=np.float64)
    values = values[:, :, None] if values.ndim == 2 else values
    values = values[:, :, ::-1] if channels == "BGR" else values
    mean = np.array(spec.get("mean", [0.0] * values.shape[2]))
    std = np.array(spec.get("std", [1.0] * values.shape[2]))
    return ((values * spec.get("scale", 1 / 255) - mean) / std).astype(np.float32)


def picture(width: int, height: int, seed: int = 1) -> Image.Image:
    """A picture with gradients, edges and some noise: every byte value, smooth and hard."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    red = 255 * x / max(width - 1, 1)
    green = 127 + 120 * np.sin(x / 7.0) * np.cos(y / 5.0)
    blue = np.where((x // 9 + y // 11) % 2 == 0, 230, 20) + random.normal(0, 12, (height, width))
    return Image.fromarray(np.clip(np.stack([red, green, blue], 2), 0, 255).astype(np.uint8), "RGB")


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def with_alpha(image: Image.Image) -> Image.Image:
    alpha = Image.linear_gradient("L").resize(image.size)
    return Image.merge("RGBA", (*image.split(), alpha))


def images() -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of images of every format and mode, whose pixels must be Pillow's."""
    base = picture(75, 50)
    deep = np.asarray(base.convert("L"), dtype=np.uint16) * 257 + 3
    translucent = with_alpha(base)
    palette = base.quantize(40)
    yield "rgb.png", encoded(base, "PNG")
    yield "rgba.png", encoded(translucent, "PNG")
    yield "gray.png", encoded(base.convert("L"), "PNG")
    yield "gray_alpha.png", encoded(translucent.convert("LA"), "PNG")
    yield "bilevel.png", encoded(base.convert("1"), "PNG")
    yield "palette.png", encoded(palette, "PNG")
    yield "palette_4bit.png", encoded(base.quantize(16), "PNG", bits=4)
    yield "palette_2bit.png", encoded(base.quantize(4), "PNG", bits=2)
    yield "palette_transparent.png", encoded(palette, "PNG", transparency=3)
    yield "rgb_transparent.png", encoded(base, "PNG", transparency=base.getpixel((3, 3)))
    yield "gray_16.png", encoded(Image.fromarray(deep), "PNG")
    yield "gray_16_dark.png", encoded(Image.fromarray(deep // 300), "PNG")
    yield "rgb_16.png", rgb_16_png(base)
    yield "interlaced.png", png(np.asarray(base), 2, 8, interlaced=True)
    yield "rgb.bmp", encoded(base, "BMP")
    yield "gray.bmp", encoded(base.convert("L"), "BMP")
    yield "bilevel.bmp", encoded(base.convert("1"), "BMP")
    yield "palette.bmp", encoded(palette, "BMP")
    yield "rgba.bmp", encoded(translucent, "BMP")
    yield "plain.gif", encoded(palette, "GIF")
    yield "interlaced.gif", encoded(palette, "GIF", interlace=1)
    yield "transparent.gif", encoded(palette, "GIF", transparency=5)
    yield "animated.gif", encoded(palette, "GIF", save_all=True, append_images=[picture(75, 50, 2).quantize(40)])
    yield "lossless.webp", encoded(base, "WEBP", lossless=True)
    yield "lossless_alpha.webp", encoded(translucent, "WEBP", lossless=True, exact=True)
    yield "animated.webp", encoded(base, "WEBP", lossless=True, save_all=True, append_images=[picture(75, 50, 2)])
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits"):
        yield f"rgb_{compression}.tif", encoded(base, "TIFF", compression=compression)
    yield "rgba.tif", encoded(translucent, "TIFF")
    yield "gray.tif", encoded(base.convert("L"), "TIFF")
    yield "gray_alpha.tif", encoded(translucent.convert("LA"), "TIFF")
    yield "bilevel.tif", encoded(base.convert("1"), "TIFF")
    yield "bilevel_fax.tif", encoded(base.convert("1"), "TIFF", compression="group4")
    yield "palette.tif", encoded(palette, "TIFF")
    yield "palette_deflate.tif", encoded(base.quantize(16), "TIFF", compression="tiff_deflate")
    yield "cmyk.tif", encoded(base.convert("CMYK"), "TIFF")
    yield "gray_16.tif", encoded(Image.fromarray(deep // 200), "TIFF")
    yield "gray_i32.tif", encoded(Image.fromarray(deep.astype(np.int32) - 9000), "TIFF")
    yield "gray_f32.tif", encoded(Image.fromarray(deep.astype(np.float32) / 150 - 20), "TIFF")
    yield "lossy.webp", encoded(base, "WEBP", quality=80)
    yield "lossy_alpha.webp", encoded(translucent, "WEBP", quality=80)
    for compression in ("jpeg", "zstd", "lzma", "tiff_lzw"):
        yield f"small_{compression}.tif", encoded(base, "TIFF", compression=compression)
    for compression in ("tiff_ccitt", "group3", "group4"):
        yield f"small_{compression}.tif", encoded(base.convert("1"), "TIFF", compression=compression)
    yield "jpeg_gray.tif", encoded(base.convert("L"), "TIFF", compression="jpeg")
    yield "jpeg_cmyk.tif", encoded(base.convert("CMYK"), "TIFF", compression="jpeg")
    yield "ycbcr_jpeg.tif", encoded(base.convert("YCbCr"), "TIFF", compression="jpeg")
    yield "ycbcr.tif", encoded(base.convert("YCbCr"), "TIFF")
    yield "ycbcr_deflate.tif", encoded(base.convert("YCbCr"), "TIFF", compression="tiff_deflate")
    yield "two_pages.tif", encoded(base, "TIFF", save_all=True, append_images=[picture(20, 20, 2)])
    yield "oriented.tif", encoded(base, "TIFF", tiffinfo={274: 6})
    yield "baseline.jpg", encoded(base, "JPEG", quality=90)
    yield "low_quality.jpg", encoded(base, "JPEG", quality=20)
    yield "full_chroma.jpg", encoded(base, "JPEG", quality=90, subsampling=0)
    yield "half_chroma.jpg", encoded(base, "JPEG", quality=90, subsampling=1)
    yield "odd_size.jpg", encoded(picture(61, 47, 3), "JPEG", quality=80)
    yield "progressive.jpg", encoded(base, "JPEG", progressive=True)
    yield "restarts.jpg", encoded(base, "JPEG", restart_marker_blocks=2)
    yield "gray.jpg", encoded(base.convert("L"), "JPEG")
    yield "cmyk.jpg", encoded(base.convert("CMYK"), "JPEG")
    yield "rgb.jpg", encoded(base, "JPEG", keep_rgb=True)


def rgb_16_png(image: Image.Image) -> bytes:
    return png(np.asarray(image, dtype=np.uint16) * 251 + 77, 2, 16)


def oriented_images() -> Iterator[tuple[str, bytes]]:
    base = picture(37, 23, 4)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        yield f"oriented_{orientation}.jpg", encoded(base, "JPEG", exif=exif)
    yield "oriented_6.png", encoded(base, "PNG", exif=exif_of(6))
    yield "oriented_8.webp", encoded(base, "WEBP", lossless=True, exif=exif_of(8))


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def with_size(data: bytes, side: int) -> bytes:
    """A PNG whose header claims this many pixels per side."""
    header = b"IHDR" + struct.pack(">II", side, side) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def bad_files() -> Iterator[tuple[str, bytes, str]]:
    """(name, bytes, the expected error)."""
    base = picture(75, 50)
    yield "empty.jpg", b"", "empty"
    yield "text.jpg", b"Dear Spark, this is a letter.", 'begins with "Dear Spark'
    yield "binary.bin", bytes(range(200, 255)), "begins with bytes c8 c9"
    yield "bm_word.txt", b"BMX bikes are small, and this sentence is a text.", "not an image"
    for format, name in [
        ("JPEG", "jpg"),
        ("PNG", "png"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
        ("WEBP", "webp"),
    ]:
        image = base.quantize(40) if format == "GIF" else base
        whole = encoded(image, format)
        yield f"half.{name}", whole[: len(whole) // 2], "corrupt"
        yield f"head.{name}", whole[:30], "corrupt"
    yield "no_end.jpg", encoded(base, "JPEG")[:-2], "cut off"
    yield (
        "old_jpeg.tif",
        b"II\x2a\0"
        + encoded(base, "TIFF", compression="jpeg")[4:].replace(b"\3\1\3\0\1\0\0\0\7\0", b"\3\1\3\0\1\0\0\0\6\0"),
        "TIFF with old-style JPEG compression is not supported",
    )
    huge = png(np.zeros((1, 1, 3), int), 2, 8)
    yield "huge.png", with_size(huge, 200_000), "more than the"


def spec_variants() -> Iterator[tuple[str, Spec]]:
    yield "lite0", LITE0
    for name in FILTERS:
        yield f"down_{name}", {**SMALL, "interpolation": name}
        yield f"up_{name}", {"resize": [131, 200], "scale": 1.0, "interpolation": name}
    yield "exact_crop", {"resize": [64, 90], "crop": [33, 60]}
    yield "bgr", {**SMALL, "channels": "BGR", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
    yield "gray", {**SMALL, "channels": "L", "interpolation": "lanczos"}
    yield "border", {"crop": [101, 120], "scale": 1.0, "mean": [1.0, 2.0, 3.0]}
    yield "only_width", {"resize": [50, 33], "scale": 1.0}
    yield "only_height", {"resize": [33, 75], "scale": 1.0}


class Writer:
    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.count = 0
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return name

    def case(self, name: str, data: bytes, spec: Spec) -> None:
        values = prepare(data, spec)
        reference = self.file(f"{self.count:04}.f32", values.astype("<f4").tobytes())
        self.count += 1
        table = ", ".join(f"{key} = {toml(value)}" for key, value in spec.items())
        self.lines += [
            "[[case]]",
            f'file = "{name}"',
            f'reference = "{reference}"',
            f"spec = {{ {table} }}",
            "",
        ]

    def bad(self, name: str, data: bytes, says: str) -> None:
        self.file(name, data)
        self.lines += ["[[bad]]", f'file = "{name}"', f"says = {toml(says)}", ""]

    def finish(self) -> int:
        self.file("cases.toml", "\n".join(self.lines).encode())
        return self.count


def toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "'" + value + "'" if isinstance(value, str) else repr(value)


def whole(data: bytes, spec: Spec | None = None) -> Spec:
    """A spec that returns the pixels unchanged."""
    image: Image.Image = Image.open(io.BytesIO(data))
    if (spec or {}).get("exif_orientation"):
        image = ImageOps.exif_transpose(image)
    else:
        image.load()
    width, height = image.size
    return {"crop": [height, width], "scale": 1.0, **(spec or {})}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--photos", type=pathlib.Path, action="append", default=[], help="a folder of real pictures")
    options = arguments.parse_args()
    writer = Writer(options.folder)
    for name, data in images():
        writer.file(name, data)
        writer.case(name, data, whole(data))
        writer.case(name, data, whole(data, {"background": [255, 0, 90]}))
        writer.case(name, data, SMALL)
    for file in sorted((pathlib.Path(__file__).parent / "pictures").iterdir()):
        writer.file(file.name, file.read_bytes())
        writer.case(file.name, file.read_bytes(), whole(file.read_bytes()))
    for name, data in oriented_images():
        writer.file(name, data)
        writer.case(name, data, whole(data, {"exif_orientation": True}))
        writer.case(name, data, whole(data))
    for size in [(300, 200), (200, 301), (100, 1000), (1, 40)]:
        name, data = f"variants_{size[0]}x{size[1]}.png", encoded(picture(*size, seed=5), "PNG")
        writer.file(name, data)
        for _, spec in spec_variants():
            writer.case(name, data, spec)
    for number, photo in enumerate(
        sorted(p for folder in options.photos for p in folder.rglob("*") if p.suffix.lower() in PHOTO_SUFFIXES)
    ):
        data = photo.read_bytes()
        try:
            Image.open(io.BytesIO(data))
        except UnidentifiedImageError:  # then there is nothing to compare with
            continue
        writer.file(name := f"photo_{number:03}{photo.suffix.lower()}", data)
        writer.case(name, data, LITE0)
    picture_archives.write_sound(options.folder, picture, with_alpha)
    picture_archives.write_damaged(options.folder, picture, with_alpha)
    for name, data, says in bad_files():
        writer.bad(name, data, says)
    print(f"{writer.finish()} cases in {options.folder}")


if __name__ == "__main__":
    main()
