"""`RokkaImageField`: an `ImageField` whose picture is at rokka.

It never opens a remote file to learn a size: width and height come from the answer to the upload, kept
in ``width_field`` and ``height_field`` and in the mirror. Loading a row costs no HTTP and no query.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, overload

from django.core import checks
from django.core.files.images import ImageFile
from django.db import models, router, transaction
from django.db.models import signals
from django.db.models.fields.files import ImageFieldFile
from django.utils.translation import gettext_lazy as _
from PIL import Image, UnidentifiedImageError

from . import forms
from .api import ImageName
from .api.render import Operations, Options, fitting, render_url
from .conf import DEFAULT_ALIAS, aliases
from .models import SourceImage
from .storage import MIN_NAME_LENGTH, RokkaStorage

if TYPE_CHECKING:
    from django.forms import Field as FormField

#: An EXIF orientation from here on turns a picture on its side.
_EXIF_ORIENTATION, _TURNED = 0x0112, 5


class RokkaFieldFile(ImageFieldFile):
    """The value of a `RokkaImageField`. Its ``name`` is ``<hash>/<slug>.<format>`` once it is saved."""

    storage: RokkaStorage
    field: RokkaImageField
    #: Set when a saved name was assigned: the row's dimensions may be those of another picture.
    dimensions_unsure = False
    _committed: bool

    if TYPE_CHECKING:

        def _require_file(self) -> None: ...

    @property
    def hash(self) -> str:
        """The image's hash. Raises `ValueError` if there is no file, or none that is saved."""
        self._require_file()
        return ImageName.parse(str(self.name)).hash

    @property
    def format(self) -> str:
        """The image's format, as an extension such as ``jpg``."""
        self._require_file()
        return ImageName.parse(str(self.name)).format

    @property
    def source_image(self) -> SourceImage:
        """The mirror's row; one it lacks is fetched from rokka. Raises `FileNotFoundError`."""
        self._require_file()
        return self.storage.source_image(str(self.name))

    def render_url(
        self,
        stack: str | None = None,
        *,
        width: int | None = None,
        height: int | None = None,
        format: str | None = None,
        operations: Operations | None = None,
        options: Options | None = None,
    ) -> str:
        """The URL of a render, built without HTTP.

        ``width`` and ``height`` in pixels: with one the picture is resized, with both it is cropped to
        their ratio first. ``operations`` come before that, by name and in order.
        """
        self._require_file()
        config = self.storage.config
        steps = {**(operations or {}), **fitting(width, height)}
        name = str(ImageName.parse(str(self.name)))
        return render_url(
            config.render_base,
            stack or self.storage.stack or config.stack,
            name,
            operations=steps,
            options=options,
            format=format,
        )

    def save(self, name: str, content: Any, save: bool = True) -> None:
        """Upload ``content`` and take over its dimensions from the answer."""
        super().save(name, content, save=False)
        self.field.fill_dimensions(self.instance)
        if save:
            self.instance.save()

    def delete(self, save: bool = True) -> None:
        """Clear the row's picture; after commit delete it at rokka, unless another row holds it.

        With ``save=False`` the row itself may still hold it then, and the image is kept.
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
            self.instance.save()
        if committed:
            using = router.db_for_write(type(self.instance), instance=self.instance)
            forget = partial(self.storage.delete_unreferenced, name)
            transaction.on_commit(forget, using=using)

    def _get_image_dimensions(self) -> tuple[int | None, int | None]:
        # Called by ``width`` and ``height``. Never HTTP: a page must not wait for rokka.
        self._require_file()
        if not self._committed:
            return _local_dimensions(self)
        own = self.field.row_dimensions(self.instance)
        return own if all(own) and not self.dimensions_unsure else self.mirrored_dimensions()

    def mirrored_dimensions(self) -> tuple[int | None, int | None]:
        """Width and height by the mirror: one query."""
        image = self.storage.mirrored(str(self.name))
        return (image.width, image.height) if image else (None, None)


def _local_dimensions(file: ImageFile) -> tuple[int | None, int | None]:
    """Width and height of an upload, upright; ``None`` for what Pillow cannot read, such as an SVG."""
    try:
        file.seek(0)
        with Image.open(file) as picture:
            width, height = picture.size
            turned = picture.getexif().get(_EXIF_ORIENTATION, 1) >= _TURNED
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None, None
    finally:
        file.seek(0)
    return (height, width) if turned else (width, height)


class RokkaImageField(models.ImageField):
    """A picture at rokka. Takes what `ImageField` takes, and ``alias``, a key of the ``ROKKA`` setting.

    ``storage`` is a `RokkaStorage` of that alias unless another one is given. ``max_length`` is 255.
    """

    attr_class = RokkaFieldFile
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
        self, verbose_name: Any = None, name: str | None = None, *, alias: str = "", **kwargs: Any
    ) -> None:
        self.alias = alias
        self._own_storage = kwargs.get("storage") is None
        if self._own_storage:
            kwargs["storage"] = RokkaStorage(alias=alias or DEFAULT_ALIAS)
        kwargs.setdefault("max_length", 255)
        super().__init__(verbose_name, name, **kwargs)

    def deconstruct(self) -> Any:
        """The arguments for a migration: the alias, never the storage's options or a key."""
        name, path, args, kwargs = super().deconstruct()
        if self._own_storage:
            kwargs.pop("storage", None)
        if self.alias:
            kwargs["alias"] = self.alias
        if kwargs.get("upload_to") == "":
            del kwargs["upload_to"]
        kwargs["max_length"] = self.max_length
        if self.max_length == 255:
            del kwargs["max_length"]
        return name, path, args, kwargs

    def contribute_to_class(  # type: ignore[override] # as Django's own ImageField has it
        self, cls: type[models.Model], name: str, **kwargs: Any
    ) -> None:
        """Upload before any column is read, so that a width column may stand before the picture's."""
        super().contribute_to_class(cls, name, **kwargs)
        if not cls._meta.abstract and self._dimension_fields:
            signals.pre_save.connect(self._commit, sender=cls)

    @property
    def _dimension_fields(self) -> list[tuple[str, int]]:
        named = ((self.width_field, 0), (self.height_field, 1))
        return [(name, index) for name, index in named if name]

    def _commit(
        self, instance: models.Model, raw: bool, update_fields: Any = None, **kwargs: Any
    ) -> None:
        if raw or self.attname not in instance.__dict__:
            return
        if update_fields is None or self.name in update_fields:
            self.pre_save(instance, add=False)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Upload what is new; look up the dimensions of a name that was assigned."""
        file = super().pre_save(model_instance, add)
        if file and file.dimensions_unsure:
            self.fill_dimensions(model_instance)
        return file

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
        """A `django_rokka.forms.RokkaImageField`; the admin's file widget becomes ours."""
        return super().formfield(
            **{
                "form_class": forms.RokkaImageField,
                **kwargs,
                "widget": forms.widget_for(kwargs.get("widget")),
            }
        )

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Django's checks, and that the storage is rokka and the column is long enough."""
        return [*super().check(**kwargs), *self._check_storage(), *self._check_max_length()]

    def _check_storage(self) -> list[checks.CheckMessage]:
        if isinstance(self.storage, RokkaStorage):
            return self._check_alias(self.storage.alias)
        return [
            checks.Error(
                f"The storage of a RokkaImageField must be rokka, not {type(self.storage).__name__}.",
                hint="Leave storage out, or give a django_rokka.storage.RokkaStorage.",
                obj=self,
                id="rokka.E010",
            )
        ]

    def _check_alias(self, alias: str) -> list[checks.CheckMessage]:
        # Without any alias the setting itself is at fault, and says so once.
        if alias in aliases() or not aliases():
            return []
        return [
            checks.Error(
                f"The alias {alias!r} is not in the ROKKA setting.",
                hint=f"Known aliases: {', '.join(aliases())}.",
                obj=self,
                id="rokka.E012",
            )
        ]

    def _check_max_length(self) -> list[checks.CheckMessage]:
        if (self.max_length or MIN_NAME_LENGTH) >= MIN_NAME_LENGTH:
            return []
        return [
            checks.Error(
                f"max_length={self.max_length} cannot hold the name of a rokka image.",
                hint=f"It needs at least {MIN_NAME_LENGTH}; 255 is the default.",
                obj=self,
                id="rokka.E011",
            )
        ]
