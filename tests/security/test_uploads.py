"""What editors upload: no script on the site's own pages, no bombs."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image
from rest_framework import serializers

from django_rokka import api
from django_rokka.drf import RokkaImageField as SerializerField
from django_rokka.emulator import Emulator
from django_rokka.fields import RokkaFieldFile
from django_rokka.forms import RokkaImageField
from django_rokka.mirror import MirroringClient
from django_rokka.spool import spool_of
from django_rokka.storage import RokkaStorage
from example_project.gallery.models import Photo
from tests.library.models import Article, Snapshot
from tests.pictures import SVG, picture

pytestmark = pytest.mark.django_db

HTML = b"<!DOCTYPE html><html><svg></svg><script>alert(1)</script></html>"
SCRIPT = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30" onload="window.hacked = 1">'
    b"<script>window.hacked = 1</script><rect width='40' height='30'/></svg>"
)


def refused(name: str, content: bytes) -> str:
    """The code of the form's refusal; empty if it takes the file."""
    from django.core.exceptions import ValidationError

    try:
        RokkaImageField().clean(SimpleUploadedFile(name, content))
    except ValidationError as error:
        return str(error.code or error.error_list[0].code)
    return ""


# --- Scripts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.pdf", "a.heic", "a.html", "a.xml"])
def test_the_form_takes_no_page_for_a_picture(name: str) -> None:
    assert refused(name, HTML) in ("unreadable", "mismatch", "invalid_extension")
    assert refused("a.svg", b"<html><body><script>1</script></body></html>") == "mismatch"


@pytest.mark.parametrize(
    ("name", "content", "shown"),
    [
        ("drawing.svg", SCRIPT, "svg"),
        ("page.html", HTML, "html"),
        ("page.XHTML", HTML, "xhtml"),
        ("data.xml", HTML, "xml"),
        ("script", HTML, "bin"),
        ("dog.jpg", picture(), "jpg"),
    ],
)
def test_a_file_that_waits_cannot_run_on_the_sites_own_host(
    rokka_emulator: Emulator, settings: Any, tmp_path: Path, name: str, content: bytes, shown: str
) -> None:
    """It lies below MEDIA_ROOT, and the web server goes by its name."""
    from mimetypes import guess_type

    settings.MEDIA_ROOT = tmp_path
    waiting = RokkaStorage().defer(name, ContentFile(content))
    row = Snapshot(photo=waiting)

    kind = guess_type(waiting)[0] or "application/octet-stream"
    assert kind in ("application/octet-stream", "image/jpeg")
    assert guess_type(row.photo.url)[0] == guess_type(waiting)[0]
    assert row.photo.format == shown
    with spool_of(row.photo.config).open(waiting) as file:
        assert file.read() == content


