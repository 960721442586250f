"""The photos of the demo: where they come from, what is on them, and which ImageNet names are right for them.

What lives here: the list, and `provide`, which puts the photos into a folder. They are real photographs, test data in
published Python wheels; the wheels are fetched with pip at run time, checked by SHA-256 and read without being
installed. No photo is kept in this repository. The photos were chosen by one rule: ImageNet's 1,000 classes can name
what is on them (of the foolbox wheel's 20 photos, 19: there is no class for stained glass). It did not matter whether
the network names it: the Range Rover is here although it is classified as a convertible.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "models"))
import recipe

SCIKIT_IMAGE = recipe.Wheel(
    "scikit-image",
    "0.26.0",
    "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    license="BSD-3-Clause",
    platform="manylinux_2_28_x86_64",
)
FOOLBOX = recipe.Wheel(
    "foolbox",
    "3.3.4",
    "11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
    license="MIT",
)
GRADIO = recipe.Wheel(
    "gradio",
    "3.50.2",
    "dffc070955225dbc3af0cf4ce93a169267485bb6972ee76ff7a0f31be77346a0",
    license="Apache-2.0",
)
WHEELS = (SCIKIT_IMAGE, FOOLBOX, GRADIO)


@dataclass(frozen=True)
class Photo:
    """One photo: file name in the demo's folder, where it comes from, and the labels that are right for it."""

    file: str
    wheel: recipe.Wheel
    member: str
    expected: tuple[str, ...]

    @property
    def title(self) -> str:
        """For people: the file's name without its ending."""
        return Path(self.file).stem.replace("_", " ")


def _skimage(file: str, *expected: str) -> Photo:
    return Photo(file, SCIKIT_IMAGE, f"skimage/data/{file}", expected)


def _foolbox(number: str, file: str, *expected: str) -> Photo:
    return Photo(file, FOOLBOX, f"foolbox/data/imagenet_{number}.jpg", expected)


def _gradio(file: str, *expected: str) -> Photo:
    return Photo(file, GRADIO, f"gradio/test_data/{file}", expected)


PHOTOS = (
    _skimage("chelsea.png", "tabby", "tiger cat", "Egyptian cat"),
    _skimage("coffee.png", "espresso", "cup", "coffee mug"),
    _skimage("rocket.jpg", "missile", "projectile", "space shuttle"),
    _skimage("camera.png", "tripod"),
    _skimage("motorcycle_left.png", "moped", "motor scooter"),
    _skimage("motorcycle_right.png", "moped", "motor scooter"),
    _gradio("cheetah1.jpg", "cheetah"),
    _gradio("cheetah2.jpg", "cheetah"),
    _gradio("lion.jpg", "lion"),
    _foolbox("00_243", "mastiff.jpg", "bull mastiff"),
    _foolbox("01_559", "chairs.jpg", "folding chair"),
    _foolbox("02_438", "laboratory.jpg", "beaker"),
    _foolbox("03_990", "chestnuts.jpg", "buckeye"),
    _foolbox("04_949", "strawberries.jpg", "strawberry"),
    _foolbox("05_853", "cottage.jpg", "thatch"),
    _foolbox("06_609", "off_road.jpg", "jeep", "beach wagon"),
    _foolbox("07_609", "range_rover.jpg", "jeep", "beach wagon"),
    _foolbox("08_915", "yurts.jpg", "yurt"),
    _foolbox("09_455", "bottlecap.jpg", "bottlecap"),
    _foolbox("10_541", "drum.jpg", "drum"),
    _foolbox("11_630", "shoe.jpg", "Loafer"),
    _foolbox("13_471", "cannon.jpg", "cannon"),
    _foolbox("14_129", "spoonbills.jpg", "spoonbill"),
    _foolbox("15_99", "geese.jpg", "goose"),
    _foolbox("16_251", "dalmatian.jpg", "dalmatian"),
    _foolbox("17_22", "eagle.jpg", "bald eagle"),
    _foolbox("18_317", "leafhopper.jpg", "leafhopper"),
    _foolbox("19_305", "beetle.jpg", "dung beetle"),
)
"""Labels are torchvision's names; for foolbox the class that the wheel itself gives (jeep: any off-road wagon)."""


def provide(folder: Path) -> tuple[Photo, ...]:
    """Puts every photo into `folder` (made if absent; other files in it are removed) and returns the list."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {photo.file for photo in PHOTOS}
    for stranger in [path for path in folder.iterdir() if path.is_file() and path.name not in wanted]:
        stranger.unlink()
    archives = {wheel: recipe.fetch(wheel) for wheel in WHEELS}
    for photo in PHOTOS:
        content = recipe.read_member(archives[photo.wheel], photo.member)
        path = folder / photo.file
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    return PHOTOS
