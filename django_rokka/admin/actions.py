"""What can be done with images in the admin: the actions of the list, and the buttons on an image's page.

Each leads to a page that says what will happen, with counts; what is confirmed there becomes a bulk
operation. That page does not list the images when all are selected: it posts to the list's own address,
with its filters, so the same images are selected again. Of an image's page it posts to an address of that
image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .. import bulk
from ..conf import configs_of, destinations
from ..models import BulkOperation, SourceImage
from . import words
from .action_counts import Counts, Fact, count_used, facts, suitable
from .action_forms import CopyForm, DeleteForm, DescribeForm, OptionsForm, UserMetadataForm
from .detail import page_url
from .listing import days_left
from .thumbnails import image_thumbnail

if TYPE_CHECKING:
    from .images import SourceImageAdmin

    Images = Any

Kind = BulkOperation.Kind

#: So many of the images are shown before an action.
_SHOWN = 10
_METADATA = ("user_metadata", "dynamic_metadata", "static_metadata")
_CONFIRMED, _MORE, _COUNT = "confirmed", "more_rows", "count"


@dataclass(frozen=True)
class Action:
    """Something that can be done with images, and the permission that it takes."""

    kind: str
    permission: str
    #: Whether a button for it makes sense on the page of an image; ``None`` for no button.
    fits: Callable[[SourceImage], Any] | None
    #: What it does cannot be undone by the next click.
    grave: bool = False

    @property
    def label(self) -> str:
        """What the action, its button and its page are called."""
        return str(words.LABELS[self.kind])

    @property
    def name(self) -> str:
        """The name in the list's form. That of the deletion takes the place of Django's own."""
        return f"{self.kind}_selected"


def _is_live(image: SourceImage) -> bool:
    return image.deleted is None


ACTIONS: Mapping[str, Action] = {
    action.kind: action
    for action in (
        Action(
            Kind.COPY, "copy", lambda image: _is_live(image) and destinations(image.organization)
        ),
        Action(Kind.LOCK, "lock", lambda image: _is_live(image) and not image.locked),
        Action(Kind.UNLOCK, "lock", lambda image: _is_live(image) and image.locked),
        Action(Kind.PROTECT, "protect", lambda image: _is_live(image) and not image.protected),
        Action(Kind.UNPROTECT, "protect", lambda image: _is_live(image) and image.protected),
        # The page of an image has fields for these.
        Action(Kind.USER_METADATA, "change", None),
        Action(Kind.DESCRIBE, "change", _is_live),
        Action(Kind.PURGE, "change", _is_live),
        Action(Kind.SYNC, "change", lambda image: True),
        Action(Kind.RESTORE, "restore", days_left),
        # rokka refuses to delete what is locked.
        Action(
            Kind.DELETE, "delete", lambda image: _is_live(image) and not image.locked, grave=True
        ),
    )
}


def _label(action: Action) -> Any:
    # Not yet translated: each user has a language.
    return words.LABELS[action.kind]


def _for_list(action: Action) -> Callable[..., HttpResponse]:
    """The action as `ModelAdmin.actions` takes it."""

    @admin.action(permissions=[action.permission], description=_label(action))
    def act(model_admin: SourceImageAdmin, request: HttpRequest, images: Images) -> HttpResponse:
        return Confirmation(model_admin, request, action, images).respond()

    act.__name__ = action.name
    return act


#: For `ModelAdmin.actions`.
LIST_ACTIONS: Sequence[Callable[..., HttpResponse]] = [*map(_for_list, ACTIONS.values())]


class ListActionForm(ActionForm):
    """Django's. In django-unfold the button is only shown for what this attribute tells; elsewhere it means nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["action"].widget.attrs["x-model"] = "action"


# --- On the page of an image ------------------------------------------------------------------


