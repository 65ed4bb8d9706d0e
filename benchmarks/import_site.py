"""The part of ``import_media.py`` that is a site: rows of one model, whose files are in a folder and shall be at rokka.

``python import_site.py fill`` makes the rows; ``import`` runs ``manage.py rokka_import``; ``loop`` does what one would
write without it; ``check`` compares rows, files and rokka. Each tells what came of it as a line of JSON. What
they need to know is in the environment.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import django
import requests
from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management import call_command, execute_from_command_line
from django.db import connection, models
from import_media import KEY, VARIABLE, Place, name_of
from sync import shared_database_of
from upload_memory import _memory

_PLACE = Place(**json.loads(os.environ[VARIABLE]))

# It is an app by this name, though it was started as a script.
sys.modules["import_site"] = sys.modules[__name__]
settings.configure(
    INSTALLED_APPS=["django_rokka", "import_site"],
    DATABASES={"default": shared_database_of(_PLACE.database)},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIGRATION_MODULES={"import_site": None},
    MEDIA_ROOT=_PLACE.media,
    ROKKA={
        "default": {
            "ORGANIZATION": "acme",
            "API_KEY": KEY,
            "BASE_URL": _PLACE.url,
            "FALLBACK": "default",
            "POOL_SIZE": max(10, _PLACE.workers or 0),
        }
    },
)
django.setup()

from django_rokka.api import RokkaClient  # noqa: E402
from django_rokka.fields import RokkaImageField  # noqa: E402

# What the command imports belongs to an idle process, as the loop's imports do.
from django_rokka.management.commands import rokka_import  # noqa: E402, F401


class Photo(models.Model):
    """A row from before rokka: its column has the name of a file."""

    photo = RokkaImageField()

    objects: models.Manager[Photo] = models.Manager()

    class Meta:
        app_label = "import_site"

    def __str__(self) -> str:
        return str(self.photo)


def _fill() -> None:
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Photo)
    Photo.objects.bulk_create(
        (Photo(pk=number, photo=name_of(number)) for number in range(1, _PLACE.files + 1)),
        batch_size=1000,
    )
    _tell(files=_PLACE.files)


# --- Both ways ----------------------------------------------------------------------------------


def _ours() -> None:
    workers = [] if _PLACE.workers is None else [f"--workers={_PLACE.workers}"]
    execute_from_command_line(["manage.py", "rokka_import", "import_site.Photo.photo", *workers])


def _loop() -> None:
    """What one writes in a script."""
    for row in Photo.objects.iterator():
        with default_storage.open(str(row.photo.name)) as file:
            row.photo.save(Path(str(file.name)).name, file)


def _measured(way: Callable[[], None]) -> None:
    """Tell how far earlier runs have come, then do it, and tell what it took: seconds and bytes."""
    done, at_rokka = _done(), _client().list_source_images(limit=1).total or 0
    _tell(done=done, unseen=at_rokka - done)
    before, started = _memory("VmRSS"), time.perf_counter()
    way()
    _tell(seconds=time.perf_counter() - started, memory=_memory("VmHWM") - before)


def _done() -> int:
    """Rows that have another name than in the beginning."""
    names = Photo.objects.values_list("pk", "photo").iterator()
    return sum(name != name_of(number) for number, name in names)


# --- Afterwards ---------------------------------------------------------------------------------


def _check() -> None:
    """Tell how many rows have no image, and another one than their file, and how many uploads were too many."""
    at_rokka = {image.hash: image.binary_hash for image in _client().iter_source_images()}
    found: Counter[str] = Counter(missing=_PLACE.files - Photo.objects.count(), wrong=0)
    own: set[str] = set()
    for number, name in Photo.objects.values_list("pk", "photo").iterator():
        wanted = hashlib.sha1(Path(_PLACE.media, name_of(number)).read_bytes()).hexdigest()
        has = at_rokka.get(name.partition("/")[0])
        own.add(wanted)
        found["missing"] += has is None
        found["wrong"] += has is not None and has != wanted
    binaries = set(at_rokka.values())
    found["wrong"] += len(binaries - own)
    # An upload makes one image, or finds it made: there were as many as there are images, or some were sent twice.
    found["doubled"] = _uploads() - len(binaries)
    _tell(**found)


def _uploads() -> int:
    """The uploads that rokka has carried out, whether anybody saw the answer or not."""
    calls = requests.get(f"{_PLACE.url}/_emulator/calls", timeout=60).json()
    uploads = [call for call in calls if (call["method"], call["path"]) == _UPLOAD]
    return sum(call["status"] == 201 for call in uploads)


_UPLOAD = ("POST", "/sourceimages/acme")


def _client() -> RokkaClient:
    """A client that knows nothing of Django."""
    return RokkaClient("acme", api_key=KEY, base_url=_PLACE.url)


def _tell(**facts: float) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    {
        "fill": _fill,
        "import": lambda: _measured(_ours),
        "loop": lambda: _measured(_loop),
        "check": _check,
    }[sys.argv[1]]()
