"""The list of the images: its columns, filters and pages, made for a mirror of millions.

Nothing here counts or sorts more of the table than a page needs, and nothing asks rokka.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.functional import cached_property, lazy
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext, pgettext_lazy

from .. import references
from ..conf import configs_of, organizations
from ..models import SourceImage, SourceImageQuerySet
from ..models.images import looks_like_hash
from .thumbnails import image_thumbnail

#: How many images the pages lead to; and how many where each has to be looked up in the tables of rows.
PAGED, PAGED_BY_USE = 10_000, 1_000
#: What is uploaded to rokka; asking the table which formats it has would read all of it.
FORMATS = ("jpg", "png", "webp", "gif", "svg", "avif", "heic", "tif", "psd", "pdf", "eps", "mp4")


# --- Pages ------------------------------------------------------------------------------------


class AtLeast(int):
    """A number that was counted no further: prints as ``>10000``.

    So it stays true, and of use to Django's templates, also where they set its thousands apart.
    """

    def __str__(self) -> str:
        return f">{int(self)}"


class KeyPaginator(Paginator):  # type: ignore[type-arg]
    """Looks up the keys of the first ``limit`` objects, once: they tell how many there are, and the pages."""

    limit = PAGED

    @cached_property
    def _keys(self) -> list[Any]:
        found: Any = self.object_list
        return list(found.values_list("pk", flat=True)[: self.limit + 1])

    @cached_property
    def count(self) -> int:
        """How many objects there are, or that there are more than ``limit``."""
        return len(self._keys) if len(self._keys) <= self.limit else AtLeast(self.limit)

    def keys(self, number: int | None) -> list[Any]:
        """The keys of the objects on a page; of all, up to ``limit``, without a page."""
        if number is None:
            return self._keys[: self.limit]
        return self._keys[: self.limit][(number - 1) * self.per_page : number * self.per_page]


class ImageChangeList(ChangeList):
    """The images of a page, with how many times rows hold each of them as ``used_by``."""

    paginator: KeyPaginator

    def get_results(self, request: HttpRequest) -> None:
        """Get the page by its keys: what was asked for in finding them need not be asked again."""
        super().get_results(request)
        whole = not self.multi_page or (self.show_all and self.can_show_all)
        keys = self.paginator.keys(None if whole else self.page_num)
        found = self.apply_select_related(self.root_queryset.filter(pk__in=keys))
        self.result_list = found.order_by(*self.queryset.query.order_by)
        # What is posted is an action, which shows no list.
        if request.method != "POST":
            counts = references.counts(self.result_list)
            for image in self.result_list:
                image.used_by = counts[image.pk]


# --- Filters ----------------------------------------------------------------------------------


class ChoiceFilter(admin.SimpleListFilter):
    """A filter with fixed choices; refuses others."""

    parameter_name: str

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """The images of what was chosen."""
        value = self.value()
        if value is not None and value not in dict(self.lookup_choices):
            raise IncorrectLookupParameters(f"{self.parameter_name}={value}")
        return self.chosen(queryset, value)

    def chosen(self, images: SourceImageQuerySet, value: str | None) -> QuerySet[SourceImage]:
        """The images of a choice."""
        return images if value is None else images.filter(**{self.parameter_name: value})


class OrganizationFilter(ChoiceFilter):
    """The organizations that the settings have."""

    title = gettext_lazy("organization")
    parameter_name = "organization"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All of them; there is nothing to choose with only one."""
        found = organizations()
        return [(name, name) for name in found] if len(found) > 1 else []


class FormatFilter(ChoiceFilter):
    """The usual formats."""

    title = gettext_lazy("format")
    parameter_name = "format"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All of them, whether or not there is such an image."""
        return [(format, format) for format in FORMATS]


class StateFilter(ChoiceFilter):
    """Live images, unless another state is asked for."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        # What a hash leads to is of use in any state: it may be from an old page.
        self.by_hash = looks_like_hash(request.GET.get(SEARCH_VAR, ""))

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The states other than live, and all of them."""
        return [
            ("deleted", pgettext("images", "Deleted")),
            ("broken", _("Broken")),
            ("replaced", _("Replaced")),
            ("protected", _("Protected")),
            ("locked", pgettext("images", "Locked")),
            ("all", _("All")),
        ]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Django's, with the name of what is shown by default."""
        default, *others = super().choices(changelist)
        yield {
            **default,
            "display": _("Live, or any by hash") if self.by_hash else pgettext("images", "Live"),
        }
        yield from others

    def chosen(self, images: SourceImageQuerySet, value: str | None) -> QuerySet[SourceImage]:
        """The images in a state."""
        # Said in this way SQLite reads them in the order of the list, instead of by the index of ``deleted``.
        live = images.exclude(deleted__isnull=False)
        if value is None:
            return images if self.by_hash else live
        if value in ("deleted", "broken"):
            return images.deleted() if value == "deleted" else images.broken()
        if value == "replaced":
            return images.filter(replaced_by__isnull=False)
        return images if value == "all" else live.filter(**{value: True})