def urls(model_admin: SourceImageAdmin) -> list[URLPattern]:
    """The address of each action for a single image."""

    def act(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
        return act_on_one(model_admin, request, str(pk), kind)

    opts = model_admin.opts
    name = f"{opts.app_label}_{opts.model_name}_action"
    return [path("<int:pk>/action/<str:kind>/", model_admin.admin_site.admin_view(act), name=name)]


def act_on_one(
    model_admin: SourceImageAdmin, request: HttpRequest, pk: str, kind: str
) -> HttpResponse:
    """Ask about, and begin, an action for one image. To look at the page with the question changes nothing."""
    image = model_admin.get_object(request, pk)
    if image is None:
        return missing(model_admin, request, pk)
    action = ACTIONS.get(kind)
    if action is None or not _may(model_admin, request, action, image):
        raise PermissionDenied
    images = model_admin.get_queryset(request).filter(pk=image.pk)
    return Confirmation(model_admin, request, action, images, image=image).respond()


def missing(model_admin: Any, request: HttpRequest, pk: str) -> HttpResponse:
    """To the admin's first page, with a message that there is no such row."""
    redirect: HttpResponse = model_admin._get_obj_does_not_exist_redirect(
        request, model_admin.opts, pk
    )
    return redirect


def _may(
    model_admin: SourceImageAdmin, request: HttpRequest, action: Action, image: SourceImage
) -> bool:
    has_permission = getattr(model_admin, f"has_{action.permission}_permission")
    return action.name in model_admin.get_actions(request) and has_permission(request, image)


@dataclass(frozen=True)
class Button:
    """A way to an action for the image whose page it is on."""

    label: str
    url: str
    kind: str
    grave: bool


def buttons(
    model_admin: SourceImageAdmin, request: HttpRequest, image: SourceImage
) -> list[Button]:
    """The actions that make sense for an image as it is, and that the user may use."""
    if IS_POPUP_VAR in request.GET or not _can_be_changed(image):
        return []
    return [
        Button(action.label, _url(model_admin, request, image, action), action.kind, action.grave)
        for action in ACTIONS.values()
        if action.fits and action.fits(image) and _may(model_admin, request, action, image)
    ]


def _can_be_changed(image: SourceImage) -> bool:
    return any(not config.read_only for config in configs_of(image.organization))


def _url(
    model_admin: SourceImageAdmin, request: HttpRequest, image: SourceImage, action: Action
) -> str:
    opts = model_admin.opts
    name = f"admin:{opts.app_label}_{opts.model_name}_action"
    kwargs = {"pk": image.pk, "kind": action.kind}
    url = reverse(name, kwargs=kwargs, current_app=model_admin.admin_site.name)
    filters = model_admin.get_preserved_filters(request)
    return add_preserved_filters({"preserved_filters": filters, "opts": opts}, url)


# --- Asking, and beginning --------------------------------------------------------------------


class Confirmation:
    """The page between an action and what it does; ``image`` is the one whose page it was called from."""

    template = "admin/rokka/sourceimage/confirm.html"

    def __init__(
        self,
        model_admin: SourceImageAdmin,
        request: HttpRequest,
        action: Action,
        selected: Images,
        *,
        image: SourceImage | None = None,
    ) -> None:
        self.admin, self.request, self.action = model_admin, request, action
        self.selected, self.image = selected, image
        #: The selection has changed since the user saw its counts.
        self.changed = False

    def respond(self) -> HttpResponse:
        """Begin if it was confirmed and still is what was confirmed; else ask."""
        self._refuse_to_insist()
        if self._is_confirmed and self.form.is_valid() and not self.obstacle:
            if self._is_as_confirmed():
                return self._begin()
            self.changed = True
        return self._ask()

    @property
    def _is_confirmed(self) -> bool:
        return _CONFIRMED in self.request.POST and _MORE not in self.request.POST

    def _refuse_to_insist(self) -> None:
        """The page does not offer it to whom may not; a form can be made up."""
        insists = self.action.kind == Kind.DELETE and "used" in self.request.POST
        if insists and not self.admin.has_delete_used_permission(self.request, self.image):
            raise PermissionDenied

    # --- Which images --------------------------------------------------------------------------

    @cached_property
    def across(self) -> bool:
        """Whether everything that the list has is selected, and not some of a page."""
        return self.image is None and self.request.POST.get("select_across") == "1"

    @cached_property
    def permitted(self) -> Images:
        """Those of the selected images that the user may do this with."""
        return self._permitted(self.action.permission, self.selected)

    def _permitted(self, permission: str, images: Images) -> Images:
        allowed = self.admin.permitted(self.request, permission, images)
        if self.across:
            return allowed
        # A page of images can be asked about one by one.
        may = getattr(self.admin, f"has_{permission}_permission")
        refused = [image.pk for image in allowed if not may(self.request, image)]
        return allowed.exclude(pk__in=refused) if refused else allowed

    @cached_property
    def counts(self) -> Counts:
        """How many images there are of each condition, among those that are permitted."""
        return Counts.of(self.permitted)

    @cached_property
    def left_out(self) -> int:
        """How many of the selected images the user may not do this with."""
        if self.permitted is self.selected:
            return 0
        return int(self.selected.count()) - self.counts.total

    @cached_property
    def images(self) -> Images:
        """What is worked on."""
        return suitable(self.action.kind, self.permitted)

    @cached_property
    def count(self) -> int:
        """How many images are worked on."""
        return self.counts.suitable(self.action.kind)

    # --- What else ------------------------------------------------------------------------------

    @cached_property
    def used(self) -> int:
        """How many of them rows show."""
        return count_used(self.images) if self.action.kind == Kind.DELETE else 0

    @cached_property
    def insistable(self) -> Images:
        """Those that the user may delete though rows show them."""
        if not self.admin.has_delete_used_permission(self.request):
            return self.images.none()
        return self._permitted("delete_used", self.images)

    @cached_property
    def form(self) -> OptionsForm:
        """What the action asks."""
        data = self.request.POST if self._is_confirmed else None
        if self.action.kind == Kind.COPY:
            return CopyForm(data, destinations=self._destinations())
        if self.action.kind == Kind.DELETE:
            used = self.used if self.insistable is self.images else count_used(self.insistable)
            return DeleteForm(data, used=used)
        if self.action.kind == Kind.DESCRIBE:
            return DescribeForm(data)
        if self.action.kind != Kind.USER_METADATA:
            return OptionsForm(data)
        if _MORE in self.request.POST:
            return UserMetadataForm(UserMetadataForm.with_more_rows(self.request.POST))
        return UserMetadataForm(data)

    def _destinations(self) -> list[str]:
        """Where all of the images may be copied to."""
        organizations = self.images.order_by().values_list("organization", flat=True).distinct()
        first, *others = [destinations(name) for name in organizations] or [[]]
        return [name for name in first if all(name in other for other in others)]

    @property
    def obstacle(self) -> str:
        """Why it cannot be done; empty if it can."""
        if not self.count:
            return _("There is nothing to do for these images.")
        return self.form.obstacle

    @property
    def facts(self) -> list[Fact]:
        """What the user should know before."""
        return facts(self.action.kind, self.counts, left_out=self.left_out, used=self.used)

    # --- Asking --------------------------------------------------------------------------------

    def _is_as_confirmed(self) -> bool:
        """Whether as many images are selected, and in use if that matters, as the user was told."""
        count, _slash, used = self.request.POST.get(_COUNT, "").partition("/")
        if count != str(self.count):
            return False
        return not self.form.options.get("used") or used == str(self.used)

    def _ask(self) -> HttpResponse:
        context = {
            **self.admin.admin_site.each_context(self.request),
            "title": self.action.label,
            "subtitle": str(self.image) if self.image else words.images(self.count),
            "opts": self.admin.opts,
            "media": self.admin.media,
            "original": self.image,
            "page": self,
            "form": self.form,
            "preserved_filters": self.admin.get_preserved_filters(self.request),
        }
        self.request.current_app = self.admin.admin_site.name
        return TemplateResponse(self.request, self.template, context)

    @property
    def button(self) -> str:
        """What is agreed to by pressing it."""
        text = _("%(action)s (%(images)s)")
        return text % {"action": self.action.label, "images": words.images(self.count)}

    @cached_property
    def shown(self) -> list[tuple[SafeString, str]]:
        """The first of the images, with their names."""
        images = self.images.defer(*_METADATA)[:_SHOWN]
        return [(image_thumbnail(image), str(image)) for image in images]

    @property
    def more(self) -> str:
        """How many images are not shown; empty if all are."""
        more = self.count - len(self.shown)
        return words.number(more) if more > 0 else ""

    @property
    def hidden(self) -> list[tuple[str, str]]:
        """What is posted back beside the options: how to select the same images."""
        fields = [(_CONFIRMED, "1"), (_COUNT, f"{self.count}/{self.used}")]
        if self.image is not None:
            return fields
        fields.append(("action", self.action.name))
        if self.across:
            # Django asks for one key at least, and does not look at it.
            return [*fields, ("select_across", "1"), (ACTION_CHECKBOX_NAME, "0")]
        keys = self.request.POST.getlist(ACTION_CHECKBOX_NAME)
        return [*fields, *((ACTION_CHECKBOX_NAME, key) for key in keys)]

    @property
    def back_url(self) -> str:
        """Where the user came from."""
        return back_url(self.admin, self.image, self.filters)

    @property
    def filters(self) -> str:
        """The query string of the list that the user came from."""
        if self.image is None:
            return self.request.GET.urlencode()
        return self.request.GET.get("_changelist_filters", "")

    # --- Beginning -----------------------------------------------------------------------------

    def _begin(self) -> HttpResponse:
        options, images = self.form.options, self.images
        if options.get("used"):
            images = self.insistable
        operation = bulk.create(self.action.kind, images, options=options, user=self.request.user)
        self._log(operation)
        bulk.start(operation)
        origin = {"fresh": 1, "filters": self.filters} | ({"image": 1} if self.image else {})
        return HttpResponseRedirect(f"{operation_url(self.admin, operation)}?{urlencode(origin)}")

    def _log(self, operation: BulkOperation) -> None:
        chosen = "; ".join([words.images(operation.total), *words.options(operation)])
        self.admin.log_addition(self.request, operation, chosen)
        if self.image is not None:
            text = "; ".join([self.action.label, *words.options(operation)])
            self.admin.log_change(self.request, self.image, text)


def operation_url(model_admin: Any, operation: BulkOperation) -> str:
    """The page that shows how far an operation is."""
    site = model_admin.admin_site.name
    return reverse("admin:rokka_bulkoperation_change", args=[operation.pk], current_app=site)


def back_url(model_admin: Any, image: SourceImage | None, filters: str) -> str:
    """To the page of an image, or to the list with its filters."""
    opts = model_admin.opts
    if image is not None:
        preserved = urlencode({"_changelist_filters": filters}) if filters else ""
        context = {"preserved_filters": preserved, "opts": opts}
        return add_preserved_filters(context, page_url(model_admin, image))
    name = f"admin:{opts.app_label}_{opts.model_name}_changelist"
    url = reverse(name, current_app=model_admin.admin_site.name)
    return f"{url}?{filters}" if filters else url
