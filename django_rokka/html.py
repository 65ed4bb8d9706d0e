"""Pictures as HTML and CSS: what the tags of Django's templates and of Jinja2 write.

Each takes the value of a `RokkaImageField` or a `SourceImage`, and gives nothing where there is none.
Whatever is no argument of ours becomes an attribute: ``data_id`` is written ``data-id``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from html import escape
from typing import Any, TypeGuard

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

from .api.errors import InvalidArgument
from .pictures import Look, Shown, alt_text, focal_position, placeholder_style, show
from .renders import Renderable

Widths = str | Iterable[int]
_NOTHING = mark_safe("")  # nosec B308
_MIME_TYPES = {"jpg": "image/jpeg", "svg": "image/svg+xml"}
#: A selector that cannot end its rule, or the style sheet.
_SELECTOR = re.compile(r"[^{}<>;@\\]+")


def url(
    image: Renderable | None,
    stack: str = "",
    *,
    width: int | None = None,
    height: int | None = None,
    format: str | None = None,
    **variables: Any,
) -> str:
    """The URL of a render. ``width`` or ``height`` (pixels) resize, both crop to their ratio first.

    Other arguments are variables of the stack.
    """
    if not _is_picture(image):
        return ""
    return image.render_url(
        stack or None,
        width=_pixels(width),
        height=_pixels(height),
        format=format or None,
        variables=variables,
    )


def img(
    image: Renderable | None,
    stack: str = "",
    *,
    alt: str | None = None,
    loading: str | None = None,
    fetchpriority: str = "",
    placeholder: str = "",
    **options: Any,
) -> SafeString:
    """A responsive ``<img>``.

    ``alt`` is what metadata say unless it is given; ``loading`` is ``lazy``, but not with
    ``fetchpriority="high"``. ``placeholder`` is ``"blur"`` or ``"color"``. For the others see `Look`.
    """
    if not _is_picture(image):
        return _NOTHING
    look, attributes = _look(stack, options)
    shown = show(image, look)
    lazy = "" if fetchpriority == "high" else "lazy"
    style = [placeholder_style(image, placeholder)] if placeholder else []
    return _element(
        "img",
        {
            **_given(src=shown.src, srcset=shown.srcset, sizes=shown.sizes),
            **_given(width=shown.width, height=shown.height, fetchpriority=fetchpriority),
            **_given(loading=lazy if loading is None else loading),
            "alt": alt_text(image) if alt is None else alt,
            **_given(style=";".join(filter(None, [*style, attributes.pop("style", "")]))),
            **attributes,
        },
    )


def source(
    image: Renderable | None, stack: str = "", *, media: str = "", formats: str = "", **options: Any
) -> SafeString:
    """The ``<source>`` of a ``<picture>``: in each of the ``formats``, and in the stack's own."""
    if not _is_picture(image):
        return _NOTHING
    look, attributes = _look(stack, options)
    looks = [*_in_formats(image, look, formats), look]
    sources = [_source(show(image, each), each, media, attributes) for each in looks]
    return mark_safe("".join(sources))  # noqa: S308 - elements of ours  # nosec B308, B703


def _in_formats(image: Renderable, look: Look, formats: str) -> list[Look]:
    """The look in each format; none for what is one file anyway: a drawing, or a file that waits."""
    is_one_file = not formats or not show(image, look).srcset
    return [] if is_one_file else [replace(look, format=name) for name in formats.split()]


def _source(shown: Shown, look: Look, media: str, attributes: Mapping[str, Any]) -> SafeString:
    return _element(
        "source",
        {
            "srcset": shown.srcset or shown.src,
            **_given(sizes=shown.sizes, media=media, type=_mime_type(look.format)),
            **_given(width=shown.width, height=shown.height),
            **attributes,
        },
    )


def picture(
    content: str, image: Renderable | None, stack: str = "", *, formats: str = "", **options: Any
) -> SafeString:
    """A ``<picture>`` of the sources in ``content``, of one for each of the ``formats``, and of the `img`."""
    if not _is_picture(image):
        return _NOTHING
    look, _ = _look(stack, options)
    own = [_source(show(image, each), each, "", {}) for each in _in_formats(image, look, formats)]
    parts = [content.strip(), *own, img(image, stack, **options)]
    return mark_safe(f"<picture>{''.join(parts)}</picture>")  # noqa: S308 - the block is a template's own  # nosec B308, B703


def preload(
    image: Renderable | None, stack: str = "", *, media: str = "", **options: Any
) -> SafeString:
    """The ``<link>`` that lets a browser fetch what `img` with the same arguments shows, at once."""
    if not _is_picture(image):
        return _NOTHING
    look, attributes = _look(stack, options)
    shown = show(image, look)
    return _element(
        "link",
        {
            "rel": "preload",
            "as": "image",
            "href": shown.src,
            **_given(imagesrcset=shown.srcset, imagesizes=shown.sizes, media=media),
            **_given(type=_mime_type(look.format)),
            "fetchpriority": "high",
            **attributes,
        },
    )


def placeholder(image: Renderable | None) -> str:
    """The data URI of a tiny picture, for a ``src`` or a script of your own; empty until it is made."""
    mirrored = image.mirrored if _is_picture(image) else None
    return mirrored.placeholder if mirrored else ""


# --- Backgrounds ------------------------------------------------------------------------------


