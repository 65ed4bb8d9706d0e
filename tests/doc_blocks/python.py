"""Python: run in the page's site; models get a table, settings are validated, tests are given to pytest."""

from __future__ import annotations

import ast
import doctest
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from . import settings
from .page import ROOT, Block, blocks_of
from .site import Site

# What a project's own tests have at the top.
_TESTS = """
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.template.loader import engines
from django.urls import path
from tests.library.models import Article
from tests.pictures import picture

DOG = picture((800, 600))
_PAGE = "{% load rokka %}{% for item in articles %}{% rokka_img item.photo alt=item.title %}{% endfor %}"
_template = engines["django"].from_string(_PAGE)
_page = lambda request: HttpResponse(_template.render({"articles": Article.objects.all()}))
urlpatterns = [path("articles/", _page)]
pytestmark = pytest.mark.urls(__name__)
"""


def run(block: Block, site: Site) -> None:
    """Run a block, with the lines of the page in its tracebacks."""
    tree = ast.parse(block.text)
    for name in _models(tree):
        site.forget(name)
    settings.set_environment(block.text)
    code = compile("\n" * block.line + block.text, str(block.page), "exec")
    exec(code, site.namespace)  # noqa: S102 - the documentation's code
    site.make_tables()
    site.renew()
    if path := re.match(r"# ([\w/]+\.py)", block.text):
        site.write(path[1])
    settings.apply(_settings(tree), site)


def run_session(block: Block, site: Site) -> None:
    """An interactive session, which answers as it says."""
    test = doctest.DocTestParser().get_doctest(
        block.text, site.namespace, block.name, str(block.page), block.line
    )
    report: list[str] = []
    doctest.DocTestRunner().run(test, out=report.append, clear_globs=False)
    site.namespace.update(test.globs)
    assert not report, "".join(report)


def run_tests(pages: Iterable[Path], folder: Path) -> str:
    """Run the tests of pages by pytest, as a project does. Returns what it says; raises `AssertionError` with that."""
    for page in pages:
        tests = [block.text for block in blocks_of(page) if has_tests(block)]
        if tests:
            (folder / f"test_{page.stem}.py").write_text("\n".join([_TESTS, *tests]))
    options = ["-q", "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "--nomigrations"]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def has_tests(block: Block) -> bool:
    """Whether a block has tests that this Python can run."""
    # `enterContext` is there since Python 3.11, and the page says so.
    old = sys.version_info < (3, 11) and "enterContext" in block.text
    return block.language == "python" and "def test_" in block.text and not old


def _models(tree: ast.Module) -> list[str]:
    """The classes that are subclasses of something."""
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]


def _settings(tree: ast.Module) -> list[str]:
    """The names that a block assigns and that are written as settings are."""
    targets = [
        target
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return [node.id for node in targets if isinstance(node, ast.Name) and node.id.isupper()]
