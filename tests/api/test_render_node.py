"""Our URLs against those that rokka's own JavaScript clients make of the same, run by node.

What differs on purpose is turned into ours by `DIFFERENCES`, and what is wrong there is called wrong.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from django_rokka.api import InvalidArgument, RenderURL, StackOperation, alias_id, remote_id
from tests import node_packages
from tests.api.official import DIFFERENCES, FUNCTIONS
from tests.conftest import missing

KEY = "OCOuisGe30QyocYkQN1SPErGGKunyuhZ"
Calls = list[tuple[str, list[Any]]]
Call = Callable[[Calls], list[Any]]


@pytest.fixture(scope="module")
def official() -> Call:
    """Calls of the official clients, all in one process of node."""

    def call(calls: Calls) -> list[Any]:
        given = [{"function": name, "arguments": arguments} for name, arguments in calls]
        script = node_packages.OFFICIAL / "official.cjs"
        try:
            return list(json.loads(node_packages.run(script, input=json.dumps(given))))
        except node_packages.NodeMissing as error:
            missing(str(error))

    return call


# --- Cases ------------------------------------------------------------------------------------


class Cases:
    """Random parts of URLs, the same in each run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311

    def one_of(self, *values: Any) -> Any:
        return self._random.choice(values)

    def id(self) -> str:
        digits = "".join(self._random.choices("0123456789abcdef", k=self._random.randint(6, 40)))
        return str(self.one_of(digits, digits, digits, alias_id("logo"), remote_id("my-dog.jpg")))

    def slug(self) -> str:
        return str(self.one_of("", "dog", "zurich-am-abend", "dog-v2", "v3", "facade", "Some_name"))

    def format(self) -> str:
        return str(self.one_of("jpg", "png", "webp", "avif", "jpeg", "gif", "blur", "mp4"))

    def text(self, letters: str, longest: int = 30) -> str:
        return "".join(self._random.choices(letters, k=self._random.randint(1, longest)))

    def value(self) -> Any:
        """For an option. The JavaScript client has no place for what is false there."""
        text = self.text("abcXYZ019_.,é ü[]$(){}'\"^|~+=@!*:<>`", 8)
        return self.one_of(
            self._random.randint(1, 3000), 0.5, 1.25, 2.0, True, "auto", "[$w]", text
        )

    def variable(self) -> Any:
        text = self.text("abcXYZ019_.,é ü[]$(){}'\"^|~+=@!<>`-/#%&?;\\🌄")
        short = self.text("abcXYZ019_.,éü[]'(){}\"^|~+=@!<>`", 20)
        number = self._random.randint(-3000, 3000) or 1
        twice = "🌄" * self._random.randint(9, 12)  # each counts as two
        return self.one_of(number, -0.5, 0.25, True, False, text, text, short, "[$a]", twice)

    def plain_variable(self) -> Any:
        """One that the path does not encode: the JavaScript client does not decode those it reads."""
        return self.one_of(
            12, -3, 0.5, True, False, "Lala", "a,b=c", "x y", "50%", "[$a-1]", "é" * 21
        )

    def named(self, value: Callable[[], Any], *names: str) -> dict[str, Any]:
        chosen = self._random.sample(names, self._random.randint(0, len(names)))
        return {name: value() for name in chosen}

    def options(self) -> dict[str, Any]:
        return self.named(self.value, "dpr", "autoformat", "jpg.quality", "af", "basestack")

    def variables(self) -> dict[str, Any]:
        return self.named(self.variable, "w", "text", "a", "Foo_2")

    def operations(self) -> list[dict[str, Any]]:
        names = self._random.choices(("resize", "crop", "rotate", "blur", "noop"), k=3)
        return [
            {"name": name, "options": self.named(self.value, "width", "height", "mode", "angle")}
            for name in names[: self._random.randint(1, 3)]
        ]

    def stack(self) -> Any:
        return self.one_of("hero", "my_stack-2", "dynamic", "", self.operations())

    def url(self) -> str:
        """A URL of ours, with everything that one can have."""
        operations = tuple(map(StackOperation.from_json, self.operations()))
        return str(
            RenderURL(
                f"https://{self.one_of('myorg', 'a-b')}.rokka.io",
                self.one_of("hero", "dynamic"),
                self.id(),
                self.format(),
                self.slug(),
                operations=self.one_of((), operations),
                options=self.options(),
                variables=self.named(self.plain_variable, "w", "text", "a"),
                query=self.one_of("", "", "foo=bar", "foo=bar&baz=1"),
            )
        )


