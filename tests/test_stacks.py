"""Stacks as code: the setting, rokka, and `rokka_stacks` between them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import models
from django.test.utils import isolate_apps

from django_rokka import stacks
from django_rokka.api import NotFound, Stack
from django_rokka.api.catalogue import DOCUMENTED, Catalogue
from django_rokka.conf import get_client, get_config
from django_rokka.emulator import Emulator, Fault
from django_rokka.environment import claim
from django_rokka.fields import RokkaImageField
from django_rokka.models import Claim
from django_rokka.stack_texts import as_lines, as_python
from django_rokka.stacks import Kind, UnknownStack, check_known, next_version
from django_rokka.storage import RokkaStorage
from tests.library.models import Article

pytestmark = pytest.mark.django_db(databases=["default", "other"])

HERO = {"operations": [{"name": "resize", "options": {"width": 1600}}]}
WIDER = {"operations": [{"name": "resize", "options": {"width": 1920}}]}
MONO = {
    "description": "Without colours",
    "operations": [{"name": "grayscale"}, {"name": "resize", "expressions": {"width": "$w"}}],
    "options": {"autoformat": True, "jpg.quality": 80},
    "variables": {"w": 400},
    "expressions": [
        {"expression": "options.dpr >= 2", "overrides": {"options": {"jpg.quality": 60}}}
    ],
    "widths": [320, 640],
    "sizes": "(min-width: 60em) 50vw, 100vw",
}


@pytest.fixture(autouse=True)
def emulator(rokka_emulator: Emulator) -> Emulator:
    return rokka_emulator


@pytest.fixture
def declare(settings: Any) -> Any:
    """Set the STACKS of an alias, and other keys of it."""

    def set_(alias: str = "default", other: Any = {}, **declared: Any) -> None:  # noqa: B006
        values = {**settings.ROKKA[alias], **other, "STACKS": declared}
        settings.ROKKA = {**settings.ROKKA, alias: values}

    return set_


@pytest.fixture
def run(capsys: Any) -> Any:
    """Run `rokka_stacks`; gives the exit code and what was written."""

    def run_(*arguments: str) -> tuple[int, str]:
        code = 0
        try:
            call_command("rokka_stacks", *arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, str(capsys.readouterr().out)

    return run_


def save(name: str, *, alias: str = "default", overwrite: bool = False, **values: Any) -> None:
    """Make a stack as others do: in rokka's dashboard, or from another site."""
    stack = Stack.from_json({**values, "name": name})
    get_client(alias).save_stack(stack, overwrite=overwrite)


def at_rokka(alias: str = "default") -> list[str]:
    return sorted(stack.name for stack in get_client(alias).list_stacks())


def remote(name: str) -> Stack:
    return get_client().get_stack(name)


# --- The whole way ----------------------------------------------------------------------------


