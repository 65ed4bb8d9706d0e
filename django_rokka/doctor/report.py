"""The report of pictures that are gone: which rows show them, what can be done, and what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from .. import api
from ..conf import Config
from . import drift
from .at_rokka import Patient, check_key
from .drift import Lost, Scan
from .examine import secrets
from .files import Files
from .findings import Finding, found, hidden, without
from .probe import SECONDS, Probe
from .repair import Remedy, Way, remedy, repair

#: Rows of one picture that are named.
ROWS = 50
#: So many that fail one after the other are not alone.
_IN_A_ROW = 3


@dataclass(frozen=True)
class Row:
    """A row that shows a picture: ``app.Model``, its key, and the field, or the path of a JSON value."""

    model: str
    pk: str
    field: str


@dataclass(frozen=True)
class Case:
    """A picture that is gone: the rows, the first ones at least, and the remedy, which is ``done`` or only possible."""

    alias: str
    organization: str
    hash: str
    name: str
    rows: tuple[Row, ...]
    more_rows: bool
    remedy: Remedy
    done: bool

    def without(self, secrets: set[str]) -> Case:
        """The same with ``…`` where a secret would show."""
        return replace(self, remedy=replace(self.remedy, text=hidden(secrets, self.remedy.text)))

    def as_json(self) -> dict[str, Any]:
        """Its part of the JSON document."""
        return {
            "alias": self.alias,
            "organization": self.organization,
            "hash": self.hash,
            "name": self.name,
            "rows": [vars(row) for row in self.rows],
            "more_rows": self.more_rows,
            "repair": self.remedy.way.value,
            "text": self.remedy.text,
            "done": self.done,
        }


def references_of(
    config: Config,
    *,
    ask: bool = True,
    limit: int | None = drift.LIMIT,
    mend: bool = False,
    files: Files | None = None,
    seconds: float = SECONDS,
) -> Iterator[Case | Finding]:
    """Each picture that is gone, with ``mend`` after it was repaired if it could be; and findings at the end.

    ``ask`` asks rokka about up to ``limit`` pictures that rows show, else the mirror says which are gone.
    """
    report = _Report(config, ask, limit, mend, files or Files(), seconds)
    known = set(secrets())
    for item in _references_of(report):
        yield without(known, item) if isinstance(item, Finding) else item.without(known)


def _references_of(report: _Report) -> Iterator[Case | Finding]:
    config = report.config
    if report.ask or report.mend:
        with closing(Patient(config, report.seconds)) as patient:
            trouble = list(check_key(patient))
        if patient.closed:
            yield from trouble
            yield found("references.skipped", f"Not asked: {patient.closed}.", alias=config.alias)
            return
    yield from report.run()


@dataclass
class _Report:
    """A report that is being made."""

    config: Config
    ask: bool
    limit: int | None
    mend: bool
    files: Files
    seconds: float
    counts: Scan = field(default_factory=Scan)
    ways: Counter[Way] = field(default_factory=Counter)

    def run(self) -> Iterator[Case | Finding]:
        try:
            yield from self._cases()
        except api.RokkaError as error:
            seen = f"{type(error).__name__}: {error}. Stopped after {sum(self.ways.values())} pictures."
            yield found("references.failed", seen, alias=self.config.alias)
            yield from self._summary()
        else:
            yield from self._summary() if self.ways or self._left_out() else [self._well()]

    def _cases(self) -> Iterator[Case]:
        in_a_row = 0
        probe = Probe(self.config, seconds=self.seconds, patient=True) if self.ask else None
        for counts, lost in drift.scan(
            self.config, ask=self.ask, limit=self.limit, seconds=self.seconds
        ):
            self.counts = counts
            if lost is None:
                continue
            case = _case(self.config, probe, lost, self.files, mend=self.mend)
            self.ways[case.remedy.way] += 1
            yield case
            in_a_row = in_a_row + 1 if case.remedy.trouble else 0
            if in_a_row == _IN_A_ROW:
                raise api.ServerError(f"{_IN_A_ROW} pictures failed one after the other")

    def _left_out(self) -> int:
        return self.counts.unasked + self.counts.unknown

    def _well(self) -> Finding:
        who = "by rokka" if self.ask else "by the mirror"
        seen = f"All {self.counts.names} pictures that rows show are there, {who}."
        return found("references.ok", seen, alias=self.config.alias)

    def _summary(self) -> Iterator[Finding]:
        alias, counts, left = self.config.alias, self.counts, self.ways[Way.NONE]
        if good := sum(self.ways.values()) - left:
            yield found(
                f"references.{'repaired' if self.mend else 'repairable'}",
                self._said(good),
                alias=alias,
            )
        if left:
            seen = f"{left} pictures are gone, and nothing can be done by this command."
            yield found("references.left", seen, alias=alias)
        if counts.unknown:
            seen = f"Rows show {counts.unknown} pictures that the mirror does not know."
            yield found("references.unknown", seen, alias=alias)
        if counts.unasked:
            seen = f"rokka was not asked about {counts.unasked} of {counts.names} pictures."
            yield found("references.limited", seen, alias=alias)

    def _said(self, good: int) -> str:
        what = "were gone, and are repaired" if self.mend else "are gone, and can be repaired"
        ways = [way for way in Way if way is not Way.NONE and self.ways[way]]
        return (
            f"{good} pictures {what}: {', '.join(f'{way.value} {self.ways[way]}' for way in ways)}."
        )


def _case(config: Config, probe: Probe | None, lost: Lost, files: Files, *, mend: bool) -> Case:
    # Before a repair: it moves rows.
    rows = [
        Row(item.row._meta.label, str(item.row.pk), item.field)
        for item in islice(lost.rows(), ROWS + 1)
    ]
    done = repair(config, lost, files) if mend else remedy(config, probe, lost, files)
    return Case(
        alias=config.alias,
        organization=lost.organization,
        hash=lost.hash,
        name=lost.image.name if lost.image else "",
        rows=tuple(rows[:ROWS]),
        more_rows=len(rows) > ROWS,
        remedy=done,
        done=mend and done.way is not Way.NONE,
    )
