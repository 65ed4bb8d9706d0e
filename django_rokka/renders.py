"""Which URL shows a picture on this site: at its organization's address, signed if that is due.

Everything that shows a picture (a row's file, an image of the mirror, a storage's name) asks here, so that
address, size and signature are decided in one place. The URL itself is made by `django_rokka.api.render`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING

from .api.render import Operations, Options, fitting
from .api.render import render_url as build_url
from .api.render import srcset as build_srcset
from .api.signing import round_up, sign_url
from .conf import Config

if TYPE_CHECKING:
    from .models import SourceImage


class Renderable:
    """What a row's file and an image of the mirror share: how they are shown.

    Nothing here asks rokka. ``known`` is the mirror's row where that costs no query, ``mirrored`` is it where
    it may cost one.
    """

    if TYPE_CHECKING:

        @property
        def config(self) -> Config: ...
        @property
        def default_stack(self) -> str: ...
        @property
        def file_name(self) -> str: ...
        @property
        def format(self) -> str: ...
        @property
        def width(self) -> int | None: ...
        @property
        def height(self) -> int | None: ...
        @property
        def protected(self) -> bool: ...
        @property
        def known(self) -> SourceImage | None: ...
        @property
        def mirrored(self) -> SourceImage | None: ...

    @property
    def waiting_url(self) -> str:
        """Where the file is shown that waits to be uploaded; empty for what is at rokka."""
        return ""

    def protected_in(self, stack: str) -> bool:
        """Whether URLs of this picture in a stack need a signature; asks nobody if the stack says so."""
        declared = self.config.stacks.get(stack)
        return bool(declared and declared.protected) or self.protected

    def said(self, names: Sequence[str]) -> str:
        """The first text that user metadata have under one of these names, as far as ``known``; or empty."""
        said = self.known.user_metadata if self.known else {}
        return next((str(said[name]) for name in names if said.get(name)), "")

    def render_url(
        self,
        stack: str | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        format: str | None = None,
        operations: Operations | None = None,
        options: Options | None = None,
        variables: Options | None = None,
    ) -> str:
        """The URL of a render, built without HTTP.

        ``width`` and ``height`` in pixels: with one the picture is resized, with both it is cropped to
        their ratio first. ``operations`` come before that, by name and in order; ``variables`` are the
        stack's. A file that waits to be uploaded is shown as it is. A protected image's URL is signed, if
        there is a ``SIGNING_KEY``; a row asks the mirror for that, one query, unless it is ``known``.
        Raises `InvalidArgument` for what a URL cannot hold, `ValueError` if there is no file, and
        `ImproperlyConfigured` for an image of an organization that no alias has.
        """
        if waiting := self.waiting_url:
            return waiting
        stack = stack or self.default_stack
        return render_url(
            self.config,
            stack,
            self.file_name,
            protected=self.protected_in(stack),
            width=width,
            height=height,
            operations=operations,
            options=options,
            variables=variables,
            format=format,
        )


def render_url(
    config: Config,
    stack: str,
    name: str,
    *,
    protected: bool = False,
    width: int | None = None,
    height: int | None = None,
    operations: Operations | None = None,
    options: Options | None = None,
    variables: Options | None = None,
    format: str | None = None,
) -> str:
    """The URL of one render, without HTTP; arguments as in `Renderable.render_url`.

    It is signed for a ``protected`` image and for a stack that the ``STACKS`` setting protects, if the alias
    has a ``SIGNING_KEY``: for ever, or for ``SIGNED_FOR`` seconds at least. Raises `InvalidArgument`.
    """
    url = build_url(
        config.render_base,
        stack,
        name,
        operations={**(operations or {}), **fitting(width, height)},
        options=options,
        variables=variables,
        format=format,
    )
    sign = signer(config, stack, protected=protected)
    return url if sign is None else sign(url)


def srcset(
    config: Config,
    stack: str,
    name: str,
    widths: Sequence[int],
    *,
    protected: bool = False,
    operations: Operations | None = None,
    format: str | None = None,
) -> str:
    """The ``srcset`` of a picture in these ``widths``, in pixels, signed as by `render_url`."""
    sign = signer(config, stack, protected=protected)
    return build_srcset(
        config.render_base, stack, name, widths, operations=operations, format=format, sign=sign
    )


def signer(config: Config, stack: str, *, protected: bool) -> Callable[[str], str] | None:
    """What signs the URLs of a picture in a stack; ``None`` where none is due, or there is no key."""
    declared = config.stacks.get(stack)
    if not config.signing_key or not (protected or (declared and declared.protected)):
        return None
    until = None
    if config.signed_for:
        until = round_up(datetime.now(timezone.utc) + timedelta(seconds=config.signed_for))
    return partial(sign_url, key=config.signing_key, until=until, base=config.render_base)


__all__ = ["Renderable", "render_url", "signer", "srcset"]