def get_url_cases() -> Iterable[dict[str, Any]]:
    cases = Cases(1)
    for _ in range(250):
        extras = {
            "filename": cases.slug(),
            "stackoptions": cases.options(),
            "variables": cases.variables(),
        }
        yield {
            "organization": cases.one_of("myorg", "a-b"),
            "hash": cases.id(),
            "format": cases.format(),
            "stack": cases.stack(),
            "options": cases.one_of({}, extras, extras, extras),
        }


def get_url_from_url_cases() -> Iterable[dict[str, Any]]:
    cases = Cases(2)
    for _ in range(150):
        extras = {
            "format": cases.format(),
            "filename": cases.slug(),
            "stackoptions": cases.options(),
            "variables": cases.variables(),
            "clearVariables": cases.one_of(True, False),
        }
        chosen = {name: value for name, value in extras.items() if cases.one_of(True, False)}
        # A client of theirs forgets the rest of a query.
        url = cases.url().replace("foo=bar&baz=1", "").replace("foo=bar", "").replace("?&", "?")
        yield {"rokkaUrl": url.rstrip("?"), "stack": cases.stack(), "options": chosen}


def add_variables_cases() -> Iterable[dict[str, Any]]:
    cases = Cases(3)
    for _ in range(250):
        yield {"url": cases.url(), "variables": cases.variables()}


def sign_cases() -> Iterable[dict[str, Any]]:
    cases = Cases(4)
    for _ in range(150):
        moment = f"20{cases.one_of(27, 33, 50)}-02-08T08:{cases.one_of('00', '03', '59')}"
        url = cases.url()
        signed = f"{url}{'&' if '?' in url else '?'}sig=0123456789abcdef&sigopts=x"
        yield {
            "url": cases.one_of(url, signed),
            "sign_key": cases.one_of(KEY, "abcdef"),
            "until": cases.one_of(None, f"{moment}:00+00:00", f"{moment}:30.500+01:00"),
            "round_date_up_to": cases.one_of(300, 60, 3600),
        }


def components_cases() -> Iterable[dict[str, Any]]:
    cases = Cases(5)
    for _ in range(100):
        yield {"url": cases.url()}


#: Which arguments a function of the packages has, and which of our functions stands for it.
ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "render.getUrl": ("organization", "hash", "format", "stack", "options"),
    "render.getUrlFromUrl": ("rokkaUrl", "stack", "options"),
    "render.addStackVariables": ("url", "variables"),
    "render.signUrl": ("url", "sign_key", "until", "round_date_up_to"),
    "render.getUrlComponents": ("url",),
}


@pytest.mark.parametrize(
    ("package", "function", "cases"),
    [
        ("rokka", "render.getUrl", get_url_cases),
        ("rokka-render", "render.getUrl", get_url_cases),
        ("rokka", "render.getUrlFromUrl", get_url_from_url_cases),
        ("rokka-render", "render.getUrlFromUrl", get_url_from_url_cases),
        ("rokka", "render.addStackVariables", add_variables_cases),
        ("rokka-render", "render.addStackVariables", add_variables_cases),
        ("rokka", "render.signUrl", sign_cases),
        ("rokka", "render.getUrlComponents", components_cases),
    ],
)
def test_urls_are_those_of_the_official_clients_but_for_the_listed_differences(
    official: Call,
    package: str,
    function: str,
    cases: Callable[[], Iterable[dict[str, Any]]],
) -> None:
    inputs = list(cases())
    name = function.replace("render", package)
    theirs = official([(name, [one[key] for key in ARGUMENTS[function]]) for one in inputs])

    ours = [FUNCTIONS[function](one) for one in inputs]
    exact = function in ("render.signUrl", "render.getUrlComponents")
    expected = theirs if exact else [as_ours(url) for url in theirs]
    wrong = [case for case in zip(inputs, ours, expected, strict=True) if case[1] != case[2]]
    assert not wrong, f"{len(wrong)} of {len(inputs)} differ, such as {wrong[0]}"


