"""The page of an image: what is known of it, where it is used, what was done with it, and the forms to change it.

Showing it makes no call to rokka. Saving calls it for what changed, part by part; the page then goes on
with the image that has everything, since areas give it another hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin import helpers
from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_permission_codename
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import translation
from django.utils.functional import cached_property
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import api, references
from ..api.render import DYNAMIC, candidate_widths
from ..conf import Config, configs_of
from ..explain import explain
from ..models import SourceImage
from ..widgets import shown_format
from .area_parts import CropAreaForm, NamedAreaFormSet, SubjectAreaForm
from .metadata_part import UserMetadataFormSet
from .parts import NameForm, Part
from .thumbnails import unseen

if TYPE_CHECKING:
    _Admin = admin.ModelAdmin[Any]

#: The parts that can be changed, in the order in which they are saved: what changes the hash comes last.
PARTS: Mapping[str, Any] = {
    "name": NameForm,
    "user_metadata": UserMetadataFormSet,
    "subject_area": SubjectAreaForm,
    "crop_area": CropAreaForm,
    "multi_areas": NamedAreaFormSet,
}

_AREAS = {"subject_area", "crop_area", "multi_areas"}

#: How many rows that show the image are named, and how many entries of its log.
ROWS, ENTRIES = 100, 50
#: More variants of one picture than this are not looked through for its history.
_VARIANTS = 500


def respond(
    model_admin: _Admin, request: HttpRequest, object_id: str, context: Mapping[str, Any] | None
) -> HttpResponse:
    """Show an image's page, or save it."""
    image = model_admin.get_object(request, unquote(object_id))
    if image is None:
        return _nowhere(model_admin, request, object_id)
    if request.method == "POST":
        return _save(model_admin, request, image, context)
    if not model_admin.has_view_or_change_permission(request, image):
        raise PermissionDenied
    return DetailPage(model_admin, request, image).render(context)


def _nowhere(model_admin: _Admin, request: HttpRequest, object_id: str) -> HttpResponse:
    to_index: Any = model_admin._get_obj_does_not_exist_redirect  # type: ignore[attr-defined]
    answer: HttpResponse = to_index(request, model_admin.opts, object_id)
    return answer


# --- Saving -----------------------------------------------------------------------------------


def _save(
    model_admin: _Admin, request: HttpRequest, image: SourceImage, context: Mapping[str, Any] | None
) -> HttpResponse:
    # A page that was opened before somebody else changed the picture: what was typed is for that picture.
    image = model_admin.get_object(request, str(image.current.pk)) or image
    if not model_admin.has_change_permission(request, image):
        raise PermissionDenied
    page = DetailPage(model_admin, request, image, data=request.POST)
    if not all(part.is_valid() for part in page.parts.values()):
        return page.render(context)
    outcome = Outcome.of(page.parts, image)
    if outcome.saved:
        model_admin.log_change(request, image, _log_message(outcome.saved))
    if outcome.error is None:
        return _go_on(model_admin, request, outcome)
    return page.after(outcome).render(context)


@dataclass(frozen=True)
class Outcome:
    """What became of a save: the image that has what was saved, and what stopped the rest, if anything did."""

    before: SourceImage
    image: SourceImage
    followed: int = 0
    saved: Mapping[str, Part] = field(default_factory=dict)
    unsaved: Mapping[str, Part] = field(default_factory=dict)
    error: Exception | None = None

    @classmethod
    def of(cls, parts: Mapping[str, Part], image: SourceImage) -> Outcome:
        """Save every part that changed, one after the other; stop at an error of rokka."""
        changed = {name: part for name, part in parts.items() if part.has_changed()}
        outcome = cls(image, image, unsaved=changed)
        if _AREAS & changed.keys():
            outcome = replace(outcome, followed=references.count(image))
        for name in changed:
            outcome = outcome.plus(name) if outcome.error is None else outcome
        return outcome

    def plus(self, name: str) -> Outcome:
        """The same with another part saved, or with the error that stood against it."""
        part = self.unsaved[name]
        try:
            image = part.save(self.image)
        except (api.RokkaError, ImproperlyConfigured) as error:
            return replace(self, error=error)
        unsaved = {key: other for key, other in self.unsaved.items() if key != name}
        return replace(self, image=image, saved={**self.saved, name: part}, unsaved=unsaved)

    def __str__(self) -> str:
        """In the words of an editor."""
        return " ".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        if self.error is not None:
            yield explain(self.error)
        if not self.saved and self.error is None:
            yield _("Nothing was changed, so nothing was saved.")
        if self.saved:
            yield _("Saved: %(parts)s.") % {"parts": _names(self.saved)}
        if self.image.hash != self.before.hash:
            yield self._news()
        if self.unsaved:
            yield _("Not saved: %(parts)s.") % {"parts": _names(self.unsaved)}

    def _news(self) -> str:
        hash = self.image.short_hash or self.image.hash
        text = ngettext(
            "The picture has a new hash, %(hash)s, and the %(count)d row that shows it follows.",
            "The picture has a new hash, %(hash)s, and the %(count)d rows that show it follow.",
            self.followed,
        )
        if not self.followed:
            text = _("The picture has a new hash, %(hash)s.")
        return text % {"hash": hash, "count": self.followed}


