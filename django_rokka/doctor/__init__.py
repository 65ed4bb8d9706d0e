"""Whether an installation is well, and what to do where it is not.

`examine` runs the checks and gives what they find; `at_rokka`, `on_site` and `workers` have them, `findings` has
every outcome with its advice. `drift` finds rows whose picture is gone, `repair` does something about it, with
`files` that still have the bytes.
"""

from .examine import examine, secrets
from .findings import CHECKS, OUTCOMES, VERSION, Finding, Level, counts, hidden
from .report import Case, references_of

__all__ = [
    "CHECKS",
    "OUTCOMES",
    "VERSION",
    "Case",
    "Finding",
    "Level",
    "counts",
    "examine",
    "hidden",
    "references_of",
    "secrets",
]
