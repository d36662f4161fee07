# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A table of rows: the names of the rows, and what all of them demand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.coverage import covers
from tests.support.run.play import BUILTIN_PARAMIKO, PARAMIKO, Setting

from . import tree
from .bystanders import Company
from .rows import Outcome, play_row
from .triggers import CTRL_C, INT, KILL, TIMEOUT, Trigger

Took = Callable[[float], None]


@dataclass(frozen=True)
class Row:
    """One row: a trigger and a setting."""

    trigger: Trigger
    setting: Setting = field(default_factory=Setting)
    what: str = ""  #: in words, how it differs from the others

    @property
    def name(self) -> str:
        """The row in words: the trigger, and what differs from the default."""
        here, default = vars(self.setting), vars(Setting())
        told = [
            f"{name} {here[name]}"
            for name in (
                "become",
                "level",
                "strategy",
                "hosts",
                "track",
                "connection",
                "action",
                "supervise",
            )
            if here[name] != default[name]
        ]
        front = [self.setting.front.name] if self.setting.front else []
        return ", ".join(
            [
                *front,
                self.trigger.name,
                *([self.what] if self.what else []),
                "pipelining" if self.setting.pipelining else "tty",
                *told,
            ]
        )


#: A task that runs into its `timeout:` when the test lets it, and is rescued: the run ends well.
_RESCUED: dict[str, Any] = {
    "keywords": {"timeout": 3600},
    "rescue": [{"name": "Rescue", "ansible.builtin.debug": {}}],
}


def becoming(trigger: Trigger, become: str = "no", **setting: Any) -> Row:
    """Return a row with the largest tree that this login can grow.

    If its task runs into a timeout, it is rescued.
    """
    kinds = tree.WITHOUT_SUDO if become.startswith("another user") else tree.FULL
    return Row(
        trigger,
        Setting(
            **{
                "become": become,
                "kinds": kinds,
                **(_RESCUED if trigger is TIMEOUT else {}),
                **setting,
            }
        ),
    )


#: For rows that only --every-row runs.
rest = pytest.mark.rest


#: (section, subject) of the table of what is covered.
Subjects = Sequence[tuple[str, str]]

#: Words of that table for the ends of a run. Other triggers are not in it.
ENDS = {INT: "interrupt", CTRL_C: "interrupt", KILL: "KILL of main", TIMEOUT: "timeout"}

_CONNECTIONS = {
    "": "ssh",
    PARAMIKO: PARAMIKO,
    BUILTIN_PARAMIKO: f"{BUILTIN_PARAMIKO}, before ansible-core 2.21",
}

_BECOME = {
    "root, no password": "sudo, NOPASSWD",
    "root, by password": "sudo, with password",
    "another user": "sudo, to a third user",
    "root, by su": "su, with password",
    "another user, by su": "su, to a third user",
    "root, by doas": "doas",
    "root, by doas and password": "doas, with password",
    "root, by machinectl": "community.general.machinectl",
    "root, by run0": "community.general.run0",
    "another user, by machinectl": "community.general.machinectl, to a third user",
    "another user, by run0": "community.general.run0, to a third user",
}


def of_setting(setting: Setting) -> Subjects:
    """Return what a row with this setting covers.

    That is its connection, its action, the account that it becomes, and where that is set.
    """
    if setting.connection not in _CONNECTIONS:
        return []
    own = setting.track == "plugins" and not setting.connection
    found = [("Connections", "treekill.remote.ssh" if own else _CONNECTIONS[setting.connection])]
    if setting.action != "shell" or setting.track == "plugins":
        found.append(("Actions", f"treekill.remote.{setting.action}"))
    if setting.becoming.keywords:
        found += [("Become", _BECOME[setting.become]), ("Become", f"at {setting.level} level")]
    return found


def rows(*table: Row, others: Sequence[Row] = (), also: Subjects = ()) -> pytest.MarkDecorator:
    """Return a table of rows as parameters of a test.

    Each is marked with what its setting covers, and with `also`. `others`: rows that differ less
    from one of the table, for --every-row. Rows without a supervisor have no mark: some have
    survivors.
    """
    return pytest.mark.parametrize(
        "row",
        [
            pytest.param(row, marks=[*_marks(row, also), *([rest] if row in others else [])])
            for row in (*table, *others)
        ],
        ids=lambda row: row.name,
    )


def _marks(row: Row, also: Subjects) -> list[pytest.MarkDecorator]:
    end = ENDS.get(row.trigger)
    if end is None or not row.setting.supervise:
        return []
    return [covers(*words, end) for words in (*of_setting(row.setting), *also)]


def shows(trigger: Trigger, section: str, *subjects: str) -> list[pytest.MarkDecorator]:
    """Return the marks of a row that this trigger ends, for that table."""
    return [covers(section, subject, ENDS[trigger]) for subject in subjects if trigger in ENDS]


def assert_nothing_survived(
    outcome: Outcome,
    trigger: Trigger,
    *,
    but: frozenset[str] = frozenset(),
    status: int | None = None,
) -> None:
    """Assert all that every row demands.

    `but`: kinds of processes that do survive, and have to be there. `status`: of the main process,
    if not the trigger's.
    """
    # Survivors that fork show processes without a name, or with only the first words of their
    # command line. These processes come and go.
    alive = {
        name
        for name in outcome.alive
        if not (but and re.fullmatch(r"\d+ of \w+: '(\[.*\]|bash -c trap .*)'", name, re.DOTALL))
    }
    assert alive == set(but), (
        f"alive after {outcome.seconds:.1f} s: {outcome.survivors}\n"
        f"left on the controller: {outcome.left}\n{outcome.story}"
    )
    assert not outcome.late, (
        f"alive {outcome.seconds:.1f} s after the trigger, which is too late: {outcome.late}\n"
        f"{outcome.story}"
    )
    assert not outcome.dead, f"bystanders died: {', '.join(outcome.dead)}\n{outcome.story}"
    assert not outcome.left, f"left on the controller: {outcome.left}\n{outcome.story}"
    assert outcome.status == (trigger.status if status is None else status), outcome.story
    if trigger.recap:
        silent = [
            host
            for host in outcome.hosts
            if not re.search(rf"^{host} +: ended \d+ .*survivors 0", outcome.errors, re.MULTILINE)
        ]
        assert not silent, f"no line in the recap for {', '.join(silent)}\n{outcome.story}"


def nothing_survives(company: Company, row: Row, took: Took) -> None:
    """Play it, and assert all that every row demands."""
    outcome = play_row(company, row.setting, row.trigger)
    took(outcome.seconds)
    assert_nothing_survived(outcome, row.trigger)
