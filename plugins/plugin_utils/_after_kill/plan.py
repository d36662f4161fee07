# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be run after the kill, and with what: the plan that the main process makes while it has its command line.

This file is private to the collection treekill.remote.

The guardian, which outlives the main process, carries it out. Passwords that were typed are part of the plan: like a kill order it lives in memory, and
travels over a private socket.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import typing as t

from ansible import constants as C
from ansible import context
from ansible.cli import CLI
from ansible.errors import AnsibleError, AnsibleOptionsError
from ansible.parsing.vault import PromptVaultSecret
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.outcome import is_after_run
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import AfterOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import AfterKillPlan

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook.play_context import PlayContext

PRIVATE = "{treekill private directory}"
"""Stands in words and variables for the directory that is made when the plan is carried out."""

_OPTIONS = {
    "remote_user": "--user",
    "private_key_file": "--private-key",
    "connection": "--connection",
    "timeout": "--timeout",
    "ssh_common_args": "--ssh-common-args",
    "ssh_extra_args": "--ssh-extra-args",
    "sftp_extra_args": "--sftp-extra-args",
    "scp_extra_args": "--scp-extra-args",
    "become_method": "--become-method",
    "become_user": "--become-user",
    "connection_password_file": "--connection-password-file",
    "become_password_file": "--become-password-file",
    "forks": "--forks",
}
"""By the name that core gives an option with a value, how it is written. Handed on as they are; where one was not given, this is core's own default."""

_FLAGS = {"become": "--become", "check": "--check", "diff": "--diff"}

_PROMPTS = ("prompt", "prompt_ask_vault_pass")
"""What a vault identity says whose password is asked on the terminal."""

_ENVIRONMENT = {
    # What was asked on the terminal is handed over; there is nobody to be asked again.
    "ANSIBLE_ASK_PASS": "False",
    "ANSIBLE_BECOME_ASK_PASS": "False",
    "ANSIBLE_ASK_VAULT_PASS": "False",
    # Its output is shown in a recap, if at all.
    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_FORCE_COLOR": "False",
}


@dataclasses.dataclass
class AfterPlan:
    """Files, command line and secrets of the run after the kill. Times in seconds."""

    files: tuple[str, ...]
    """As the user names them."""
    paths: tuple[str, ...]
    are_playbooks: bool
    basedir: str
    """Of the playbook that is being run: variables and roles beside it are the after-run's as well."""
    arguments: tuple[str, ...]
    environment: dict[str, str]
    secrets: dict[str, str] = dataclasses.field(repr=False)
    """By the name of the pipe in the private directory through which each is read."""
    timeout: float
    grace: float

    def take_passwords(self, play_context: PlayContext) -> None:
        """Those that were typed; core hands them to callbacks in each play's context."""
        if context.CLIARGS.get("ask_pass"):
            self.secrets["connection"] = str(play_context.password or "")
        if context.CLIARGS.get("become_ask_pass"):
            self.secrets["become"] = str(play_context.become_pass or "")

    def as_message(self) -> AfterKillPlan:
        """Return the plan as the guardian gets it, which knows nothing else of this process."""
        return AfterKillPlan(
            files=self.files,
            paths=self.paths,
            are_playbooks=self.are_playbooks,
            basedir=self.basedir,
            arguments=self.arguments,
            environment={**self.environment},
            secrets={**self.secrets},
            timeout=self.timeout,
            grace=self.grace,
            python=sys.executable,
            path=tuple(sys.path),
            directory=os.getcwd(),
        )


def plan_of(options: AfterOptions, loader: DataLoader, basedir: str, grace: float) -> AfterPlan | None:
    """The plan for a run of one playbook; None where nothing is to be run.

    Args:
        options: the user's.
        loader: of the run.
        basedir: where its playbook is.
        grace: seconds that processes of the after-run itself have when it is interrupted.

    Raises:
        AnsibleOptionsError: a file is not there, or holds neither tasks nor plays.
    """
    # No recursion: what runs after the kill is interrupted without another one.
    if not options.files or is_after_run():
        return None
    paths = tuple(_found(name, basedir) for name in options.files)
    kinds = {_are_plays(name, path, loader) for name, path in zip(options.files, paths, strict=True)}
    if len(kinds) > 1:
        raise _refusal(", ".join(options.files), "tasks files, or playbooks, not both")
    words = _Words()
    words.add_vault_identities(loader)
    return AfterPlan(
        files=options.files,
        paths=paths,
        are_playbooks=kinds == {True},
        basedir=os.path.abspath(basedir),
        arguments=tuple(words.arguments),
        environment=words.environment,
        secrets=words.secrets,
        timeout=options.timeout,
        grace=grace,
    )


