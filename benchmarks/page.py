"""How long a template page of responsive pictures takes: ours, easy-thumbnails and django-imagekit.

``python benchmarks/page.py [--pictures 100] [--rounds 30]``, with the extra ``benchmarks``. Each page has
for each picture an ``<img>`` with ``src``, a ``srcset`` of 6 widths, ``sizes``, ``width``, ``height``,
``alt`` and ``loading``. All caches are warm: templates are compiled, thumbnails are made, and the others
know of them. Database, pictures and thumbnails are in a temporary directory, and nothing calls rokka: there
is no key for it.

A round renders each page once, of rows that were just loaded, as a request does; the loading is not
measured, a prefetch is. The best round and the median are shown. In a round of its own the queries are
counted, and what Python asks the file system. Says what is missed of the aims, by the best
rounds: a page of theirs is 5 times as slow as ours, and ours takes less than 10 ms for 100 pictures.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from types import FrameType
from typing import Any

import django
from django.apps import AppConfig
from django.conf import settings
from django.core.files.storage import Storage, default_storage
from django.core.management import call_command
from django.db import connection, models
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext, override_settings
from PIL import Image, ImageDraw

if not (find_spec("easy_thumbnails") and find_spec("imagekit")):
    sys.exit("Something to compare with is missing; pip install -e '.[benchmarks]'")

SIZE = (1600, 1067)
WIDTHS = (320, 480, 640, 960, 1280, 1600)
SIZES = "(min-width: 60rem) 50vw, 100vw"
#: How many times as fast as the others, and milliseconds for 100 pictures.
AIM, PAGE_AIM = 5, 10.0


# --- The pages --------------------------------------------------------------------------------


def _page(before: str, picture: str) -> str:
    return f"{before}{{% for row in rows %}}{picture}{{% endfor %}}"


def _img(largest: str, url_of: Callable[[int], str]) -> str:
    """A picture of which the package gives URLs, and the template does the rest.

    ``largest`` is a variable: it is in ``src`` too, and need not be made twice.
    """
    candidates = [f"{url_of(width)} {width}w" for width in WIDTHS[:-1]]
    srcset = ", ".join([*candidates, f"{{{{ largest }}}} {WIDTHS[-1]}w"])
    return (
        f'{{% with largest={largest} %}}<img src="{{{{ largest }}}}" srcset="{srcset}"'
        f' sizes="{SIZES}" width="{{{{ row.width }}}}" height="{{{{ row.height }}}}"'
        ' alt="{{ row.title }}" loading="lazy">{% endwith %}'
    )


def _rokka(stack: str) -> str:
    tag = f'{{% rokka_img row.photo "{stack}" sizes="{SIZES}" alt=row.title %}}'
    return _page("{% load rokka %}", tag)


def _easy_thumbnails() -> str:
    tag = f"{{% thumbnail row.photo {WIDTHS[-1]}x0 as file %}}"
    picture = _img("file.url", lambda width: f"{{% thumbnail row.photo {width}x0 %}}")
    return _page("{% load thumbnail %}", tag + picture)


def _imagekit(kind: str) -> str:
    picture = _img(
        f"row.{kind}_{WIDTHS[-1]}.url", lambda width: f"{{{{ row.{kind}_{width}.url }}}}"
    )
    return _page("", picture)


#: When django-imagekit looks whether a file is there: as it comes, and its fastest way.
STRATEGIES = {"sure": "JustInTime", "fast": "Optimistic"}
TEMPLATES = {
    "dynamic": _rokka("dynamic"),
    "signed": _rokka("signed"),
    "open": _rokka("open"),
    "easy_thumbnails": _easy_thumbnails(),
    **{kind: _imagekit(kind) for kind in STRATEGIES},
}

_resize = {"name": "resize", "options": {"width": WIDTHS[-1]}}
settings.configure(
    INSTALLED_APPS=[
        "django_rokka",
        "easy_thumbnails",
        "imagekit",
        AppConfig("benchmark", sys.modules[__name__]),
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3"}},
    # Room for all that django-imagekit knows: 300 entries are the default.
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 1_000_000},
        }
    },
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.cached.Loader",
                        [("django.template.loaders.locmem.Loader", TEMPLATES)],
                    )
                ]
            },
        }
    ],
    ROKKA={
        "default": {"ORGANIZATION": "acme", "WIDTHS": WIDTHS},
        "signed": {
            "ORGANIZATION": "acme",
            "WIDTHS": WIDTHS,
            "SIGNING_KEY": "OCOuisGe30QyocYkQN1SPErGGKunyuhZ",
            "STACKS": {
                "signed": {"operations": [_resize], "options": {"protected": True}},
                "open": {"operations": [_resize]},
            },
        },
    },
    MEDIA_URL="/media/",
    # A row for a thumbnail that is there is made without making the thumbnail anew.
    THUMBNAIL_CHECK_CACHE_MISS=True,
    THUMBNAIL_DEBUG=True,
    MIGRATION_MODULES={"benchmark": None},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django_rokka.fields import RokkaImageField  # noqa: E402
from django_rokka.models import SourceImage  # noqa: E402
from django_rokka.prefetch import prefetch_source_images  # noqa: E402

_thumbnailer: Any = import_module("easy_thumbnails.fields").ThumbnailerImageField
_spec: Any = import_module("imagekit.models").ImageSpecField
_fit: Any = import_module("imagekit.processors").ResizeToFit


# --- The rows ---------------------------------------------------------------------------------


class Row(models.Model):
    """What all of them have, and the dimensions of the picture."""

    title = models.CharField(max_length=100)
    width = models.PositiveIntegerField(null=True)
    height = models.PositiveIntegerField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title


class Ours(Row):
    """A picture at rokka."""

    photo = RokkaImageField(width_field="width", height_field="height")

    class Meta:
        app_label = "benchmark"


class OursWithoutColumns(Row):
    """A picture whose dimensions only the mirror knows."""

    photo = RokkaImageField()

    class Meta:
        app_label = "benchmark"


class OursSigned(Row):
    """A picture at rokka, of an alias with a signing key."""

    photo = RokkaImageField(alias="signed", width_field="width", height_field="height")

    class Meta:
        app_label = "benchmark"


class ElsewhereStorage(Storage):
    """Files that are not on this machine: as of all such storages, they have URLs but no path."""

    def exists(self, name: str) -> bool:
        """Asked once, when the caches are filled."""
        return default_storage.exists(name)

    def url(self, name: str | None) -> str:
        """Where the file would be."""
        return f"https://media.example.com/{name}"


class EasyThumbnails(Row):
    """Local files: easy-thumbnails compares their dates."""

    photo = _thumbnailer(width_field="width", height_field="height")

    class Meta:
        app_label = "benchmark"


class EasyThumbnailsElsewhere(Row):
    """Files elsewhere: easy-thumbnails asks its tables."""

    photo = _thumbnailer(
        width_field="width",
        height_field="height",
        storage=ElsewhereStorage(),
        thumbnail_storage=ElsewhereStorage(),
    )

    class Meta:
        app_label = "benchmark"


class ImageKit(Row):
    """Local files: django-imagekit's cache knows of them, or they are made in advance and nobody asks."""

    photo = models.ImageField(width_field="width", height_field="height")

    class Meta:
        app_label = "benchmark"


