"""The functions of rokka's official PHP and JavaScript clients, by name, made of ours.

Thin: what a function takes and gives is turned into ours, and nothing else. `DIFFERENCES` are the ways
in which our URLs are not theirs on purpose; each turns what a client puts out into what we put out, by
itself, with no help of the code that is tested.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlencode

from django_rokka.api import InvalidArgument, RenderURL, Stack, StackOperation
from django_rokka.api.names import slugify
from django_rokka.api.render import DYNAMIC, render_url
from django_rokka.api.signing import round_up, sign_url, sign_with_options

Input = Mapping[str, Any]


# --- PHP --------------------------------------------------------------------------------------


def add_options(input: Input) -> str:
    url, given = RenderURL.parse(input["url"]), input["options"]
    if isinstance(given, str):
        return str(url.with_overrides(given))
    operations = {one["name"]: one["options"] for one in given.get("operations", [])}
    changed = url.with_operations(operations).with_options(given.get("options", {}))
    return str(changed.with_variables(given.get("variables", {})))


def srcset_url(input: Input) -> str:
    return str(_sized(input["url"], input["size"], input["custom"], input["setWidthInUrl"]))


def _sized(url: str, size: str, custom: str | None, width_in_url: bool) -> RenderURL:
    parsed = RenderURL.parse(url)
    if size.endswith("w") and not width_in_url:
        return parsed.with_overrides(custom or "")
    return parsed.sized(size, custom or "")


def src_attributes(input: Input) -> str:
    url, sizes = input["url"], input["sizes"]
    customs = sizes if isinstance(sizes, dict) else dict.fromkeys(sizes)
    try:
        RenderURL.parse(url)
    except InvalidArgument:
        return f'src="{url}"'
    found = [
        f"{_sized(url, size, custom, input['setWidthInUrl'])} {size}"
        for size, custom in customs.items()
    ]
    return f'src="{url}" srcset="{", ".join(found)}"'


def parse_and_write(input: Input) -> str:
    return str(RenderURL.parse(input["url"]))


def stack_path(input: Input) -> str:
    return _path_of_stack(RenderURL.parse(f"/{input['stack']}/abcdef.jpg"))


def stack_as_dynamic(input: Input) -> str:
    operations = tuple(map(StackOperation.from_json, input["operations"]))
    stack = Stack(
        name=input["stack"],
        operations=operations,
        options=input["options"],
        variables=input["variables"],
    )
    return _path_of_stack(
        RenderURL(
            "",
            DYNAMIC,
            "abcdef",
            "jpg",
            operations=stack.operations,
            options=stack.options,
            variables=stack.variables,
        )
    )


def _path_of_stack(url: RenderURL) -> str:
    return str(url).removeprefix("/").removesuffix("/abcdef.jpg")


def resize(input: Input) -> str:
    size = {"width": input["width"], "height": input["height"]}
    return _template_url(input, {"resize": {key: value for key, value in size.items() if value}})


def resize_and_crop(input: Input) -> str:
    size = {"width": input["width"], "height": input["height"]}
    return _template_url(input, {"resize": {**size, "mode": "fill"}, "crop": size})


def _template_url(input: Input, operations: dict[str, Any]) -> str:
    slug = slugify_text({"text": input["seo"], "language": input.get("seoLanguage", "de")})
    return render_url(
        "https://testorg.rokka.io",
        DYNAMIC,
        f"{input['hash']}/{slug}.{input['format']}",
        operations=operations,
        options={"autoformat": True, "jpg.transparency.autoformat": True},
    )


def slugify_text(input: Input) -> str:
    language = "de" if input["language"] == "de" else ""
    return slugify(f"{input['text']}.jpg", language=language)  # ours is for names of files


def source_image_url(input: Input) -> str:
    scheme, _, host = input["api_base_url"].partition("://")
    organization = input.get("organization", input["client_organization"])
    base = f"{scheme}://{host.replace('api', organization, 1)}"
    # Ours makes no URL for what is no hash.
    url = RenderURL(base, input["stack"], "109283", input["format"], input.get("name") or "")
    return str(url).replace("109283", input["hash"])


def sign_as_php(input: Input) -> str:
    return sign_url(
        input["url"],
        input["sign_key"],
        until=_until(input),
        slice=input["round_date_up_to"],
        keep_slug=True,
    )


def _until(input: Input) -> datetime | None:
    return datetime.fromisoformat(input["until"]) if input["until"] else None


# --- JavaScript -------------------------------------------------------------------------------


def get_url(input: Input) -> str:
    options = input.get("options", {})
    return _get_url(
        f"https://{input['organization']}.rokka.io",
        input["hash"],
        options.get("filename", ""),
        input["format"],
        input["stack"],
        options,
    )


def _get_url(
    base: str,
    id: str,
    slug: str,
    format: str,
    stack: Any,
    options: Mapping[str, Any],
    query: str = "",
) -> str:
    operations = () if isinstance(stack, str) else tuple(map(StackOperation.from_json, stack))
    name = stack if isinstance(stack, str) and stack else DYNAMIC
    return str(
        RenderURL(
            base,
            name,
            id,
            format,
            slug,
            operations=operations if stack else (StackOperation("noop"),),
            options=options.get("stackoptions", {}),
            variables=options.get("variables", {}),
            query=query,
        )
    )


def get_url_from_url(input: Input) -> str:
    url, options = RenderURL.parse(input["rokkaUrl"]), dict(input["options"])
    if not options.get("clearVariables", True):
        options["variables"] = {**url.variables, **options.get("variables", {})}
    return _get_url(
        url.base,
        url.id,
        options.get("filename", url.slug),
        options.get("format", url.format),
        input["stack"],
        options,
        url.query,
    )


def add_variables(input: Input) -> str:
    return str(RenderURL.parse(input["url"]).with_variables(input["variables"]))


def components(input: Input) -> Any:
    try:
        url = RenderURL.parse(input["url"])
    except InvalidArgument:
        return False
    path = str(replace(url, id="abcdef", slug="")).partition("?")[0]
    stack = path.removeprefix(f"{url.base}/").removesuffix(f"/abcdef.{url.format}")
    found = {"stack": stack, "hash": url.id, "format": url.format}
    return {**found, "filename": url.slug} if url.slug else found


def sign_as_javascript(input: Input) -> str:
    url, until = _form_encoded(input["url"]), _until(input)
    if until is None:
        return sign_url(url, input["sign_key"])
    end = round_up(until, input["round_date_up_to"]).astimezone(timezone.utc)
    return sign_with_options(url, input["sign_key"], {"until": f"{end:%Y-%m-%dT%H:%M:%S}.000Z"})


def _form_encoded(url: str) -> str:
    """What a browser's ``URLSearchParams`` makes of a query, before it is signed."""
    rest, _, query = url.partition("?")
    encoded = urlencode(parse_qsl(query, keep_blank_values=True), safe="*").replace("~", "%7E")
    return f"{rest}?{encoded}".removesuffix("?")


