"""The example project, and the demo around it."""

from __future__ import annotations

import io
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from PIL import Image, ImageOps

from django_rokka.emulator import Emulator
from example_project.demo import PortTaken, pick_port
from example_project.gallery.models import Photo
from tests.pictures import demo

ROOT = Path(__file__).parents[1]


@pytest.mark.django_db
def test_an_empty_gallery_leads_to_the_admin(client: Client) -> None:
    page = client.get("/").content.decode()

    assert "No pictures yet" in page
    assert 'href="/admin/gallery/photo/add/"' in page


@pytest.mark.django_db
def test_the_gallery_and_its_pages_are_responsive(client: Client, rokka_emulator: Emulator) -> None:
    for picture in demo(0.05):
        photo = Photo(title=picture.title, alt=picture.alt)
        photo.image.save(picture.filename, ContentFile(picture.content))
        assert (photo.width, photo.height) == picture.size, picture.title
    rokka_emulator.application.calls.clear()

    page = client.get("/").content.decode()
    detail = client.get(Photo.objects.all()[0].get_absolute_url()).content.decode()

    images = re.findall("<img [^>]*>", page)
    assert len(images) == 14
    assert sum("srcset=" in image for image in images) == 13  # all but the drawing
    assert sum('fetchpriority="high"' in image for image in images) == 1
    assert page.count("<source") == 1
    assert "crop-height-360-mode-ratio-width-640" in detail
    assert rokka_emulator.calls == []


def test_the_pictures_are_what_an_editor_meets() -> None:
    found = {picture.filename: picture for picture in demo(0.05)}
    opened = {
        name: Image.open(io.BytesIO(picture.content))
        for name, picture in found.items()
        if not name.endswith(".svg")
    }

    assert {image.format for image in opened.values()} == {"JPEG", "PNG", "WEBP", "GIF"}
    assert opened["aperture.png"].mode == "RGBA"
    assert getattr(opened["tide.gif"], "n_frames", 1) == 24
    lighthouse = opened["lighthouse.jpg"]
    assert lighthouse.width > lighthouse.height
    assert ImageOps.exif_transpose(lighthouse).size == found["lighthouse.jpg"].size
    assert found["regatta.svg"].content.startswith(b"<svg")


def test_a_taken_port_gives_the_next_one_or_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert pick_port(port, strict=False) != port
        with pytest.raises(PortTaken, match=f"Port {port} is in use"):
            pick_port(port, strict=True)


def test_the_demo_command_verifies_itself() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "example_project.check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"Verified \d{3,} facts, 0 failed\.", result.stdout)


def test_the_demo_names_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "example_project.demo", "--emulator-port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert result.returncode == 2
    assert result.stderr == f"Port {port} is in use. Stop what uses it, or choose another one.\n"
