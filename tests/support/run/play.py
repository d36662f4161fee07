# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a row of the matrix.

Inventory, ansible.cfg and an ordinary playbook are written from its setting.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.hosts import PASSWORD, Lab
from tests.support.trees import tree

CALLBACK = "treekill.remote.guardian"

PARAMIKO = "treekill.remote.paramiko_ssh"

#: Core's own connection, which is gone from 2.21.
BUILTIN_PARAMIKO = "ansible.builtin.paramiko_ssh"


@dataclass(frozen=True)
class Becoming:
    """The account that logs in, and the account as which the task runs."""

    login: str = "ansible"
    keywords: Mapping[str, Any] | None = (
        None  #: of the play, the block or the task, see `Setting.level`
    )
    variables: Mapping[str, Any] | None = None  #: of every host


#: Folder of become plugins that are not core's own.
PLUGINS = Path(__file__).with_name("become_plugins")

#: Settings by the words that the rows use.
BECOME = {
    "no": Becoming(),
    "root, no password": Becoming(keywords={"become": True}),
    "root, by password": Becoming(
        login="secret", keywords={"become": True}, variables={"ansible_become_password": PASSWORD}
    ),
    # Neither of the two is root, and the hosts have no ACLs: core has to be allowed to make its
    # files readable for all users.
    "another user": Becoming(
        keywords={"become": True, "become_user": "other"},
        variables={"ansible_shell_allow_world_readable_temp": True},
    ),
    # One more login shell, which reads the command line.
    "root, by sudo -i": Becoming(keywords={"become": True, "become_flags": "-H -S -n -i"}),
    "root, by su": Becoming(
        keywords={"become": True, "become_method": "su"},
        variables={"ansible_become_password": PASSWORD},
    ),
    # From root: core can give its files away, and su asks for no password.
    "another user, by su": Becoming(
        login="root", keywords={"become": True, "become_method": "su", "become_user": "other"}
    ),
    "root, by doas": Becoming(keywords={"become": True, "become_method": "doas"}),
    "root, by doas and password": Becoming(
        login="secret",
        keywords={"become": True, "become_method": "doas"},
        variables={"ansible_become_password": PASSWORD},
    ),
    # systemd starts the command, and not the program that asks for it.
    **{
        f"{name}, by {method}": Becoming(
            login=login,
            keywords={
                "become": True,
                "become_method": f"community.general.{method}",
                "become_user": user,
            },
        )
        for method in ("machinectl", "run0")
        for name, login, user in (("root", "ansible", "root"), ("another user", "root", "other"))
    },
    # The task itself calls sudo, not Ansible, and gives it the password.
    "no, sudo wants a password": Becoming(login="secret"),
    "no, there is no sudo": Becoming(login="limited"),
}


@dataclass(frozen=True)
class FrontEnd:
    """Another program than `ansible-playbook` that starts a run."""

    name: str
    #: Function that returns the words of the command. It gets the directory of the run, with
    #: configuration and playbook, and the environment. It may add to both.
    start: Callable[[Path, dict[str, str]], Sequence[str]]


@dataclass(frozen=True)
class Setting:
    """Configuration of the run of a row."""

    pipelining: bool = False
    become: str = "no"  #: one of BECOME
    level: str = "play"  #: the keyword's place: `play`, `block` or `task`
    strategy: str = "linear"
    hosts: int = 2
    forks: int = 25
    #: `plugins`: nothing in core is patched, the play names the collection's own connection and
    #: action.
    track: str = "all"
    connection: str = ""  #: the one that the play names, instead of the default
    action: str = "shell"  #: `raw`, `script` or `command`: of this collection
    supervise: bool = True
    kinds: tuple[str, ...] = tree.FULL
    kill_timeout: float = 1.0  #: seconds
    leaves: tuple[
        str, ...
    ] = ()  #: daemons that the first task leaves on purpose, besides one; kinds of processes
    keywords: Mapping[str, Any] = field(default_factory=dict)  #: of the task with the tree
    variables: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict
    )  #: by name of a host, its additional variables
    rescue: Sequence[
        Mapping[str, Any]
    ] = ()  #: tasks, if that one fails; `{{ row }}` is the mark of the run
    first: Sequence[Mapping[str, Any]] = ()  #: tasks before all others
    after: Sequence[Mapping[str, Any]] = ()  #: tasks after it
    options: Mapping[str, object] = field(
        default_factory=dict
    )  #: more of [treekill] in ansible.cfg
    ssh: Mapping[str, object] = field(default_factory=dict)  #: more of [ssh_connection]
    paramiko: Mapping[str, object] = field(default_factory=dict)  #: more of [paramiko_connection]
    front: FrontEnd | None = None  #: what starts the run, instead of `ansible-playbook` itself

    @property
    def becoming(self) -> Becoming:
        """The account that `become` stands for."""
        return BECOME[self.become]


def write(directory: Path, row: str, lab: Lab, setting: Setting, *, collection: bool) -> Path:
    """Write all that `ansible-playbook` needs into the directory, and return the playbook."""
    names = [host.name for host in lab][: setting.hosts]
    write_configuration(directory, lab, setting, collection=collection)
    (directory / "targets.json").write_text(json.dumps(_targets(names, row, setting)))
    (directory / "daemons.sh").write_text(_daemons(row, setting))
    (directory / "tree.sh").write_text(tree.script(row, setting.kinds))
    growing: dict[str, Any] = {**_growing_task(setting), **setting.keywords}
    if setting.rescue:
        growing = {"name": "Grow and rescue", "block": [growing], "rescue": [*setting.rescue]}
    leaving = _shell_task("Leave daemons on purpose", "{{ lookup('file', 'daemons.sh') }}", setting)
    return _write_play(directory, setting, [*setting.first, leaving, growing, *setting.after])


