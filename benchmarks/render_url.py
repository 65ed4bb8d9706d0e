"""How long it takes to make a URL, a signed URL and a ``srcset``: ours and the alternatives, in one run.

``python benchmarks/render_url.py``. Each makes the URL of a picture resized to 640 pixels, as WebP; the
``srcset`` has 8 widths. The alternatives are `cloudinary` and `pyuploadcare` (the extra ``benchmarks``) and
rokka's own JavaScript client under node; one that is missing is said to be. A round is ten pictures, and the
best of many rounds counts. At the end there is a page of 100 responsive pictures: its URLs, and as HTML by
``{% rokka_img %}`` in a template. Says so if an aim is missed: a URL is 20 times as fast as `cloudinary`'s,
and the URLs of the page take less than 10 ms.
"""

from __future__ import annotations

import hashlib
import json
import sys
import timeit
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import django
from django.apps import AppConfig
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django_rokka", AppConfig("benchmark", sys.modules[__name__])],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    ROKKA={"default": {"ORGANIZATION": "acme"}},
)
django.setup()

from django.db import models  # noqa: E402
from django.template import Context, Template  # noqa: E402

from django_rokka.api import render_url, sign_url, srcset  # noqa: E402
from django_rokka.fields import RokkaImageField  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import node_packages  # noqa: E402

#: What is made of a name.
Made = Callable[[str], str]
#: Microseconds by kind.
Times = dict[str, float]

PICTURES, ROUND = 100, 10
WIDTHS = (320, 480, 640, 800, 960, 1280, 1600, 1920)
KEY = "OCOuisGe30QyocYkQN1SPErGGKunyuhZ"
BASE = "https://acme.rokka.io"
NAMES = [
    f"{hashlib.sha1(str(number).encode()).hexdigest()}/picture-{number}.jpg"
    for number in range(PICTURES)
]
KINDS = {"url": "a URL", "signed": "a signed URL", "srcset": "a srcset of 8 widths"}
AIM, PAGE_AIM = 20, 10.0


class Picture(models.Model):
    """A row of the page."""

    photo = RokkaImageField(width_field="width", height_field="height")
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)

    class Meta:
        app_label = "benchmark"

    def __str__(self) -> str:
        return str(self.photo)


def ours() -> dict[str, Made]:
    """The functions that the template tags call."""

    def make(name: str) -> str:
        steps = {"resize": {"width": 640}}
        return render_url(BASE, "dynamic", name, operations=steps, format="webp")

    return {
        "url": make,
        "signed": lambda name: sign_url(make(name), KEY),
        "srcset": lambda name: srcset(BASE, "dynamic", name, WIDTHS, format="webp"),
    }


def cloudinary() -> dict[str, Made]:
    """Cloudinary's ``cloudinary_url``."""
    import_module("cloudinary").config(cloud_name="acme", api_key="1", api_secret=KEY, secure=True)
    make = partial(
        import_module("cloudinary.utils").cloudinary_url, crop="scale", fetch_format="webp"
    )
    return {
        "url": lambda name: make(name, width=640)[0],
        "signed": lambda name: make(name, width=640, sign_url=True)[0],
        "srcset": lambda name: ", ".join(f"{make(name, width=one)[0]} {one}w" for one in WIDTHS),
    }


def pyuploadcare() -> dict[str, Made]:
    """Uploadcare's ``File.cdn_url``; its images are named by UUIDs."""
    builder = import_module("pyuploadcare.secure_url").AkamaiSecureUrlBuilderWithUrlToken
    client = import_module("pyuploadcare").Uploadcare(
        "demopublickey", "demosecretkey", secure_url_builder=builder("acme.example.com", "00" * 16)
    )

    def make(name: str, width: int) -> str:
        file = client.file(f"{name[:8]}-{name[8:12]}-4{name[13:16]}-8{name[17:20]}-{name[20:32]}")
        file.set_effects(f"resize/{width}x/-/format/webp/")
        return str(file.cdn_url)

    return {
        "url": lambda name: make(name, 640),
        "signed": lambda name: str(client.generate_secure_url(make(name, 640))),
        "srcset": lambda name: ", ".join(f"{make(name, one)} {one}w" for one in WIDTHS),
    }


def rokka_js() -> Times:
    """What node measures, with a sample of each."""
    script = Path(__file__).with_suffix(".cjs")
    given = json.dumps({"names": NAMES[:ROUND], "widths": WIDTHS, "key": KEY})
    try:
        found = json.loads(node_packages.run(script, given))
    except node_packages.NodeMissing as error:
        print(f"{'rokka.js':14} is missing: {error}")
        return {}
    print(f"{'rokka.js':14} {found['url']['sample']}")
    return {kind: one["microseconds"] for kind, one in found.items()}


def measured(make: Callable[[], object], rounds: int = 400) -> float:
    """Microseconds of the best round."""
    make()
    return min(timeit.repeat(make, number=1, repeat=rounds)) * 1e6


def measured_all(make: Callable[[], dict[str, Made]]) -> Times:
    """Microseconds for one of each kind; nothing if the package is missing."""
    label = make.__name__
    try:
        made = make()
    except ModuleNotFoundError as error:
        print(f"{label:14} is missing ({error}); pip install -e '.[benchmarks]'")
        return {}
    print(f"{label:14} {made['url'](NAMES[0])}")
    return {
        kind: measured(lambda make=make: [make(name) for name in NAMES[:ROUND]]) / ROUND  # type: ignore[misc]
        for kind, make in made.items()
    }


def page_of_urls() -> float:
    """Milliseconds for ``src`` and ``srcset`` of all pictures."""
    made = ours()
    return measured(lambda: [(made["url"](name), made["srcset"](name)) for name in NAMES], 60) / 1e3


def page_of_tags() -> float:
    """Milliseconds for the whole HTML, by Django's templates."""
    rows = [Picture(photo=name, width=4000, height=3000) for name in NAMES]
    tag = f'{{% rokka_img row.photo widths="{" ".join(map(str, WIDTHS))}" format="webp" alt="" %}}'
    template = Template(f"{{% load rokka %}}{{% for row in rows %}}{tag}{{% endfor %}}")
    return measured(lambda: template.render(Context({"rows": rows})), 60) / 1e3


def main() -> None:
    """Measure and print."""
    found = {make.__name__: measured_all(make) for make in (ours, cloudinary, pyuploadcare)}
    found["rokka.js"] = rokka_js()
    print(f"\n{'':14}" + "".join(f"{text:>24}" for text in KINDS.values()))
    for label, times in ((label, times) for label, times in found.items() if times):
        ratios = {kind: times[kind] / found["ours"][kind] for kind in KINDS}
        row = [f"{times[kind]:.2f} µs {ratios[kind]:6.1f} x" for kind in KINDS]
        print(f"{label:14}" + "".join(f"{text:>24}" for text in row))
    page = page_of_urls()
    print(
        f"\nA page of {PICTURES} pictures: {page:.2f} ms for its URLs, {page_of_tags():.2f} ms as HTML"
    )
    ratio = found["cloudinary"].get("url", float("inf")) / found["ours"]["url"]
    if ratio < AIM or page > PAGE_AIM:
        print(
            f"Missed: {AIM} times as fast as cloudinary, {PAGE_AIM:.0f} ms for the URLs of a page"
        )


if __name__ == "__main__":
    main()