def _names(parts: Mapping[str, Part]) -> str:
    return get_text_list([str(part.title) for part in parts.values()], _("and"))


def _log_message(parts: Mapping[str, Part]) -> list[dict[str, Any]]:
    # As the admin writes it: the names as they are in the code; who reads them sees a translation.
    with translation.override(None):
        fields = [str(part.title) for part in parts.values()]
    return [{"changed": {"fields": fields}}]


def _go_on(model_admin: _Admin, request: HttpRequest, outcome: Outcome) -> HttpResponse:
    """To the page of the image that has everything; to the area that was worked on to go on editing."""
    if IS_POPUP_VAR in request.POST:
        return model_admin.response_change(request, outcome.image)
    level = "SUCCESS" if outcome.saved else "INFO"
    model_admin.message_user(request, str(outcome), level)
    url = add_preserved_filters(
        {"preserved_filters": model_admin.get_preserved_filters(request), "opts": model_admin.opts},
        page_url(model_admin, outcome.image),
    )
    area = request.POST.get("_area", "") if "_continue" in request.POST else ""
    return HttpResponseRedirect(f"{url}#{area}" if re.fullmatch(r"[\w-]+", area) else url)


def page_url(model_admin: _Admin, row: models.Model) -> str:
    """The admin's page of a row."""
    opts = model_admin.opts
    name = f"admin:{opts.app_label}_{opts.model_name}_change"
    return reverse(name, args=[quote(row.pk)], current_app=model_admin.admin_site.name)


# --- The page ---------------------------------------------------------------------------------


