"""Links of the documentation lead somewhere, and every page can be found."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doc_blocks import commands
from tests.doc_blocks.page import ROOT, blocks_of, pages

DOCS = ROOT / "docs"
PAGES = pages()
_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)


def prose(page: Path) -> str:
    """A page with what it includes, and without code."""
    text = page.read_text()
    for target in re.findall(r"^```\{include\} (\S+)$", text, re.MULTILINE):
        text += (page.parent / target).read_text()
    return _CODE.sub("code", _FENCE.sub("", text))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """The text and the target of each link of a page, not of pictures."""
    own = _CODE.sub("code", _FENCE.sub("", page.read_text()))
    return ((text, target) for mark, text, target in _LINK.findall(own) if not mark)


def anchors(page: Path) -> set[str]:
    """What a ``#`` can lead to, as code hosts and Sphinx make it of headings down to the third level."""
    text = page.read_text()
    for target in re.findall(r"^```\{include\} (\S+)$", text, re.MULTILINE):
        text += (page.parent / target).read_text()
    text = _FENCE.sub("", text)
    headings = re.findall(r"^#{1,3} (.+)$", text, re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in headings]
    return {*slugs, *re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)}


def problem_of(page: Path, target: str) -> str:
    """What is wrong with a link, or nothing."""
    if re.match(r"https?://", target):
        return ""
    path, _, anchor = target.partition("#")
    file = (page.parent / path) if path else page
    if not file.exists():
        return f"{target}: there is no {path}"
    if anchor and anchor not in anchors(file):
        return f"{target}: {file.name} has no heading {anchor!r}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    problems = [problem_of(page, target) for _, target in links(page)]

    assert list(filter(None, problems)) == []


def test_every_link_says_where_it_leads() -> None:
    empty = [(page.name, target) for page in PAGES for text, target in links(page) if not text]

    assert empty == []


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    other.write_text("# Other\n\n## What it *says*: `all`\n\n```sh\n# no heading\n```\n")
    page.write_text(
        "[a](other.md) [`b`](other.md#what-it-says-all) [c](#gone) [d](other.md#no-heading) [e](lost.md)"
        " `[f](code.md)` [g [h]](lost/i.md)\n"
    )

    found = [problem_of(page, target).partition(":")[0] for _, target in links(page)]

    assert list(filter(None, found)) == ["#gone", "other.md#no-heading", "lost.md", "lost/i.md"]


def toctree() -> list[str]:
    """The pages that the index lists, in its order."""
    text = (DOCS / "index.md").read_text()
    trees = [body for _, name, body in _FENCE.findall(text) if name == "{toctree}"]
    lines = "\n".join(trees).splitlines()
    return [line.strip() for line in lines if line.strip() and line[0] != ":"]


def test_every_page_is_in_the_index_once() -> None:
    there = {str(page.relative_to(DOCS).with_suffix("")) for page in PAGES if DOCS in page.parents}

    assert Counter(toctree()) == Counter(there - {"index"})


def test_every_part_of_the_index_has_a_caption() -> None:
    text = (DOCS / "index.md").read_text()
    trees = [body for _, name, body in _FENCE.findall(text) if name == "{toctree}"]

    assert trees
    assert all(body.startswith(":caption: ") for body in trees)


def test_every_explanation_is_linked_from_another_page() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for _, target in links(page)
        if "://" not in target and not target.startswith("#")
    }
    explanations = [page for page in PAGES if page.parent.name == "explanation"]

    assert [page.name for page in explanations if page not in linked] == []


def test_the_commands_of_a_contributor_exist() -> None:
    page = ROOT / "CONTRIBUTING.md"
    blocks = [block.text for block in blocks_of(page) if block.language == "sh"]
    inline = re.findall(r"`((?:make|\.venv/bin/pip) [^`]+)`", _FENCE.sub("", page.read_text()))
    lines = [line.strip().partition("  #")[0] for block in blocks for line in block.splitlines()]

    assert len(lines) > 5
    assert len(inline) > 5
    for line in lines + inline:
        commands.check(line.removeprefix(".venv/bin/"))
