"""`RokkaImageField`: an `ImageField` whose picture is at rokka.

It never opens a remote file to learn a size: width and height come from the answer to the upload, kept
in ``width_field`` and ``height_field`` and in the mirror. Loading a row costs no HTTP and no query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, overload

from django.core.checks import CheckMessage
from django.db import connections, models, router
from django.db.models import signals
from django.db.models.fields.files import ImageFieldFile
from django.utils.translation import gettext_lazy as _
from PIL import Image, UnidentifiedImageError

from . import field_checks, forms, lifecycle, rehash, user_metadata, widgets
from .api import ImageName, InvalidArgument
from .api.names import HASH
from .changes import Change, Rehashable
from .conf import DEFAULT_ALIAS, Config
from .later import call_after_commit, start_after_commit
from .models import MovedFile, SourceImage, mirror_database
from .prefetch import Prefetching, prefetched
from .renders import Renderable
from .spool import DEFERRED, DIRECT, is_deferred, own_name
from .storage import RokkaStorage

if TYPE_CHECKING:
    from django.forms import Field as FormField

#: An EXIF orientation from here on turns a picture on its side.
_EXIF_ORIENTATION, _TURNED = 0x0112, 5


class RokkaFieldFile(Renderable, Rehashable, ImageFieldFile):  # type: ignore[misc]
    """The value of a `RokkaImageField`. Its ``name`` is ``<hash>/<slug>.<format>`` once it is saved.

    What changes the hash (`set_subject_area`, …) moves this row alone; other rows with the same picture
    keep it as it is. For all of them, change ``source_image``.
    """

    storage: RokkaStorage
    field: RokkaImageField
    #: Set when a saved name was assigned: the row's dimensions may be those of another picture.
    dimensions_unsure = False
    #: The name that the mirror was asked about, and what it said.
    _mirrored: tuple[str, SourceImage | None] = ("", None)
    _committed: bool

    if TYPE_CHECKING:

        def _require_file(self) -> None: ...

    @property
    def deferred(self) -> bool:
        """Whether the file waits to be uploaded; it is shown from the spool meanwhile."""
        return is_deferred(self.name)

    @property
    def at_rokka(self) -> bool:
        """Whether the file is an image at rokka: it neither waits nor is in the storage of before."""
        return self.storage.elsewhere(self.name) is None

    @property
    def _image_name(self) -> ImageName:
        self._require_file()
        if not self.at_rokka:
            raise InvalidArgument(
                f"{self.name!r} is not the name of a rokka image: the file is not at rokka yet"
            )
        return ImageName.parse(str(self.name))

    @property
    def hash(self) -> str:
        """The image's hash. Raises `ValueError` if there is no file, or none that is uploaded."""
        return self._image_name.hash

    @property
    def format(self) -> str:
        """The image's format, as an extension such as ``jpg``."""
        self._require_file()
        if not self.at_rokka:
            return PurePosixPath(own_name(str(self.name))).suffix[1:].lower()
        return self._image_name.format

    @property
    def url(self) -> str:
        """The picture in its own size: built from the row, without HTTP and without a query."""
        return self.render_url()

    @property
    def source_image(self) -> SourceImage:
        """The mirror's row; one it lacks is fetched from rokka. Raises `FileNotFoundError`."""
        self._require_file()
        if (known := self.known) and known.deleted is None:
            return known
        return self.storage.source_image(str(self.name))

    @property
    def config(self) -> Config:
        """The settings of the storage's alias."""
        return self.storage.config

    @property
    def default_stack(self) -> str:
        """The stack that shows it where no other one is named."""
        return self.storage.default_stack

    @property
    def file_name(self) -> str:
        """``<hash>/<slug>.<format>``. Raises `ValueError` if there is no file, or none that is uploaded."""
        return str(self._image_name)

    @property
    def waiting_url(self) -> str:
        """Where the file is shown as long as it is not at rokka; else empty."""
        self._require_file()
        other = self.storage.elsewhere(self.name)
        return other.url(self.name) if other else ""

    @property
    def known(self) -> SourceImage | None:
        """The mirror's row, if `prefetch_source_images` has fetched it: no query."""
        return prefetched(self) if self.at_rokka else None

    def said(self, names: Sequence[str]) -> str:
        """What the row says by the field's ``user_metadata``, or else the mirror, where it is `known`."""
        mapped = self.field.user_metadata
        own = user_metadata.collect(self.instance, {n: mapped[n] for n in names if n in mapped})
        return next((str(said) for said in own.values() if said), "") or super().said(names)

    @property
    def protected(self) -> bool:
        """Whether the URLs of this picture are to be signed; without a ``SIGNING_KEY`` nobody asks."""
        if not self.config.signing_key:
            return False
        image = self.mirrored
        return image is not None and image.protected

    @property
    def mirrored(self) -> SourceImage | None:
        """The mirror's row, if there is one: one query for each picture, however often that row is asked for."""
        if known := self.known:
            return known
        name, image = self._mirrored
        if image is None or name != self.name:
            image = self.storage.mirrored(str(self.name)) if self.at_rokka else None
            self._mirrored = (str(self.name), image)
        return image

    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Upload ``content`` and take over its dimensions from the answer; or put it into the spool."""
        name = self.field.generate_filename(self.instance, name)
        self.name = self._stored(name, content)
        setattr(self.instance, self.field.attname, self.name)
        self._committed = True
        self.field.fill_dimensions(self.instance)
        if save:
            self.instance.save()

    def _stored(self, name: str, content: Any) -> str:
        length = self.field.max_length
        if self.field.upload == DEFERRED:
            return self.storage.defer(name, content, length)
        said = user_metadata.collect(self.instance, self.field.user_metadata)
        return self.storage.describing(said).save(name, content, max_length=length)

    def delete(self, save: bool = True) -> None:
        """Clear the row's picture; after commit delete it at rokka, unless another row holds it.

        With ``save=False`` the row itself may still hold it; then it goes when the row is saved or deleted.
        """
        if not self:
            return
        name, committed = str(self.name), self._committed
        self.close()
        self._file = None
        self.name = None
        setattr(self.instance, self.field.attname, None)
        self._committed = False
        if save:
            # It is let go of below, whatever ``UNREFERENCED`` says.
            assigned_to(self.instance).discard(self.field.attname)
            self.instance.save()
        if committed:
            using = router.db_for_write(type(self.instance), instance=self.instance)
            self.field.let_go(name, using, task="delete_unreferenced")

    def _rehash(self, change: Change, *, keep_hash: bool) -> SourceImage:
        hash = self.hash
        if self.instance.pk is None or not self._committed:
            raise ValueError("Save the row first: a picture can be changed once it is at rokka.")
        image = rehash.change_row(
            self.instance,
            self.field,
            change,
            organization=self.storage.organization,
            hash=hash,
            keep_hash=keep_hash,
        )
        self.name = str(replace(self._image_name, hash=image.hash))
        return image

    def _get_image_dimensions(self) -> tuple[int | None, int | None]:
        # Called by ``width`` and ``height``. Never HTTP: a page must not wait for rokka.
        self._require_file()
        if not self._committed:
            return _local_dimensions(self)
        own = self.field.row_dimensions(self.instance)
        return own if all(own) and not self.dimensions_unsure else self.mirrored_dimensions()

    def mirrored_dimensions(self) -> tuple[int | None, int | None]:
        """Width and height by the mirror: one query. Of a file in the spool, by reading it."""
        if self.deferred:
            with self.storage.open(str(self.name)) as file:
                return _local_dimensions(file)
        image = self.mirrored
        return (image.width, image.height) if image else (None, None)


_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def _local_dimensions(file: Any) -> tuple[int | None, int | None]:
    """Width and height of an upload, upright; ``None`` for what Pillow cannot read, such as an SVG."""
    try:
        file.seek(0)
        with Image.open(file) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_EXIF_ORIENTATION, 1) >= _TURNED
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, *_TOO_LARGE):
        return None, None
    finally:
        file.seek(0)
    return (height, width) if turned else (width, height)


def assigned_to(instance: models.Model) -> set[str]:
    """The attributes of a row that got a picture by assignment, since it was loaded or saved."""
    found: set[str] = instance._state.__dict__.setdefault("rokka_assigned", set())
    return found


class _Descriptor(Prefetching):
    def __set__(self, instance: models.Model, value: Any) -> None:
        if self.field.attname in instance.__dict__:
            assigned_to(instance).add(self.field.attname)
        super().__set__(instance, value)


@dataclass(frozen=True)
class _Saving:
    """What a save has to see to after the row is written."""

    previous: str = ""
    confirm: bool = False


class RokkaImageField(models.ImageField):
    """A picture at rokka. Takes what `ImageField` takes, and:

    * ``alias``, a key of the ``ROKKA`` setting;
    * ``upload``: ``"direct"`` uploads when the row is saved, ``"deferred"`` in a task after the commit;
    * ``user_metadata``, a mapping from rokka's user metadata to attributes of the model, such as
      ``{"title": "headline", "array:tags": "tag_names"}``.

    ``storage`` is a `RokkaStorage` of that alias unless another one is given. ``max_length`` is 255, and
    there is an index (``db_index=True``): rows are looked up by the picture they hold.
    """

    attr_class = RokkaFieldFile
    descriptor_class = _Descriptor
    storage: RokkaStorage
    description = _("Image at rokka")
    width_field: str | None
    height_field: str | None

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def __get__(self, instance: None, owner: Any) -> RokkaImageField: ...
        @overload
        def __get__(self, instance: models.Model, owner: Any) -> RokkaFieldFile: ...
        @overload
        def __get__(self, instance: Any, owner: Any) -> RokkaImageField: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...

    def __init__(
        self,
        verbose_name: Any = None,
        name: str | None = None,
        *,
        alias: str = "",
        upload: str = DIRECT,
        user_metadata: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.alias = alias
        self.upload = upload
        self.user_metadata = dict(user_metadata or {})
        self._own_storage = kwargs.get("storage") is None
        if self._own_storage:
            kwargs["storage"] = RokkaStorage(alias=alias or DEFAULT_ALIAS)
        kwargs.setdefault("max_length", 255)
        kwargs.setdefault("db_index", True)
        super().__init__(verbose_name, name, **kwargs)

    def deconstruct(self) -> Any:
        """The arguments for a migration: the alias, never the storage's options or a key."""
        name, path, args, kwargs = super().deconstruct()
        if self._own_storage:
            kwargs.pop("storage", None)
        own = {"alias": self.alias, "user_metadata": self.user_metadata}
        kwargs |= {key: value for key, value in own.items() if value}
        if self.upload != DIRECT:
            kwargs["upload"] = self.upload
        if not kwargs.pop("db_index", False):
            kwargs["db_index"] = False
        if kwargs.get("upload_to") == "":
            del kwargs["upload_to"]
        kwargs["max_length"] = self.max_length
        if self.max_length == 255:
            del kwargs["max_length"]
        return name, path, args, kwargs

    # --- Saving a row ---------------------------------------------------------------------------

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Upload what is new, and see to it that the row may show its picture."""
        if self.attname not in _savings(model_instance):  # no signal came before: bulk_create
            self.prepare(model_instance, router.db_for_write(type(model_instance)), adding=add)
            _savings(model_instance).pop(self.attname)
        return getattr(model_instance, self.attname)

    def prepare(self, instance: models.Model, using: str, *, adding: bool) -> None:
        """Before a row is written: upload, hold the image, look up what is not known of it."""
        file = getattr(instance, self.attname)
        uploads = bool(file) and not file._committed
        file = super().pre_save(instance, adding)
        assigned = self.attname in assigned_to(instance)
        previous = "" if adding or not assigned else self.stored_name(instance, using)
        taken = adding or (assigned and self._key(previous) != self._key(file.name))
        if file and not file.deferred and not uploads:
            before = file.name
            file.name = self._held(
                before,
                taken=taken,
                is_stored=lambda: self._key(self.stored_name(instance, using)) == self._key(before),
            )
            # A stale copy that follows a move has the numbers of before, or none.
            file.dimensions_unsure |= file.name != before and bool(self.storage.elsewhere(before))
        unknown = adding and not uploads and not any(self.row_dimensions(instance))
        if file and (file.dimensions_unsure or unknown):
            self.fill_dimensions(instance)
        # Else the image is held until the row is committed.
        alone = using != mirror_database() or not connections[using].in_atomic_block
        _savings(instance)[self.attname] = _Saving(previous, confirm=taken and alone)

    def _held(self, name: str, *, taken: bool, is_stored: Callable[[], bool]) -> str:
        """The name that a row should have which shows what was uploaded, or stored elsewhere, before."""
        if self.storage.elsewhere(name):
            # The row may be a stale copy of one whose file was moved to rokka.
            name = MovedFile.objects.moved_name(self, name)
        if self.storage.elsewhere(name):
            return name
        return lifecycle.hold(self._organization, name, taken=taken, is_stored=is_stored)

    def finish(self, instance: models.Model, using: str) -> None:
        """After a row was written: let go of its former picture, tell rokka what the row says."""
        saving = _savings(instance).pop(self.attname, None)
        if saving is None:
            return
        assigned_to(instance).discard(self.attname)
        file = getattr(instance, self.attname)
        if saving.previous and self._key(saving.previous) != self._key(file.name):
            self.let_go(saving.previous, using)
        if not file:
            return
        if file.deferred:
            start_after_commit(using, "upload_deferred", self.storage.alias, file.name)
        if not file.at_rokka:
            return
        if saving.confirm:
            call_after_commit(using, lifecycle.confirm, self._organization, file.name)
        if self.user_metadata:
            self._describe(instance, file, using)

    def let_go(self, name: str, using: str, task: str = "release") -> None:
        """After the commit: see what becomes of a picture that a row does not show any more."""
        # A file of the spool is looked after by `django_rokka.deferred`, one of the storage of before by
        # `django_rokka.moves`; other names are not rokka's.
        if not self.storage.elsewhere(name) and HASH.fullmatch(self._key(name)):
            start_after_commit(using, task, self.storage.alias, self._key(name))

    def _describe(self, instance: models.Model, file: RokkaFieldFile, using: str) -> None:
        image = self.storage.mirrored(str(file.name))
        wanted = user_metadata.collect(instance, self.user_metadata)
        said = user_metadata.missing(wanted, image) if image else {}
        if said:
            start_after_commit(using, "patch_user_metadata", self.storage.alias, file.hash, said)

    def stored_name(self, instance: models.Model, using: str) -> str:
        """What the database has in the column."""
        rows: models.QuerySet[Any] = models.QuerySet(type(instance), using=using).filter(
            pk=instance.pk
        )
        return rows.values_list(self.attname, flat=True).first() or ""

    @property
    def _organization(self) -> str:
        return self.storage.organization

    def _key(self, name: str | None) -> str:
        """What tells one picture from another: the hash, or the whole name of a file that is elsewhere."""
        return name or "" if self.storage.elsewhere(name) else (name or "").partition("/")[0]

    # --- Dimensions -----------------------------------------------------------------------------

    @property
    def _dimension_fields(self) -> list[tuple[str, int]]:
        named = ((self.width_field, 0), (self.height_field, 1))
        return [(name, index) for name, index in named if name]

    def row_dimensions(self, instance: models.Model) -> tuple[int | None, int | None]:
        """Width and height as the row holds them; ``None`` where it has no column for them."""
        width = getattr(instance, self.width_field) if self.width_field else None
        height = getattr(instance, self.height_field) if self.height_field else None
        return width, height

    def fill_dimensions(self, instance: models.Model) -> None:
        """Copy width and height from the mirror to the row. What the mirror lacks stays as it is."""
        file = getattr(instance, self.attname)
        file.dimensions_unsure = False
        if not self._dimension_fields:
            return
        size = file.mirrored_dimensions()
        if any(size):
            self._set_dimensions(instance, size)

    def _set_dimensions(self, instance: models.Model, size: tuple[int | None, int | None]) -> None:
        for name, index in self._dimension_fields:
            setattr(instance, name, size[index])

    def update_dimension_fields(
        self, instance: models.Model, force: bool = False, *args: Any, **kwargs: Any
    ) -> None:
        """Called on loading a row and on assignment (``force``): reads new local files only."""
        if self.attname not in instance.__dict__ or not self._dimension_fields:
            return
        file = getattr(instance, self.attname)
        if file and file._committed:
            # A name was assigned, or the row is being refreshed: what is true is looked up on saving.
            file.dimensions_unsure = force
        elif file and (force or not all(self.row_dimensions(instance))):
            self._set_dimensions(instance, _local_dimensions(file))
        elif force:
            self._set_dimensions(instance, (None, None))

    def formfield(self, **kwargs: Any) -> FormField | None:
        """A form field of `django_rokka.forms`; the admin's file widget becomes ours."""
        widget = widgets.widget_for(kwargs.get("widget"))
        form_class: Any = forms.RokkaImageField
        if widgets.is_admins(widget):
            form_class = partial(forms.AdminRokkaImageField, model_field=self)
        return super().formfield(**{"form_class": form_class, **kwargs, "widget": widget})

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        """Django's checks, and what only this field can have wrong."""
        return [*super().check(**kwargs), *field_checks.check(self)]