def test_from_the_setting_to_rokka_and_on(declare: Any, run: Any) -> None:
    save("banner", **HERO)
    declare(hero=HERO, mono=MONO)
    code, said = run("diff")
    assert code == 1
    assert said == (
        "hero: new\n"
        "    + resize width=1600\n"
        "mono: new\n"
        '    + description "Without colours"\n'
        "    + grayscale\n"
        "    + resize width=[$w]\n"
        "    + option autoformat=true\n"
        "    + option jpg.quality=80\n"
        "    + variable w=400\n"
        '    + expression {"expression": "options.dpr >= 2", '
        '"overrides": {"options": {"jpg.quality": 60}}}\n'
        "banner: foreign: not in the setting, and not made by this site; it is left alone\n"
    )

    assert run("push", "--dry-run") == (0, "hero: would be created\nmono: would be created\n")
    assert at_rokka() == ["banner"]
    assert run("push") == (0, "hero: created\nmono: created\n")
    assert remote("hero").description == "[django_rokka]"
    assert remote("mono").description == "Without colours [django_rokka]"
    assert run("diff", "hero", "mono") == (0, "hero: same\nmono: same\n")
    assert run("push") == (0, "hero: the same at rokka\nmono: the same at rokka\n")
    assert run("diff")[0] == 0  # what others made is no difference

    declare(hero=WIDER)
    code, said = run("diff")
    assert code == 1
    assert said == (
        "hero: changed\n"
        "    - resize width=1600\n"
        "    + resize width=1920\n"
        "    Caches and browsers keep old renders for up to a year; a new name: hero-v2\n"
        "banner: foreign: not in the setting, and not made by this site; it is left alone\n"
        "mono: obsolete: made by this site, and not in the setting any more; prune deletes it\n"
    )

    code, said = run("push")
    assert code == 1
    assert said.startswith("hero: refused: it has changed, and caches and browsers keep")
    assert "call it 'hero-v2', or overwrite it" in said
    assert remote("hero").operations[0].options == {"width": 1600}

    code, said = run("push", "--overwrite")
    assert code == 0
    assert said.startswith("hero: overwritten; caches and browsers keep what was rendered before")
    assert remote("hero").operations[0].options == {"width": 1920}

    code, said = run("prune", "--no-input")
    assert code == 0
    assert f"    mono  {get_config().render_base}/mono/\n" in said
    assert said.endswith("mono: deleted\n")
    assert at_rokka() == ["banner", "hero"]
    assert run("prune", "--no-input") == (0, "No stack to delete.\n")


def test_what_is_pulled_is_the_same_when_it_is_in_the_setting(declare: Any, run: Any) -> None:
    declare(mono=MONO)
    run("push")
    changes = {"name": "svgdynamic", "expressions": [{"id": "a", "attr": "fill", "value": "$c"}]}
    save(
        "logo",
        operations=[
            changes,
            {"name": "text", "options": {"font": "398a83", "text": 'It\'s "ü"\n'}},
        ],
        variables={"c": "red"},
    )
    save("original", options={"source_file": True})

    code, said = run("pull")
    assert code == 0
    assert said.startswith("# For ROKKA['default']['STACKS']:\n{\n")
    assert max(map(len, said.splitlines())) <= 120
    pulled = eval(said)  # noqa: S307
    assert pulled["mono"] == MONO
    assert pulled["logo"]["operations"][0] == changes
    assert pulled["original"] == {"options": {"source_file": True}}

    declare(**pulled)
    assert run("diff") == (0, "mono: same\nlogo: same\noriginal: same\n")

    assert list(eval(run("pull", "logo")[1])) == ["logo"]  # noqa: S307


def test_pull_leaves_out_what_is_temporary_and_says_what_rokka_lacks(
    declare: Any, run: Any
) -> None:
    declare(hero=HERO)
    save("_preview1", **HERO)

    assert run("pull") == (0, "# For ROKKA['default']['STACKS']:\n{}\n")
    with pytest.raises(CommandError, match="rokka has no stack 'hero'; it is only in the setting"):
        run("pull", "hero")
    with pytest.raises(CommandError, match=r"no stack 'herp', .*did you mean 'hero'"):
        run("pull", "herp")


# --- What is a difference ---------------------------------------------------------------------