class DetailPage:
    """Everything that the template shows. With ``data`` the forms hold what was typed."""

    def __init__(
        self,
        model_admin: _Admin,
        request: HttpRequest,
        image: SourceImage,
        *,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        self.admin, self.request, self.image = model_admin, request, image
        self.error = ""
        self.form_url = ""
        self.parts: dict[str, Part] = {name: make(image, data) for name, make in PARTS.items()}
        for name in self.frozen:
            self.parts[name].freeze()

    def after(self, outcome: Outcome) -> DetailPage:
        """The page after a save that stopped half-way: it shows what was saved, and keeps what was not."""
        image = outcome.image
        image.refresh_from_db()
        page = DetailPage(self.admin, self.request, image)
        page.parts.update(outcome.unsaved)
        page.error = str(outcome)
        page.form_url = "" if image.pk == self.image.pk else page_url(self.admin, image)
        return page

    def render(self, extra_context: Mapping[str, Any] | None) -> HttpResponse:
        """The answer. ``extra_context`` is added to what the template is given."""
        may_change = self.admin.has_change_permission(self.request, self.image)
        title = _("Change %s") if may_change else _("View %s")
        context = {
            **self.admin.admin_site.each_context(self.request),
            "title": title % self.admin.opts.verbose_name,
            "subtitle": str(self.image),
            "adminform": self._admin_form(),
            "object_id": str(self.image.pk),
            "original": self.image,
            "is_popup": IS_POPUP_VAR in (*self.request.GET, *self.request.POST),
            "to_field": None,
            "media": self.admin.media,
            "inline_admin_formsets": [],
            "errors": self.errors,
            "preserved_filters": self.admin.get_preserved_filters(self.request),
            "show_delete": False,
            "show_save": self.may_save,
            "show_save_and_continue": self.may_save,
            "page": self,
            **(extra_context or {}),
        }
        return self.admin.render_change_form(
            self.request, context, change=True, obj=self.image, form_url=self.form_url
        )

    def _admin_form(self) -> helpers.AdminForm:
        """What the admin's template wants; our own fields are shown by `field_sets`."""
        form: Any = forms.Form({})
        if self.error:
            form.add_error(None, self.error)
        return helpers.AdminForm(form, [], {}, model_admin=self.admin)

    @property
    def errors(self) -> list[Any]:
        """Everything that is wrong, for the admin to count."""
        found = [problem for part in self.parts.values() for problem in part.problems()]
        return [self.error, *found] if self.error else found

    # --- What can be changed -------------------------------------------------------------------

    @cached_property
    def frozen(self) -> Sequence[str]:
        """The parts that cannot be changed here and now."""
        may_change = self.admin.has_change_permission(self.request, self.image)
        if not may_change or self.obstacle or self.image.deleted or self.successor:
            return list(PARTS)
        return ["user_metadata"] if self.image.locked else []

    @property
    def may_save(self) -> bool:
        """Whether there is anything to save."""
        return len(self.frozen) < len(PARTS) or bool(self.error)

    @property
    def obstacle(self) -> str:
        """Why this site cannot change any image of the organization; empty if it can."""
        if self.config is None:
            text = _("No alias of the ROKKA setting has the organization “%(organization)s”.")
            return text % {"organization": self.image.organization}
        return _("This site only reads from rokka.") if self.config.read_only else ""

    @cached_property
    def successor(self) -> SourceImage | None:
        """The image that took this one's place, if it did."""
        return None if self.image.current == self.image else self.image.current

    @property
    def successor_url(self) -> str:
        """The page of the image that took this one's place."""
        return page_url(self.admin, self.successor) if self.successor else ""

    # --- The picture ---------------------------------------------------------------------------

    @cached_property
    def config(self) -> Config | None:
        """The settings of the organization, if there are any."""
        return next(iter(configs_of(self.image.organization)), None)

    @property
    def unseen(self) -> str | None:
        """Why the picture cannot be shown."""
        return unseen(self.image)

    @property
    def picture(self) -> dict[str, Any]:
        """The whole picture: ``src``, ``srcset``, and the size at which it is shown, in pixels."""
        widths = candidate_widths((640, 1200, 2400), self.image.width)
        shown = max(width for width in widths if width <= 1200 or width == widths[0])
        height = self.image.height and self.image.width and self.image.height * shown
        return {
            "src": self._whole(shown),
            "srcset": ", ".join(f"{self._whole(width)} {width}w" for width in widths),
            "width": shown,
            "height": round(height / self.image.width) if height and self.image.width else None,
        }

    def _whole(self, width: int) -> str:
        return self._url(DYNAMIC, width=width)

    def _url(self, stack: str, width: int | None = None, height: int | None = None) -> str:
        format = shown_format(self.image.format)
        return self.image.render_url(stack, width=width, height=height, format=format)

    @property
    def static_metadata(self) -> str:
        """What rokka found in the file, to read."""
        return json.dumps(self.image.static_metadata, indent=1, ensure_ascii=False, sort_keys=True)

    @cached_property
    def renders(self) -> list[Render]:
        """The picture in each configured stack."""
        if self.config is None or self.unseen:
            return []
        declared = [one.stack for one in self.config.stacks.values()]
        return [
            Render(stack.name, self._url(stack.name), stack.description, recipe_of(stack))
            for stack in declared or [api.Stack(name=self.config.stack)]
        ]

    @property
    def previews(self) -> list[Render]:
        """The stacks that cut something off, or else some usual shapes."""
        found = [render for render in self.renders if render.recipe]
        return found or ([self._shape(*shape) for shape in _SHAPES] if self.config else [])

    def _shape(self, width: int, height: int) -> Render:
        steps = [["crop", {"width": width, "height": height, "mode": "ratio"}]]
        recipe = json.dumps({"steps": steps, "shape": True})
        url = self._url(DYNAMIC, width=40 * width, height=40 * height)
        return Render(f"{width}:{height}", url, "", recipe)

    # --- Where it is used ----------------------------------------------------------------------

    @cached_property
    def uses(self) -> list[Use]:
        """The first rows that show the image."""
        found: list[Use] = []
        for place in references.places(self.image.organization):
            # Sorted here: a database that sorts may leave the index on the column alone.
            rows = list(place.holding(self.image).order_by()[: ROWS - len(found)])
            rows.sort(key=lambda row: row.pk)
            found += uses_in(self.admin.admin_site, self.request, place, rows)
            if len(found) >= ROWS:
                break
        return found

    @cached_property
    def uses_count(self) -> int:
        """How many times rows show the image."""
        return references.count(self.image)

    @property
    def more_uses(self) -> int:
        """How many of them are not named."""
        return self.uses_count - len(self.uses)

    # --- What was done with it -----------------------------------------------------------------

    @cached_property
    def chain(self) -> list[Link]:
        """The images that this one took the place of, itself, and those that took its place."""
        seen = self.admin.get_queryset(self.request)
        return [
            Link(image, page_url(self.admin, image), image == self.image)
            for image in chain_of(self.image, seen)
        ]

    @cached_property
    def log(self) -> list[tuple[LogEntry, SourceImage]]:
        """Who did what with any of them, the last first."""
        images = {str(link.image.pk): link.image for link in self.chain}
        entries = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(SourceImage), object_id__in=images
        )
        found = entries.select_related("user").order_by("-action_time", "-pk")[:ENTRIES]
        return [(entry, images[str(entry.object_id)]) for entry in found]


