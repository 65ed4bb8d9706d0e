"""How the parts of a render URL are written and read: pure functions on strings.

::

    {base}/{stack}[/{config}]/{id}[/{slug}].{format}[?{query}]

    config = part ("--" part)*                 a further segment overrides what is there
    part   = operation ("-" option "-" value)*  |  "o" …  |  "v" …
    id     = hash  |  "-_" alias "_-"  |  "-" remote path "-"

Every part is checked before it is written, so none can become another: `InvalidArgument` names the value.
Sources: the render and stacks chapters of rokka's documentation, and what its PHP and JavaScript clients
put out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote, unquote, unquote_plus

from .errors import InvalidArgument, shown
from .names import HASH

Value = str | int | float | bool
Options = Mapping[str, Value]
#: Option and value, both as text.
Pairs = tuple[tuple[str, str], ...]
#: Names of operations with their options, in order. A name may come twice.
Steps = tuple[tuple[str, Pairs], ...]

#: How a config says that options, or variables, follow. The first name is the one that we write.
OPTIONS = ("o", "options")
VARIABLES = ("v", "variables")

STACK = re.compile(r"[0-9A-Za-z_-]+")
# No dot: a segment of two of them is another one to a browser.
OPERATION = re.compile(r"[0-9A-Za-z_]+")
NAME = re.compile(r"[0-9A-Za-z_.]+")
FORMAT = re.compile(r"[0-9a-z]{1,10}")
ALIAS = re.compile(r"-_[0-9A-Za-z_]+_-")

# Neither a browser nor a server changes these, in a path and in a query. Quotes and parentheses are
# not among them, so a URL may stand in an attribute and in CSS.
_IN_PATH = "!$*+,;=:@&"
_IN_QUERY = ":,?$/@!*"
_ALIAS = re.compile(r"[0-9A-Za-z_]+")
_PLAIN = re.compile(r"[0-9A-Za-z_.,]+")
_TAIL = re.compile(rf"(?:{HASH.pattern}|{ALIAS.pattern})(?:/[0-9A-Za-z_~.-]+)?\.{FORMAT.pattern}")
# The separators, and what servers and proxies treat in ways of their own, percent-encoded or not.
_UNFIT = re.compile(r"[-/\\?#%&;\x00-\x1f\x7f]")
# A variable with one of these, or longer than 20, goes into the query: the rule of the official clients.
_SPECIAL = re.compile(r"[-/\\?#%&;$*: \x00-\x1f\x7f]")
_LONGEST = 20


def matching(pattern: re.Pattern[str], value: str) -> str:
    """Return ``value`` if all of it matches, else raise `InvalidArgument`."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise unfit(value, f"expected {pattern.pattern}")
    return value


def unfit(value: object, advice: str) -> InvalidArgument:
    """The error for what has no place in a render URL."""
    return InvalidArgument(f"{shown(value)} cannot stand in a render URL; {advice}")


# --- Values -----------------------------------------------------------------------------------