# --- Signals: connected to every model that has such a field, its own or an inherited one ------------


def _savings(instance: models.Model) -> dict[str, _Saving]:
    found: dict[str, _Saving] = instance._state.__dict__.setdefault("rokka_savings", {})
    return found


def _fields_of(instance: models.Model) -> Iterator[RokkaImageField]:
    for field in instance._meta.concrete_fields:
        if isinstance(field, RokkaImageField):
            yield field


def _before_save(
    instance: models.Model, raw: bool, using: str, update_fields: Any = None, **kwargs: Any
) -> None:
    if raw:
        return
    _set_dates(instance, update_fields)
    # Before any column is read: a width column may stand before the picture's.
    for field in _fields_of(instance):
        written = update_fields is None or field.name in update_fields
        if written and field.attname in instance.__dict__:
            field.prepare(instance, using, adding=instance._state.adding)


def _set_dates(instance: models.Model, update_fields: Any) -> None:
    """Set what is ``auto_now``, which Django does while it writes: ``upload_to`` may ask for it."""
    adding = instance._state.adding
    for field in instance._meta.concrete_fields:
        if not isinstance(field, models.DateField | models.TimeField):
            continue
        written = update_fields is None or field.name in update_fields
        if written and (field.auto_now or (field.auto_now_add and adding)):
            field.pre_save(instance, adding)


def _after_save(instance: models.Model, using: str, **kwargs: Any) -> None:
    for field in _fields_of(instance):
        field.finish(instance, using)


def _before_delete(instance: models.Model, using: str, **kwargs: Any) -> None:
    # What the database has: the instance may be stale, have another picture by now, or have read none.
    for field in _fields_of(instance):
        field.let_go(field.stored_name(instance, using), using)


def _connect(sender: type[models.Model], **kwargs: Any) -> None:
    if any(isinstance(field, RokkaImageField) for field in sender._meta.concrete_fields):
        signals.pre_save.connect(_before_save, sender=sender)
        signals.post_save.connect(_after_save, sender=sender)
        signals.pre_delete.connect(_before_delete, sender=sender)


signals.class_prepared.connect(_connect, dispatch_uid="django_rokka.fields")
