"""The catalogues are whole and well made, and the pages are in the language of who looks at them."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from datetime import timezone as dt_timezone
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import django
import pytest
from babel.messages import mofile, pofile
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone, translation
from django.utils.translation import pgettext
from django.utils.translation.template import templatize

import django_rokka
from django_rokka import api
from django_rokka.admin import words
from django_rokka.conf import get_client
from django_rokka.emulator import Emulator
from django_rokka.explain import explain
from django_rokka.forms import RokkaImageField
from django_rokka.models import BulkItem, BulkOperation, Lock, SourceImage
from example_project.gallery.models import Photo
from tests.pictures import picture

PACKAGE = Path(django_rokka.__file__).parent
LANGUAGES = ["de", "fr"]
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
#: A placeholder of Python's, old or new; a percent sign that stands for itself is none.
PLACEHOLDER = re.compile(r"(?<!%)(?:%%)*(%\(\w+\)[sd]|%[sd]|\{\w+\})")
#: So many letters tell a text from a name.
LONG = 10
TAG = re.compile(r"</?\w[^>]*>")

each_language = pytest.mark.parametrize("language", LANGUAGES)

#: A context, if there is one, and the text (of one thing, where it counts).
Key = tuple[str | None, str]


@cache
def catalogue(language: str) -> Catalog:
    path = PACKAGE / f"locale/{language}/LC_MESSAGES/django.po"
    with path.open("rb") as file:
        return pofile.read_po(file, locale=language)


def messages(language: str) -> list[Message]:
    """All but the header."""
    return [message for message in catalogue(language) if message.id]


def forms_of(text: Any) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


def pairs(message: Message) -> Iterator[tuple[str, str]]:
    """A text and its translation; both for one thing, and both for several, where it counts."""
    return zip(forms_of(message.id), forms_of(message.string), strict=True)


def letters(text: str) -> int:
    """How many letters it has beside placeholders and tags."""
    return len(re.sub(r"\W", "", PLACEHOLDER.sub("", TAG.sub("", text))))


def key_of(message: Message) -> Key:
    return message.context, forms_of(message.id)[0]


# --- The files ------------------------------------------------------------------------------------


@each_language
def test_everything_is_translated_and_nothing_left_over(language: str) -> None:
    found = catalogue(language)
    for message in messages(language):
        translated = forms_of(message.string)
        assert all(translated), message.id
        assert len(translated) == (found.num_plurals if message.pluralizable else 1), message.id
        assert not message.fuzzy, message.id

    assert found.obsolete == {}
    assert not found.fuzzy


#: What is spelled in a language as it is in English.
SPELLED_THE_SAME = {"de": {"transparent"}, "fr": {"dimensions", "Dimensions"}}


@each_language
def test_no_long_text_is_left_in_english(language: str) -> None:
    same = {
        form
        for message in messages(language)
        for form, translated in pairs(message)
        if form == translated and letters(form) >= LONG
    }

    assert same == SPELLED_THE_SAME[language]


@each_language
def test_translations_hold_what_the_texts_hold(language: str) -> None:
    for message in messages(language):
        # Of two, that for one thing may do without the number.
        original = forms_of(message.id)[-1]
        for translated in forms_of(message.string):
            for what in (PLACEHOLDER, TAG):
                assert Counter(what.findall(translated)) == Counter(what.findall(original)), (
                    message.id
                )
            assert edges(translated) == edges(original), message.id
            assert translated.count("%%") == original.count("%%"), message.id


def edges(text: str) -> tuple[str, str]:
    return text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]


@each_language
def test_plural_forms_are_those_of_the_language(language: str) -> None:
    said = str(catalogue(language).mime_headers)

    assert ("n != 1" if language == "de" else "n > 1") in said


@each_language
def test_what_is_compiled_is_what_is_written(language: str) -> None:
    path = PACKAGE / f"locale/{language}/LC_MESSAGES/django.mo"
    expected = BytesIO()
    mofile.write_mo(expected, catalogue(language))

    assert compiled(path.read_bytes()) == compiled(expected.getvalue())


def compiled(content: bytes) -> dict[Any, Any]:
    found = {
        (message.context, forms_of(message.id)): forms_of(message.string)
        for message in mofile.read_mo(BytesIO(content))
        if message.id
    }
    assert found
    return found


@each_language
def test_the_catalogue_has_what_the_source_marks_and_no_more(language: str) -> None:
    """Without the programs of GNU gettext: templates become Python by Django's own hand, as for them."""
    marked = {key: form for path in sources() for key, form in marked_in(path)}

    assert len(marked) > 400
    assert set(marked) == {key_of(message) for message in messages(language)}, (
        "make messages, and translate what is new"
    )
    assert marked == {key_of(message): message.id for message in messages(language)}


