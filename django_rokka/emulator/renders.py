"""Render URLs: ``/{stack}[/{config}]/{id}[/{slug}].{format}``, caching headers and signatures.

Sources: the render, stacks and protected images chapters of rokka's documentation. Choices: what a
rule of a stack overrides wins over the URL; a signature may cover the URL with or without its slug, since
the official clients differ.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote

from werkzeug.wrappers import Request, Response

from . import pipeline, stacks
from .answers import Refusal
from .catalogue import OPTION_ALIASES, STACK_OPTIONS
from .expressions import evaluate, is_expression
from .formats import MIMETYPES
from .operations import flag
from .pipeline import Recipe, Step
from .state import Image, State

_ID = re.compile(r"(?P<hash>[0-9a-f]{6,40})|-_(?P<alias>[0-9A-Za-z_]+)_-")
_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class RenderURL:
    """The parts of a render URL. ``path`` is what a signature covers, ``bare`` the same without the slug."""

    stack: str
    hash: str
    alias: str
    format: str
    path: str
    bare: str
    steps: tuple[Step, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)


def parse(path: str) -> RenderURL:
    """Take a path apart, from behind the organization. Raises a 404 `Refusal` if it is none."""
    segments = path.strip("/").split("/")
    found = [(index, _ID.fullmatch(part.split(".")[0])) for index, part in enumerate(segments)]
    ids = [(index, match) for index, match in found if match and index > 0]
    if not ids or len(segments) - ids[0][0] > 2 or "." not in segments[-1]:
        raise Refusal(404, "This is no render URL; expected /stack/hash/slug.format.")
    index, match = ids[0]
    format = segments[-1].rpartition(".")[2].lower()
    identifier = segments[index].split(".")[0]
    steps, options, variables = _parse_config(unquote("--".join(segments[1:index])))
    return RenderURL(
        stack=segments[0],
        hash=match["hash"] or "",
        alias=match["alias"] or "",
        format={"jpeg": "jpg"}.get(format, format),
        path="/" + "/".join(segments),
        bare="/" + "/".join([*segments[:index], f"{identifier}.{format}"]),
        steps=steps,
        options=options,
        variables=variables,
    )


def _parse_config(
    config: str,
) -> tuple[tuple[Step, ...], dict[str, Any], dict[str, Any]]:
    steps: list[Step] = []
    options: dict[str, Any] = {}
    variables: dict[str, Any] = {}
    for part in filter(None, config.split("--")):
        name, *tokens = part.split("-")
        if len(tokens) % 2:
            raise Refusal(400, f"{part!r} is not an operation with pairs of option and value.")
        values = dict(zip(tokens[::2], tokens[1::2], strict=True))
        if name in ("o", "options"):
            options |= {OPTION_ALIASES.get(key, key): value for key, value in values.items()}
        elif name in ("v", "variables"):
            variables |= values
        else:
            steps.append((name, values))
    return tuple(steps), options, variables


@dataclass(frozen=True)
class _Stack:
    """What a URL asks for, before its expressions are worked out."""

    steps: tuple[Step, ...]
    options: dict[str, Any]
    variables: dict[str, Any]
    #: The variables of the URL: values, never expressions.
    given: Mapping[str, Any]
    rules: tuple[Mapping[str, Any], ...] = ()


class Renderer:
    """Answers render URLs from the state; keeps what it rendered on disk."""

    def __init__(self, state: State, signing_key: str) -> None:
        self._state = state
        self._signing_key = signing_key

    def respond(self, request: Request, organization: str, path: str) -> Response:
        """Answer one render request. ``path`` is what follows the organization, as it was sent."""
        url = parse(path)
        image = self._image(organization, url)
        recipe = self._recipe(request, organization, url, image)
        if image.protected or flag(recipe.options.get("protected", False)):
            self._check_signature(request, url)
        response = self._deliver(image, recipe)
        if url.stack.startswith("_preview"):
            response.headers["Cache-Control"] = "no-store"
        return response

    def _image(self, organization: str, url: RenderURL) -> Image:
        with self._state.reading() as db:
            hash = url.hash
            if url.alias:
                row = db.execute(
                    "SELECT hash FROM aliases WHERE organization = ? AND alias = ?",
                    (organization, url.alias),
                ).fetchone()
                hash = row["hash"] if row else "-"
            image = self._state.find(db, organization, hash)
        if image is None:
            raise Refusal(404, f"No image {url.hash or url.alias!r} to render.")
        return image

    def _recipe(self, request: Request, organization: str, url: RenderURL, image: Image) -> Recipe:
        given = {**url.variables, **_query_variables(request)}
        stack = self._stack(organization, url, given)
        facts = {**_facts(image), "request.headers.save_data": request.headers.get("Save-Data")}
        options, variables = _decided(stack, facts)
        names = {**facts, **_named(options, variables)}
        steps = tuple((name, _filled(values, names)) for name, values in stack.steps)
        format = _autoformat(request, url.format, options)
        return Recipe(steps, format, _filled(options, names))

    def _stack(self, organization: str, url: RenderURL, given: Mapping[str, Any]) -> _Stack:
        """The stack of a URL on top of its base, with what the URL overrides."""
        if url.stack == "dynamic":
            return _Stack(url.steps, dict(url.options), {}, given)
        stack = stacks.find(self._state, organization, url.stack)
        options = {**stack["stack_options"], **url.options}
        steps, variables = _steps_of(stack), stack["stack_variables"]
        if name := stack["stack_options"].get("basestack"):
            base = stacks.find(self._state, organization, name)
            steps, variables = _steps_of(base) + steps, {**base["stack_variables"], **variables}
        steps = _overridden(steps, url.steps)
        return _Stack(steps, options, variables, given, tuple(stack["stack_expressions"]))

    def _deliver(self, image: Image, recipe: Recipe) -> Response:
        original = self._state.binary(image.binary_hash)
        if flag(recipe.options.get("source_file", False)):
            return _answer(original.read_bytes(), image.mimetype, recipe)
        body = self._cached(image, recipe)
        return _answer(body, MIMETYPES.get(recipe.format, "text/plain"), recipe)

    def _cached(self, image: Image, recipe: Recipe) -> bytes:
        plan = json.dumps([recipe.steps, recipe.options, recipe.format], sort_keys=True)
        key = hashlib.sha256(f"{image.organization}/{image.hash}/{plan}".encode()).hexdigest()
        path = self._state.renders / key[:2] / key
        if path.exists():
            return path.read_bytes()
        body = pipeline.render(image, self._state.binary(image.binary_hash), recipe)
        self._state.keep_render(path, body)
        return body

    def _check_signature(self, request: Request, url: RenderURL) -> None:
        """Refuse what is not signed. Compared in constant time."""
        raw = str(request.environ.get("REQUEST_URI", request.full_path))
        sent_path, _, query = raw.partition("?")
        rest = "&".join(part for part in query.split("&") if part and not part.startswith("sig="))
        # The path as sent has a prefix that the render host of the service has not.
        prefix = sent_path[: len(sent_path) - len(url.path)]
        paths = [url.path, url.bare, prefix + url.path, prefix + url.bare]
        expected = [self._signature(f"{path}?{rest}" if rest else path) for path in paths]
        given = request.args.get("sig", "")
        matches = [hmac.compare_digest(one.encode(), given.encode()) for one in expected]
        if not any(matches):
            raise Refusal(403, "This image needs a signed URL.")
        _check_expiry(request.args.get("sigopts"))

    def _signature(self, text: str) -> str:
        return hashlib.sha256(f"{text}:{self._signing_key}".encode()).hexdigest()[:16]


def _check_expiry(options: str | None) -> None:
    if options is None:
        return
    try:
        until = datetime.fromisoformat(json.loads(options)["until"].replace("Z", "+00:00"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(403, "The signature's options cannot be read.") from None
    until = until if until.tzinfo else until.replace(tzinfo=timezone.utc)
    if until < datetime.now(timezone.utc):
        raise Refusal(403, "The signed URL has expired.")


def _query_variables(request: Request) -> dict[str, Any]:
    try:
        variables = json.loads(request.args.get("v", "{}"))
    except ValueError:
        raise Refusal(400, "The query parameter v is not JSON.") from None
    return variables if isinstance(variables, dict) else {}


def _steps_of(stack: Mapping[str, Any]) -> tuple[Step, ...]:
    steps: list[Step] = []
    for operation in stack["stack_operations"]:
        expressions = operation.get("expressions") or {}
        values = {key: f"[{value}]" for key, value in dict(expressions).items()}
        steps.append((operation["name"], {**dict(operation.get("options") or {}), **values}))
    return tuple(steps)


def _overridden(steps: tuple[Step, ...], overrides: tuple[Step, ...]) -> tuple[Step, ...]:
    """Options in the URL replace those of the step with that name; a step that is lacking is added."""
    result = list(steps)
    for name, values in overrides:
        index = next((i for i, (own, _) in enumerate(result) if own == name), None)
        if index is None:
            result.append((name, values))
        else:
            result[index] = (name, {**result[index][1], **values})
    return tuple(result)


def _facts(image: Image) -> dict[str, Any]:
    """What expressions may ask of the picture."""
    area = image.dynamic_metadata.get("subject_area", {})
    return {
        "image.width": image.width,
        "image.height": image.height,
        "image.format": {"jpg": "jpeg"}.get(image.format, image.format),
        "image.hash": image.hash,
        "image.isAnimated": image.animated,
        "image.hasSubjectArea": bool(area),
        **{f"image.subject_area.{key}": value for key, value in area.items()},
        **{f"image.meta_user.{key}": value for key, value in image.user_metadata.items()},
    }


def _named(options: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
    properties = STACK_OPTIONS["properties"].items()
    defaults = {key: value.get("default") for key, value in properties}
    named = {f"options.{key}": value for key, value in {**defaults, **options}.items()}
    return named | {f"${key}": value for key, value in variables.items()}


def _decided(stack: _Stack, facts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options and variables, once all rules of the stack that hold are applied, from the first to the last."""
    variables = _worked_out(stack, facts)
    for rule in stack.rules:
        if evaluate(str(rule.get("expression")), {**facts, **_named(stack.options, variables)}):
            stack = _overruled(stack, rule.get("overrides") or {})
            variables = _worked_out(stack, facts)
    return stack.options, variables


