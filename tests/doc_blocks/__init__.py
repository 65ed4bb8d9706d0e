"""The code blocks of the documentation, run: a module for each kind, and `run_page` for all of a page.

A block is run as its language says, in the order of the page and in one site for each page. A language that nothing
here can run, and a block that cannot be run, is an error unless `NOT_RUN` has it, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import commands, data, output, python, templates
from .page import Block, blocks_of
from .site import Site

#: Languages that nothing here can run, and the page's blocks of them, with the reason.
NOT_RUN: dict[tuple[str, str], str] = {}

RUNNERS: dict[str, Callable[[Block, Site], None]] = {
    "python": python.run,
    "pycon": python.run_session,
    "django": templates.run,
    "html+django": templates.run,
    "jinja": templates.run_jinja,
    "sh": commands.run,
    "console": commands.run,
    "json": data.run_json,
    "toml": data.run_toml,
    "ini": data.run_ini,
    "html": data.run_html,
    "javascript": data.run_javascript,
    "": output.run,
}


class BrokenBlock(AssertionError):
    """A block does not work; says the page, the line and what is wrong."""


def run_page(page: Path, site: Site) -> None:
    """Run the blocks of a page in their order. Raises `BrokenBlock`."""
    for block in blocks_of(page):
        if not (block.is_directive or (block.name, block.language) in NOT_RUN):
            _run(block, site)


def _run(block: Block, site: Site) -> None:
    runner = RUNNERS.get(block.language)
    if runner is None:
        raise BrokenBlock(f"{block}: nothing runs {block.language!r}; see NOT_RUN")
    try:
        runner(block, site)
    except (Exception, SystemExit) as error:
        raise BrokenBlock(f"{block}: {type(error).__name__}: {error}") from error