def spell(value: Value) -> str:
    """The text of a value: ``true``, ``640``, ``0.5``."""
    if value.__class__ is int:  # most are, and this is where the time of a URL goes
        return str(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    number = plain_number(value)
    # Never an exponent, which may have a "-".
    return f"{Decimal(repr(number)):f}" if isinstance(number, float) else int.__repr__(number)


def plain_number(value: float) -> int | float:
    """A number in its one form: whole ones as `int`."""
    if isinstance(value, int):
        return value
    if not isinstance(value, float) or not math.isfinite(value):
        raise unfit(value, "expected a text, a number, True or False")
    return int(value) if value.is_integer() else value


def pairs(options: Options) -> Pairs:
    """Options as text, not yet checked; hashable, for caches."""
    return tuple([(name, spell(value)) for name, value in options.items()])


def encoded_pairs(pairs: Pairs) -> Pairs:
    """Checked, sorted and ready for a path."""
    return tuple(sorted((matching(NAME, name), path_value(value)) for name, value in pairs))


def encoded_steps(steps: Steps) -> Steps:
    """Checked and ready for a path, in their order."""
    return tuple((operation_name(name), encoded_pairs(pairs)) for name, pairs in steps)


def operation_name(name: str) -> str:
    """Refuse what would be read as something else: options, variables or a hash."""
    if name in OPTIONS + VARIABLES or HASH.fullmatch(matching(OPERATION, name)):
        raise unfit(name, "expected the name of an operation, such as 'resize'")
    return name


def path_value(text: str) -> str:
    """A value of an option as a path holds it: ``[$w]`` as ``%5B$w%5D``."""
    if _PLAIN.fullmatch(text):
        return text
    if not text or _UNFIT.search(text):
        raise unfit(
            text,
            r"a value is not empty and has none of - / \ ? # % & ; but a variable may: '[$name]'",
        )
    return encode(text, _IN_PATH)


def encode(text: str, safe: str) -> str:
    """Percent-encode all but letters, digits, ``_.-~`` and ``safe``."""
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError:
        raise unfit(text, "it is no valid Unicode") from None


# --- The config -------------------------------------------------------------------------------


def config(steps: Steps, options: Pairs, variables: Pairs) -> str:
    """The segment between the stack and the image, of parts that are encoded already; may be empty."""
    parts = [_part(name, pairs) for name, pairs in steps]
    parts += [_part(OPTIONS[0], options)] if options else []
    parts += [_part(VARIABLES[0], variables)] if variables else []
    return "--".join(parts)


def _part(name: str, pairs: Pairs) -> str:
    return name + "".join([f"-{key}-{value}" for key, value in pairs])


def read_config(text: str) -> list[tuple[str, dict[str, str]]]:
    """The parts of one segment, decoded, in order. Empty ones are left out, as rokka does."""
    return [_read_part(part) for part in text.split("--") if part]


def _read_part(part: str) -> tuple[str, dict[str, str]]:
    name, *tokens = part.split("-")
    if len(tokens) % 2:
        raise unfit(part, "expected a name and pairs of option and value, all joined by '-'")
    return name, dict(zip(tokens[::2], tokens[1::2], strict=True))


# --- Variables --------------------------------------------------------------------------------


def normal_variables(variables: Options) -> tuple[tuple[str, Value], ...]:
    """Sorted; what fits a path as text, anything else with its type, since the query is JSON."""
    names = sorted(matching(NAME, name) for name in variables)
    return tuple((name, _normal(variables[name])) for name in names)


def _normal(value: Value) -> Value:
    text = spell(value)
    return text if fits_path(text) or isinstance(value, str) else plain_number(value)


def fits_path(text: str) -> bool:
    """Whether a variable's value can be in the path. If not, it goes into the query, in ``?v=``."""
    if not text or _SPECIAL.search(text):
        return False
    # Counted as JavaScript does, in UTF-16.
    return len(text) + sum(letter > "\uffff" for letter in text) <= _LONGEST


def path_variables(variables: Iterable[tuple[str, Value]]) -> Pairs:
    """Those of the normal variables that go into the path, encoded."""
    return tuple((name, path_value(str(value))) for name, value in variables if _is_in_path(value))


def query_variables(variables: Iterable[tuple[str, Value]]) -> str:
    """The others, as ``v={JSON}`` percent-encoded; empty if there are none."""
    values = {name: value for name, value in variables if not _is_in_path(value)}
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    return f"v={encode(text, _IN_QUERY)}" if values else ""


def _is_in_path(value: Value) -> bool:
    return isinstance(value, str) and fits_path(value)


def read_variables(text: str) -> dict[str, Value]:
    """The variables of a query's ``v``, as it is written."""
    try:
        values = json.loads(unquote_plus(text, errors="strict"))
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise unfit(f"?v={text}", "expected a JSON object of variables")
    return values


# --- The image --------------------------------------------------------------------------------


def alias_id(alias: str) -> str:
    """The id of an alias, in place of a hash: ``logo`` as ``-_logo_-``."""
    return f"-_{matching(_ALIAS, alias)}_-"


def remote_id(path: str) -> str:
    """The id of a remote image, in place of a hash: ``some/dog.jpg`` as ``-some/dog.jpg-``."""
    if ALIAS.fullmatch(id := f"-{path}-"):
        raise unfit(path, "as a remote path it would be read as an alias")
    return check_id(id)


def check_id(id: str) -> str:
    """Return ``id`` if it is a hash, an alias or a remote path with its marks, else raise `InvalidArgument`."""
    if HASH.fullmatch(id) or ALIAS.fullmatch(id):
        return id
    path = id[1:-1].split("/")
    dashed = len(id) > 2 and id[0] == id[-1] == "-"
    odd = any(part in ("", ".", "..") for part in path) or path[0].startswith("-")
    # A segment that ends so would be read as the end of the path.
    if not dashed or odd or any(part.endswith("-") for part in path[:-1]):
        raise unfit(id, "expected a hash of 6 to 40 characters of 0-9a-f, '-_alias_-' or '-path-'")
    return id


def tail(id: str, slug: str, format: str) -> str:
    """What follows the config: ``c03683/dog.jpg``."""
    if "/" in slug:
        raise unfit(slug, "a slug has no '/'")
    stem = f"{encode(check_id(id), _IN_PATH + '/')}/{encode(slug, _IN_PATH)}"
    return f"{stem.removesuffix('/')}.{matching(FORMAT, format)}"


def name_tail(name: str) -> str:
    """The tail for a column's ``{id}[/{slug}].{format}``."""
    if _TAIL.fullmatch(name):
        return name
    segments = name.split("/")
    index, *parts = find_image(segments)
    if index or not all(segments):
        raise unfit(name, "expected a name such as 'c03683/dog.jpg'")
    return tail(*parts)


def find_image(segments: Sequence[str], start: int = 0) -> tuple[int, str, str, str]:
    """Where in a path the image begins, with its id, slug and format. Raises `InvalidArgument`.

    ``start`` is the first segment that may be it. Slug is empty if there is none.
    """
    stem, dot, format = segments[-1].rpartition(".") if segments else ("", "", "")
    if not dot:
        raise unfit("/".join(segments), "it has no format; expected an end such as '.jpg'")
    whole = [*segments[:-1], stem]
    for index in range(start, len(whole)):
        if HASH.fullmatch(whole[index]):
            end = index
        elif whole[index].startswith("-") and not whole[index].startswith("--"):
            end = len(whole) - 2 if _closes(whole[index:-1]) else len(whole) - 1
        else:
            continue
        if len(whole) - end <= 2:
            slug = whole[-1] if end < len(whole) - 1 else ""
            return index, check_id("/".join(whole[index : end + 1])), slug, format.lower()
    raise unfit(
        "/".join(segments), "it has no hash, alias or remote path where the image should be"
    )


def _closes(segments: Sequence[str]) -> bool:
    """Whether a remote path or an alias ends with these, so that a slug follows."""
    return bool(segments) and segments[-1].endswith("-")


def decode(segment: str) -> str:
    """Undo percent-encoding. A slash that was hidden so would be another path when written again."""
    try:
        text = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise unfit(segment, "it is no percent-encoded UTF-8") from None
    if "/" in text:
        raise unfit(segment, "a part of a path has no encoded slash")
    return text


# --- The whole --------------------------------------------------------------------------------

_HOST = re.compile(r"(?:(?:[A-Za-z][0-9A-Za-z+.-]*:)?//[^/?#\s\\]+)?")
_CLEAN_PATH, _CLEAN_QUERY = (
    re.compile(rf"[{clean}]*(?:%[0-9A-Fa-f]{{2}}[{clean}]*)*")
    for clean in (r"0-9A-Za-z\-._~/!$*+,;=:@&", r"0-9A-Za-z\-._~/!$*+,;=:@&?")
)
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def split(url: str, base: str) -> tuple[str, str, str]:
    """Base, path and query of a URL. With an empty ``base`` the path begins behind the host.

    Characters that a browser would encode on its own are encoded, so that what is signed is what is sent.
    """
    base = base.rstrip("/") or _HOST.match(url)[0]  # type: ignore[index]  # it always matches
    rest = url.removeprefix(base)
    if "#" in rest or not url.startswith(base) or (base and not rest.startswith("/")):
        raise unfit(url, f"expected a render of {base or 'some host'}, without a fragment")
    path, _, query = rest.partition("?")
    return (
        base,
        path if _CLEAN_PATH.fullmatch(path) else _cleaned(path, _IN_PATH + "/%"),
        query if _CLEAN_QUERY.fullmatch(query) else clean_query(query),
    )


def clean_query(query: str) -> str:
    """A query with what must be encoded encoded, and everything else as it is."""
    return _cleaned(query, _IN_QUERY + ";+=&%")


def _cleaned(text: str, safe: str) -> str:
    return encode(_LONE_PERCENT.sub("%25", text), safe)


def split_query(query: str, names: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The query without the fields of these names, and their values as they were written."""
    kept, taken = [], {}
    for field in filter(None, query.split("&")):
        name, _, value = field.partition("=")
        if unquote(name) in names:
            taken[unquote(name)] = value
        else:
            kept.append(field)
    return "&".join(kept), taken