# --- Renders ----------------------------------------------------------------------------------

_SHAPES = ((1, 1), (16, 9), (3, 4))
#: Steps whose window in the picture the page's script can compute; the others leave it alone.
_WINDOWED = ("crop", "resize")
_HARMLESS = (
    *("alpha", "blur", "grayscale", "modulate", "multiply", "noop", "sepia", "sharpen"),
    "svg2bitmap",
)


@dataclass(frozen=True)
class Render:
    """A render to look at; ``recipe`` is what the page's script computes its window from, as JSON."""

    name: str
    url: str
    description: str = ""
    recipe: str = ""


def recipe_of(stack: api.Stack) -> str:
    """How a stack cuts the picture, as JSON; empty if it does not, or if only rokka can tell."""
    known = (*_WINDOWED, *_HARMLESS)
    plain = all(step.name in known and _is_plain(step) for step in stack.operations)
    if not plain or "basestack" in stack.options or not any(map(_cuts, stack.operations)):
        return ""
    steps = [[step.name, dict(step.options)] for step in stack.operations]
    return json.dumps({"steps": steps, "dpr": stack.options.get("dpr", 1)})


def _is_plain(step: api.StackOperation) -> bool:
    """Whether all options are values: an expression depends on what only rokka knows."""
    texts = (value for value in step.options.values() if isinstance(value, str))
    return not step.expressions and not any(text.startswith("[") for text in texts)


def _cuts(step: api.StackOperation) -> bool:
    """Whether the step gives the render a shape of its own."""
    options = step.options
    if not (options.get("width") and options.get("height") and options.get("enabled", True)):
        return False
    return step.name == "crop" or (step.name == "resize" and options.get("mode") == "absolute")


# --- Uses -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Use:
    """A row that shows the image. ``text`` and ``url`` are empty if the user may not see it."""

    model: str
    field: str
    text: str = ""
    url: str = ""


def uses_in(
    site: admin.AdminSite,
    request: HttpRequest,
    place: references.Place,
    rows: Sequence[models.Model],
) -> list[Use]:
    """Describe rows of a place, as far as the user may see them: two queries at most."""
    opts = place.field.model._meta
    names = str(opts.verbose_name), str(place.field.verbose_name)
    if not site.is_registered(place.field.model):
        codename = get_permission_codename("view", opts)
        may = request.user.has_perm(f"{opts.app_label}.{codename}")
        return [Use(*names, str(row) if may else "") for row in rows]
    model_admin = site.get_model_admin(place.field.model)
    visible = _visible(model_admin, request, place, rows)
    return [
        Use(*names, str(row), page_url(model_admin, row)) if row.pk in visible else Use(*names)
        for row in rows
    ]


def _visible(
    model_admin: _Admin,
    request: HttpRequest,
    place: references.Place,
    rows: Sequence[models.Model],
) -> set[Any]:
    """The keys of those rows whose page the user can open."""
    shown = model_admin.get_queryset(request)
    if not rows or shown.db != place.using or not model_admin.has_view_permission(request):
        return set()
    allowed = [row.pk for row in rows if model_admin.has_view_permission(request, row)]
    return set(shown.filter(pk__in=allowed).values_list("pk", flat=True))


# --- History ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    """An image of the history, and its page."""

    image: SourceImage
    url: str
    here: bool


def chain_of(image: SourceImage, images: models.QuerySet[SourceImage]) -> list[SourceImage]:
    """All of ``images`` that this one took the place of, itself, and what took its place: one query.

    What takes the place of an image has its bytes, so its binary hash leads to all of them.
    """
    variants = images.filter(organization=image.organization, binary_hash=image.binary_hash)
    found = {other.pk: other for other in variants.order_by("-pk")[:_VARIANTS]}
    if not image.binary_hash:
        found = {}
    found[image.pk] = image
    before: dict[Any, list[SourceImage]] = {}
    for other in sorted(found.values(), key=lambda other: other.pk):
        before.setdefault(other.replaced_by_id, []).append(other)
    earlier = _walk(image, lambda at: before.get(at.pk, []))
    later = _walk(
        image, lambda at: [found[at.replaced_by_id]] if at.replaced_by_id in found else []
    )
    return [*reversed(earlier), *later[1:]]


def _walk(start: SourceImage, following: Any) -> list[SourceImage]:
    """An image, those that follow it, those that follow them, and so on; each once."""
    reached = [start]
    for image in reached:
        reached += [other for other in following(image) if other not in reached]
    return reached
