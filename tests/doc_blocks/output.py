"""Blocks without a language: what something puts out, or a drawing. What can be run must not be in them."""

from __future__ import annotations

import re

from .page import Block
from .site import Site

_CODE = re.compile(
    r"^ *(?:\$ |>>> |from \w|import \w|pip |make |python |[-*/\d ]{9,} python )|{%", re.M
)


def run(block: Block, site: Site) -> None:
    """Raises `AssertionError` for what looks like code."""
    found = _CODE.search(block.text)
    assert found is None, f"{found[0]!r} looks like code: say its language"
