# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs of a task: containers, commands on other hosts, units, queues, terminal servers.

A hand-off is no child of any process of the tree. It is recognised by its client: the process of
the tree that has asked for it, as `docker run` or `ssh`. A client that returns at once has ended
when the tree is found: hand_off_hints.py finds it in the text of the task.

Of a command line only the words that are needed to look for the hand-off are read. The values of
all other options are skipped, since they may be secrets. The readers are in container_clients.py,
remote_clients.py and service_clients.py.
"""

from __future__ import annotations

import typing as t
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    COMMAND_CHARACTERS,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.command_options import (
    UnknownOptionError,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.container_clients import (
    ENGINES,
    PLACES_OF_KUBECTL,
    of_compose,
    of_engine,
    of_kubectl,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import HandOff
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.remote_clients import (
    of_rsync,
    of_ssh,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.service_clients import (
    of_at,
    of_crontab,
    of_screen,
    of_systemctl,
    of_systemd_run,
    of_tmux,
)


def hand_off(words: Sequence[str]) -> HandOff | None:
    """Return what a client has asked for; None for a command line that hands nothing off."""
    name = _base(*words[:1])
    read = of_engine if name in ENGINES else _READERS.get(name)
    try:
        return read(name, words[1:]) if read else None
    except UnknownOptionError:
        if {"run", "exec", "start", "restart"}.isdisjoint(words):
            return None
        detached = not {"-d", "--detach", "--detach=true", "start", "restart"}.isdisjoint(words)
        return _unread(name, words[1:], detached)


def _unread(name: str, words: Sequence[str], at_once: bool = False) -> HandOff:
    """Return the hand-off of a client whose other words do not show what it has asked for."""
    # Options before the command may lead elsewhere, and those of kubectl stand anywhere.
    elsewhere = any(word.startswith("-") for word in words[:1]) or (
        name in ("kubectl", "oc") and any(word.startswith(PLACES_OF_KUBECTL) for word in words)
    )
    kind, look = _KINDS.get(name, "container"), _LOOKS.get(name, ())
    return HandOff(kind, name, name, () if elsewhere else look, at_once)


def of_command(command: str) -> HandOff | None:
    """Return what a process has asked for, by its command line in a report.

    A single word is that of a process whose arguments may not be shown. A command line that was cut
    off has lost at least a part of its last word.
    """
    separator = "\0" if "\0" in command else None
    name = _base(*command.split(separator, 1)[:1])
    if name not in CLIENTS and not name.startswith("python"):
        # A report may have 30,000 processes.
        return None
    words = command.split(separator)
    if name.startswith("python"):
        # Version 1 of docker-compose is a script.
        words, name = words[1:], _base(*words[1:2])
        if name != "docker-compose":
            return None
    if len(command) >= COMMAND_CHARACTERS:
        words = words[:-1]
    found = hand_off(words) if words[1:] else None
    # Where the name itself was cut off, the program is named.
    cut = len(command) >= COMMAND_CHARACTERS and (
        _KINDS.get(name) == "host" or not {"run", "exec"}.isdisjoint(words)
    )
    if found is None and (cut or not words[1:]):
        return _unread(name, words[1:])
    return found


def _base(word: str = "") -> str:
    return word.rpartition("/")[2]


#: Kinds of hand-offs by their clients. All others are containers.
_KINDS = {
    "rsync": "host",
    "ssh": "host",
    "systemctl": "unit",
    "systemd-run": "unit",
    "at": "queue",
    "batch": "queue",
    "crontab": "queue",
    "tmux": "terminal",
    "screen": "terminal",
}
#: Each reads the words behind the name of a client. It returns None if they hand nothing off.
_READERS: t.Mapping[str, t.Callable[[str, Sequence[str]], HandOff | None]] = {
    "docker-compose": of_compose,
    "kubectl": of_kubectl,
    "oc": of_kubectl,
    "ssh": of_ssh,
    "rsync": of_rsync,
    "systemd-run": of_systemd_run,
    "systemctl": of_systemctl,
    "at": of_at,
    "batch": of_at,
    "crontab": of_crontab,
    "tmux": of_tmux,
    "screen": of_screen,
}
#: Programs that hand work to others.
CLIENTS = frozenset({*ENGINES, *_READERS})

#: What shows the hand-offs of a program whose arguments may not be reported.
_LOOKS: t.Mapping[str, tuple[str, ...]] = {
    "rsync": (),
    "ssh": (),
    "docker": ("docker", "ps"),
    "podman": ("podman", "ps"),
    "podman-remote": ("podman-remote", "ps"),
    "nerdctl": ("nerdctl", "ps"),
    "docker-compose": ("docker-compose", "ls"),
    "kubectl": ("kubectl", "get", "pod"),
    "oc": ("oc", "get", "pod"),
    "systemd-run": ("systemctl", "list-units"),
    "systemctl": ("systemctl", "list-units"),
    "at": ("atq",),
    "batch": ("atq",),
    "crontab": ("crontab", "-l"),
    "tmux": ("tmux", "ls"),
    "screen": ("screen", "-ls"),
}