def _refusal(value: str, allowed: str) -> AnsibleOptionsError:
    return AnsibleOptionsError(f"treekill option after_kill: {value!r} is not allowed. Allowed: {allowed}.")


def _found(name: str, basedir: str) -> str:
    path = os.path.expanduser(name)
    for candidate in (os.path.join(basedir, path), os.path.abspath(path)):
        if os.path.isfile(candidate):
            return os.path.abspath(candidate)
    raise _refusal(name, f"files that are there, beside the playbook ({os.path.abspath(basedir)}) or in the current directory")


def _are_plays(name: str, path: str, loader: DataLoader) -> bool:
    try:
        entries = loader.load_from_file(path)
    except AnsibleError as error:
        raise AnsibleOptionsError(f"treekill option after_kill: {name!r} can't be read: {error}") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise _refusal(name, "a file with a list of tasks, or of plays")
    kinds = {bool(entry.keys() & {"hosts", "import_playbook", "ansible.builtin.import_playbook"}) for entry in entries}
    if len(kinds) > 1:
        raise _refusal(name, "a file with a list of tasks, or of plays, not both")
    return kinds.pop()


class _Words:
    """The command line of this run, in the words of ansible-playbook, without what chooses hosts and tasks."""

    def __init__(self) -> None:
        given = context.CLIARGS
        self.environment = {**_ENVIRONMENT}
        self.secrets: dict[str, str] = {}
        self.arguments = [f"--inventory={inventory}" for inventory in given.get("inventory") or ()]
        # One word each: a value may begin with a dash.
        self.arguments += [f"--extra-vars={text}" for text in given.get("extra_vars") or ()]
        self.arguments += [f"{word}={given[name]}" for name, word in self._options() if given.get(name) is not None]
        self.arguments += [word for name, word in _FLAGS.items() if given.get(name)]
        if given.get("module_path"):
            paths = given["module_path"]
            self.arguments.append("--module-path=" + (paths if isinstance(paths, str) else os.pathsep.join(map(str, paths))))

    def _options(self) -> list[tuple[str, str]]:
        """Those with a value; a password that was typed comes in the place of a file, which core then has not read."""
        typed = {"connection_password_file": ("ask_pass", "connection"), "become_password_file": ("become_ask_pass", "become")}
        kept = []
        for name, word in _OPTIONS.items():
            asked, pipe = typed.get(name, ("", ""))
            if asked and context.CLIARGS.get(asked):
                self.arguments.append(f"{word}={PRIVATE}/{pipe}")
                self.secrets[pipe] = ""
            else:
                kept.append((name, word))
        return kept

    def add_vault_identities(self, loader: DataLoader) -> None:
        """Those of the command line and of the configuration, each that was typed with a pipe for its file."""
        typed = iter([secret.bytes.decode() for dummy, secret in loader._vault.secrets or () if isinstance(secret, PromptVaultSecret)])
        configured = [str(one) for one in C.DEFAULT_VAULT_IDENTITY_LIST]
        if any(self._is_prompt(one) for one in configured):
            self.environment["ANSIBLE_VAULT_IDENTITY_LIST"] = ",".join(self._piped(one, typed) for one in configured)
        given = [str(one) for one in context.CLIARGS.get("vault_ids") or ()]
        if context.CLIARGS.get("ask_vault_pass"):
            given.append(f"{C.DEFAULT_VAULT_IDENTITY}@prompt")
        self.arguments += [f"--vault-id={self._piped(one, typed)}" for one in given]
        self.arguments += [f"--vault-password-file={file}" for file in context.CLIARGS.get("vault_password_files") or ()]

    @staticmethod
    def _is_prompt(identity: str) -> bool:
        return CLI.split_vault_id(identity)[1] in _PROMPTS

    def _piped(self, identity: str, typed: t.Iterator[str]) -> str:
        if not self._is_prompt(identity):
            return identity
        name = f"vault{len(self.secrets)}"
        self.secrets[name] = next(typed, "")
        return f"{CLI.split_vault_id(identity)[0] or C.DEFAULT_VAULT_IDENTITY}@{PRIVATE}/{name}"
