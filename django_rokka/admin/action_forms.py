"""What an action asks before it begins: a form for each, which gives the options of the bulk operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext_lazy
from django.utils.translation import gettext as _

from .. import user_metadata
from ..api.types import JSON
from .metadata_part import KINDS
from .words import LANGUAGES, number

#: Empty rows for user metadata, and how many a button adds.
_ROWS = 3


class OptionsForm(forms.Form):
    """An action that has nothing to ask."""

    template: ClassVar[str] = "admin/rokka/sourceimage/options.html"

    @property
    def options(self) -> dict[str, Any]:
        """What was chosen, as the bulk operation keeps it. Only for a form that is valid."""
        return {}

    @property
    def obstacle(self) -> str:
        """Why there is nothing to choose from, so that the action cannot be done; else empty."""
        return ""


class CopyForm(OptionsForm):
    """Where to copy to, and what becomes of images that are there."""

    destination = forms.ChoiceField(
        label=gettext_lazy("Copy to the organization"), widget=forms.RadioSelect
    )
    overwrite = forms.TypedChoiceField(
        label=gettext_lazy("Images that are there already"),
        choices=[
            ("", gettext_lazy("skip them: they stay as they are")),
            ("yes", gettext_lazy("overwrite them, with their metadata")),
        ],
        required=False,
        coerce=bool,
        widget=forms.RadioSelect,
    )

    def __init__(self, data: Any = None, *, destinations: Sequence[str]) -> None:
        super().__init__(
            data, initial={"destination": next(iter(destinations), ""), "overwrite": ""}
        )
        self.fields["destination"].choices = [(name, name) for name in destinations]  # type: ignore[attr-defined]

    @property
    def options(self) -> dict[str, Any]:
        """The ``destination``, and whether to ``overwrite``."""
        data = self.cleaned_data
        return {"destination": data["destination"], "overwrite": bool(data["overwrite"])}

    @property
    def obstacle(self) -> str:
        """Nowhere to copy to."""
        choices = self.fields["destination"].choices  # type: ignore[attr-defined]
        if choices:
            return ""
        return _(
            "There is no organization that all of these images may be copied to. Choose images of one "
            "organization; your administrator can name destinations in the settings."
        )


class DeleteForm(OptionsForm):
    """Whether to delete what is in use: asked if anything is, and if the user may."""

    used = forms.BooleanField(
        required=False,
        help_text=gettext_lazy("Pages that show them have a gap then, until they are restored."),
    )

    def __init__(self, data: Any = None, *, used: int) -> None:
        super().__init__(data)
        if not used:
            del self.fields["used"]
            return
        text = ngettext(
            "Delete the %(count)s image that is in use as well",
            "Delete the %(count)s images that are in use as well",
            used,
        )
        self.fields["used"].label = text % {"count": number(used)}

    @property
    def options(self) -> dict[str, Any]:
        """``used`` if the user insists."""
        return {"used": True} if self.cleaned_data.get("used") else {}


class DescribeForm(OptionsForm):
    """The languages, and what becomes of texts that exist."""

    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Languages"),
        choices=list(LANGUAGES.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one language.")},
    )
    force = forms.BooleanField(label=gettext_lazy("Write over texts that exist"), required=False)

    def __init__(self, data: Any = None) -> None:
        own = (get_language() or "en").partition("-")[0]
        super().__init__(data, initial={"languages": [own if own in LANGUAGES else "en"]})

    @property
    def options(self) -> dict[str, Any]:
        """The ``languages``, and whether to ``force``."""
        return dict(self.cleaned_data)


# --- User metadata ----------------------------------------------------------------------------


class MetadataRow(forms.Form):
    """One field of user metadata, for all of the images."""

    kind = forms.ChoiceField(
        label=pgettext_lazy("user metadata", "Type"),
        required=False,
        choices=[(name, kind.label) for name, kind in KINDS.items()],
    )
    name = forms.CharField(
        label=gettext_lazy("Field"),
        required=False,
        widget=forms.TextInput({"maxlength": 54, "autocapitalize": "none", "spellcheck": "false"}),
    )
    value = forms.CharField(
        label=gettext_lazy("Value"), required=False, widget=forms.Textarea({"rows": 1})
    )

    @property
    def key(self) -> str:
        """The name with its type; empty for a row that says nothing."""
        kind, name = self.cleaned_data.get("kind"), self.cleaned_data.get("name", "")
        return f"{kind}:{name}" if kind and name else name

    def clean_name(self) -> str:
        """rokka's rule for names."""
        name = str(self.cleaned_data["name"])
        if name and not (user_metadata.NAME.fullmatch(name) and ":" not in name):
            text = _("“%(name)s” is no name of a field: 1 to 54 characters of a-z, 0-9 and _.")
            raise ValidationError(text, params={"name": name})
        return name

    def clean(self) -> dict[str, Any]:
        """Read the value as its type says; without one the field is removed."""
        data = self.cleaned_data
        if data.get("value") and data.get("name") == "":
            self.add_error("name", _("Name the field that should have this value."))
        if not self.errors:
            data["value"] = self._read(KINDS[data["kind"]], data["value"])
        return data

    def _read(self, kind: Any, text: str) -> JSON:
        try:
            return kind.read(text) if text else None
        except ValueError:
            message = _("“%(value)s” does not fit; expected %(expected)s.")
            params = {"value": text, "expected": kind.expected}
            self.add_error("value", ValidationError(message, params=params))
        return None


_RowFormSet = forms.formset_factory(MetadataRow, extra=_ROWS, max_num=100)


class UserMetadataForm(OptionsForm):
    """Rows with a type, a name and a value."""

    template: ClassVar[str] = "admin/rokka/sourceimage/metadata_rows.html"

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.rows = _RowFormSet(data, prefix="row")

    @staticmethod
    def with_more_rows(data: Any) -> Any:
        """What was posted, with more empty rows."""
        data = data.copy()
        total = str(data.get("row-TOTAL_FORMS", ""))
        data["row-TOTAL_FORMS"] = str((int(total) if total.isdecimal() else 0) + _ROWS)
        return data

    def clean(self) -> dict[str, Any]:
        """At least one field, and none of them twice."""
        if not self.rows.is_valid():
            raise ValidationError(_("Correct what is marked below."))
        keys = list(self._keys())
        for key in keys:
            if keys.count(key) > 1:
                raise ValidationError(_("“%(name)s” is there twice."), params={"name": key})
        if not keys:
            raise ValidationError(_("Name at least one field."))
        return self.cleaned_data

    def _keys(self) -> Iterator[str]:
        return (row.key for row in self.rows if row.key)

    @property
    def options(self) -> dict[str, Any]:
        """The ``metadata`` by name; ``None`` removes a field."""
        metadata: Mapping[str, JSON] = {
            row.key: row.cleaned_data["value"] for row in self.rows if row.key
        }
        return {"metadata": metadata}
