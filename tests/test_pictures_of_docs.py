"""Pictures of the documentation: each is shown with an alternative text, can be made anew, and can be read.

Screenshots are made by the browser tests of the admin: ``make screenshots``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.test_doc_links import DOCS, PAGES, ROOT, prose

IMAGES = DOCS / "images"
SVG = "{http://www.w3.org/2000/svg}"
DRAWINGS = sorted(IMAGES.glob("*.svg"))
SCREENSHOTS = sorted(IMAGES.glob("*.png"))


@cache
def shown() -> dict[Path, list[str]]:
    """The alternative texts of each picture, by its file."""
    found: dict[Path, list[str]] = {}
    for page in PAGES:
        pictures = [(path, alt) for alt, path in re.findall(r"!\[([^\]]*)\]\((\S+)\)", prose(page))]
        blocks = re.findall(r"```\{image\} (\S+)\n(.*?)```", page.read_text(), re.DOTALL)
        for path, options in blocks:
            alt = re.search(r"^:alt: (.+)$", options, re.MULTILINE)
            pictures.append((path, alt[1] if alt else ""))
        for path, text in pictures:
            found.setdefault((page.parent / path).resolve(), []).append(text)
    return found


def test_every_picture_is_there_and_is_shown() -> None:
    assert set(shown()) == {*DRAWINGS, *SCREENSHOTS}


def test_every_picture_has_an_alternative_text() -> None:
    short = [file.name for file, texts in shown().items() for text in texts if len(text) < 15]

    assert short == []


# --- Screenshots ------------------------------------------------------------------------------


def makers() -> Iterator[tuple[Path, str, re.Pattern[str]]]:
    """Of each ``screenshot(page, f"…")`` in the tests: the file, the test, and which names it can have."""
    for path in (ROOT / "tests/admin").glob("test_browser*.py"):
        for test in ast.walk(ast.parse(path.read_text())):
            if isinstance(test, ast.FunctionDef):
                yield from ((path, test.name, pattern) for pattern in _names(test))


def _names(test: ast.FunctionDef) -> Iterator[re.Pattern[str]]:
    for call in ast.walk(test):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "screenshot":
            # An f-string without its holes; what is no constant can be any word.
            name = ast.unparse(call.args[1]).strip("f'\"")
            yield re.compile(re.sub(r"\\{[^}]*\\}", r"\\w+", re.escape(name)))


@pytest.mark.parametrize("file", SCREENSHOTS, ids=lambda file: file.stem)
def test_the_command_makes_every_screenshot(file: Path) -> None:
    _, _, rest = (ROOT / "Makefile").read_text().partition("\nscreenshots:")
    command = rest.partition("\n\n")[0]
    words = re.findall(r"\w+", re.findall(r'-k "([^"]+)"', command)[-1].replace(" or ", " "))

    tests = [(path, test) for path, test, name in makers() if name.fullmatch(file.stem)]

    assert any(
        str(path.relative_to(ROOT)) in command and any(word in test for word in words)
        for path, test in tests
    )


@pytest.mark.parametrize("file", SCREENSHOTS, ids=lambda file: file.stem)
def test_a_screenshot_is_what_its_name_says(file: Path) -> None:
    width, scheme = file.stem.split("-")[-2:]

    with Image.open(file) as image:
        assert image.width == int(width)
        brightness = image.convert("L").histogram()
    most_frequent = brightness.index(max(brightness))
    assert (most_frequent < 64) == (scheme == "dark")
    assert file.stat().st_size < 300_000


# --- Drawings ---------------------------------------------------------------------------------


def rules(style: str) -> dict[str, str]:
    """The fill of each selector, and of the text."""
    found: dict[str, str] = {}
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", style):
        if fill := re.search(r"fill: (#\w{6})", body):
            found |= {selector.strip(): fill[1] for selector in selectors.split(",")}
    return found


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours, from 1 to 21."""
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    values = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("file", DRAWINGS, ids=lambda file: file.stem)
def test_a_drawing_can_be_read_in_light_and_dark(file: Path) -> None:
    style = ElementTree.parse(file).findtext(f"{SVG}style") or ""  # noqa: S314 - our own file
    light, _, dark = style.partition("@media (prefers-color-scheme: dark) {")

    bright = rules(light)
    dimmed = rules(dark)

    assert set(dimmed) == set(bright)
    for scheme in (bright, dimmed):
        surfaces = set(scheme) - {"text", ".small", ".tip", ".step", ".number"}
        for surface in surfaces:
            assert contrast(scheme["text"], scheme[surface]) >= 7, surface
            assert contrast(scheme[".small"], scheme[surface]) >= 4.5, surface
        assert contrast(scheme[".number"], scheme[".step"]) >= 4.5


@pytest.mark.parametrize("file", DRAWINGS, ids=lambda file: file.stem)
def test_a_drawing_stands_alone_and_says_what_it_shows(file: Path) -> None:
    root = ElementTree.parse(file).getroot()  # noqa: S314 - our own file

    assert root.get("role") == "img"
    labels = [
        root.find(f"{SVG}*[@id='{name}']") for name in root.get("aria-labelledby", "").split()
    ]
    assert [label is not None and bool(label.text) for label in labels] == [True, True]
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    text = file.read_text()
    assert re.findall(r"(?:href=|url\(|src=)\"?(?!#)\S+", text) == []
    classes = {name for names in re.findall(r'class="([^"]+)"', text) for name in names.split()}
    assert {name for name in classes if f".{name} {{" not in text} == set()


@pytest.mark.parametrize("file", DRAWINGS, ids=lambda file: file.stem)
def test_a_drawing_is_drawn_within_its_frame(file: Path) -> None:
    resvg_py = pytest.importorskip("resvg_py")
    bare = re.sub(r'<rect class="paper".*?/>', "", file.read_text())

    image = Image.open(BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=bare))))

    left, top, right, bottom = image.convert("RGBA").getchannel("A").getbbox() or (0, 0, 0, 0)
    assert min(left, top) >= 8
    assert right <= image.width - 8
    assert bottom <= image.height - 8
