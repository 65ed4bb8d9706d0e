"""`BulkOperationAdmin`: how far bulk operations are, and what became of each image.

The page of an operation is kept up to date by a script that fetches its live part, and that lets the work
be done where there is no Celery: by requests of a few seconds each. Without JavaScript there are buttons.
"""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db import connections, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_POST, require_safe

from .. import api, bulk
from ..models import BulkItem, BulkOperation, SourceImage
from . import words
from .actions import ACTIONS, back_url, missing, operation_url
from .detail import page_url
from .thumbnails import image_thumbnail

logger = logging.getLogger("django_rokka.admin")

State, ItemState = BulkOperation.State, BulkItem.State

#: Seconds that a request of the page works, where there is no Celery: then it shows what was done.
STEP = 2.0
#: Failed images on a page, and reasons that are told apart.
_PAGE, _REASONS = 100, 20
#: What a message says of the reasons.
_SAID = 3


class _List(ChangeList):
    """The list, with how far each operation of the page is: one query for all."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        items = BulkItem.objects.filter(operation__in=[row.pk for row in self.result_list])
        counted = items.order_by().values_list("operation", "state").annotate(models.Count("pk"))
        counts: dict[Any, Counter[int]] = {}
        for operation, state, count in counted:
            counts.setdefault(operation, Counter())[state] = count
        for row in self.result_list:
            row.counts = counts.get(row.pk, Counter())


class BulkOperationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Follow, stop and take up bulk operations: those of one's own, or with a permission those of all."""

    list_display = ["what", "total", "by", "created", "status", "done", "skipped", "failed"]
    list_filter = ["kind", "state"]
    search_fields = ["user_name"]
    search_help_text = gettext_lazy("Search for the name of a user.")
    actions = None
    list_per_page = 50

    # --- The list ------------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        """A list that counts."""
        return _List

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list; nothing is selected there to be changed, as Django would say."""
        title = capfirst(self.opts.verbose_name_plural)
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    @admin.display(description=gettext_lazy("action"), ordering="kind")
    def what(self, operation: BulkOperation) -> str:
        """What is done."""
        return str(words.LABELS[operation.kind])

    @admin.display(description=gettext_lazy("user"), ordering="user_name")
    def by(self, operation: BulkOperation) -> str:
        """Who wanted it."""
        return operation.user_name or "–"

    @admin.display(description=gettext_lazy("state"), ordering="state")
    def status(self, operation: BulkOperation) -> str:
        """Where it stands."""
        return str(capfirst(operation.get_state_display()))

    @admin.display(description=pgettext_lazy("count of images", "done"))
    def done(self, operation: Any) -> str:
        """For how many images it is done."""
        return words.number(operation.counts[ItemState.DONE])

    @admin.display(description=pgettext_lazy("count of images", "skipped"))
    def skipped(self, operation: Any) -> str:
        """How many images needed nothing, or were spared."""
        return words.number(operation.counts[ItemState.SKIPPED])

    @admin.display(description=pgettext_lazy("count of images", "failed"))
    def failed(self, operation: Any) -> str:
        """For how many images it failed."""
        return words.number(operation.counts[ItemState.FAILED])

    # --- Who may do what -----------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> Any:
        """Those that the user may see."""
        operations = super().get_queryset(request)
        if super().has_view_permission(request):
            return operations
        return operations.filter(user_pk=str(request.user.pk))

    def has_view_permission(self, request: HttpRequest, obj: BulkOperation | None = None) -> bool:
        """Whether the user may see this one, or any: who sees images sees at least what they did to them."""
        if super().has_view_permission(request, obj):
            return True
        if obj is not None:
            return _is_own(request, obj)
        images = self._images
        return images is not None and images.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody: operations begin with an action on images."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody: they say what was done, and by whom."""
        return False

    def may_go_on(self, request: HttpRequest, operation: BulkOperation) -> bool:
        """Whether the user may stop it, continue it and try again what failed.

        That takes the permission to do to the images what it does, which may have changed since it began.
        """
        if not (_is_own(request, operation) or self.has_change_permission(request, operation)):
            return False
        needed = [ACTIONS[operation.kind].permission]
        needed += ["delete_used"] if operation.options.get("used") else []
        return all(self._may_do(request, operation, permission) for permission in needed)

    def _may_do(self, request: HttpRequest, operation: BulkOperation, permission: str) -> bool:
        images = self._images
        if images is None or not getattr(images, f"has_{permission}_permission")(request):
            return False
        undone = operation.items.exclude(state__in=(ItemState.DONE, ItemState.SKIPPED))
        left = SourceImage.objects.filter(pk__in=undone.values("image"))
        permitted = images.permitted(request, permission, left)
        return permitted is left or bool(permitted.count() == left.count())

    @property
    def _images(self) -> Any:
        """The admin of the images, if this site has it."""
        if not self.admin_site.is_registered(SourceImage):
            return None
        return self.admin_site.get_model_admin(SourceImage)

    # --- The page ------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        """Django's addresses, and those of the buttons."""
        views = {"step": self._step, "stop": self._stop, "take-up": self._take_up}
        own = [
            path(
                f"<int:pk>/{name}/",
                self._view(view),
                name=f"{self.opts.app_label}_{self.opts.model_name}_{name}",
            )
            for name, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def _view(self, change: Callable[[HttpRequest, BulkOperation], None]) -> Callable[..., Any]:
        """A view that changes an operation, and goes back to its page, or gives the live part of it."""

        def view(request: HttpRequest, pk: int) -> HttpResponse:
            operation = self._find(request, str(pk))
            if operation is None or not self.may_go_on(request, operation):
                raise PermissionDenied
            change(request, operation)
            operation.refresh_from_db()
            page = ProgressPage(self, request, operation)
            return page.render() if page.is_live else HttpResponseRedirect(page.url)

        guarded = self.admin_site.admin_view(require_POST(view))
        # Each image is worked on by itself, whatever the site does with its requests.
        for alias in connections:
            guarded = transaction.non_atomic_requests(using=alias)(guarded)
        return guarded

    def _find(self, request: HttpRequest, pk: str) -> BulkOperation | None:
        """The operation. Raises `PermissionDenied` for one that the user may not see."""
        try:
            operation = super().get_queryset(request).filter(pk=pk).first()
        except ValueError:
            return None
        if operation is not None and not self.has_view_permission(request, operation):
            raise PermissionDenied
        return operation

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """How far it is. An operation that is over leads back to where it was begun, if that was just now."""
        return require_safe(self._show)(request, object_id)

    def _show(self, request: HttpRequest, object_id: str) -> HttpResponse:
        operation = self._find(request, object_id)
        if operation is None:
            return missing(self, request, object_id)
        page = ProgressPage(self, request, operation)
        if "fresh" in request.GET and not page.is_live and operation.state == State.FINISHED:
            page.tell()
            return HttpResponseRedirect(page.back_url)
        return page.render()

    # --- The buttons ---------------------------------------------------------------------------

    def _step(self, request: HttpRequest, operation: BulkOperation) -> None:
        if bulk.by_tasks(operation):
            return
        try:
            bulk.work(operation, uuid.uuid4().hex, seconds=STEP)
        except api.RokkaError as error:
            # The operation has noted it, and the page shows it.
            logger.info("Bulk operation %s pauses: %s", operation.pk, error)

    def _stop(self, request: HttpRequest, operation: BulkOperation) -> None:
        if operation.state == State.RUNNING:
            bulk.stop(operation)
            self.log_change(request, operation, _("Stopped."))

    def _take_up(self, request: HttpRequest, operation: BulkOperation) -> None:
        # It may be pressed twice, or in two windows: what is being worked on is not to be given to others.
        page = ProgressPage(self, request, operation)
        if page.can_take_up or page.can_retry:
            self.log_change(request, operation, _("Continued."))
            bulk.take_up(operation)


def _is_own(request: HttpRequest, operation: BulkOperation) -> bool:
    return bool(operation.user_pk) and operation.user_pk == str(request.user.pk)


@dataclass(frozen=True)
class Reason:
    """Why images were skipped or failed, and how many."""

    text: str
    count: int

    @property
    def images(self) -> str:
        """How many images it is the reason for, in words."""
        return words.images(self.count)


class ProgressPage:
    """Everything that the template shows of an operation."""

    def __init__(
        self, model_admin: BulkOperationAdmin, request: HttpRequest, operation: BulkOperation
    ) -> None:
        self.admin, self.request, self.operation = model_admin, request, operation
        self.progress = bulk.progress(operation)

    def render(self) -> HttpResponse:
        """The page, or the part of it that changes."""
        context = {"page": self, "operation": self.operation, "progress": self.progress}
        if self.is_live:
            return TemplateResponse(self.request, "admin/rokka/bulkoperation/live.html", context)
        context |= {
            **self.admin.admin_site.each_context(self.request),
            "title": self.label,
            "subtitle": words.images(self.progress.total),
            "opts": self.admin.opts,
            "media": self.admin.media,
            "original": self.operation,
        }
        self.request.current_app = self.admin.admin_site.name
        return TemplateResponse(self.request, "admin/rokka/bulkoperation/progress.html", context)

    # --- Addresses -----------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether the script asks for the part that changes."""
        return "live" in self.request.GET

    @property
    def _query(self) -> str:
        """What the page's addresses carry along: where the user came from."""
        query = self.request.GET.copy()
        for name in ("fresh", "live", "page"):
            query.pop(name, None)
        return f"?{query.urlencode()}" if query else ""

    @property
    def url(self) -> str:
        """The address of the page."""
        return self._url("change")

    def _url(self, name: str) -> str:
        opts = self.admin.opts
        view = f"admin:{opts.app_label}_{opts.model_name}_{name}"
        site = self.admin.admin_site.name
        return reverse(view, args=[self.operation.pk], current_app=site) + self._query

    @property
    def step_url(self) -> str:
        """Works for a few seconds, if it is a POST."""
        return self._url("step")

    @property
    def stop_url(self) -> str:
        """Stops it."""
        return self._url("stop")

    @property
    def take_up_url(self) -> str:
        """Continues it, with what failed as well."""
        return self._url("take-up")

    @cached_property
    def back_url(self) -> str:
        """To the image whose page it was begun on, as it is now, or to the list with its filters.

        A site without our images has a list of operations alone.
        """
        images = self.admin._images
        if images is None:
            return back_url(self.admin, None, "")
        return back_url(images, self.image, self.request.GET.get("filters", ""))

    @cached_property
    def image(self) -> SourceImage | None:
        """The image whose page it was begun on; it may have another hash now."""
        if "image" not in self.request.GET:
            return None
        item = self.operation.items.select_related("image__replaced_by").first()
        return item.image.current if item else None

    # --- Where it stands -----------------------------------------------------------------------

    @property
    def label(self) -> str:
        """What is done."""
        return str(words.LABELS[self.operation.kind])

    @property
    def options(self) -> list[str]:
        """What was chosen."""
        return words.options(self.operation)

    @cached_property
    def by_tasks(self) -> bool:
        """Whether Celery does the work."""
        return bulk.by_tasks(self.operation)

    @cached_property
    def may_go_on(self) -> bool:
        """Whether the user may stop and continue it."""
        return self.admin.may_go_on(self.request, self.operation)

    @property
    def is_running(self) -> bool:
        """Whether it is neither finished nor stopped."""
        return self.operation.state == State.RUNNING

    @property
    def mode(self) -> str:
        """What the script has to do: ``step``, ``poll``, or nothing more."""
        if not self.is_running:
            return ""
        steps = self.may_go_on and not self.by_tasks and not self.progress.lost
        return "step" if steps else "poll"

    @property
    def can_stop(self) -> bool:
        """Whether there is anything to stop."""
        return self.is_running and self.may_go_on

    @property
    def can_take_up(self) -> bool:
        """Whether it rests though there is something to do."""
        rests = self.progress.lost or self.operation.state == State.STOPPED
        return rests and self.may_go_on

    @property
    def can_retry(self) -> bool:
        """Whether anything failed, and nothing else is left to do."""
        finished = self.operation.state == State.FINISHED
        return finished and bool(self.progress.failed) and self.may_go_on

    @property
    def percent(self) -> int:
        """How much is done; 100 only if everything is."""
        total = self.progress.total
        return 100 * self.progress.closed // total if total else 100

    @property
    def numbers(self) -> dict[str, str]:
        """How many images there are of each outcome, as people write it."""
        names = ("done", "skipped", "failed", "waiting")
        return {name: words.number(getattr(self.progress, name)) for name in names}

    @property
    def state(self) -> str:
        """Where it stands, in a sentence."""
        if self.progress.lost:
            return _("Nobody seems to work on it.")
        if self.is_running:
            return _("It waits for rokka.") if self.operation.error else _("It is running.")
        if self.operation.state == State.STOPPED:
            return _("It was stopped.")
        return (
            _("It is finished, but not for all images.")
            if self.progress.failed
            else _("It is finished.")
        )

    @property
    def title(self) -> str:
        """What the browser's tab says."""
        return (
            f"{self.percent} % · {self.label}"
            if self.is_running
            else f"{self.state} · {self.label}"
        )

    @property
    def time_left(self) -> str:
        """How long the rest will take; empty if nobody knows, or if nothing happens."""
        seconds = self.progress.seconds_left
        if seconds is None or self.progress.lost or self.operation.error:
            return ""
        return _("About %(time)s left.") % {"time": words.duration(seconds)}

    # --- What became of the images -------------------------------------------------------------

    def _reasons(self, state: int) -> list[Reason]:
        items = self.operation.items.filter(state=state).order_by()
        counted = items.values_list("reason").annotate(count=models.Count("pk"))
        return [Reason(*row) for row in counted.order_by("-count", "reason")[:_REASONS]]

    @cached_property
    def failures(self) -> list[Reason]:
        """Why images failed, the most frequent reason first."""
        return self._reasons(ItemState.FAILED) if self.progress.failed else []

    @cached_property
    def skips(self) -> list[Reason]:
        """Why images were skipped, the most frequent reason first."""
        return self._reasons(ItemState.SKIPPED) if self.progress.skipped else []

    @cached_property
    def failed(self) -> Page[Any] | None:
        """The images that failed, a page of them."""
        if not self.progress.failed:
            return None
        items = self.operation.items.filter(state=ItemState.FAILED).order_by("pk")
        paginator = Paginator(items.select_related("image"), _PAGE)
        return paginator.get_page(self.request.GET.get("page"))

    @property
    def failed_images(self) -> list[dict[str, Any]]:
        """Each of them with its thumbnail, its page and the reason; the reason alone if the user may not see it."""
        items = list(self.failed or ())
        visible = self._visible([item.image for item in items])
        return [
            self._described(item) if item.image_id in visible else {"reason": item.reason}
            for item in items
        ]

    def _visible(self, images: Sequence[SourceImage]) -> set[Any]:
        """The keys of those whose page the user can open."""
        model_admin = self.admin._images
        if model_admin is None:
            return set()
        may = model_admin.has_view_permission
        allowed = [image.pk for image in images if may(self.request, image)]
        seen = model_admin.get_queryset(self.request).filter(pk__in=allowed)
        return set(seen.values_list("pk", flat=True))

    def _described(self, item: BulkItem) -> dict[str, Any]:
        return {
            "thumbnail": image_thumbnail(item.image, 40),
            "name": str(item.image),
            "url": page_url(self.admin._images, item.image),
            "reason": item.reason,
        }

    # --- When it is over -----------------------------------------------------------------------

    def tell(self) -> None:
        """Say what happened, on the page that is shown next."""
        found = self.progress
        kind = self.operation.kind
        if found.done:
            messages.success(self.request, words.done(kind, found.done))
        if found.skipped:
            text = words.skipped(found.skipped)
            messages.warning(self.request, self._with_reasons(text, self.skips))
        if found.failed:
            text = words.failed(found.failed)
            messages.error(self.request, self._with_reasons(text, self.failures))

    def _with_reasons(self, text: str, reasons: Sequence[Reason]) -> SafeString:
        """A sentence with the reasons, and a link to the rest."""
        said = [
            f"{reason.text} ({words.number(reason.count)})" if len(reasons) > 1 else reason.text
            for reason in reasons[:_SAID]
        ]
        url = operation_url(self.admin, self.operation)
        link = format_html('<a href="{}">{}</a>', url, _("Details"))
        return format_html("{}: {} – {}", text, "; ".join(said), link)