for _width, (_kind, _strategy) in product(WIDTHS, STRATEGIES.items()):
    _field = _spec(
        source="photo",
        processors=[_fit(width=_width)],
        format="JPEG",
        options={"quality": 85},
        cachefile_strategy=f"imagekit.cachefiles.strategies.{_strategy}",
    )
    _field.contribute_to_class(ImageKit, f"{_kind}_{_width}")

_OURS: list[type[Row]] = [Ours, OursSigned, OursWithoutColumns]
_THEIRS: list[type[Row]] = [EasyThumbnails, EasyThumbnailsElsewhere, ImageKit]


@dataclass(frozen=True)
class Side:
    """A page: how it is called, its rows, its template, and what its view does with the rows."""

    label: str
    model: type[Row]
    template: str
    prepare: Callable[[list[Row]], list[Row]] = list

    @property
    def rows(self) -> list[Row]:
        """All rows, new from the database: none keeps what an earlier page looked up."""
        return list(models.QuerySet(self.model))

    def render(self, rows: list[Row]) -> str:
        """The page."""
        return render_to_string(self.template, {"rows": self.prepare(rows)})


OURS = Side("ours", Ours, "dynamic")
SIDES = [
    OURS,
    Side("ours, a signed stack", OursSigned, "signed"),
    Side("ours, asked if protected", OursSigned, "open"),
    Side("ours, the same, prefetched", OursSigned, "open", prefetch_source_images),
    Side("ours, no columns", OursWithoutColumns, "dynamic"),
    Side("ours, no columns, prefetched", OursWithoutColumns, "dynamic", prefetch_source_images),
    Side("easy-thumbnails, local files", EasyThumbnails, "easy_thumbnails"),
    Side("easy-thumbnails, its tables", EasyThumbnailsElsewhere, "easy_thumbnails"),
    Side("django-imagekit, its cache", ImageKit, "sure"),
    Side("django-imagekit, Optimistic", ImageKit, "fast"),
]


# --- What is there before ---------------------------------------------------------------------