def lines(**values: Any) -> list[str]:
    return as_lines(Stack.from_json({**values, "name": "x"}), values.get("description", ""))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"operations": [{"name": "crop", "options": {"width": 80, "height": 60.0}}]},
            {"operations": [{"name": "crop", "options": {"height": "60", "width": "80"}}]},
        ),
        (
            {"operations": [{"name": "resize", "options": {"width": 80}}]},
            {
                "operations": [
                    {
                        "name": "resize",
                        "options": {"width": 80, "mode": "box", "upscale": True, "enabled": True},
                        "expressions": [],
                    }
                ],
                "options": [],
                "variables": {},
                "expressions": None,
            },
        ),
        (
            {"operations": [{"name": "blur", "options": {"sigma": 0.5}}]},
            {"operations": [{"name": "blur", "options": {"sigma": "0.5", "radius": "0"}}]},
        ),
        (
            {"options": {"autoformat": "true", "jpg.quality": 80}},
            {"options": {"jpg.quality": "80", "autoformat": True, "dpr": 1.0, "protected": False}},
        ),
        ({"variables": {"a": 1, "b": [1.0]}}, {"variables": {"b": ["1"], "a": "1"}}),
        (
            # An expression goes before an option.
            {"operations": [{"name": "resize", "expressions": {"width": "$w"}}]},
            {
                "operations": [
                    {"name": "resize", "options": {"width": 5}, "expressions": {"width": "$w"}}
                ]
            },
        ),
    ],
)
def test_stacks_that_render_alike_are_the_same(one: Any, other: Any) -> None:
    assert lines(**one) == lines(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"operations": [{"name": "grayscale"}, {"name": "sepia"}]},
            {"operations": [{"name": "sepia"}, {"name": "grayscale"}]},
        ),
        ({"expressions": [{"expression": "a"}, {"expression": "b"}]},
         {"expressions": [{"expression": "b"}, {"expression": "a"}]}),
        ({"options": {"jpg.quality": 80}}, {}),  # left out, rokka chooses the quality
        ({"options": {"protected": True}}, {}),
        ({"operations": [{"name": "resize", "options": {"width": 5, "mode": "fill"}}]},
         {"operations": [{"name": "resize", "options": {"width": 5}}]}),
        ({"operations": [{"name": "resize", "options": {"width": "$w"}}]},
         {"operations": [{"name": "resize", "expressions": {"width": "$w"}}]}),
        ({"variables": {"color": "000000"}}, {"variables": {"color": "0"}}),
        ({"variables": {"version": "1.10"}}, {"variables": {"version": "1.1"}}),
        ({"description": "a"}, {"description": "b"}),
    ],
)  # fmt: skip
def test_stacks_that_do_not_are_different(one: Any, other: Any) -> None:
    assert lines(**one) != lines(**other)


def test_every_documented_default_may_be_left_out() -> None:
    for name, operation in DOCUMENTED.operations.items():
        given = {key: value for key, value in operation.options.items() if value is not None}
        assert lines(operations=[{"name": name, "options": given}]) == [name]


def test_our_list_of_operations_is_the_emulators(rokka_client: Any) -> None:
    """Both come from the same chapters, and neither from the other."""
    live = Catalogue.from_json(rokka_client.list_operations(), rokka_client.list_stack_options())

    for name in live.operations.keys() | DOCUMENTED.operations.keys():
        ours, theirs = DOCUMENTED.operations[name], live.operations[name]
        assert set(ours.options) == set(theirs.options), name
        assert (ours.required, ours.one_of) == (theirs.required, theirs.one_of), name
    assert set(live.stack_options) == set(DOCUMENTED.stack_options)


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("hero", ["hero", "mono-v7"], "hero-v2"),
        ("hero", ["hero", "hero-v2", "hero-v9", "heroic-v12"], "hero-v10"),
        ("hero-v3", ["hero-v3"], "hero-v4"),
        ("hero-v3", ["hero-v3", "hero-v5"], "hero-v6"),
        ("hero-vintage", ["hero-vintage"], "hero-vintage-v2"),
        ("-v2", ["-v2"], "-v2-v2"),
    ],
)
def test_the_next_version_is_beyond_every_one_there_is(
    name: str, taken: list[str], expected: str
) -> None:
    assert next_version(name, taken) == expected


# --- Push -------------------------------------------------------------------------------------


def test_a_stack_of_others_is_taken_over_only_by_its_name(declare: Any, run: Any) -> None:
    save("hero", **HERO)
    declare(hero=WIDER)

    for arguments in (["push"], ["push", "hero"], ["push", "--overwrite"]):
        code, said = run(*arguments)
        assert code == 1
        assert (
            "refused: rokka has another one, which this site did not make; call it 'hero-v2'"
            in said
        )
    assert remote("hero").operations[0].options == {"width": 1600}

    assert run("push", "hero", "--overwrite")[0] == 0
    assert remote("hero").description == "[django_rokka]"
    declare()
    assert run("prune", "--no-input")[1].endswith("hero: deleted\n")