def as_ours(url: str) -> str:
    for difference in DIFFERENCES.values():
        url = difference(url)
    return url


#: What they put out, and what is right; ``None`` where there is no right URL, and ours is an error.
WRONG: list[tuple[str, dict[str, Any], Any, Any]] = [
    (
        "render.getUrl",
        {"stack": [{"name": "resize", "options": {"width": 9, "upscale": False}}]},
        "https://o.rokka.io/dynamic/resize-width-9-upscale-__undefined__/c03683.jpg",
        "https://o.rokka.io/dynamic/resize-upscale-false-width-9/c03683.jpg",
    ),
    (
        "render.getUrl",
        {"stack": [{"name": "rotate", "options": {"angle": -90}}]},
        "https://o.rokka.io/dynamic/rotate-angle--90/c03683.jpg",
        None,
    ),
    (
        "render.getUrl",
        {"stack": "hero", "options": {"stackoptions": {"basestack": "a/../b?c#d"}}},
        "https://o.rokka.io/hero/o-basestack-a/../b?c#d/c03683.jpg",
        None,
    ),
    (
        "render.getUrl",
        {"stack": "hero", "options": {"filename": "50% off?"}},
        "https://o.rokka.io/hero/c03683/50% off?.jpg",
        "https://o.rokka.io/hero/c03683/50%25%20off%3F.jpg",
    ),
    (
        "render.addStackVariables",
        {"url": "https://o.rokka.io/s/abcdef.jpg", "variables": {"w": 0, "e": "", "f": False}},
        "https://o.rokka.io/s/v-f-false/abcdef.jpg",
        "https://o.rokka.io/s/v-f-false-w-0/abcdef.jpg?v=%7B%22e%22:%22%22%7D",
    ),
    (
        "render.addStackVariables",
        {"url": "https://o.rokka.io/s/v-t-%C3%BC/abcdef.jpg", "variables": {"a": 1}},
        "https://o.rokka.io/s/v-a-1/abcdef.jpg?v=%7B%22t%22%3A%22%25C3%25BC%22%7D",
        "https://o.rokka.io/s/v-a-1-t-%C3%BC/abcdef.jpg",
    ),
    (
        "render.addStackVariables",
        {"url": "https://o.rokka.io/s/abcdef.jpg", "variables": {"t": "a\nb"}},
        "https://o.rokka.io/s/v-t-ab/abcdef.jpg",
        "https://o.rokka.io/s/abcdef.jpg?v=%7B%22t%22:%22a%5Cnb%22%7D",
    ),
    (
        "render.getUrlFromUrl",
        {"rokkaUrl": "https://o.rokka.io/s/c03683.jpg?foo=bar", "stack": "t"},
        "https://o.rokka.io/t/c03683.jpg",
        "https://o.rokka.io/t/c03683.jpg?foo=bar",
    ),
    (
        "render.getUrlComponents",
        {"url": "https://o.rokka.io/s/c421f4e8cefe0fd3aab22832f51e85bacda0a47a"},
        {"stack": "s", "hash": "c421f4e8cefe0fd3aab22832f51e85bacda0a", "format": "7a"},
        False,
    ),
]


@pytest.mark.parametrize(("function", "input", "theirs", "right"), WRONG)
def test_what_they_do_wrong_is_right_here(
    official: Call, function: str, input: dict[str, Any], theirs: Any, right: Any
) -> None:
    empty = {"organization": "o", "hash": "c03683", "format": "jpg", "options": {}}
    given = {**empty, **input}
    arguments = [given[name] for name in ARGUMENTS[function]]

    assert official([(function.replace("render", "rokka"), arguments)]) == [theirs]
    if right is None:
        with pytest.raises(InvalidArgument, match="cannot stand in a render URL"):
            FUNCTIONS[function](given)
    else:
        assert FUNCTIONS[function](given) == right