def sources() -> Iterator[Path]:
    yield from PACKAGE.rglob("*.py")
    yield from PACKAGE.rglob("*.html")


def marked_in(path: Path) -> Iterator[tuple[Key, Any]]:
    text = path.read_text()
    if path.suffix == ".html":
        # What is between the calls is crossed out, but not indented as Python is.
        text = re.sub(r"^\s+", "", templatize(text), flags=re.MULTILINE)
    for _line, message, _comments, context in extract(
        "python", BytesIO(text.encode()), keywords=KEYWORDS
    ):
        yield (context, forms_of(message)[0]), message


def test_words_that_others_translate_too_are_translated_as_they_do() -> None:
    """A catalogue speaks for the whole site: a word of ours in another sense needs a context."""
    for language in LANGUAGES:
        others = said_by_others(language)
        for message in messages(language):
            (_, text), translated = key_of(message), forms_of(message.string)[0]
            if message.context is None and text in others:
                assert translated in others[text], (language, text)


@cache
def said_by_others(language: str) -> dict[str, set[str]]:
    said: dict[str, set[str]] = {}
    for package in ("django", "wagtail", "rest_framework"):
        spec = find_spec(package)
        root = Path(spec.origin).parent if spec and spec.origin else Path("nowhere")
        for path in root.rglob(f"locale/{language}/LC_MESSAGES/django.mo"):
            for message in mofile.read_mo(BytesIO(path.read_bytes())):
                if message.id and message.context is None:
                    text = forms_of(message.id)[0]
                    said.setdefault(text, set()).add(forms_of(message.string)[0])
    return said


# --- What a person sees -----------------------------------------------------------------------


class _Seen(HTMLParser):
    """What there is to read on a page: texts, and the attributes that are read out or shown by scripts."""

    ATTRIBUTES = ("alt", "title", "aria-label", "placeholder")

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.mute = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.mute = tag in ("script", "style")
        for name, value in attrs:
            is_text = name in self.ATTRIBUTES or name.startswith("data-")
            if value and is_text and " " in value:
                self.parts.append(value)

    def handle_endtag(self, tag: str) -> None:
        self.mute = False

    def handle_data(self, data: str) -> None:
        if not self.mute:
            self.parts.append(data)


def parts_of(page: str) -> list[str]:
    parser = _Seen()
    parser.feed(page)
    return [plain(part).strip() for part in parser.parts]


def seen(page: str) -> str:
    return " ¦ ".join(parts_of(page))


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(text))


class Sentence(NamedTuple):
    """A text of the catalogue, and its translation; each as what finds it on a page."""

    text: str
    original: re.Pattern[str]
    translated: re.Pattern[str]


@cache
def sentences(language: str) -> list[Sentence]:
    """The texts that are long enough to be told from names, and that differ in the languages."""
    return [
        Sentence(str(form), pattern(form), pattern(translated))
        for message in messages(language)
        for form, translated in pairs(message)
        if letters(form) >= LONG and form != translated
    ]


def pattern(text: str) -> re.Pattern[str]:
    """Finds a text with whatever stands for its placeholders, within one part of a page (see `seen`)."""
    parts = PLACEHOLDER.split(plain(TAG.sub(" ", text)).strip())
    escaped = (re.escape(part.replace("%%", "%")) for part in parts[::2])
    # Those in braces are filled in by scripts, later.
    between = [re.escape(part) if part[0] == "{" else "([^¦]{1,200}?)" for part in parts[1::2]] + [
        ""
    ]
    found = "".join(part for pair in zip(escaped, between, strict=True) for part in pair)
    return re.compile(rf"(?<!\w){found}(?!\w)", re.IGNORECASE)


def used_in(text: str, language: str, *, long: int) -> Iterator[Sentence]:
    """The texts on a page, the longest first: what is a part of another one does not count."""
    for one in sorted(sentences(language), key=lambda one: -letters(one.text)):
        if letters(one.text) >= long and one.original.search(text):
            # What stands for the placeholders may be texts as well.
            text = one.original.sub(lambda match: " ¦ ".join(["", *match.groups()]), text)
            yield one


def check(language: str, english: str, translated: str, *, at_least: int, long: int = LONG) -> None:
    """What is in English on one page is in the language on the other, and not in English."""
    used, there = list(used_in(seen(english), language, long=long)), seen(translated)

    assert len(used) >= at_least, [one.text for one in used]
    assert [one.text for one in used if one.original.search(there)] == []
    assert [one.text for one in used if not one.translated.search(there)] == []


