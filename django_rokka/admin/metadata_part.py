"""The user metadata of an image, to change: a row for each field, with an input that fits its type.

Source: the user metadata chapter of rokka's documentation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timezone
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from .. import user_metadata
from ..api.types import JSON, parse_date
from ..lifecycle import client_of
from ..models import SourceImage
from .parts import RowForm, RowFormSet

_DATE = "%Y-%m-%dT%H:%M:%SZ"


def _read_text(text: str) -> JSON:
    return text.replace("\r\n", "\n")


def _read_int(text: str) -> JSON:
    return int(text)


def _read_double(text: str) -> JSON:
    value = float(text)
    if value in (float("inf"), float("-inf")) or value != value:
        raise ValueError(text)
    return value


def _read_date(text: str) -> JSON:
    moment = parse_date(text)
    if moment is None:
        raise ValueError(text)
    return moment.astimezone(timezone.utc).strftime(_DATE)


def _read_latlon(text: str) -> JSON:
    latitude, longitude = (part.strip() for part in text.split(","))
    if not (abs(float(latitude)) <= 90 and abs(float(longitude)) <= 180):
        raise ValueError(text)
    return f"{latitude},{longitude}"


def _read_lines(text: str) -> JSON:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _show_date(value: JSON) -> str:
    moment = parse_date(value)
    if moment is None:
        return str(value)
    # As a browser gives it back: without seconds, where there are none.
    text = moment.astimezone(timezone.utc).strftime(_DATE).removesuffix("Z")
    return text.removesuffix(":00") if moment.second == 0 else text


def _show(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _show_lines(value: JSON) -> str:
    return "\n".join(map(_show, value)) if isinstance(value, list) else _show(value)


class _Kind:
    """A type of user metadata: how a value is shown, read and typed, and what a good one looks like."""

    def __init__(
        self,
        label: Any,
        expected: Any,
        read: Callable[[str], JSON] = _read_text,
        show: Callable[[JSON], str] = _show,
        **attrs: str,
    ) -> None:
        self.label, self.expected, self.read, self.show = label, expected, read, show
        self.attrs = attrs

    def widget(self, value: str) -> forms.Widget:
        """The input; what has lines gets room for them."""
        if self.attrs.get("type") == "lines" or "\n" in value:
            return forms.Textarea({"rows": 3, "data-rokka": "value"})
        return forms.TextInput({**self.attrs, "data-rokka": "value"})


_TEXT = gettext_lazy("a text")
_LIST = gettext_lazy("one entry on each line")
KINDS: Mapping[str, _Kind] = {
    "": _Kind(gettext_lazy("text (no type)"), _TEXT, type="text"),
    "str": _Kind(gettext_lazy("short text"), _TEXT, type="text"),
    "text": _Kind(gettext_lazy("long text"), _TEXT, type="lines"),
    "int": _Kind(
        gettext_lazy("whole number"),
        gettext_lazy("a whole number, such as 42"),
        _read_int,
        type="number",
        step="1",
    ),
    "double": _Kind(
        gettext_lazy("number"),
        gettext_lazy("a number, such as 4.2"),
        _read_double,
        type="number",
        step="any",
    ),
    "date": _Kind(
        gettext_lazy("date (UTC)"),
        gettext_lazy("a date, such as 2024-05-31T18:00:00"),
        _read_date,
        _show_date,
        type="datetime-local",
        step="1",
    ),
    "latlon": _Kind(
        gettext_lazy("place"),
        gettext_lazy("latitude and longitude, such as 47.38,8.52"),
        _read_latlon,
        type="text",
        placeholder="47.38,8.52",
    ),
    "array": _Kind(gettext_lazy("list"), _LIST, _read_lines, _show_lines, type="lines"),
    "array_text": _Kind(
        gettext_lazy("list of long texts"), _LIST, _read_lines, _show_lines, type="lines"
    ),
}


def _split(name: str) -> tuple[str, str]:
    """The type and the name of a field of user metadata; what has no known type is all name."""
    kind, colon, rest = name.partition(":")
    return (kind, rest) if colon and kind in KINDS else ("", name)


class UserMetadataForm(RowForm):
    """One field of user metadata: type, name and value."""

    kind = forms.ChoiceField(
        label=pgettext_lazy("user metadata", "Type"),
        required=False,
        choices=[(name, kind.label) for name, kind in KINDS.items()],
        widget=forms.Select({"data-rokka": "kind"}),
        show_hidden_initial=True,
    )
    name = forms.CharField(
        label=gettext_lazy("Field"),
        required=False,
        widget=forms.TextInput({"maxlength": 54, "autocapitalize": "none", "spellcheck": "false"}),
        show_hidden_initial=True,
    )
    value = forms.CharField(label=gettext_lazy("Value"), required=False, show_hidden_initial=True)

    def __init__(self, *args: Any, image: SourceImage, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kind = KINDS.get(str(self["kind"].value() or ""), KINDS[""])
        self.fields["value"].widget = kind.widget(str(self["value"].value() or ""))

    @property
    def old_key(self) -> str:
        """The name with its type, as the image had it."""
        return _joined(self.shown("kind"), self.shown("name"))

    @property
    def key(self) -> str:
        """The name with its type."""
        if not self.has_changed():
            return self.old_key
        return _joined(self.cleaned_data.get("kind", ""), self.cleaned_data.get("name", ""))

    @property
    def content(self) -> JSON:
        """The value as rokka takes it."""
        return self.cleaned_data["value"]

    def clean_name(self) -> str:
        """rokka's rule for names."""
        name = str(self.cleaned_data["name"])
        if not user_metadata.NAME.fullmatch(name) or ":" in name:
            text = _("“%(name)s” is no name of a field: 1 to 54 characters of a-z, 0-9 and _.")
            raise ValidationError(text, params={"name": name})
        return name

    def clean(self) -> dict[str, Any]:
        """Read the value as its type says."""
        data = self.cleaned_data
        if "kind" not in data or "value" not in data:
            return data
        kind, text = KINDS[data["kind"]], data["value"]
        if not text:
            self.add_error("value", _("Enter a value, or remove the field."))
            return data
        try:
            data["value"] = kind.read(text)
        except ValueError:
            message = _("“%(value)s” does not fit; expected %(expected)s.")
            params = {"value": text, "expected": kind.expected}
            self.add_error("value", ValidationError(message, params=params))
        return data


def _joined(kind: str, name: str) -> str:
    return f"{kind}:{name}" if kind else name


class UserMetadataFormSet(RowFormSet):
    """All user metadata of an image."""

    title = gettext_lazy("user metadata")
    name = "user_metadata"
    form = UserMetadataForm

    def rows(self, image: SourceImage) -> Iterator[dict[str, Any]]:
        """A row for each field, in the order of their names, with its value as an editor reads it."""
        for key in sorted(image.user_metadata, key=lambda key: _split(key)[::-1]):
            kind, name = _split(key)
            value = image.user_metadata[key]
            yield {"kind": kind, "name": name, "value": KINDS[kind].show(value)}

    def save(self, image: SourceImage) -> SourceImage:
        """Send one patch of what changed; mapped columns of the rows that show the image follow."""
        before = image.user_metadata
        after = self.applied(before)
        patch = {key: None for key in before if key not in after}
        patch |= {key: value for key, value in after.items() if before.get(key) != value}
        if patch:
            client_of(image).patch_user_metadata(image.hash, patch)
            image.refresh_from_db()
            user_metadata.take_over(image, before)
        return image