def write_scripted(
    directory: Path, row: str, lab: Lab, setting: Setting, script: str, *, collection: bool
) -> Path:
    """Write the files for a run without a tree: the shell script of its task is given."""
    names = [host.name for host in lab][: setting.hosts]
    write_configuration(directory, lab, setting, collection=collection)
    (directory / "targets.json").write_text(json.dumps(_targets(names, row, setting)))
    (directory / "script.sh").write_text(script)
    task = {
        **_shell_task("Run a script", "{{ lookup('file', 'script.sh') }}", setting),
        **setting.keywords,
    }
    return _write_play(directory, setting, [task, *setting.after])


def earlier_label(row: str) -> str:
    """Return the common part of the names of the daemons that the first task leaves on purpose."""
    return f"earlier-{row}"


def _daemons(row: str, setting: Setting) -> str:
    one = (
        f"nohup setsid bash -c 'exec -a tk-{earlier_label(row)} sleep {tree.LIFETIME}' < "
        "/dev/null > /dev/null 2>&1 &\n"
    )
    return one + (tree.left_behind(earlier_label(row), setting.leaves) if setting.leaves else "")


def _write_play(directory: Path, setting: Setting, tasks: Sequence[Mapping[str, Any]]) -> Path:
    play: dict[str, Any] = {
        "name": "A row of the matrix",
        "hosts": "targets",
        "gather_facts": False,
        "strategy": setting.strategy,
    }
    become = dict(setting.becoming.keywords or {})
    if setting.level == "block":
        play["tasks"] = [{"name": "Become another user", "block": [*tasks], **become}]
    elif setting.level == "task":
        play["tasks"] = [{**task, **become} for task in tasks]
    else:
        play.update(become, tasks=[*tasks])
    if setting.connection or setting.track == "plugins":
        play["connection"] = setting.connection or "treekill.remote.ssh"
    playbook = directory / "playbook.yml"
    # JSON is YAML.
    playbook.write_text(json.dumps([play], indent=1))
    return playbook


def _growing_task(setting: Setting) -> dict[str, Any]:
    if setting.action == "script":
        return {
            "name": "Grow a tree",
            "treekill.remote.script": {"cmd": "tree.sh", "executable": "/bin/sh"},
        }
    if setting.action == "raw":
        return {
            "name": "Grow a tree",
            "treekill.remote.raw": {
                "cmd": "{{ lookup('file', 'tree.sh') }}",
                "executable": "/bin/sh",
            },
        }
    if setting.action == "command":
        return {
            "name": "Grow a tree",
            "treekill.remote.command": {
                "argv": ["/bin/sh", "-c", "{{ lookup('file', 'tree.sh') }}"]
            },
        }
    return _shell_task("Grow a tree", "{{ lookup('file', 'tree.sh') }}", setting)


def _shell_task(name: str, script: str, setting: Setting) -> dict[str, Any]:
    task: dict[str, Any] = {"name": name}
    if setting.track == "plugins":
        task["treekill.remote.shell"] = {"cmd": script}
    else:
        task["ansible.builtin.shell"] = script
    if {"password-sudo", "su-password", "su-password-daemon"} & {*setting.kinds}:
        task["environment"] = {"TK_PASSWORD": PASSWORD}
    return task


def _targets(names: Sequence[str], row: str, setting: Setting) -> dict[str, Any]:
    variables = {
        "row": row,
        "ansible_user": setting.becoming.login,
        **(setting.becoming.variables or {}),
    }
    return {
        "targets": {
            "hosts": {name: dict(setting.variables.get(name, {})) for name in names},
            "vars": variables,
        }
    }


def write_configuration(directory: Path, lab: Lab, setting: Setting, *, collection: bool) -> None:
    """Write ansible.cfg.

    If the directory is the home of the run, also write the host keys where paramiko looks for them.
    """
    (directory / "ansible.cfg").write_text(configuration(directory, lab, setting, collection))
    if setting.connection in (PARAMIKO, BUILTIN_PARAMIKO):
        (directory / ".ssh").mkdir(mode=0o700)
        (directory / ".ssh/known_hosts").write_text(lab.known_hosts.read_text())


def configuration(directory: Path, lab: Lab, setting: Setting, collection: bool) -> str:
    """Return the text of ansible.cfg."""
    lines = [
        "[defaults]",
        f"inventory = {lab.inventory},{directory}/targets.json",
        f"forks = {setting.forks}",
        f"become_plugins = {PLUGINS}",
        *([f"callbacks_enabled = {CALLBACK}"] if collection else []),
        "[inventory]",
        "enable_plugins = ini, yaml",
        "[ssh_connection]",
        f"pipelining = {setting.pipelining}",
        # Short, because the name of a socket has some hundred characters at most.
        f"control_path_dir = {directory}/cp",
        *_lines(setting.ssh),
        "[paramiko_connection]",
        f"pipelining = {setting.pipelining}",
        *_lines(setting.paramiko),
    ]
    if collection:
        lines += [
            "[treekill]",
            f"kill_timeout = {setting.kill_timeout:g}",
            f"track = {setting.track}",
            f"supervise = {setting.supervise}",
        ]
        lines += _lines(setting.options)
    return "\n".join(lines) + "\n"


def _lines(options: Mapping[str, object]) -> list[str]:
    return [f"{name} = {value}" for name, value in options.items()]
