"""The areas of an image, to change in numbers: focal point, crop, and areas with names.

Source: the dynamic metadata chapter of rokka's documentation. Numbers are whole, in pixels of the full
image or in percent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import api
from ..api.types import JSON, as_object
from ..models import SourceImage
from .parts import RowForm, RowFormSet

_NUMBERS = ("x", "y", "width", "height")
PIXELS, PERCENT = "px", "%"


def _number(label: Any, lowest: int) -> forms.IntegerField:
    return forms.IntegerField(
        label=label, required=False, min_value=lowest, show_hidden_initial=True
    )


class AreaForm(RowForm):
    """A part of the picture, in numbers: its top-left corner and its size. All empty means none."""

    kind: ClassVar[type[api.SubjectArea]]

    x = _number(gettext_lazy("From the left"), 0)
    y = _number(gettext_lazy("From the top"), 0)
    width = _number(gettext_lazy("Width"), 1)
    height = _number(gettext_lazy("Height"), 1)
    unit = forms.ChoiceField(
        label=gettext_lazy("Unit"),
        choices=[(PIXELS, gettext_lazy("pixels")), (PERCENT, gettext_lazy("percent"))],
        show_hidden_initial=True,
    )

    def __init__(self, *args: Any, image: SourceImage, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image = image
        for name in (*_NUMBERS, "unit"):
            self.fields[name].widget.attrs["data-rokka"] = name

    def clean(self) -> dict[str, Any]:
        """Check that the area is whole, and inside the picture."""
        data = self.cleaned_data
        if not self.errors and any(data[name] is not None for name in _NUMBERS):
            self._check_whole()
        if not self.errors and data["x"] is not None:
            self._check_inside("x", "width", self.image.width)
            self._check_inside("y", "height", self.image.height)
        return data

    def _check_whole(self) -> None:
        data = self.cleaned_data
        if self.area_kind is api.SubjectArea:
            # A point is as wide and as high as one pixel.
            data |= {name: data[name] or 1 for name in ("width", "height")}
        if any(data[name] is None for name in _NUMBERS):
            self.add_error(None, _("Fill in all four numbers, or none for no area."))

    def _check_inside(self, start: str, length: str, limit: int | None) -> None:
        data = self.cleaned_data
        limit = 100 if data["unit"] == PERCENT else limit
        end = data[start] + data[length]
        if limit is not None and end > limit:
            text = _("The area would end at %(end)d %(unit)s; the picture ends at %(limit)d.")
            params = {"end": end, "unit": data["unit"], "limit": limit}
            self.add_error(start, ValidationError(text, params=params))

    @property
    def area_kind(self) -> type[api.SubjectArea]:
        """Whether it is what must stay visible, or the exact part to cut out."""
        return self.kind

    @property
    def area(self) -> api.SubjectArea | None:
        """What was typed; ``None`` for no area. Only for a form that is valid and changed."""
        data = self.cleaned_data
        if data["x"] is None:
            return None
        numbers = {name: data[name] for name in _NUMBERS}
        return self.area_kind(**numbers, percentage=data["unit"] == PERCENT)


class OwnAreaForm(AreaForm):
    """The area of a kind of which an image has one."""

    title: ClassVar[Any]

    def __init__(self, image: SourceImage, data: Mapping[str, Any] | None = None) -> None:
        box = image.dynamic_metadata.get(self.kind.name)
        super().__init__(
            data,
            image=image,
            prefix=self.kind.name,
            initial=_shown(box, self.kind) if box else {"unit": PIXELS},
            empty_permitted=True,
            use_required_attribute=False,
        )

    def save(self, image: SourceImage) -> SourceImage:
        """Set or remove the area; every row that shows the picture follows."""
        area = self.area
        if area is None:
            return image.delete_dynamic_metadata(self.kind.name)
        return image.set_dynamic_metadata(area)


class SubjectAreaForm(OwnAreaForm):
    """What must stay visible when the picture is cropped."""

    title = gettext_lazy("focal point")
    kind = api.SubjectArea


class CropAreaForm(OwnAreaForm):
    """The exact part to cut out."""

    title = gettext_lazy("crop")
    kind = api.CropArea


class NamedAreaForm(AreaForm):
    """An area with a name, for stacks that ask for it."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        widget=forms.TextInput({"data-rokka": "name", "autocapitalize": "none"}),
        show_hidden_initial=True,
    )
    role = forms.ChoiceField(
        label=gettext_lazy("Kind"),
        choices=[
            (api.CropArea.name, gettext_lazy("crop")),
            (api.SubjectArea.name, gettext_lazy("focal point")),
        ],
        widget=forms.Select({"data-rokka": "role"}),
        show_hidden_initial=True,
    )
    field_order = ["name", "role"]

    @property
    def area_kind(self) -> type[api.SubjectArea]:
        """Which of the two it is."""
        subject = self.cleaned_data.get("role") == api.SubjectArea.name
        return api.SubjectArea if subject else api.CropArea

    @property
    def content(self) -> JSON:
        """The area as rokka takes it."""
        area = self.area
        return None if area is None else {area.name: area.as_json()}

    def clean_name(self) -> str:
        """A name that a render URL can hold as well."""
        name = str(self.cleaned_data["name"])
        if not re.fullmatch("[0-9a-zA-Z_]+", name):
            text = _("“%(name)s” is no name of an area: letters, digits and _ only.")
            raise ValidationError(text, params={"name": name})
        return name

    def clean(self) -> dict[str, Any]:
        """An area that has a name needs numbers too."""
        data = super().clean()
        if not self.errors and data["x"] is None:
            self.add_error("x", _("Draw the area or fill in its numbers, or remove it."))
        return data


class NamedAreaFormSet(RowFormSet):
    """All named areas of an image."""

    title = gettext_lazy("named areas")
    name = "multi_areas"
    form = NamedAreaForm

    def rows(self, image: SourceImage) -> Iterator[dict[str, Any]]:
        """A row for each area."""
        kinds = {kind.name: kind for kind in (api.CropArea, api.SubjectArea)}
        for name, roles in as_object(image.dynamic_metadata.get(self.name)).items():
            for role, box in as_object(roles).items():
                if role in kinds:
                    yield {"name": name, "role": role, **_shown(box, kinds[role])}

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """A new row is a crop in pixels, until somebody says otherwise."""
        kwargs = super().get_form_kwargs(index)
        if index is None or index >= self.initial_form_count():
            kwargs["initial"] = {"role": api.CropArea.name, "unit": PIXELS}
        return kwargs

    def save(self, image: SourceImage) -> SourceImage:
        """Set all areas at once, or remove them; every row that shows the picture follows."""
        areas = self.applied(as_object(image.dynamic_metadata.get(self.name)))
        if not areas:
            return image.delete_dynamic_metadata(self.name)
        return image.set_dynamic_metadata(api.read_dynamic_metadata(self.name, areas))


def _shown(box: JSON, kind: type[api.SubjectArea]) -> dict[str, Any]:
    """The numbers of an area as an editor sees them; rokka's may be fractions."""
    values = as_object(box)
    size = {"width": 1, "height": 1} if kind is api.SubjectArea else {}
    numbers = {name: _whole(values.get(name, size.get(name))) for name in _NUMBERS}
    return {**numbers, "unit": PERCENT if values.get("percentage") else PIXELS}


def _whole(value: JSON) -> int | None:
    return round(value) if isinstance(value, int | float) else None