def background(
    image: Renderable | None,
    stack: str = "",
    *,
    selector: str = "",
    nonce: str = "",
    **options: Any,
) -> str:
    """The declarations of a background, for a ``style``; with a ``selector`` a ``<style>`` of its own.

    Declarations are for an element of one size: the stack's, or ``width`` and ``height``, for plain and
    for dense screens. A style sheet has the ``widths`` for one that is as wide as the page. The position
    follows the subject area, where it is known.
    """
    if not _is_picture(image):
        return _NOTHING
    look, _ = _look(stack, options)
    shown = show(image, look)
    position = focal_position(image, shown)
    end = f";background-position:{position}" if position else ""
    if not selector:
        return _dense(image, look, shown) + end
    if not _SELECTOR.fullmatch(selector):
        raise InvalidArgument(f"{selector!r} is no selector for a background")
    opening = _element("style", _given(nonce=nonce))
    return mark_safe(f"{opening}{_rules(selector, shown, end)}</style>")  # noqa: S308 - URLs are encoded, the selector is checked  # nosec B308, B703


def _dense(image: Renderable, look: Look, shown: Shown) -> str:
    """The render for an element of one size, and the one of twice its width as far as there is one."""
    if not (shown.width and shown.srcset):
        return f"background-image:{_css_url(shown.src)}"
    once, twice = shown.width, 2 * shown.width
    pair = show(image, replace(look, widths=(once, twice))).candidates
    return _image_set([(number + 1, address) for number, (_, address) in enumerate(pair)])


def _rules(selector: str, shown: Shown, end: str) -> str:
    """A rule for each width, from that of the next narrower one on."""
    candidates = shown.candidates
    if not candidates:
        return f"{selector}{{background-image:{_css_url(shown.src)}{end}}}"
    rules = []
    for index, (width, address) in enumerate(candidates):
        dense = next((found for found in candidates if found[0] >= 2 * width), candidates[-1])
        pair = [(1, address)] + ([(2, dense[1])] if dense[0] > width else [])
        rule = f"{selector}{{{_image_set(pair)}{'' if index else end}}}"
        rules.append(
            f"@media(min-width:{candidates[index - 1][0] + 1}px){{{rule}}}" if index else rule
        )
    return "".join(rules)


def _image_set(pairs: Sequence[tuple[int, str]]) -> str:
    first = f"background-image:{_css_url(pairs[0][1])}"
    if len(pairs) == 1:
        return first
    choices = ",".join(f"{_css_url(address)} {density}x" for density, address in pairs)
    return f"{first};background-image:image-set({choices})"


def _css_url(address: str) -> str:
    # Render URLs have none of these; the URL of a file that waits is the storage's.
    for character in "\"'()<>\\ \n":
        address = address.replace(character, f"%{ord(character):02X}")
    return f"url({address})"


# --- Arguments and attributes -----------------------------------------------------------------


def _is_picture(image: Any) -> TypeGuard[Renderable]:
    """Whether there is a picture. Raises `InvalidArgument` for what cannot be one."""
    if image and not isinstance(image, Renderable):
        raise InvalidArgument(
            f"{str(image)[:80]!r} is no picture at rokka; expected the value of a RokkaImageField or a SourceImage"
        )
    return bool(image)


def _look(stack: str, options: Mapping[str, Any]) -> tuple[Look, dict[str, Any]]:
    """The look that arguments describe, and the others as attributes."""
    rest = dict(options)
    look = Look(
        stack=stack,
        widths=_widths(rest.pop("widths", "")),
        sizes=rest.pop("sizes", ""),
        width=_pixels(rest.pop("width", None)),
        height=_pixels(rest.pop("height", None)),
        area=rest.pop("area", ""),
        format=rest.pop("format", None) or None,
    )
    return look, {key.replace("_", "-"): value for key, value in rest.items()}


def _widths(widths: Widths) -> list[int]:
    given = widths.replace(",", " ").split() if isinstance(widths, str) else widths
    return [_whole(item) for item in given]


def _pixels(value: Any) -> int | None:
    return None if value in (None, "") else _whole(value)


def _whole(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise InvalidArgument(f"{value!r} is no width or height in pixels")
    return number


def _given(**attributes: Any) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if value}


def _mime_type(format: str | None) -> str:
    return _MIME_TYPES.get(format, f"image/{format}") if format else ""


def _element(name: str, attributes: Mapping[str, Any]) -> SafeString:
    """A tag. ``True`` is an attribute without a value, ``False`` and ``None`` are none.

    As Django's ``flatatt`` writes it, but for the order, and in a quarter of its time.
    """
    parts = [name]
    for key, value in attributes.items():
        if value is True:
            parts.append(escape(key))
        elif value is not False and value is not None:
            # Most are plain texts, which nobody has escaped or will translate.
            text = escape(value) if value.__class__ is str else conditional_escape(value)
            parts.append(f'{escape(key)}="{text}"')
    return mark_safe(f"<{' '.join(parts)}>")  # noqa: S308 - every part is escaped  # nosec B308, B703


#: The functions under the names that they have in templates; `picture` encloses others.
TAGS: Mapping[str, Callable[..., str]] = {
    "rokka_url": url,
    "rokka_img": img,
    "rokka_source": source,
    "rokka_preload": preload,
    "rokka_background": background,
    "rokka_placeholder": placeholder,
}