def test_an_equal_stack_of_others_stays_theirs(declare: Any, run: Any) -> None:
    save("hero", **HERO)
    declare(hero=HERO)

    assert run("push") == (0, "hero: the same at rokka\n")
    declare()
    assert run("prune", "--no-input") == (0, "No stack to delete.\n")


def test_one_that_rokka_refuses_does_not_stop_the_others(
    declare: Any, run: Any, emulator: Emulator
) -> None:
    declare(first=HERO, second=HERO, third=HERO)
    body = '{"code": 400, "message": "The width is too odd."}'
    emulator.add_fault(Fault(status=400, method="PUT", path="/second$", body=body))

    assert run("push") == (
        1,
        "first: created\nsecond: failed: The width is too odd.\nthird: created\n",
    )
    assert at_rokka() == ["first", "third"]


def test_one_that_others_make_meanwhile_is_not_overwritten(declare: Any) -> None:
    declare(first=HERO, second=HERO)
    outcomes = stacks.push()
    assert next(outcomes).text == "created"
    save("second", **WIDER)

    second = next(outcomes)

    assert not second.ok
    assert second.text.startswith("failed: The stack 'second' exists already")
    assert remote("second").operations[0].options == {"width": 1920}


def test_a_key_that_is_revoked_ends_it(declare: Any, run: Any, emulator: Emulator) -> None:
    declare(first=HERO, second=HERO)
    body = '{"code": 403, "message": "No such key.", "invalid_authentication": true}'
    emulator.add_fault(Fault(status=403, method="PUT", body=body))

    with pytest.raises(CommandError, match="No such key"):
        run("push")
    assert at_rokka() == []

    run("push")
    declare()
    emulator.add_fault(Fault(status=403, method="DELETE", body=body))
    with pytest.raises(CommandError, match="No such key"):
        run("prune", "--no-input")


def test_one_that_cannot_be_deleted_does_not_stop_the_others(
    declare: Any, run: Any, emulator: Emulator
) -> None:
    declare(first=HERO, second=HERO)
    run("push")
    declare()
    body = '{"code": 400, "message": "It is in use."}'
    emulator.add_fault(Fault(status=400, method="DELETE", path="/first$", body=body))

    code, said = run("prune", "--no-input")

    assert code == 1
    assert said.endswith("first: failed: It is in use.\nsecond: deleted\n")


def test_push_takes_names(declare: Any, run: Any) -> None:
    declare(hero=HERO, mono=MONO, third=HERO)
    save("banner", **HERO)

    assert run("push", "mono", "hero") == (0, "hero: created\nmono: created\n")
    assert run("push", "banner") == (1, "banner: refused: it is not in STACKS\n")
    with pytest.raises(CommandError, match=r"no stack 'herro', .*did you mean 'hero'"):
        run("push", "herro")


def test_what_others_build_on_is_created_first(declare: Any, run: Any) -> None:
    steps = [{"name": "composition", "options": {"mode": "background", "secondary_stack": "logo"}}]
    declare(
        card={"options": {"basestack": "base"}}, base={"operations": steps}, logo=HERO
    )  # fmt: skip

    assert run("push") == (0, "logo: created\nbase: created\ncard: created\n")


def test_stacks_that_build_on_each_other_end_too(declare: Any, run: Any) -> None:
    declare(a={"options": {"basestack": "b"}}, b={"options": {"basestack": "a"}})

    assert run("push") == (0, "b: created\na: created\n")


def test_wrong_names_are_refused_by_rokkas_own_list(declare: Any, run: Any) -> None:
    declare(
        hero={
            "operations": [
                {"name": "resiz", "options": {"width": 5}},
                {"name": "crop", "options": {"widht": 5, "height": 5}},
                {"name": "resize", "expressions": {"width": "$w / 2"}},
            ],
            "options": {"autofromat": True},
        },
        mono=MONO,
    )

    code, said = run("diff", "hero")
    assert code == 1
    assert said.startswith(
        "hero: new\n"
        "    ! unknown operation 'resiz'; did you mean 'resize'?\n"
        "    ! crop has no option 'widht'; did you mean 'width'?\n"
        "    ! crop needs 'width'\n"
        "    ! unknown stack option 'autofromat'; did you mean 'autoformat'?\n"
        "    ! resize uses $w, which is not among the variables\n"
    )
    code, said = run("push")
    assert code == 1
    assert said.startswith("hero: refused: unknown operation 'resiz'; did you mean 'resize'?; crop")
    assert said.endswith("mono: created\n")
    assert at_rokka() == ["mono"]