class UseFilter(ChoiceFilter):
    """Whether rows hold an image: exact, rich texts included."""

    title = gettext_lazy("use")
    parameter_name = "use"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Used or not."""
        return [("used", _("Used")), ("unused", _("Unused"))]

    def chosen(self, images: SourceImageQuerySet, value: str | None) -> QuerySet[SourceImage]:
        """The images that rows hold, or the others."""
        if value is None:
            return images
        return references.used(images) if value == "used" else references.unreferenced(images)


# --- Columns ----------------------------------------------------------------------------------


def _use_heading() -> SafeString:
    """The heading of the count; it says so where there are texts, which are not counted."""
    text = _("used by")
    if not any(config.rich_text for name in organizations() for config in configs_of(name)):
        return format_html("{}", text)
    note = _("Texts with pictures in them are not counted here, but on the page of each image.")
    return format_html('<abbr title="{}">{}</abbr>', note, capfirst(text))


def deletion(image: SourceImage) -> str:
    """What to say of a deleted image: how long it can be restored."""
    if not (days := image.days_left):
        return _("deleted for good")
    text = ngettext("deleted, %(days)d day left", "deleted, %(days)d days left", days)
    return text % {"days": days}


class ImageList(admin.ModelAdmin):  # type: ignore[type-arg]
    """The part of the admin that is the list."""

    list_display = [
        "thumbnail",
        "title",
        "dimensions",
        "file_size",
        "format",
        "organization",
        "use",
        "day",
        "state",
    ]
    list_display_links = ["thumbnail", "title"]
    list_filter = [
        StateFilter,
        UseFilter,
        OrganizationFilter,
        FormatFilter,
        ("created", admin.DateFieldListFilter),
    ]
    sortable_by = ["title", "file_size", "day"]
    ordering = ["-created", "-id"]
    search_fields = ["name", "hash", "binary_hash"]
    search_help_text = gettext_lazy(
        "A part of the name, or the beginning of a hash or binary hash: at least 6 characters of it."
    )
    paginator = KeyPaginator
    list_per_page = 100
    list_max_show_all = 100
    # Each of these would count all images.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    class Media:
        css = {"all": ["django_rokka/admin/list.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """A list that finds its pages by keys."""
        return ImageChangeList

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """The pages of the list; fewer by use, since no index tells what rows hold."""
        paginator: Any = super().get_paginator(request, *args, **kwargs)
        if UseFilter.parameter_name in request.GET:
            paginator.limit = PAGED_BY_USE
        return paginator

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[Any, bool]:
        """As `SourceImageQuerySet.search` finds them; none comes twice."""
        return queryset.search(search_term), False

    @admin.display(description=gettext_lazy("picture"))
    def thumbnail(self, image: SourceImage) -> SafeString:
        """A small render."""
        return image_thumbnail(image, 60, alt=str(image))

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def title(self, image: SourceImage) -> str:
        """The name, or the hash of one that has no name."""
        return str(image)

    @admin.display(description=gettext_lazy("dimensions"))
    def dimensions(self, image: SourceImage) -> str | None:
        """Width and height in pixels."""
        return f"{image.width} × {image.height}" if image.width and image.height else None

    @admin.display(description=gettext_lazy("size"), ordering="size")
    def file_size(self, image: SourceImage) -> str | None:
        """The size of the file."""
        return None if image.size is None else filesizeformat(image.size)

    @admin.display(description=lazy(_use_heading, SafeString)())
    def use(self, image: SourceImage) -> SafeString:
        """How many times rows hold it."""
        count = getattr(image, "used_by", None)
        if count is None:
            count = references.counts([image])[image.pk]
        # Where there is no heading above it, it needs a word.
        return format_html('<span class="rokka-list__label">{} </span>{}', _("used by"), count)

    @admin.display(description=gettext_lazy("state"))
    def state(self, image: SourceImage) -> SafeString:
        """One badge for each thing to know."""
        badge = '<span class="rokka-badge rokka-badge--{}">{}</span>'
        return format_html_join(" ", badge, self._states(image))

    def _states(self, image: SourceImage) -> Iterator[tuple[str, str]]:
        if image.broken:
            reason = image.get_broken_display()
            yield "broken", format_html('<span title="{}">{}</span>', reason, _("broken"))
        if image.replaced_by_id is not None:
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            url = reverse(name, args=[image.replaced_by_id], current_app=self.admin_site.name)
            yield "replaced", format_html('<a href="{}">{}</a>', url, _("replaced"))
        yield ("deleted", deletion(image)) if image.deleted else ("live", pgettext("image", "live"))
        if image.protected:
            yield "protected", _("protected")
        if image.locked:
            yield "locked", pgettext("image", "locked")

    @admin.display(description=pgettext_lazy("image", "created"), ordering="created")
    def day(self, image: SourceImage) -> SafeString | None:
        """The day, with the time as a tooltip."""
        if (created := image.created) is None:
            return None
        if timezone.is_aware(created):
            created = timezone.localtime(created)
        return format_html(
            '<time datetime="{}" title="{}">{}</time>',
            created.isoformat(),
            formats.date_format(created, "DATETIME_FORMAT"),
            formats.date_format(created, "DATE_FORMAT"),
        )
