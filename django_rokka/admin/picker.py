"""What the widget of a `RokkaImageField` asks the admin: the picker over the mirror, and upload at once.

The addresses name a field by its app, model and name. Who may edit rows with that field may upload to it;
who may see images as well may pick one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.core.exceptions import FieldDoesNotExist, PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from ..api import InvalidArgument
from ..chosen import Chosen
from ..fields import RokkaImageField
from ..models import SourceImage
from ..storage import RokkaStorage
from ..widgets import AdminRokkaImageWidget, Picture
from .thumbnails import image_thumbnail

if TYPE_CHECKING:
    from .images import SourceImageAdmin

#: Pictures on a page of the picker, and how many pages it has: older ones are found by searching.
PAGE, PAGES = 24, 50
_THUMBNAIL = 120
_METADATA = ("user_metadata", "dynamic_metadata", "static_metadata")


def urls(admin: SourceImageAdmin) -> list[URLPattern]:
    """The addresses, below that of the list of images."""
    field = "<str:app_label>/<str:model_name>/<str:field_name>/"

    def route(address: str, view: Callable[..., HttpResponse]) -> URLPattern:
        def bound(request: HttpRequest, **parts: str) -> HttpResponse:
            return view(admin, request, **parts)

        name = f"{admin.opts.app_label}_{admin.opts.model_name}_{view.__name__}"
        wrapped = require_POST(bound) if view is upload else require_GET(bound)
        return path(f"{view.__name__}/{address}", admin.admin_site.admin_view(wrapped), name=name)

    return [
        route(field, picker),
        route(field, upload),
        route(field, abilities),
        route("<str:organization>/<str:hash>/", focus),
    ]


def abilities(admin: SourceImageAdmin, request: HttpRequest, **place: str) -> HttpResponse:
    """What the user may do with the field: a widget does not know who looks at it."""
    field = _field(**place)
    edits = _may_edit(request, field)
    return JsonResponse(
        {
            "upload": edits,
            "pick": edits and admin.has_view_permission(request),
            "focus": admin.has_change_permission(request),
        }
    )


def upload(admin: SourceImageAdmin, request: HttpRequest, **place: str) -> HttpResponse:
    """Upload the ``file`` of a form to rokka, as saving the row would; answers with the picture or an error."""
    field = _editable(request, **place)
    form_field: Any = field.formfield(widget=AdminRokkaImageWidget, required=True)
    file = request.FILES.get("file")
    try:
        if not form_field.uploads_at_once:
            raise ValidationError(_("This file is uploaded when you save."))
        form_field.clean(file)
    except ValidationError as error:
        return JsonResponse({"error": " ".join(error.messages)}, status=400)
    picture = form_field.bound_data(file, None).picture
    return HttpResponse(picture.json, content_type="application/json")


def picker(admin: SourceImageAdmin, request: HttpRequest, **place: str) -> HttpResponse:
    """A page of the pictures that the field may show, the newest first: HTML for a dialog.

    ``q`` searches in names and for the beginning of a hash.
    """
    field = _editable(request, **place)
    if not admin.has_view_permission(request):
        raise PermissionDenied
    text, number = request.GET.get("q", "").strip(), _page(request)
    images = list(_images(admin, request, field, text)[(number - 1) * PAGE : number * PAGE + 1])
    context = {
        "choices": list(_choices(field, images[:PAGE])),
        "text": text,
        "number": number,
        "previous": number - 1,
        "next": number + 1 if len(images) > PAGE and number < PAGES else 0,
        "more": len(images) > PAGE and number == PAGES,
    }
    return render(request, "django_rokka/widgets/picker.html", context)


def focus(
    admin: SourceImageAdmin, request: HttpRequest, organization: str, hash: str
) -> HttpResponse:
    """To the page of an image: a widget knows its hash, and asks for nothing more."""
    images = admin.get_queryset(request).of_hash(organization, hash)
    image = get_object_or_404(images)
    return redirect(
        reverse(
            f"admin:{admin.opts.app_label}_{admin.opts.model_name}_change",
            args=[image.pk],
            current_app=admin.admin_site.name,
        )
    )


def _field(app_label: str, model_name: str, field_name: str) -> RokkaImageField:
    try:
        field = apps.get_model(app_label, model_name)._meta.get_field(field_name)
    except (LookupError, FieldDoesNotExist):
        field = None
    if not isinstance(field, RokkaImageField) or not isinstance(field.storage, RokkaStorage):
        raise Http404(f"{app_label}.{model_name}.{field_name} is no picture at rokka.")
    return field


def _editable(request: HttpRequest, **place: str) -> RokkaImageField:
    field = _field(**place)
    if not _may_edit(request, field):
        raise PermissionDenied
    return field


def _may_edit(request: HttpRequest, field: RokkaImageField) -> bool:
    """Whether the user may add or change rows with this field: those of a child or a proxy have it too."""
    options = [model._meta for model in apps.get_models() if issubclass(model, field.model)]
    return field.editable and any(
        request.user.has_perm(f"{opts.app_label}.{get_permission_codename(action, opts)}")
        for opts in options
        for action in ("add", "change")
    )


def _images(
    admin: SourceImageAdmin, request: HttpRequest, field: RokkaImageField, text: str
) -> Any:
    images: Any = admin.permitted(request, "view", admin.get_queryset(request))
    found = images.live().filter(organization=field.storage.organization, replaced_by=None)
    found = found.search(text) if text else found
    return found.defer(*_METADATA).order_by("-created", "-pk")


def _choices(field: RokkaImageField, images: list[SourceImage]) -> Iterator[dict[str, Any]]:
    for image in images:
        try:
            name = image.file_name
        except InvalidArgument:  # one odd row must not hide all others
            continue
        size = (image.width, image.height)
        token = Chosen(image.organization, name, *size).token
        yield {
            "picture": Picture.of(
                field.attr_class(field.model(), field, name), size=size, token=token
            ),
            "name": str(image),
            "thumbnail": image_thumbnail(image, _THUMBNAIL),
        }


def _page(request: HttpRequest) -> int:
    try:
        number = int(request.GET.get("page", 1))
    except ValueError:
        number = 1
    return min(max(number, 1), PAGES)
