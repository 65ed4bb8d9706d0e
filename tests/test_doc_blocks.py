"""Every code block of the README and the documentation works: see `tests.doc_blocks` for how each kind is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_rokka.emulator import Emulator
from tests.doc_blocks import NOT_RUN, BrokenBlock, run_page
from tests.doc_blocks.page import ROOT, blocks_of, pages
from tests.doc_blocks.python import has_tests, run_tests
from tests.doc_blocks.site import Site, site_for

#: Pages that another test runs: a new project, and a site with Wagtail.
ELSEWHERE = {"docs/tutorial.md", "docs/wagtail.md"}
PAGES = {str(page.relative_to(ROOT)): page for page in pages()}
HERE = [name for name in PAGES if name not in ELSEWHERE and any(blocks_of(PAGES[name]))]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(
    transactional_db: None, rokka_emulator: Emulator, celery_app: Any, settings: Any
) -> Iterator[Site]:
    with site_for(rokka_emulator, settings) as site:
        yield site


@pytest.mark.parametrize("name", HERE)
def test_the_blocks_of_a_page_work(name: str, site: Site) -> None:
    run_page(PAGES[name], site)


def test_the_tests_of_the_pages_pass(tmp_path: Path) -> None:
    said = run_tests((PAGES[name] for name in HERE), tmp_path)

    blocks = [block for name in HERE for block in blocks_of(PAGES[name]) if has_tests(block)]
    count = sum(len(re.findall(r"\bdef test_", block.text)) for block in blocks)
    assert count >= 4
    assert f"{count} passed" in said, said


def test_what_is_not_run_is_still_there() -> None:
    found = {(block.name, block.language) for page in pages() for block in blocks_of(page)}

    assert [entry for entry in NOT_RUN if entry not in found] == []


#: Blocks that do not work, by what is wrong with them: language, text, what the error says.
WRONG = {
    "an argument that is not there": (
        "python",
        "photo = RokkaImageField(uplaod='deferred')",
        "unexpected keyword argument 'uplaod'",
    ),
    "an assertion that does not hold": (
        "python",
        "article.photo.set_subject_area(1, 1)\nassert article.photo.width == 1",
        "AssertionError",
    ),
    "a field that checks refuse": (
        "python",
        "class Cat(models.Model):\n    photo = RokkaImageField(user_metadata={'title': 'none'})",
        "rokka.E014",
    ),
    "a session that answers something else": ("pycon", ">>> 1 + 1\n3", "Expected"),
    "a tag that is not there": ("django", "{% rokka_image article.photo %}", "rokka_image"),
    "a name that the page does not have": (
        "html+django",
        "{% load rokka %}<p>{{ artikel.title }}</p>{% rokka_img article.photo %}",
        "artikel.title",
    ),
    "a stack that cannot be rendered": (
        "django",
        "{% rokka_img article.photo width='wide' %}",
        "wide",
    ),
    "an argument of Jinja that is not there": (
        "jinja",
        "{{ rokka_img(artikel.photo) }}",
        "artikel",
    ),
    "an option that is not there": ("sh", "python manage.py rokka_sync --everything", "everything"),
    "a command that is not there": ("sh", "python manage.py rokka_upload", "rokka_upload"),
    "a command in a crontab that is not there": (
        "sh",
        "*/5 * * * *  python manage.py rokka_upload",
        "rokka_upload",
    ),
    "an option of the emulator that is not there": (
        "console",
        "$ python -m django_rokka.emulator --ports 1",
        "SystemExit",
    ),
    "a target that is not there": ("sh", "make it-work", "it-work"),
    "an extra that is not there": ("sh", 'pip install "django-rokka[all]"', "all"),
    "a program that nobody knows": ("sh", "rokka upload dog.jpg", "rokka"),
    "no JSON": ("json", "{'a': 1}", "JSONDecodeError"),
    "no INI": ("ini", "key = value", "MissingSectionHeaderError"),
    "an element that never began": ("html", "<div></p></div>", "HTMLParseError"),
    "a language that nobody knows": ("cobol", "STOP RUN.", "cobol"),
    "code that does not say its language": ("", "python manage.py rokka_sync", "language"),
    # Last, because settings stay in force for the blocks after them.
    "a setting that is not there": (
        "python",
        "ROKKA = {'default': {'ORGANIZATION': 'acme', 'STACK_NAMES': []}}",
        "STACK_NAMES",
    ),
    "a backend that is not there": (
        "python",
        "STORAGES = {'default': {'BACKEND': 'django_rokka.storage.Rokka'}}",
        "django_rokka.storage",
    ),
    "a task that is not there": (
        "python",
        "CELERY_BEAT_SCHEDULE = {'sync': {'task': 'django_rokka.tasks.sync', 'args': []}}",
        "sync",
    ),
}


def test_blocks_that_do_not_work_are_found_with_their_line(site: Site, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for wrong, (language, text, message) in WRONG.items():
        page.write_text(f"# Page\n\nText:\n\n```{language}\n{text}\n```\n")

        with pytest.raises(BrokenBlock) as caught:
            run_page(page, site)

        assert str(caught.value).startswith("page.md:5: "), wrong
        assert message in str(caught.value), wrong


def test_a_test_that_does_not_pass_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\ndef test_it(rokka_emulator):\n    assert rokka_emulator.calls\n```\n"
    )

    with pytest.raises(AssertionError, match="1 failed"):
        run_tests([page], tmp_path)
