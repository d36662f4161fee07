# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a module about a kill pass of its own."""

from ansible_collections.treekill.remote.plugins.module_utils._survey import selected_kill


class MadeUpPass:
    """A kill pass that has ended three processes in three ways."""

    def __init__(self, request, control):
        pass

    def find(self):
        return False

    def report(self):
        rows = (
            "tool\0--db-password\0correct horse",
            "env TOKEN=horse",
            "git clone https://deploy:horse@host/" + "x" * 240,
        )
        return {
            "finishing": [],
            **{
                name: [{"command": command}]
                for name, command in zip(("gone", "survivors", "spared"), rows)
            },
        }


def test_the_command_lines_of_a_kill_pass_are_masked_as_those_of_a_plan_are(monkeypatch):
    monkeypatch.setattr(selected_kill, "KillPass", MadeUpPass)
    monkeypatch.setattr(selected_kill, "ignore_signals", lambda: None)
    report = selected_kill.end_selection(None, None)
    shown = [row["command"] for name in ("gone", "survivors", "spared") for row in report[name]]
    assert [command[:40] for command in shown] == [
        "tool --db-password ********",
        "env TOKEN=********",
        "git clone https://deploy:********@host/xx"[:40],
    ]