@pytest.mark.django_db(transaction=True)
def test_a_drawing_that_waited_is_one_at_rokka(
    rokka_emulator: Emulator, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path

    row = Snapshot.objects.create(photo=ContentFile(SVG, "Logo of the House.svg"))
    row.refresh_from_db()

    assert row.photo.name.endswith("/logo-of-the-house.svg")
    assert row.photo.source_image.name == "logo-of-the-house.svg"


def test_a_drawing_opened_by_itself_runs_nothing(
    rokka_emulator: Emulator, rokka_client: MirroringClient
) -> None:
    image = rokka_client.create_source_image(io.BytesIO(SCRIPT), name="a.svg")
    base = rokka_emulator.render_url.format(organization="acme")

    for stack in ("dynamic/noop", "dynamic/o-source_file-true"):
        answer = requests.get(f"{base}/{stack}/{image.hash}/a.svg", timeout=10)

        assert answer.headers["Content-Type"].startswith("image/svg+xml")
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert {"default-src 'none'", "sandbox"} <= set(policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    answer = requests.get(
        f"{rokka_emulator.api_url}/sourceimages/acme/{image.hash}/download",
        headers={"Api-Key": "test-key"},
        timeout=10,
    )
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_no_name_is_markup(rokka_emulator: Emulator, admin_client: Client) -> None:
    evil = '"><img src=x onerror=hacked>.jpg'
    photo = Photo(title=evil, alt=evil)
    photo.image.save(evil, ContentFile(picture()))
    image = photo.image.source_image
    RokkaStorage().client.rename_source_image(image.hash, evil)
    image.refresh_from_db()
    image.user_metadata = {"title": evil, evil: evil}
    image.save()

    pages = [
        admin_client.get(address).content.decode()
        for address in (
            "/",
            f"/photo/{photo.pk}/",
            f"/admin/gallery/photo/{photo.pk}/change/",
            "/admin/gallery/photo/",
            "/admin/rokka/sourceimage/",
            f"/admin/rokka/sourceimage/{image.pk}/change/",
            f"/admin/rokka/sourceimage/{image.pk}/action/delete/",
            "/admin/rokka/sourceimage/picker/gallery/photo/image/",
        )
    ]

    # The picker's answer is JSON, which a script reads.
    assert "onerror=hacked" in " ".join(pages)
    assert [page for page in pages if "<img src=x" in page] == []


# --- Bombs ----------------------------------------------------------------------------------------


def bomb(width: int, height: int) -> bytes:
    """A PNG of so many black pixels: small, as long as nobody unpacks it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def bombs() -> list[bytes]:
    """A little above Pillow's limit, where it only warns, and far above."""
    return [bomb(9600, 9600), bomb(24000, 24000)]


@pytest.fixture
def undecoded(monkeypatch: Any) -> Callable[[], None]:
    """Nothing may be unpacked."""
    from PIL import ImageFile

    def load(self: Any) -> None:
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    return load  # type: ignore[return-value]


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_forms_refuse_a_decompression_bomb_by_its_header(
    bombs: list[bytes], undecoded: object
) -> None:
    class Serializer(serializers.Serializer[Any]):
        photo = SerializerField()

    for content in bombs:
        assert len(content) < 200_000
        assert refused("bomb.png", content) == "too_large"
        serializer = Serializer(data={"photo": SimpleUploadedFile("bomb.png", content)})
        assert not serializer.is_valid()
        assert "more pixels than the 89 million" in str(serializer.errors["photo"][0])


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_warning_that_is_an_error_is_no_other_message(bombs: list[bytes]) -> None:
    assert refused("bomb.png", bombs[0]) == "too_large"


def test_the_limit_is_pillows_own(monkeypatch: Any) -> None:
    content = picture((50, 50), "PNG")
    assert refused("a.png", content) == ""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2499)
    assert refused("a.png", content) == "too_large"
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert refused("a.png", content) == ""


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_that_code_assigns_has_no_known_size(bombs: list[bytes], undecoded: object) -> None:
    row = Article(title="x", photo=SimpleUploadedFile("bomb.png", bombs[1]))

    assert isinstance(row.photo, RokkaFieldFile)
    assert (row.photo.width, row.photo.height) == (None, None)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_emulator_refuses_bombs_too(rokka_client: MirroringClient, bombs: list[bytes]) -> None:
    for content in bombs:
        with pytest.raises(api.InvalidRequest, match="more pixels"):
            rokka_client.create_source_image(io.BytesIO(content), name="bomb.png")


NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink"'
LAUGHS = '<!ENTITY l0 "ha">'
for _n in range(1, 10):
    LAUGHS += f'<!ENTITY l{_n} "' + f"&l{_n - 1};" * 10 + '">'
CHAIN = "".join(f'<g id="a{n}"><use x:href="#a{n - 1}"/></g>' for n in range(1, 900))


def _tenfold(number: int) -> str:
    """A group of ten times the one before."""
    uses = f'<use x:href="#a{number - 1}"/>' * 10
    return f'<g id="a{number}">{uses}</g>'


TENFOLD = "".join(map(_tenfold, range(1, 10)))
DRAWINGS = {
    "billion laughs": f"<!DOCTYPE svg [{LAUGHS}]><svg {NS}><text>&l9;</text></svg>",
    "deep": f"<svg {NS}>{'<g>' * 900}{'</g>' * 900}</svg>",
    "deep by reference": f"<svg {NS}>{CHAIN}</svg>",
    "large": f'<svg {NS} width="1e9" height="99999999"/>',
    "no number": f'<svg {NS} width="1.2.3" height="{"9" * 400}"/>',
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_no_drawing_makes_the_form_or_the_emulator_hang(
    rokka_client: MirroringClient, name: str
) -> None:
    content = DRAWINGS[name].encode()
    started = time.monotonic()

    assert refused("a.svg", content) == ""
    with pytest.raises(api.InvalidRequest):
        rokka_client.create_source_image(io.BytesIO(content), name="a.svg")

    assert time.monotonic() - started < 5


def test_a_drawing_that_multiplies_is_refused_when_it_is_drawn(
    rokka_client: MirroringClient, rokka_emulator: Emulator
) -> None:
    drawing = f'<svg {NS} width="9" height="9"><rect id="a0" width="1" height="1"/>{TENFOLD}</svg>'
    image = rokka_client.create_source_image(io.BytesIO(drawing.encode()), name="a.svg")
    base = rokka_emulator.render_url.format(organization="acme")

    answer = requests.get(f"{base}/dynamic/noop/{image.hash}/a.png", timeout=10)

    assert answer.status_code == 400
    assert "cannot be drawn" in answer.json()["message"]
