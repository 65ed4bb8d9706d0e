"""The faults, by name, and what a call comes to that meets one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django_rokka.emulator import Fault

#: What a call comes to: its result is as without the fault, or one of `django_rokka.api.errors`.
DONE = "done"
#: Stands for the address of the host that must never hear of us.
THIEF = "http://thief"
#: Read timeout in seconds, for faults that are about time; a drip's pieces come within it.
SHORT = 0.05

_HTML = {"Content-Type": "text/html; charset=utf-8"}
_PAGE = "<!DOCTYPE html><title>Sorry</title>"
_ALWAYS = 99


@dataclass(frozen=True)
class Trouble:
    """A fault, and what it comes to; ``if_read`` for a call that reads the body of its answer.

    ``works`` tells whether rokka does the work though the answer is lost; a call is sent again then.
    """

    fault: Fault
    outcome: str
    if_read: str = ""
    works: bool = False

    @property
    def takes_time(self) -> bool:
        """Whether a call has to wait for it."""
        return self.fault.kind in ("silence", "slow")

    def expected(self, *, reads: bool) -> str:
        """What a call comes to, by rule."""
        return (reads and self.if_read) or self.outcome


def _other_body(body: str) -> Trouble:
    return Trouble(Fault("replace", body=body), DONE, if_read="UnexpectedAnswer")


def _redirect(status: int) -> Trouble:
    return Trouble(Fault(status=status, headers={"Location": f"{THIEF}/x"}), "UnexpectedAnswer")


def _lost(fault: Fault) -> Trouble:
    return Trouble(fault, DONE, works=True)


FAULTS: Mapping[str, Trouble] = {
    "429 once": Trouble(Fault(status=429), DONE),
    "429 for long": Trouble(Fault(status=429, times=_ALWAYS), "RateLimited"),
    "429 for hours": Trouble(
        Fault(status=429, headers={"X-RateLimit-Retry-After": "9999999999"}), "RateLimited"
    ),
    "500": Trouble(Fault(status=500), "ServerError"),
    "500 after the work": Trouble(Fault(status=500, after_work=True), "ServerError"),
    "502 once": Trouble(Fault(status=502), DONE),
    "503 html": Trouble(Fault(status=503, body=_PAGE, headers=_HTML, times=_ALWAYS), "ServerError"),
    "10 MB error": Trouble(Fault(status=500, body="x" * 10_000_000), "ServerError"),
    "timeout before the work": Trouble(Fault("silence", seconds=2 * SHORT), DONE),
    "timeout after the work": _lost(Fault("silence", seconds=2 * SHORT, after_work=True)),
    "cut before the work": Trouble(Fault("cut"), DONE),
    "cut after the work": _lost(Fault("cut", after_work=True)),
    "cut for long": Trouble(Fault("cut", after_work=True, times=_ALWAYS), "RokkaConnectionError"),
    "truncated body": _lost(Fault("truncate")),
    "slow drip": _lost(Fault("slow", seconds=20 * 0.7 * SHORT)),
    "no JSON": _other_body('{"items": ['),
    "JSON []": _other_body("[]"),
    'JSON "text"': _other_body('"text"'),
    'JSON {"items": null}': _other_body('{"items": null}'),
    "a web page": Trouble(Fault(status=200, body=_PAGE, headers=_HTML), "UnexpectedAnswer"),
    "Location elsewhere": Trouble(Fault("replace", headers={"Location": f"{THIEF}{{}}"}), DONE),
    "302 elsewhere": _redirect(302),
    "307 elsewhere": _redirect(307),
}

#: Those after which a call is sent again though the first one was carried out.
AGAIN = tuple(name for name, trouble in FAULTS.items() if trouble.works)
#: Those with JSON of another shape.
SHAPES = tuple(name for name in FAULTS if name.startswith("JSON"))