def _draw(path: Path) -> None:
    """A picture that is no other one."""
    picture = Image.linear_gradient("L").resize(SIZE)
    ImageDraw.Draw(picture).text((100, 100), path.stem, fill=255, font_size=200)
    picture.save(path)


def _image(name: str) -> SourceImage:
    """What the mirror knows of a picture."""
    hash, _, file = name.partition("/")
    known = {"format": "jpg", "mimetype": "image/jpeg", "width": SIZE[0], "height": SIZE[1]}
    return SourceImage(organization="acme", hash=hash, short_hash=hash[:12], name=file, **known)


def _fill_table(model: type[Row], names: list[str]) -> None:
    with connection.schema_editor() as editor:
        editor.create_model(model)
    given = {"title": "Cats & dogs", "width": SIZE[0], "height": SIZE[1]}
    rows: models.QuerySet[Any] = models.QuerySet(model)
    rows.bulk_create([model(photo=name, **given) for name in names])


def _fill(pictures: int, media: Path) -> None:
    call_command("migrate", verbosity=0)
    files = [f"picture-{number}.jpg" for number in range(pictures)]
    names = [f"{hashlib.sha1(file.encode()).hexdigest()}/{file}" for file in files]
    for file in files:
        _draw(media / file)
    SourceImage.objects.bulk_create(map(_image, names))
    for model in _OURS:
        _fill_table(model, names)
    for model in _THEIRS:
        _fill_table(model, files)


@contextmanager
def _directory() -> Iterator[Path]:
    """Where the database is, and the files are; gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        media = Path(directory) / "media"
        media.mkdir()
        connection.settings_dict["NAME"] = Path(directory) / "benchmark.sqlite3"
        with override_settings(MEDIA_ROOT=media), closing(connection):
            yield media


# --- Measuring --------------------------------------------------------------------------------

_FILE_CALLS = (os.stat, os.lstat, os.open, os.listdir, os.scandir, open)


@contextmanager
def _counting_file_calls() -> Iterator[list[str]]:
    """What Python code asks the file system; the database does so from C, and is not seen."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function in _FILE_CALLS:
            calls.append(function.__name__)

    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def _warm_up(side: Side) -> None:
    """Fill all caches. Raises `RuntimeError` if the page does not show all pictures in all widths."""
    html = side.render(side.rows)
    rows = len(side.rows)
    found = (html.count("<img "), len(re.findall(r"[^\s,\"] \d+w[,\"]", html)))
    if found != (rows, rows * len(WIDTHS)):
        raise RuntimeError(f"{side.label}: {found[0]} pictures with {found[1]} URLs; {html[:900]}")


def _calls(side: Side) -> tuple[int, int]:
    """Queries and file calls of a page."""
    rows = side.rows
    with CaptureQueriesContext(connection) as queries, _counting_file_calls() as calls:
        side.render(rows)
    return len(queries), len(calls)


def _milliseconds(side: Side) -> float:
    rows = side.rows
    gc.collect()  # Each pays for its own garbage, not for that of the one before.
    started = time.perf_counter()
    side.render(rows)
    return (time.perf_counter() - started) * 1000


def _measure(rounds: int) -> dict[Side, list[float]]:
    """Milliseconds of all rounds. The sides take turns, so that a busy machine is busy for all."""
    found: dict[Side, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, times in found.items():
            times.append(_milliseconds(side))
    return found


def _lines(found: dict[Side, list[float]]) -> Iterator[str]:
    yield f"{'':32}{'best':>10}{'median':>13}{'queries':>10}{'file calls':>12}{'to ours':>10}"
    for side, times in found.items():
        best, median = min(times), statistics.median(times)
        queries, calls = _calls(side)
        ratio = best / min(found[OURS])
        yield f"{side.label:32}{best:7.2f} ms{median:10.2f} ms{queries:10}{calls:12}{ratio:8.1f} x"


def _missed(found: dict[Side, list[float]], pictures: int) -> list[str]:
    """Which aims are missed."""
    ours, limit = min(found[OURS]), PAGE_AIM * pictures / 100
    missed = [
        f"{side.label} {AIM} times as slow as ours"
        for side, times in found.items()
        if side.model in _THEIRS and min(times) < AIM * ours
    ]
    return missed + ([f"ours in less than {limit:.1f} ms"] if ours >= limit else [])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=100, help="on a page")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    if options.pictures < 1 or options.rounds < 1:
        parser.error("--pictures and --rounds must be at least 1")
    with _directory() as media:
        _fill(options.pictures, media)
        for side in SIDES:
            _warm_up(side)
        found = _measure(options.rounds)
        print(f"A page of {options.pictures} pictures in {len(WIDTHS)} widths")
        print(*_lines(found), sep="\n")
        for missed in _missed(found, options.pictures):
            print(f"Missed: {missed}")


if __name__ == "__main__":
    main()
