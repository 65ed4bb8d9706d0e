"""The demo: the emulator and the example site in one process, with pictures in it.

``python -m example_project.demo``, or ``make demo``. Everything it writes is below one data directory;
a second start finds what the first one, or an editor, left there.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cheroot import wsgi

from django_rokka.emulator import Emulator

if TYPE_CHECKING:
    from .pictures import Picture

ORGANIZATION, API_KEY = "acme", "demo-key"
USER, PASSWORD = "admin", "rokka"
_HOST = "127.0.0.1"
_TRIES = 20


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class PortTaken(Exception):
    """A port that was asked for is in use."""


def pick_port(wanted: int, *, strict: bool) -> int:
    """``wanted`` if it is free, else the next free one; with ``strict``, raise `PortTaken` instead."""
    for port in [wanted] if strict else [*range(wanted, wanted + _TRIES), 0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise PortTaken(f"Port {wanted} is in use. Stop what uses it, or choose another one.")


def start_emulator(data: Path, port: int) -> Emulator:
    """Start the emulator and tell Django, through the environment, where it is."""
    emulator = Emulator(
        data, organizations=[ORGANIZATION, f"{ORGANIZATION}-stage"], api_key=API_KEY, port=port
    )
    emulator.start()
    os.environ["ROKKA_BASE_URL"] = emulator.api_url
    os.environ["ROKKA_RENDER_URL"] = emulator.render_url
    os.environ["ROKKA_SIGNING_KEY"] = emulator.signing_key
    return emulator


def prepare(data: Path) -> None:
    """Set Django up: tables, stacks, pictures if there are none, and an administrator."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    os.environ["EXAMPLE_DATA"] = str(data)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    _save_stacks()
    _load_pictures(data)
    _create_user()


def _save_stacks() -> None:
    from django_rokka import stacks
    from django_rokka.conf import get_config

    for outcome in stacks.push(names=tuple(get_config().stacks), overwrite=True):
        if not outcome.ok:
            say(f"Stack {outcome.name}: {outcome.text}")


def _load_pictures(data: Path) -> None:
    from .gallery.models import Photo
    from .pictures import pictures

    # A note, rather than a look for an empty table: an editor may have deleted everything.
    done = data / "pictures-loaded"
    if done.exists():
        return
    say("Drawing and uploading pictures:")
    for position, picture in enumerate(pictures(), start=1):
        if not Photo.objects.filter(title=picture.title).exists():
            _load(picture, position, Photo)
    _make_placeholders()
    done.touch()


def _load(picture: Picture, position: int, model: Any) -> None:
    from django.core.files.base import ContentFile

    from django_rokka.api import SubjectArea

    photo = model(title=picture.title, alt=picture.alt, position=position)
    photo.image.save(picture.filename, ContentFile(picture.content))
    if picture.focus:
        photo.image.set_subject_area(*picture.focus, percentage=True)
        photo.image.set_multi_areas({"tall": SubjectArea(*picture.focus, percentage=True)})
    say(f"  {picture.filename}: {photo.width} × {photo.height}, {len(picture.content) // 1000} kB")


def _make_placeholders() -> None:
    from django_rokka import placeholders

    *_, run = placeholders.fill_missing("default")
    say(f"  Placeholders: {run.filled}, and {run.plain} pictures that are transparent.")


def _create_user() -> None:
    from django.contrib.auth import get_user_model

    users = get_user_model()
    if not users.objects.filter(username=USER).exists():
        users.objects.create_superuser(USER, "admin@example.com", PASSWORD)


def start_site(port: int) -> wsgi.Server:
    """Serve the site, with its static files, from threads."""
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.wsgi import get_wsgi_application

    server = wsgi.Server((_HOST, port), StaticFilesHandler(get_wsgi_application()), numthreads=8)
    server.prepare()
    threading.Thread(target=server.serve, daemon=True).start()
    return server


def _until_signal() -> Callable[[], object]:
    """Take over SIGINT and SIGTERM; gives a function that waits for one of them."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended.wait


def run(data: Path, site_port: int, emulator_port: int, *, strict: bool) -> int:
    """Start everything, say where it is, and end it on a signal."""
    wait = _until_signal()
    data.mkdir(parents=True, exist_ok=True)
    emulator = start_emulator(data / "rokka", pick_port(emulator_port, strict=strict))
    try:
        prepare(data)
        port = pick_port(site_port, strict=strict)
        site = start_site(port)
        _announce(emulator, port)
        wait()
        say("Stopping.")
        site.stop()
    finally:
        emulator.stop()
    return 0


def _announce(emulator: Emulator, port: int) -> None:
    site = f"http://{_HOST}:{port}"
    say()
    say(f"Gallery   {site}/")
    say(f"Admin     {site}/admin/   user {USER}, password {PASSWORD}")
    say(f"Emulator  {emulator.api_url}   organization {ORGANIZATION}")
    say()
    say("Ready. Press Ctrl-C to end it.")


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 0, or 2 for a port that is taken."""
    options = _parser().parse_args(arguments)
    strict = options.port is not None or options.emulator_port is not None
    try:
        return run(
            options.data.resolve(),
            8000 if options.port is None else options.port,
            8899 if options.emulator_port is None else options.emulator_port,
            strict=strict,
        )
    except PortTaken as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m example_project.demo", description=__doc__)
    parser.add_argument(
        "--port", type=int, help="the site's port; default: 8000 or the next free one"
    )
    parser.add_argument("--emulator-port", type=int, help="default: 8899 or the next free one")
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "var")
    return parser


if __name__ == "__main__":
    sys.exit(main())