@pytest.fixture
def images(rokka_emulator: Emulator, db: None) -> list[SourceImage]:
    """Four: one that is shown, one that is locked and protected, one deleted, and one as it came."""
    for red in range(4):
        content = picture((400, 300), color=(red * 60, 0, 0))
        get_client().create_source_image(SimpleUploadedFile(f"{red}.jpg", content))
    images = list(SourceImage.objects.order_by("pk"))
    SourceImage.objects.filter(pk=images[1].pk).update(locked=True, protected=True)
    SourceImage.objects.filter(pk=images[2].pk).update(deleted=timezone.now(), broken="gone")
    Photo.objects.create(title="Harbour", image=images[0].file_name)
    return list(SourceImage.objects.order_by("pk"))


@pytest.fixture
def operation(images: list[SourceImage]) -> BulkOperation:
    """One that is over, with all there is to say."""
    operation = BulkOperation.objects.create(
        kind="copy",
        options={"destination": "acme-stage"},
        state=BulkOperation.State.FINISHED,
        total=4,
    )
    states = (BulkItem.State.FAILED, BulkItem.State.FAILED, *[BulkItem.State.SKIPPED] * 2)
    for image, state in zip(images, states, strict=True):
        BulkItem.objects.create(operation=operation, image=image, state=state)
    return operation


def page(client: Client, language: str, address: str, data: Any = None) -> str:
    with translation.override(language):
        answer = client.get(address) if data is None else client.post(address, data)
    assert answer.status_code == 200
    return str(answer.text)


IMAGES, OPERATIONS = "/admin/rokka/sourceimage/", "/admin/rokka/bulkoperation/"


@each_language
def test_the_list_of_images(language: str, images: list[SourceImage], admin_client: Client) -> None:
    address = f"{IMAGES}?state=all"

    english, translated = (page(admin_client, code, address) for code in ("en", language))

    check(language, english, translated, at_least=12)


@each_language
@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_page_of_an_image(
    language: str, index: int, images: list[SourceImage], admin_client: Client
) -> None:
    address = f"{IMAGES}{images[index].pk}/change/"

    english, translated = (page(admin_client, code, address) for code in ("en", language))

    check(language, english, translated, at_least=20)


@each_language
@pytest.mark.parametrize(
    ("kind", "at_least"),
    [
        ("copy", 8),
        ("delete", 5),
        ("restore", 3),
        ("lock", 3),
        ("protect", 4),
        ("unprotect", 2),
        ("user_metadata", 8),
        ("describe", 5),
        ("purge", 4),
        ("sync", 2),
    ],
)
def test_what_an_action_asks(
    language: str, kind: str, at_least: int, images: list[SourceImage], admin_client: Client
) -> None:
    keys = [image.pk for image in images]
    data = {"action": f"{kind}_selected", "_selected_action": keys}

    english, translated = (page(admin_client, code, IMAGES, data) for code in ("en", language))

    check(language, english, translated, at_least=at_least)


@each_language
def test_what_is_wrong_with_user_metadata(
    language: str, images: list[SourceImage], admin_client: Client
) -> None:
    data = {
        "action": "user_metadata_selected",
        "_selected_action": [images[0].pk],
        "confirmed": "1",
        "row-TOTAL_FORMS": "2",
        "row-INITIAL_FORMS": "0",
        "row-0-name": "Wrong name",
        "row-0-value": "x",
        "row-1-kind": "int",
        "row-1-name": "year",
        "row-1-value": "soon",
    }

    english, translated = (page(admin_client, code, IMAGES, data) for code in ("en", language))

    check(language, english, translated, at_least=12)


@each_language
def test_the_operations(language: str, operation: BulkOperation, admin_client: Client) -> None:
    for address, at_least in ((OPERATIONS, 3), (f"{OPERATIONS}{operation.pk}/change/", 8)):
        english, translated = (page(admin_client, code, address) for code in ("en", language))

        check(language, english, translated, at_least=at_least)


@each_language
def test_nobody_forgot_to_mark_a_text(
    language: str, operation: BulkOperation, admin_client: Client
) -> None:
    """What is the same in two languages is a name, a number or a word, but no sentence."""
    images = SourceImage.objects.values_list("pk", flat=True)
    confirmations = [
        (IMAGES, {"action": f"{kind}_selected", "_selected_action": list(images)})
        for kind in BulkOperation.Kind.values
    ]
    addresses = [
        f"{IMAGES}?state=all",
        *(f"{IMAGES}{pk}/change/" for pk in images),
        f"{IMAGES}picker/gallery/photo/image/",
        f"{OPERATIONS}{operation.pk}/change/",
    ]
    for address, data in [*((address, None) for address in addresses), *confirmations]:
        english, translated = (
            parts_of(page(admin_client, code, address, data)) for code in ("en", language)
        )
        same = {part for part in english if part in translated and part[:1] != "{"}
        long = {part for part in same if len(re.findall(r"\b[a-z]{2,}\b", part, re.I)) > 2}

        # A release of Django may have texts that nobody has translated for it yet.
        assert [part for part in long if part not in texts_of_django()] == []