def test_what_rokka_has_by_now_is_no_mistake(declare: Any, emulator: Emulator) -> None:
    steps = [
        {"name": "sparkle", "options": {"much": 1}},
        {"name": "resize", "options": {"width": 5, "softly": True}},
        {"name": "crop"},
        {"name": "sepia", "options": {"mcuh": 1}},
    ]
    declare(hero={"operations": steps, "options": {"glow": 1, "autoformat": True}})
    body = """{
        "sparkle": {"properties": {"much": {"default": 2}}, "required": ["loud"]},
        "resize": {"properties": {"softly": {}}, "oneOf": []},
        "crop": {"properties": []}
    }"""
    emulator.add_fault(Fault(status=200, path="/operations$", body=body))
    emulator.add_fault(
        Fault(status=200, path="/stackoptions$", body='{"properties": {"glow": {}}}')
    )

    (difference,) = stacks.read()
    assert difference.mistakes == (
        "sparkle needs 'loud'",
        "crop needs 'width'",
        "crop needs 'height'",
        "sepia has no option 'mcuh'; known: enabled",
    )

    (difference,) = stacks.compare(get_config(), [])
    assert difference.mistakes[0].startswith("unknown operation 'sparkle'; known: addframes, ")
    assert "unknown stack option 'glow'; known: autoformat" in difference.mistakes[-1]


def test_purging(declare: Any, run: Any, emulator: Emulator) -> None:
    declare(hero=HERO)
    run("push")
    with pytest.raises(CommandError, match="--purge goes with --overwrite"):
        run("push", "--purge")

    for width in range(5):
        declare(hero={"operations": [{"name": "resize", "options": {"width": 100 + width}}]})
        assert run("push", "--overwrite", "--purge") == (
            0,
            "hero: overwritten; rokka purges its caches, browsers keep theirs\n",
        )
    declare(hero=HERO)
    code, said = run("push", "--overwrite", "--purge")
    assert code == 1
    assert "The cache was not purged: rokka takes a few purges an hour; try again at " in said
    assert remote("hero").operations[0].options == {"width": 1600}

    emulator.paying.discard("acme")
    try:
        declare(hero=WIDER)
        code, said = run("push", "--overwrite", "--purge")
    finally:
        emulator.paying.add("acme")
    assert code == 1
    assert "not purged: only paying accounts can do that" in said

    emulator.add_fault(Fault(status=400, method="DELETE", body='{"message": "Not now."}'))
    declare(hero=HERO)
    assert "not purged: Not now." in run("push", "--overwrite", "--purge")[1]


def test_a_new_version_is_offered_and_nothing_is_written(declare: Any, run: Any) -> None:
    declare(hero=HERO, same=HERO)
    run("push")
    declare(hero={**WIDER, "sizes": "50vw"}, same=HERO)

    code, said = run("push", "--new-version")

    assert code == 1
    assert "hero has changed." in said
    assert '    "hero-v2": {' in said
    assert "manage.py rokka_stacks push hero-v2 --alias=default" in said
    assert "same-v2" not in said
    assert at_rokka() == ["hero", "same"]
    literal = said[said.index('"hero-v2": {') + len('"hero-v2": ') :].split(",\n\n")[0]
    assert eval(literal) == {**WIDER, "sizes": "50vw"}  # noqa: S307

    declare(**{"hero-v2": eval(literal), "same": HERO})  # noqa: S307
    assert run("push") == (0, "hero-v2: created\nsame: the same at rokka\n")
    assert run("prune", "--no-input")[1].endswith("hero: deleted\n")
    assert at_rokka() == ["hero-v2", "same"]
    with pytest.raises(CommandError, match="not allowed with argument"):
        run("push", "--new-version", "--overwrite")


