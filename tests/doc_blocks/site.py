"""A site for the blocks of one page, at the emulator, and everything as it was when the page ends."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from django.apps import AppConfig, apps
from django.contrib import admin
from django.core.files.base import ContentFile
from django.db import connection, models
from opentelemetry.instrumentation.requests import RequestsInstrumentor

from django_rokka.emulator import Emulator
from tests.pictures import picture

_PREPARED = Path(__file__).with_name("prepared.py")
#: The apps that the pages speak of; what a page defines is in the first.
_APPS = ("blog", "shop", "cms")


@dataclass
class Site:
    """What the blocks of a page share."""

    emulator: Emulator
    #: pytest-django's: what is set is as before after the test.
    settings: Any
    #: The module ``blog.models``, in which blocks of Python run.
    module: ModuleType
    _tables: list[type[models.Model]] = field(default_factory=list)

    @property
    def namespace(self) -> dict[str, Any]:
        """The names that the page's blocks have and make."""
        return vars(self.module)

    @property
    def context(self) -> dict[str, Any]:
        """The same for a template."""
        return {name: value for name, value in self.namespace.items() if name[0] != "_"}

    def write(self, path: str) -> None:
        """What a block has defined can be imported as the module in this file, ``mysite/logs.py``."""
        parent, module = ModuleType(""), self.module
        for part in path.removesuffix(".py").split("/"):
            name = f"{parent.__name__}.{part}".lstrip(".")
            module = sys.modules.setdefault(name, ModuleType(name))
            setattr(parent, part, module)
            parent = module
        vars(module).update(self.context)

    def make_tables(self) -> None:
        """For the models that have none yet, and check these models. Raises `AssertionError` for an error."""
        new = [model for model in _models() if model not in self._tables]
        with connection.schema_editor() as editor:
            for model in new:
                editor.create_model(model)
                self._tables.append(model)
        errors = [str(message) for model in new for message in model.check(databases=[])]
        assert not errors, "\n".join(errors)

    def forget(self, name: str) -> None:
        """Make room for a model that the page defines itself."""
        model = apps.all_models[_APPS[0]].pop(name.lower(), None)
        if model is not None:
            self._drop(model)
            apps.clear_cache()

    def renew(self) -> None:
        """Let the page's article be of the model that the page has defined."""
        if type(self.namespace["article"]) is not self.namespace["Article"]:
            self.namespace["article"] = _row(self.namespace["Article"], title="A dog")

    def drop_tables(self) -> None:
        """The page is done."""
        for model in reversed(self._tables):
            self._drop(model)

    def _drop(self, model: type[models.Model]) -> None:
        self._tables.remove(model)
        with connection.schema_editor() as editor:
            editor.delete_model(model)


@contextmanager
def site_for(emulator: Emulator, settings: Any) -> Iterator[Site]:
    """A site with what `prepared` has, and an article with a picture."""
    with ExitStack() as stack:
        for restore in (_environment, _modules, _loggers, _telemetry, _admin, _apps):
            stack.enter_context(restore())
        site = Site(emulator, settings, sys.modules["blog.models"])
        exec(compile(_PREPARED.read_text(), _PREPARED, "exec"), site.namespace)  # noqa: S102
        stack.callback(site.drop_tables)
        site.make_tables()
        site.namespace.update(_rows(site.namespace), emulator=emulator)
        site.namespace["INSTALLED_APPS"] = list(settings.INSTALLED_APPS)
        yield site


def _rows(names: dict[str, Any]) -> dict[str, Any]:
    author = _row(names["Author"], "#884422", name="Ann")
    article = _row(names["Article"], title="A dog", author=author)
    before, after = (_row(names["Article"], color, title=color) for color in ("#111111", "#222222"))
    return {
        "article": article,
        "articles": [article, before, after],
        "image": article.photo.source_image,
        "old": before.photo.source_image,
        "new": after.photo.source_image,
        "csp_nonce": "abc",
    }


def _row(model: type[Any], color: str = "#3366cc", **values: Any) -> Any:
    """A row with a picture of its own colour, and with those of the values that the model has a column for."""
    names = {item.name for item in model._meta.fields}
    for name in names & {"photo", "portrait"}:
        values[name] = ContentFile(picture((800, 600), color=color), "dog.jpg")
    return model.objects.create(**{name: values[name] for name in names & set(values)})


def _models() -> list[type[models.Model]]:
    return [
        model for label in _APPS for model in apps.all_models[label].values() if model._meta.managed
    ]


@contextmanager
def _apps() -> Iterator[None]:
    # Not through INSTALLED_APPS: that would make all apps ready once more.
    for label in _APPS:
        package = sys.modules[label] = ModuleType(label)
        package.__path__ = [label]
        sys.modules[f"{label}.models"] = ModuleType(f"{label}.models")
        config = apps.app_configs[label] = AppConfig(label, package)
        config.apps, config.models = apps, apps.all_models[label]
    apps.clear_cache()
    yield
    for label in _APPS:
        del apps.app_configs[label], apps.all_models[label]
    apps.clear_cache()


@contextmanager
def _environment() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@contextmanager
def _modules() -> Iterator[None]:
    before = set(sys.modules)
    own: Callable[[str], bool] = lambda name: name.partition(".")[0] in {*_APPS, "mysite"}  # noqa: E731
    yield
    for name in filter(own, set(sys.modules) - before):
        del sys.modules[name]


@contextmanager
def _admin() -> Iterator[None]:
    before = dict(admin.site._registry)
    yield
    admin.site._registry = before


@contextmanager
def _loggers() -> Iterator[None]:
    """A LOGGING setting of a page is for that page."""
    named = ["", "django", "django_rokka", "django_rokka.api", "celery"]
    loggers = [logging.getLogger(name) for name in named]
    before = [
        (logger.level, logger.propagate, logger.disabled, logger.handlers[:]) for logger in loggers
    ]
    yield
    for logger, state in zip(loggers, before, strict=True):
        logger.setLevel(state[0])
        logger.propagate, logger.disabled, logger.handlers = state[1:]


@contextmanager
def _telemetry() -> Iterator[None]:
    """Calls are traced only as long as the page that turns this on is run."""
    instrumentor = RequestsInstrumentor()
    yield
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()