@cache
def texts_of_django() -> set[str]:
    """Those that are marked for translation, in any of its own parts."""
    texts: set[str] = set()
    for path in Path(django.__file__).parent.rglob("locale/en/LC_MESSAGES/django.po"):
        for message in pofile.read_po(BytesIO(path.read_bytes())):
            texts.update(forms_of(message.id))
    assert len(texts) > 500
    return texts


@each_language
def test_the_syncs(language: str, db: None, admin_client: Client) -> None:
    english, translated = (
        page(admin_client, code, "/admin/rokka/syncrun/") for code in ("en", language)
    )

    check(language, english, translated, at_least=1)


@each_language
def test_a_form_with_a_picture(
    language: str, images: list[SourceImage], admin_client: Client
) -> None:
    address = f"/admin/gallery/photo/{Photo.objects.get().pk}/change/"

    english, translated = (page(admin_client, code, address) for code in ("en", language))

    check(language, english, translated, at_least=16)


@each_language
def test_the_picker(language: str, images: list[SourceImage], admin_client: Client) -> None:
    for query in ("", "?q=nothing+is+called+so", "?page=7"):
        address = f"{IMAGES}picker/gallery/photo/image/{query}"
        english, translated = (page(admin_client, code, address) for code in ("en", language))

        check(language, english, translated, at_least=3)


@each_language
def test_errors_of_forms_and_of_rokka(language: str) -> None:
    english, translated = (told_in(code) for code in ("en", language))

    check(language, english, translated, at_least=12)


def told_in(language: str) -> str:
    errors: list[Exception] = [
        api.NotFound("gone"),
        api.Conflict("locked."),
        api.BadCredentials("key"),
        api.NotAllowed("right"),
        api.Refused("not here"),
        api.RateLimited("slow"),
        api.RateLimited("slow", retry_at=timezone.now()),
        api.RokkaTimeout("late"),
        api.RokkaConnectionError("cut"),
        api.ServerError("trouble"),
        api.UnexpectedAnswer("odd"),
        api.RokkaError("no"),
        KeyError("what"),
    ]
    files = [("a.jpg", b"no picture"), ("a.svg", b"no drawing"), ("a.exe", b"")]
    with translation.override(language):
        said = [explain(error) for error in errors] + [refusal(*file) for file in files]
    return "<p>".join(map(html.escape, said))


def refusal(name: str, content: bytes) -> str:
    """What a form says of a file."""
    with pytest.raises(ValidationError) as caught:
        RokkaImageField().clean(SimpleUploadedFile(name, content))
    return " ".join(caught.value.messages)


@each_language
def test_dates_and_numbers_are_written_as_in_the_language(
    language: str, images: list[SourceImage], admin_client: Client
) -> None:
    image = images[0]
    moment = datetime(2026, 5, 31, 18, 0, tzinfo=dt_timezone.utc)
    SourceImage.objects.filter(pk=image.pk).update(created=moment, size=1_572_864)
    expected = {
        "de": ("31. Mai 2026", "31. Mai 2026 20:00", "1,5 MB", "1.234.567 Bilder"),
        "fr": ("31 mai 2026", "31 mai 2026 20:00", "1,5 Mio", "1 234 567 images"),
    }
    day, hour, size, many = expected[language]

    listed = plain(page(admin_client, language, IMAGES))
    shown = plain(page(admin_client, language, f"{IMAGES}{image.pk}/change/"))
    with translation.override(language):
        counted = plain(words.images(1_234_567))

    assert (f">{day}<" in listed, f'title="{hour}"' in listed) == (True, True)
    assert (hour in shown, size in shown, size in listed) == (True, True, True)
    assert counted == many


@each_language
@pytest.mark.parametrize("count", [0, 1, 2, 1_000_000])
def test_what_is_counted_is_in_the_right_number(language: str, count: int) -> None:
    is_one = count == 1 or (language == "fr" and count == 0)
    texts = {
        "de": ("Bild wurde kopiert.", "Bilder wurden kopiert."),
        "fr": ("image a été copiée.", "images ont été copiées."),
    }
    with translation.override(language):
        assert words.done("copy", count).endswith(" " + texts[language][not is_one])


def test_a_word_in_two_senses_has_two_translations() -> None:
    with translation.override("fr"):
        assert str(BulkOperation.Kind.LOCK.label) == "verrouiller"
        assert str(Lock._meta.verbose_name) == "verrou"
        assert pgettext("count of images", "deleted") == "supprimées"
