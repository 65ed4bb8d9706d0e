"""Every rendition has the size that Wagtail says, in the picture that comes as in the markup."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.core.files.base import ContentFile
from django.template import Context, Template
from PIL import Image
from wagtail import hooks
from wagtail.images import image_operations
from wagtail.images.exceptions import InvalidFilterSpecError
from wagtail.images.models import Filter
from wagtail.images.rect import Rect

from django_rokka.wagtail.filters import translate
from django_rokka.wagtail.models import RokkaImage
from tests.pictures import SVG, animation, opened, picture, rotated

pytestmark = pytest.mark.django_db

LANDSCAPE, PORTRAIT, SMALL, ODD = (1200, 800), (600, 1111), (60, 40), (1013, 677)
FILTERS = [
    "fill-320x240", "fill-320x240-c50", "fill-320x240-c100", "fill-333x77", "fill-77x333-c100",
    "width-300", "width-301", "height-333", "min-500x200", "min-500x333", "max-500x500", "max-77x900",
    "scale-50", "scale-33.3", "scale-150", "original", "fill-500x500|width-101", "max-400x400|fill-90x90",
]  # fmt: skip


def fetch(url: str) -> Image.Image:
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200, answer.text
    return opened(answer.content)


def gradient(size: tuple[int, int]) -> bytes:
    """Red tells the place from left to right, green that from top to bottom."""
    across = Image.linear_gradient("L").rotate(90).resize(size)
    down = Image.linear_gradient("L").resize(size)
    target = io.BytesIO()
    Image.merge("RGB", (across, down, Image.new("L", size))).save(target, "PNG")
    return target.getvalue()


@pytest.mark.parametrize("focal", [None, (0.2, 0.7, 0.1, 0.1), (0.95, 0.05, 0.3, 0.4)])
@pytest.mark.parametrize("size", [LANDSCAPE, PORTRAIT, SMALL, ODD], ids=str)
def test_the_picture_has_the_size_of_the_rendition(
    new_image: Callable[..., Any], size: tuple[int, int], focal: tuple[float, ...] | None
) -> None:
    width, height = size
    box = focal and (focal[0] * width, focal[1] * height, focal[2] * width, focal[3] * height)
    image = new_image(size, focal=box)

    for spec in FILTERS:
        rendition = image.get_rendition(spec)
        wanted = Filter(spec).get_transform(image).size
        assert (rendition.width, rendition.height) == wanted, spec
        assert fetch(rendition.url).size == wanted, spec


@pytest.mark.parametrize("spec", ["fill-200x200", "fill-200x200-c100", "fill-100x300", "scale-50"])
@pytest.mark.parametrize("focal", [(200, 150, 80, 60), (1100, 700, 150, 150), (640, 100, 300, 90)])
def test_it_shows_what_wagtail_cuts_out(
    new_image: Callable[..., Any], spec: str, focal: tuple[int, ...]
) -> None:
    content = gradient(LANDSCAPE)
    image = new_image(content=content, name="gradient.png", focal=focal)

    rendered = fetch(image.get_rendition(spec).url).convert("RGB")
    by_wagtail = opened(Filter(spec).run(image, io.BytesIO()).f.getvalue()).convert("RGB")

    for place in ((1, 1), (rendered.width // 2, rendered.height // 2), (rendered.width - 2, 5)):
        pairs = zip(rendered.getpixel(place), by_wagtail.getpixel(place), strict=True)
        assert all(abs(ours - theirs) <= 3 for ours, theirs in pairs), place


def test_without_a_focal_point_rokkas_subject_area_decides(new_image: Callable[..., Any]) -> None:
    image = new_image(content=gradient(LANDSCAPE), name="gradient.png")
    middle = fetch(image.get_rendition("fill-200x200").url).getpixel((100, 100))

    image.file.set_subject_area(1150, 400)

    right = fetch(image.get_rendition("fill-200x200").url).getpixel((100, 100))
    assert abs(right[0] - middle[0]) > 30
    assert abs(right[1] - middle[1]) <= 3


@pytest.mark.parametrize(
    ("spec", "format", "ending"),
    [
        ("width-100|format-webp", "WEBP", ".webp"),
        ("width-100|format-avif", "AVIF", ".avif"),
        ("width-100|format-png", "PNG", ".png"),
        ("width-100|format-jpeg", "JPEG", ".jpg"),
        ("width-100|format-gif", "GIF", ".gif"),
        ("width-100", "JPEG", ".jpg"),
    ],
)
def test_formats(new_image: Callable[..., Any], spec: str, format: str, ending: str) -> None:
    url = new_image().get_rendition(spec).url

    assert url.endswith(ending)
    assert fetch(url).format == format


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("width-9|jpegquality-40", {"jpg.quality": 40}),
        ("width-9|format-jpeg|jpegquality-0", {"jpg.quality": 1}),
        ("width-9|format-webp|webpquality-50|jpegquality-40", {"webp.quality": 50}),
        ("width-9|format-webp-lossless", {"webp.quality": 100}),
        ("width-9|format-avif|avifquality-30", {"avif.quality": 30}),
        ("width-9|webpquality-50", {}),
        ("width-9|bgcolor-f00", {"jpg.transparency.color": "FF0000"}),
        ("width-9|format-png|bgcolor-00ff7f", {"transparency.color": "00FF7F"}),
        ("width-9", {}),
    ],
)
def test_qualities_and_backgrounds(
    new_image: Callable[..., Any], spec: str, options: dict[str, Any]
) -> None:
    image = new_image()

    assert translate(Filter(spec), image).options == options
    fetch(image.get_rendition(spec).url)


def test_a_lower_quality_makes_a_smaller_file(new_image: Callable[..., Any]) -> None:
    image = new_image(content=gradient((400, 300)), name="gradient.png")
    good, bad = (
        len(requests.get(image.get_rendition(f"original|format-jpeg|jpegquality-{quality}").url, timeout=30).content)
        for quality in (95, 10)
    )  # fmt: skip

    assert bad < good / 2


def test_the_background_shows_through(new_image: Callable[..., Any]) -> None:
    image = new_image(content=picture((40, 30), "PNG", (0, 0, 0, 0)), name="glass.png")

    shown = fetch(image.get_rendition("original|format-jpeg|bgcolor-0000ff").url)

    assert shown.getpixel((20, 15))[2] > 240
    assert shown.getpixel((20, 15))[0] < 10


def test_settings_of_wagtail_are_heeded(new_image: Callable[..., Any], settings: Any) -> None:
    image = new_image()
    settings.WAGTAILIMAGES_JPEG_QUALITY = 33
    settings.WAGTAILIMAGES_FORMAT_CONVERSIONS = {"jpeg": "webp"}

    assert translate(Filter("width-9|format-jpeg"), image).options == {"jpg.quality": 33}
    assert image.get_rendition("width-9").url.endswith(".webp")


@pytest.mark.parametrize("spec", ["width-9|format-ico", "width-9|format-heic"])
def test_what_rokka_cannot_write_is_refused(new_image: Callable[..., Any], spec: str) -> None:
    with pytest.raises(InvalidFilterSpecError, match="use avif, gif, jpeg, png or webp"):
        new_image().get_rendition(spec)


class Negative(image_operations.FilterOperation):  # type: ignore[misc]
    def construct(self) -> None:
        pass


class Corner(image_operations.TransformOperation):  # type: ignore[misc]
    def construct(self) -> None:
        pass

    def run(self, transform: Any, image: Any) -> Any:
        return transform.crop(Rect(0, 0, transform.size[0] // 3, transform.size[1] // 3))


class Half(image_operations.TransformOperation):  # type: ignore[misc]
    def construct(self) -> None:
        pass

    def run(self, transform: Any, image: Any) -> Any:
        return transform.resize((transform.size[0] // 2, transform.size[1] // 2))


def own_operations() -> list[tuple[str, Any]]:
    return [("negative", Negative), ("corner", Corner), ("half", Half)]


def test_operations_of_ones_own(new_image: Callable[..., Any]) -> None:
    image = new_image(content=gradient((100, 60)), name="gradient.png")
    with hooks.register_temporarily("register_image_operations", own_operations):
        half, corner = image.get_rendition("half"), image.get_rendition("corner")
        with pytest.raises(InvalidFilterSpecError, match="'negative'; take it out"):
            image.get_rendition("half|negative")

    assert fetch(half.url).size == (half.width, half.height) == (50, 30)
    cut = fetch(corner.url)
    assert cut.size == (corner.width, corner.height) == (33, 20)
    whole = fetch(image.file.url)
    assert cut.getpixel((3, 3)) == whole.getpixel((3, 3))


# --- Pictures of other kinds ------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["width-100", "original", "width-100 format-webp preserve-svg"])
def test_a_drawing_stays_one(new_image: Callable[..., Any], spec: str) -> None:
    image = new_image(content=SVG, name="logo.svg")

    template = Template("{% load wagtailimages_tags %}{% image image " + spec + " as shown %}")
    context = Context({"image": image})
    template.render(context)
    rendition = context["shown"]

    answer = requests.get(rendition.url, timeout=30)
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert f'width="{rendition.width}"' in answer.text
    assert f'height="{rendition.height}"' in answer.text


@pytest.mark.parametrize(
    ("spec", "format"),
    [("fill-80x80", "PNG"), ("fill-80x80|format-webp", "WEBP"), ("width-80|format-jpeg", "JPEG")],
)
def test_a_drawing_becomes_a_picture(new_image: Callable[..., Any], spec: str, format: str) -> None:
    rendition = new_image(content=SVG, name="logo.svg").get_rendition(spec)

    shown = fetch(rendition.url)

    assert shown.format == format
    assert shown.size == (rendition.width, rendition.height)


def test_an_animation_goes_on(new_image: Callable[..., Any]) -> None:
    image = new_image(content=animation((400, 300)), name="wave.gif")

    shown = fetch(image.get_rendition("fill-80x80").url)

    assert (shown.size, shown.n_frames) == ((80, 80), 3)  # type: ignore[attr-defined]


def test_a_picture_is_upright(new_image: Callable[..., Any]) -> None:
    rendition = new_image(content=rotated((80, 60))).get_rendition("height-40")

    assert fetch(rendition.url).size == (rendition.width, rendition.height) == (30, 40)


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("width-60", (60, 40)),
        ("width-600", (120, 80)),
        ("height-40", (60, 40)),
        ("max-60x60", (60, 40)),
        ("min-60x60", (90, 60)),
        ("fill-60x60", (60, 60)),
        ("scale-50", (120, 80)),
        ("original", (120, 80)),
    ],
)
def test_a_picture_of_unknown_size(
    new_image: Callable[..., Any], spec: str, size: tuple[int, int]
) -> None:
    image = new_image((120, 80))
    RokkaImage.objects.update(width=None, height=None)
    image = RokkaImage.objects.get()

    rendition = image.get_rendition(spec)

    assert (rendition.width, rendition.height) == (None, None)
    assert fetch(rendition.url).size == size
    assert rendition.img_tag() == f'<img alt="Dog" src="{rendition.url}">'


def test_an_operation_of_ones_own_needs_the_size(new_image: Callable[..., Any]) -> None:
    new_image((120, 80))
    RokkaImage.objects.update(width=None, height=None)

    with (
        hooks.register_temporarily("register_image_operations", own_operations),
        pytest.raises(InvalidFilterSpecError, match="'half' for an image of unknown size"),
    ):
        RokkaImage.objects.get().get_rendition("half")


def test_a_conversion_that_wagtail_does_by_default(new_image: Callable[..., Any]) -> None:
    from tests.pictures import HEIC

    image = RokkaImage(title="Phone", file=ContentFile(HEIC, "phone.heic"))
    image.save()

    assert fetch(image.get_rendition("fill-80x80").url).format == "JPEG"
