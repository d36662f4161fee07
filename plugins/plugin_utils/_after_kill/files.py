# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The private directory of the run after the kill.

It holds the play, the hosts and variables, the program, and pipes for secrets.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import typing as t

from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.plan import PRIVATE
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import AfterKillPlan

_PROGRAM = '''\
"""ansible-playbook of the interrupted ansible-core, run by treekill.remote after the kill."""

import json
import signal
import sys
import threading

with open(3, encoding="utf-8") as given:
    order = json.load(given)
sys.path[:] = order["path"]
# The last bound: without its guardian, nothing else would end this process.
# Forks do not inherit it.
signal.setitimer(signal.ITIMER_REAL, order["seconds"])


def hand_over(name, secret):
    # It waits for the one reader, which reads to the end.
    # Nothing of the secret is on a disk or in a process list.
    with open(name, "w", encoding="utf-8") as pipe:
        pipe.write(secret)


for name, secret in order["secrets"].items():
    threading.Thread(target=hand_over, args=(name, secret), daemon=True).start()
del order

from ansible.cli.playbook import main

sys.exit(main())
'''


class AfterFiles:
    """The directory, mode 0700, and its content. Remove it when the run has ended."""

    def __init__(self, parent: str, plan: AfterKillPlan) -> None:
        """Make the directory. Raises OSError if the disk is full."""
        self._plan = plan
        self.directory = tempfile.mkdtemp(
            prefix="after-", dir=parent if os.path.isdir(parent) else None
        )
        self.program = self._write("ansible-playbook", _PROGRAM)
        self.outcome = os.path.join(self.directory, "outcome.json")
        for name in plan.secrets:
            os.mkfifo(os.path.join(self.directory, name), 0o600)

    def remove(self) -> None:
        """Remove all of it. Files that are missing already are no error."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def arguments(self, run: str, cause: str, tasks: t.Mapping[str, t.Sequence[str]]) -> list[str]:
        """Return the program's arguments, and write the files that they name."""
        variables = self._write("variables.yml", _variables(run, cause, tasks))
        words = [word.replace(PRIVATE, self.directory) for word in self._plan.arguments]
        words.append(f"--extra-vars=@{variables}")
        if self._plan.are_playbooks:
            hosts = self._write("hosts", "".join(f"{host}\n" for host in tasks))
            return [*words, f"--limit=@{hosts}", *self._plan.paths]
        self._link_neighbours()
        return [*words, self._write("after_kill.yml", _play(self._plan.paths))]

    def environment(self) -> dict[str, str]:
        """Return the variables that it gets besides those of the interrupted run."""
        return {
            name: value.replace(PRIVATE, self.directory)
            for name, value in self._plan.environment.items()
        }

    def order(self, seconds: float) -> bytes:
        """Return the order that its program reads first, from a pipe."""
        secrets = {
            os.path.join(self.directory, name): secret
            for name, secret in self._plan.secrets.items()
        }
        return json.dumps(
            {"path": self._plan.path, "seconds": seconds, "secrets": secrets}
        ).encode()

    def _write(self, name: str, text: str) -> str:
        path = os.path.join(self.directory, name)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
        return path

    def _link_neighbours(self) -> None:
        """Link the folders beside the interrupted playbook.

        Core looks for group_vars, host_vars, roles and plugins beside a playbook.
        """
        with os.scandir(self._plan.basedir) as entries:
            for entry in entries:
                if entry.is_dir() and not entry.name.startswith("."):
                    os.symlink(entry.path, os.path.join(self.directory, entry.name))


def _play(paths: t.Sequence[str]) -> str:
    tasks = [
        {"name": f"Run {os.path.basename(path)}", "ansible.builtin.include_tasks": {"file": path}}
        for path in paths
    ]
    play = {
        "name": "After the kill",
        "hosts": "{{ treekill_hosts }}",
        "gather_facts": False,
        "tasks": tasks,
    }
    return json.dumps([play], indent=1)


#: The variables that `_variables` writes, but the option that it clears.
VARIABLES = (
    "treekill_run",
    "treekill_cause",
    "treekill_hosts",
    "treekill_interrupted",
    "treekill_task",
)


def _variables(run: str, cause: str, tasks: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the variables as YAML.

    Names of tasks and hosts are marked as no templates, because a name may contain what a host has
    sent.
    """
    interrupted = ", ".join(
        f"{_quoted(host)}: {{tasks: {_unsafe(names)}}}" for host, names in tasks.items()
    )
    return (
        f"treekill_run: {_quoted(run)}\n"
        f"treekill_cause: {_quoted(cause)}\n"
        f"treekill_hosts: {_unsafe(tasks)}\n"
        f"treekill_interrupted: {{{interrupted}}}\n"
        "treekill_task: '{{ treekill_interrupted[inventory_hostname].tasks[0] }}'\n"
        "treekill_after_kill: ''\n"
    )


def _unsafe(texts: t.Iterable[str]) -> str:
    # The tag is on the list, not on each text. YAML may take a text with that tag for a number, or
    # for its special value "=".
    return f"!unsafe [{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    # YAML does not have all of JSON's escapes: it has no surrogate pairs.
    known = text.encode("utf-8", "replace").decode()
    characters = (one if _is_plain(one) else f"\\U{ord(one):08x}" for one in known)
    return f'"{"".join(characters)}"'


def _is_plain(character: str) -> bool:
    return character.isascii() and character.isprintable() and character not in '"\\'
