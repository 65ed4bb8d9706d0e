"""``manage.py rokka_stacks``: the stacks of the setting, and those at rokka."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from django_rokka import api, stacks
from django_rokka.conf import DEFAULT_ALIAS, get_config
from django_rokka.stack_texts import as_python
from django_rokka.stacks import Kind

_ACTIONS = {
    "diff": "show how the stacks of the setting differ from those at rokka",
    "push": "create at rokka what the setting has; what has changed is refused without --overwrite",
    "pull": "print what rokka has as Python, for the setting",
    "prune": "delete the stacks that this site made and that are not in the setting any more",
}
_NOTES = {
    Kind.CHANGED: "changed",
    Kind.FOREIGN: "foreign: not in the setting, and not made by this site; it is left alone",
    Kind.OBSOLETE: "obsolete: made by this site, and not in the setting any more; prune deletes it",
}
_NEW_VERSION = """
{old} has changed. Under a new name nobody sees old renders:

1. In ROKKA[{alias!r}]['STACKS'], have this in the place of {old}:

    "{new}": {setting},

2. Create it, before the new code is used:

    manage.py rokka_stacks push {new} --alias={alias}

3. Write {new} where {old} stands: in tags, in STACK and in the stack of a storage. The system checks, and
   templates as they are loaded, name the places that are left.
4. When no page shows {old} any more, prune removes it, if this site made it.
"""


class Command(BaseCommand):
    """Parses, calls `django_rokka.stacks`, and reports."""

    help = (
        "Compare the STACKS of the ROKKA setting with the organization, and bring them together. Exit code "
        "1 if diff finds that push or prune has something to do, or if something was refused or failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What to do, each with its own options."""
        actions = parser.add_subparsers(dest="action", required=True)
        added = {
            name: actions.add_parser(name, help=text, description=text)
            for name, text in _ACTIONS.items()
        }
        for action in added.values():
            action.add_argument("names", nargs="*", help="the stacks (default: all)")
            action.add_argument("--alias", default=DEFAULT_ALIAS, help="a key of the ROKKA setting")
        _add_push_arguments(added["push"])
        prune = added["prune"]
        prune.add_argument("--dry-run", action="store_true", help="only list what would go")
        prune.add_argument("--no-input", action="store_true", help="do not ask")

    def handle(self, *args: Any, action: str, alias: str, names: list[str], **options: Any) -> None:
        """Do it, and end with 1 if not everything is well."""
        try:
            well = getattr(self, f"_{action}")(alias, names, options)
        except (stacks.UnknownStack, api.RokkaError) as error:
            raise CommandError(str(error)) from error
        if not well:
            sys.exit(1)

    # --- Diff ---------------------------------------------------------------------------------

    def _diff(self, alias: str, names: list[str], options: Any) -> bool:
        everything = stacks.read(alias)
        versions = stacks.new_versions(everything)
        chosen = stacks.choose(everything, names)
        for difference in chosen:
            self._show(difference, versions)
        return all(difference.settled for difference in chosen)

    def _show(self, difference: stacks.Difference, versions: dict[str, str]) -> None:
        kind = difference.kind
        self.stdout.write(f"{difference.name}: {_NOTES.get(kind, kind.value)}")
        for mistake in difference.mistakes:
            self.stdout.write(self.style.ERROR(f"    ! {mistake}"))
        if kind in (Kind.NEW, Kind.CHANGED):
            for line in difference.lines():
                self.stdout.write(f"    {self._coloured(line)}")
        if kind is Kind.CHANGED:
            name = versions[difference.name]
            note = f"    Caches and browsers keep old renders for up to a year; a new name: {name}"
            self.stdout.write(self.style.WARNING(note))

    def _coloured(self, line: str) -> str:
        styles = {"-": self.style.ERROR, "+": self.style.SUCCESS}
        return styles[line[0]](line) if line[0] in styles else line

    # --- Push ---------------------------------------------------------------------------------

    def _push(self, alias: str, names: list[str], options: Any) -> bool:
        if options["purge"] and not options["overwrite"]:
            raise CommandError(
                "--purge goes with --overwrite: only a changed stack has old renders."
            )
        given = {key: options[key] for key in ("overwrite", "purge", "dry_run")}
        well = self._report(stacks.push(alias, names, **given))
        if options["new_version"]:
            self._offer(alias, names)
        return well

    def _report(self, outcomes: Iterable[stacks.Outcome]) -> bool:
        well = True
        for outcome in outcomes:
            style = self.style.SUCCESS if outcome.ok else self.style.ERROR
            self.stdout.write(f"{outcome.name}: {style(outcome.text)}")
            well = well and outcome.ok
        return well

    def _offer(self, alias: str, names: list[str]) -> None:
        everything, config = stacks.read(alias), get_config(alias)
        versions = stacks.new_versions(everything)
        for difference in stacks.choose(everything, names):
            if (new := versions.get(difference.name)) and difference.declared:
                setting = stacks.setting_of(config, difference.name, difference.declared)
                literal = as_python(setting, indent=4)
                self.stdout.write(
                    _NEW_VERSION.format(old=difference.name, new=new, alias=alias, setting=literal)
                )

    # --- Pull ---------------------------------------------------------------------------------

    def _pull(self, alias: str, names: list[str], options: Any) -> bool:
        found = stacks.pull(alias, names)
        self.stdout.write(f"# For ROKKA[{alias!r}]['STACKS']:\n{as_python(found)}")
        return True

    # --- Prune --------------------------------------------------------------------------------

    def _prune(self, alias: str, names: list[str], options: Any) -> bool:
        found, config = stacks.prunable(alias, names), get_config(alias)
        for name, why in found.needed.items():
            self.stdout.write(f"{name}: kept, {why} needs it")
        if not found.stacks:
            self.stdout.write("No stack to delete.")
            return True
        self.stdout.write("Deleted stacks render nothing any more, once caches are stale:")
        for difference in found.stacks:
            self.stdout.write(f"    {difference.name}  {config.render_base}/{difference.name}/")
        if options["dry_run"] or not (options["no_input"] or self._agreed(len(found.stacks))):
            self.stdout.write("Nothing was deleted.")
            return True
        return self._report(stacks.prune(alias, found.stacks))

    def _agreed(self, count: int) -> bool:
        try:
            return input(f"Delete {count}? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            raise CommandError("Nobody is there to answer; use --no-input.") from None


def _add_push_arguments(push: Any) -> None:
    way = push.add_mutually_exclusive_group()
    way.add_argument("--overwrite", action="store_true", help="replace what has changed")
    way.add_argument(
        "--new-version",
        action="store_true",
        help="show how to give what has changed a new name; your code is not edited",
    )
    push.add_argument(
        "--purge",
        action="store_true",
        help="with --overwrite: ask rokka's CDN to forget old renders (paying accounts, a few an hour)",
    )
    push.add_argument(
        "--dry-run", action="store_true", help="change nothing, only say what would be"
    )
