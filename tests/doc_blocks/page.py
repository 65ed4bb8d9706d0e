"""The fenced code blocks of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"( *)(`{3,}|~{3,})(.*)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line of its fence (from 1), its language and text, and what stands before it."""

    page: Path
    line: int
    language: str
    text: str
    #: The heading of its section, and the paragraph before it.
    section: str = ""
    introduction: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.line}"

    @property
    def name(self) -> str:
        """The page's path in the project, such as ``docs/stacks.md``."""
        return str(self.page.relative_to(ROOT)) if ROOT in self.page.parents else self.page.name

    @property
    def is_directive(self) -> bool:
        """Of MyST, such as ``{image}``: ``make docs`` runs it, and takes no warning."""
        return self.language.startswith("{")


def pages() -> list[Path]:
    """The README and its neighbours, and all that is below ``docs``."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(page for page in found if "_build" not in page.parts)


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page. Raises `ValueError` for one that does not end."""
    lines = iter(enumerate(page.read_text().splitlines(), 1))
    before: list[str] = []
    section = ""
    for number, line in lines:
        if line.startswith("## "):
            section = line.removeprefix("## ")
        if fence := _FENCE.fullmatch(line):
            text = "".join(_inside(lines, fence, f"{page.name}:{number}"))
            yield Block(page, number, fence[3].strip(), text, section, _last_paragraph(before))
            before.clear()
        before.append(line)


def _inside(lines: Iterator[tuple[int, str]], fence: re.Match[str], place: str) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == fence[2]:
            return
        yield line.removeprefix(fence[1]) + "\n"
    raise ValueError(f"{place}: the block does not end")


def _last_paragraph(lines: list[str]) -> str:
    return "\n".join(lines).strip().rpartition("\n\n")[2]