FUNCTIONS: dict[str, Callable[[Input], Any]] = {
    "UriHelper::addOptionsToUriString": add_options,
    "UriHelper::getSrcSetUrlString": srcset_url,
    "UriHelper::composeUri(UriHelper::decomposeUri(url))": parse_and_write,
    "UriHelper::signUrl": sign_as_php,
    "Stack::getDynamicUriString": stack_as_dynamic,
    "StackUri::getStackUriString": stack_path,
    "TemplateHelper::getResizeUrl": resize,
    "TemplateHelper::getResizeCropUrl": resize_and_crop,
    "TemplateHelper::getSrcAttributes": src_attributes,
    "TemplateHelper::slugify": slugify_text,
    "Image::getSourceImageUri": source_image_url,
    "render.getUrl": get_url,
    "render.getUrlFromUrl": get_url_from_url,
    "render.addStackVariables": add_variables,
    "render.getUrlComponents": components,
    "render.signUrl": sign_as_javascript,
}


# --- Where ours differ on purpose -------------------------------------------------------------


def short_names(url: str) -> str:
    return url.replace("options-", "o-").replace("variables-", "v-")


def path_encoding(url: str) -> str:
    path, query = _halves(url)
    host, path = path[: path.index("/", 8)], path[path.index("/", 8) :]
    segments = [quote(unquote(segment), safe="!$*+,;=:@&") for segment in path.split("/")]
    return host + "/".join(segments) + query


def star_and_colon(url: str) -> str:
    stack, config, rest = _cut(url)
    moved: dict[str, Any] = {}
    for number, part in enumerate(config):
        if part.startswith("v-"):
            name, values = _read(part)
            moved = {key: unquote(text) for key, text in values if set("*:") & set(text)}
            kept = [token for key, text in values if key not in moved for token in (key, text)]
            config[number] = "-".join([name, *kept]) if kept else ""
    whole = "/".join(filter(None, [stack, *config, rest]))
    return _with_variables(whole, lambda variables: {**variables, **moved}) if moved else whole


def one_segment(url: str) -> str:
    stack, config, rest = _cut(url)
    return "/".join(filter(None, [stack, "--".join(config), rest]))


def sorted_names(url: str) -> str:
    stack, config, rest = _cut(url)
    parts = ["--".join(map(_sorted, segment.split("--"))) for segment in config]
    return _with_variables(
        "/".join([stack, *parts, rest]), lambda found: dict(sorted(found.items()))
    )


def query_encoding(url: str) -> str:
    path, query = _halves(url)
    fields = [field.partition("=") for field in query.removeprefix("?").split("&")]
    return f"{path}?".removesuffix("" if query else "?") + "&".join(
        f"v={quote(unquote_plus(value), safe=':,?$/@!*')}" if name == "v" else f"{name}{is_}{value}"
        for name, is_, value in fields
    )


def _halves(url: str) -> tuple[str, str]:
    path, mark, query = url.partition("?")
    return path, mark + query


def _cut(url: str) -> tuple[str, list[str], str]:
    """A URL up to its stack, the segments of its config, and the rest from the image on."""
    pattern = r"(\w+://[^/]+/[^/]+)((?:/[^/?]+)*?)/((?:[0-9a-f]{6,40}|-[^-/][^/]*-)[/.].*)"
    match = re.fullmatch(pattern, url)
    assert match, url
    return match[1], list(filter(None, match[2].split("/"))), match[3]


def _read(part: str) -> tuple[str, list[tuple[str, str]]]:
    name, *tokens = part.split("-")
    return name, list(zip(tokens[::2], tokens[1::2], strict=True))


def _sorted(part: str) -> str:
    name, pairs = _read(part)
    return "-".join([name, *(token for pair in sorted(pairs) for token in pair)])


def _with_variables(url: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> str:
    """The URL with other variables in its query, encoded as a form."""
    path, query = _halves(url)
    fields = dict(parse_qsl(query.removeprefix("?"), keep_blank_values=True))
    variables = change(json.loads(fields.pop("v", "{}")))
    if not variables:
        return url
    text = json.dumps(variables, ensure_ascii=False, separators=(",", ":"))
    return f"{path}?{urlencode({**fields, 'v': text})}"


#: By the name that docs/render-urls.md gives it. Each makes our form of theirs.
DIFFERENCES: dict[str, Callable[[str], str]] = {
    function.__name__.replace("_", " "): function
    for function in (
        short_names,
        path_encoding,
        star_and_colon,
        one_segment,
        sorted_names,
        query_encoding,
    )
}