# --- Prune ------------------------------------------------------------------------------------


def test_prune_asks_first(declare: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    declare(hero=HERO, mono=MONO)
    run("push")
    declare()

    assert run("prune", "--dry-run")[1].endswith("Nothing was deleted.\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("prune")[1].endswith("Nothing was deleted.\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="use --no-input"):
        run("prune")
    assert at_rokka() == ["hero", "mono"]

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run("prune", "hero")[1].endswith("hero: deleted\n")
    assert at_rokka() == ["mono"]


def test_what_is_needed_stays(declare: Any, run: Any) -> None:
    based = {"options": {"basestack": "base"}}
    declare(ground=HERO, base={"options": {"basestack": "ground"}}, old=HERO, mono=MONO)
    run("push")
    save("theirs", **based)
    declare(other={"STACK": "old"}, hero=HERO)

    code, said = run("prune", "--no-input")

    assert code == 0
    assert "old: kept, ROKKA['default']['STACK'] needs it\n" in said
    assert "base: kept, the stack 'theirs' needs it\n" in said
    assert "ground: kept, the stack 'base' needs it\n" in said
    assert at_rokka() == ["base", "ground", "old", "theirs"]


def test_a_stack_that_others_took_over_meanwhile_stays(declare: Any) -> None:
    declare(hero=HERO, mono=MONO)
    list(stacks.push())
    declare()
    found = stacks.prunable()
    save("hero", overwrite=True, **WIDER)
    get_client().delete_stack("mono")

    assert [(outcome.name, outcome.text) for outcome in stacks.prune("default", found.stacks)] == [
        ("hero", "kept: this site did not make it"),
        ("mono", "is gone already"),
    ]
    assert at_rokka() == ["hero"]


def test_another_site_in_the_same_organization_keeps_its_stacks(
    declare: Any, run: Any, settings: Any
) -> None:
    declare(other={"ENVIRONMENT": "production"}, hero=HERO)
    run("push")
    assert remote("hero").description == "[django_rokka production]"

    # Another machine, with a database of its own.
    Claim.objects.all().delete()
    declare(other={"ENVIRONMENT": "laptop"})
    assert [difference.kind for difference in stacks.read()] == [Kind.FOREIGN]
    assert run("prune", "--no-input") == (0, "No stack to delete.\n")


def test_another_alias_of_the_same_organization_keeps_its_stacks(
    declare: Any, run: Any, settings: Any
) -> None:
    declare(alias="stage", other={"ORGANIZATION": "acme"}, wide=WIDER)
    declare(hero=HERO)
    assert run("push") == (0, "hero: created\n")
    assert run("push", "--alias=stage") == (0, "wide: created\n")

    assert run("prune", "--no-input") == (0, "No stack to delete.\n")
    assert run("prune", "--no-input", "--alias=stage") == (0, "No stack to delete.\n")
    assert run("diff")[0] == 0


# --- Aliases and rights -----------------------------------------------------------------------


def test_each_alias_has_its_own_stacks(declare: Any, run: Any) -> None:
    declare(hero=HERO)
    declare(alias="stage", mono=MONO)

    assert run("push") == (0, "hero: created\n")
    assert run("push", "--alias", "stage") == (0, "mono: created\n")
    assert (at_rokka(), at_rokka("stage")) == (["hero"], ["mono"])
    assert list(eval(run("pull", "--alias=stage")[1])) == ["mono"]  # noqa: S307


def test_a_read_only_alias_may_look(declare: Any, run: Any) -> None:
    declare(hero=HERO)
    run("push")
    declare(other={"READ_ONLY": True}, mono=MONO)

    assert run("diff")[0] == 1
    assert run("push", "--dry-run") == (0, "mono: would be created\n")
    assert "hero" in run("pull")[1]
    with pytest.raises(CommandError, match="READ_ONLY"):
        run("push")
    with pytest.raises(CommandError, match="READ_ONLY"):
        run("prune", "--no-input")
    assert at_rokka() == ["hero"]


def test_a_copy_of_the_database_writes_nothing(declare: Any, run: Any) -> None:
    declare(other={"ENVIRONMENT": "production"}, hero=HERO)
    claim(get_config())
    declare(other={"ENVIRONMENT": "staging"}, hero=HERO)

    with pytest.raises(CommandError, match="belong to the environment 'production'"):
        run("push")


def test_a_key_that_may_only_read(declare: Any, run: Any, emulator: Emulator) -> None:
    emulator.add_key("reading-key", {"acme": "read"})
    declare(other={"API_KEY": "reading-key"}, hero=HERO)
    code, said = run("push")
    assert code == 1
    assert said.startswith("hero: failed: ")

    declare(other={"API_KEY": "wrong-key"}, hero=HERO)
    with pytest.raises(CommandError) as caught:
        run("push")
    assert "wrong-key" not in str(caught.value)


# --- Names in code ----------------------------------------------------------------------------


def test_names_that_are_known(declare: Any) -> None:
    check_known("anything")  # nobody declares
    check_known("anything", "default")

    declare(other={"STACK": "mono"}, hero=HERO)
    for name in ("hero", "mono", "dynamic"):
        check_known(name, "default")
        check_known(name)
    with pytest.raises(UnknownStack) as caught:
        check_known("heroo", "default")
    assert str(caught.value) == (
        "There is no stack 'heroo' in ROKKA['default']['STACKS']; did you mean 'hero'?"
    )
    with pytest.raises(UnknownStack, match=r"; known: dynamic, hero, mono$"):
        check_known("xyz", "default")
    with pytest.raises(UnknownStack):
        check_known("hero-v2", "default")
    check_known("anything", "stage")


def test_a_tag_may_show_pictures_of_every_alias_that_fields_use(declare: Any) -> None:
    declare(hero=HERO)
    with pytest.raises(UnknownStack, match="'mono' in the STACKS of the ROKKA setting"):
        check_known("mono")

    declare(alias="stage", mono=MONO)
    check_known("mono")
    check_known("hero")
    with pytest.raises(UnknownStack):
        check_known("mono", "default")

    declare(alias="default")
    check_known("anything")  # the fields of the tests use this alias, and it may have any


def messages(*ids: str) -> list[checks.CheckMessage]:
    return [message for message in checks.run_checks() if message.id in ids]


def test_checks_of_the_setting(declare: Any) -> None:
    declare(other={"STACK": "heroo"}, hero=HERO, mono=MONO)
    (message,) = messages("rokka.W003")
    assert message.msg == "ROKKA['default'] has the STACK 'heroo', not in STACKS."
    assert "did you mean 'hero'?" in str(message.hint)
    assert not messages("rokka.E016", "rokka.E017", "rokka.W004")

    declare(other={"STACK": "hero"}, dynamic=HERO, _mine=HERO, hero={"operations": [{"name": "x"}]})
    assert [str(message.msg) for message in messages("rokka.E016")] == [
        "ROKKA['default']['STACKS']['dynamic'] is a name of rokka's own.",
        "ROKKA['default']['STACKS']['_mine'] is a name of rokka's own.",
    ]
    (message,) = messages("rokka.W004")
    assert message.level == checks.WARNING
    assert message.msg.startswith(
        "ROKKA['default']['STACKS']['hero']: unknown operation 'x'; known: "
    )


@pytest.mark.parametrize(
    ("values", "mistake"),
    [
        ({"operations": [{"name": "resize", "options": {"mode": "fill"}}]},
         "resize needs 'width' or 'height'"),
        ({"operations": [{"name": "rotate"}]}, "rotate needs 'angle'"),
        ({"operations": [{"name": "noop", "options": {"x": 1}}]},
         "noop has no option 'x'; known: enabled"),
        ({"expressions": [{"expression": "$w > 2", "overrides": {"options": {"dppr": 1}}}]},
         "unknown stack option 'dppr'; did you mean 'dpr'?"),
        ({"expressions": [{"expression": "$w > 2"}]},
         "an expression uses $w, which is not among the variables"),
        ({"variables": {"h": "$w / 2", "w": 5}},
         "the variable 'h' uses $w, which must be declared before it"),
    ],
)  # fmt: skip
def test_mistakes_are_found_offline(values: Any, mistake: str) -> None:
    stack = Stack.from_json({**values, "name": "x"})

    assert mistake in stacks.mistakes(stack)


@pytest.mark.parametrize(
    "values",
    [
        MONO,
        {"variables": {"w": 5, "h": "$w / 2", "price": "$cheap"}},
        {"operations": [{"name": "text", "options": {"font": "a", "text": "$5"}}]},
        {"operations": [{"name": "sepia", "expressions": {"enabled": "request.x == '$y'"}}]},
        {"operations": [{"name": "svgdynamic", "expressions": [{"id": "a", "value": "5"}]}]},
        {"operations": [{"name": "blur", "options": {"enabled": False}}]},
    ],
)
def test_what_is_right_is_no_mistake(values: Any) -> None:
    assert stacks.mistakes(Stack.from_json({**values, "name": "x"})) == []


@isolate_apps("tests.library")
def test_the_stack_of_a_fields_storage(declare: Any) -> None:
    class Poster(models.Model):  # noqa: DJ008
        photo = RokkaImageField(storage=RokkaStorage(stack="heroo"))

        class Meta:
            app_label = "library"

    field = Poster._meta.get_field("photo")
    assert not [message for message in field.check() if message.id == "rokka.E017"]

    declare(hero=HERO)
    (message,) = [message for message in field.check() if message.id == "rokka.E017"]
    assert message.obj is field
    assert message.msg == (
        "There is no stack 'heroo' in ROKKA['default']['STACKS']; did you mean 'hero'?"
    )


def test_the_stack_of_a_storage_in_the_settings(declare: Any, settings: Any) -> None:
    backend = {"BACKEND": "django_rokka.storage.RokkaStorage", "OPTIONS": {"stack": "heroo"}}
    settings.STORAGES = {**settings.STORAGES, "pictures": backend}
    declare(hero=HERO)

    (message,) = messages("rokka.E017")
    assert message.msg.startswith("STORAGES['pictures']: There is no stack 'heroo' in ROKKA")


def test_no_check_calls_rokka(declare: Any, settings: Any) -> None:
    declare(other={"BASE_URL": "http://127.0.0.1:9"}, hero=HERO)

    assert not messages("rokka.E016", "rokka.E017", "rokka.W003", "rokka.W004")
    assert not [message for message in Article._meta.get_field("photo").check() if message.id]


# --- Python -----------------------------------------------------------------------------------


def test_python_is_broken_where_a_formatter_would_break_it() -> None:
    for length in range(1, 90):
        value = {"key": [{"name": "x" * length}], "other": {"a": ["y" * length]}}

        written = as_python(value)

        assert eval(written) == value  # noqa: S307
        # Only a text that is too long by itself is wider.
        assert all(len(line) <= 88 or line.count('"') <= 4 for line in written.splitlines())


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": None, "b": True, "c": [1, 2.5, "x"], "d": {}},
        {"a": "it's", "b": 'say "it"', "c": "both ' and \"", "d": "\\ \n \x00 ü \u2028"},
        {"long": ["x" * 50, {"y" * 60: ["z" * 70]}], "short": [[], {"a": {"b": 1}}]},
    ],
)
def test_python_reads_what_is_written(value: Any) -> None:
    assert eval(as_python(value)) == value  # noqa: S307


def test_python_is_written_as_people_do() -> None:
    assert as_python({"hero": HERO, "mono": {"operations": []}}) == (
        "{\n"
        '    "hero": {"operations": [{"name": "resize", "options": {"width": 1600}}]},\n'
        '    "mono": {"operations": []},\n'
        "}"
    )


def test_a_stack_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound):
        remote("hero")
