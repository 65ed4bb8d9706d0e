"""The parts of an image's page that can be changed: each shows what is there, checks what is typed, and saves itself.

What an editor did not touch is not sent. Every field carries along what it showed (``show_hidden_initial``),
so a page that was opened before somebody else's change does not undo it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

from django import forms
from django.core.exceptions import ValidationError
from django.forms.formsets import DELETION_FIELD_NAME
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..api.types import JSON
from ..lifecycle import client_of
from ..models import SourceImage


class Part(Protocol):
    """What the page does with each of its parts. ``title`` names it, in messages and in the log."""

    title: Any

    def is_valid(self) -> bool:
        """Whether everything that was typed can be saved."""
        ...

    def has_changed(self) -> bool:
        """Whether the editor changed anything."""
        ...

    def save(self, image: SourceImage) -> SourceImage:
        """Send what changed; gives the image that has it. Raises the errors of `django_rokka.api.errors`."""
        ...

    def freeze(self) -> None:
        """Show everything, and accept nothing."""
        ...

    def problems(self) -> list[Any]:
        """What is wrong with what was typed."""
        ...


class PartForm(forms.Form):
    """A part with a fixed set of fields."""

    def freeze(self) -> None:
        """Show everything, and accept nothing."""
        for field in self.fields.values():
            field.disabled = True

    def problems(self) -> list[Any]:
        """What is wrong with what was typed."""
        return list(self.errors.values())


class RowForm(PartForm):
    """A row of a part that has any number of them; what was not touched is not checked."""

    #: The fields that together say which row of the image this is.
    keys: ClassVar[tuple[str, ...]] = ("name",)

    def shown(self, field: str) -> str:
        """What a field showed when the page was opened; empty in a row that is new."""
        return str(self.data.get(self.add_initial_prefix(field)) or "")

    def has_changed(self) -> bool:
        """A row in which nothing is and was typed says nothing, whatever is chosen in it."""
        typed = [
            field.name
            for field in self
            if not isinstance(field.field, forms.ChoiceField | forms.BooleanField)
        ]
        says = any(name in self.changed_data or self[name].value() for name in typed)
        return bool(says and super().has_changed())

    @property
    def removed(self) -> bool:
        """Whether the editor removed the row."""
        return bool(getattr(self, "cleaned_data", {}).get(DELETION_FIELD_NAME))

    @property
    def old_key(self) -> str:
        """The name that the row had in the image; empty for a new one."""
        return self.shown("name")

    @property
    def key(self) -> str:
        """The name that the row should have."""
        return str(self.cleaned_data.get("name") or "") if self.has_changed() else self.old_key


class RowFormSet(forms.BaseFormSet):  # type: ignore[type-arg]
    """A part with rows, each with a name of its own. Subclasses say what the image has."""

    title: ClassVar[Any]
    name: ClassVar[str]
    form: type[RowForm]
    extra = 1
    can_delete = True
    can_delete_extra = True
    can_order = False
    min_num = 0
    max_num = 1000
    absolute_max = 2000
    validate_min = validate_max = False
    renderer = None

    def __init__(self, image: SourceImage, data: Mapping[str, Any] | None = None) -> None:
        self.image = image
        super().__init__(data, prefix=self.name, initial=list(self.rows(image)))

    def rows(self, image: SourceImage) -> Iterator[dict[str, Any]]:
        """What the image has, a dictionary of initial values for each row."""
        raise NotImplementedError

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Every row knows the picture, and none is checked that was not touched."""
        return {"image": self.image, "empty_permitted": True}

    def freeze(self) -> None:
        """Show everything, and accept nothing; no empty rows."""
        self.extra = 0
        for form in self.forms:
            form.freeze()

    def problems(self) -> list[Any]:
        """What is wrong with what was typed."""
        return [*self.non_form_errors(), *filter(None, self.errors)]

    @property
    def touched(self) -> list[RowForm]:
        """The rows that the editor changed, added or removed."""
        return [form for form in self.forms if form.has_changed()]

    def clean(self) -> None:
        """Refuse a name that is there twice; rows that nobody touched are left alone."""
        kept = [form for form in self.forms if not form.removed and form.is_valid() and form.key]
        names = [form.key for form in kept]
        for form in kept:
            if form.has_changed() and names.count(form.key) > 1:
                text = _("“%(name)s” is there twice; each needs a name of its own.")
                form.add_error("name", ValidationError(text, params={"name": form.key}))

    def applied(self, present: Mapping[str, JSON]) -> dict[str, JSON]:
        """What the image should have, given what it has now: only what was touched differs."""
        result = dict(present)
        for form in self.touched:
            result.pop(form.old_key, None)
        kept = (form for form in self.touched if not form.removed and form.key)
        return {**result, **{form.key: form.content for form in kept}}  # type: ignore[attr-defined]


# --- Name -------------------------------------------------------------------------------------


class NameForm(PartForm):
    """The file name that rokka keeps."""

    title: ClassVar[Any] = gettext_lazy("name")

    name = forms.CharField(
        label=gettext_lazy("File name"), required=False, max_length=1000, show_hidden_initial=True
    )

    def __init__(self, image: SourceImage, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, initial={"name": image.name})
        self.image = image

    def clean_name(self) -> str:
        """A name cannot be taken away, only changed."""
        name = str(self.cleaned_data["name"])
        if not name and self.has_changed():
            raise ValidationError(_("An image needs a name, such as “harbour.jpg”."))
        return name

    def save(self, image: SourceImage) -> SourceImage:
        """Rename the image at rokka; the hash stays, and so do the URLs that rows hold."""
        client_of(image).rename_source_image(image.hash, self.cleaned_data["name"])
        return image