def _overruled(stack: _Stack, overrides: Mapping[str, Any]) -> _Stack:
    variables = dict(overrides.get("variables") or {})
    return replace(
        stack,
        options={**stack.options, **(overrides.get("options") or {})},
        variables={**stack.variables, **variables},
        given={key: value for key, value in stack.given.items() if key not in variables},
    )


def _worked_out(stack: _Stack, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Variables in their order: each may use those before it, and those of the URL."""
    values = dict(stack.given)
    for key, value in stack.variables.items():
        if key not in values:
            names = {**facts, **_named(stack.options, values)}
            values[key] = evaluate(value, names) if is_expression(value) else value
    return values


def _filled(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _evaluated(value, names) for key, value in values.items()}


def _evaluated(value: Any, names: Mapping[str, Any]) -> Any:
    if not isinstance(value, str) or not (value.startswith("[") and value.endswith("]")):
        return value
    return evaluate(value[1:-1], names)


def _autoformat(request: Request, format: str, options: Mapping[str, Any]) -> str:
    """With the option ``autoformat``, WebP for browsers that take it, in place of JPEG and PNG."""
    if not flag(options.get("autoformat", False)) or format not in ("jpg", "png"):
        return format
    accept = request.headers.get("Accept", "")
    if "image/avif" in accept and "avif" in str(options.get("autoformat.include", "")):
        return "avif"
    return "webp" if "image/webp" in accept else format


def _answer(body: bytes, mimetype: str, recipe: Recipe) -> Response:
    response = Response(body, mimetype=mimetype)
    response.headers["Cache-Control"] = _YEAR
    response.headers["X-Content-Type-Options"] = "nosniff"
    if mimetype == MIMETYPES["svg"]:
        # A drawing opened by itself must not run scripts.
        policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
        response.headers["Content-Security-Policy"] = policy
    if flag(recipe.options.get("autoformat", False)):
        response.headers["Vary"] = "Accept"
    if recipe.options.get("content_disposition") == "attachment":
        response.headers["Content-Disposition"] = "attachment"
    response.add_etag()
    return response
