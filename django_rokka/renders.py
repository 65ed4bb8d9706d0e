"""Which URL shows a picture on this site: at its organization's address, signed if that is due.

Everything that shows a picture (a row's file, an image of the mirror, a storage's name) asks here, so that
address, size and signature are decided in one place. The URL itself is made by `django_rokka.api.render`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial

from .api.render import Operations, Options, fitting
from .api.render import render_url as build_url
from .api.render import srcset as build_srcset
from .api.signing import round_up, sign_url
from .conf import Config


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
    format: str | None = None,
) -> str:
    """The URL of one render, without HTTP; sizes as in `RokkaFieldFile.render_url`.

    It is signed for a ``protected`` image and for a stack that the ``STACKS`` setting protects, if the alias
    has a ``SIGNING_KEY``: for ever, or for ``SIGNED_FOR`` seconds at least. Raises `InvalidArgument`.
    """
    url = build_url(
        config.render_base,
        stack,
        name,
        operations={**(operations or {}), **fitting(width, height)},
        options=options,
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


__all__ = ["render_url", "signer", "srcset"]
