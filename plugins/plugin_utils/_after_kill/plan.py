# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of the run after the kill.

The main process makes the plan, because it has the command line. The guardian carries the plan out,
because it outlives the main process.

Passwords that were typed are part of the plan. Like a kill order, the plan exists only in memory
and on a private socket.
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
from ansible_collections.treekill.remote.plugins.plugin_utils._after_kill.outcome import (
    is_after_run,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._core.options import AfterOptions
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.messages import AfterKillPlan

if t.TYPE_CHECKING:
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook.play_context import PlayContext

#: Placeholder in arguments and variables for the directory, which is made when the plan is carried
#: out.
PRIVATE = "{treekill private directory}"

#: Core's name of an option with a value to its form on the command line. Values are passed on
#: unchanged. For an option that was not given, the value is core's own default.
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

_FLAGS = {"become": "--become", "check": "--check", "diff": "--diff"}

#: The sources of a vault identity whose password is asked on the terminal.
_PROMPTS = ("prompt", "prompt_ask_vault_pass")

_ENVIRONMENT = {
    # Answers from the terminal are passed on: this run has no user to ask again.
    "ANSIBLE_ASK_PASS": "False",
    "ANSIBLE_BECOME_ASK_PASS": "False",
    "ANSIBLE_ASK_VAULT_PASS": "False",
    # Its output appears in a recap, if at all.
    "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
    "ANSIBLE_NOCOLOR": "True",
    "ANSIBLE_FORCE_COLOR": "False",
}


@dataclasses.dataclass
class AfterPlan:
    """Files, command line and secrets of the run after the kill. Times in seconds."""

    #: As the user wrote them.
    files: tuple[str, ...]
    paths: tuple[str, ...]
    are_playbooks: bool
    #: Of the interrupted playbook: the variables and roles beside it also apply to the run after
    #: the kill.
    basedir: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    #: By the name of the pipe in the private directory, through which each is read.
    secrets: dict[str, str] = dataclasses.field(repr=False)
    timeout: float
    grace: float

    def take_passwords(self, play_context: PlayContext) -> None:
        """Take the passwords that were typed.

        Core passes them to callbacks in each play's context.
        """
        if context.CLIARGS.get("ask_pass"):
            self.secrets["connection"] = str(play_context.password or "")
        if context.CLIARGS.get("become_ask_pass"):
            self.secrets["become"] = str(play_context.become_pass or "")

    def as_message(self) -> AfterKillPlan:
        """Return the plan for the guardian, with all that it needs of this process."""
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


def make_plan(
    options: AfterOptions, loader: DataLoader, basedir: str, grace: float
) -> AfterPlan | None:
    """Return the plan for a run of one playbook; None if nothing is to be run.

    Args:
        options: the user's.
        loader: of the run.
        basedir: where its playbook is.
        grace: grace period of the processes of the run after the kill, in seconds, if that is
            interrupted.

    Raises:
        AnsibleOptionsError: a file does not exist, or holds neither tasks nor plays.
    """
    # No recursion: the run after the kill is not followed by another one.
    if not options.files or is_after_run():
        return None
    paths = tuple(_found(name, basedir) for name in options.files)
    kinds = {
        _are_plays(name, path, loader) for name, path in zip(options.files, paths, strict=True)
    }
    if len(kinds) > 1:
        raise _refusal(", ".join(options.files), "tasks files, or playbooks, not both")
    command_line = _CommandLine()
    command_line.add_vault_identities(loader)
    return AfterPlan(
        files=options.files,
        paths=paths,
        are_playbooks=kinds == {True},
        basedir=os.path.abspath(basedir),
        arguments=tuple(command_line.arguments),
        environment=command_line.environment,
        secrets=command_line.secrets,
        timeout=options.timeout,
        grace=grace,
    )


def _refusal(value: str, allowed: str) -> AnsibleOptionsError:
    return AnsibleOptionsError(
        f"treekill option after_kill: {value!r} is not allowed. Allowed: {allowed}."
    )


def _found(name: str, basedir: str) -> str:
    path = os.path.expanduser(name)
    for candidate in (os.path.join(basedir, path), os.path.abspath(path)):
        if os.path.isfile(candidate):
            return os.path.abspath(candidate)
    raise _refusal(
        name,
        f"existing files, beside the playbook ({os.path.abspath(basedir)})"
        " or in the current directory",
    )


def _are_plays(name: str, path: str, loader: DataLoader) -> bool:
    try:
        entries = loader.load_from_file(path)
    except AnsibleError as error:
        raise AnsibleOptionsError(
            f"treekill option after_kill: {name!r} can't be read: {error}"
        ) from error
    if (
        not isinstance(entries, list)
        or not entries
        or not all(isinstance(entry, dict) for entry in entries)
    ):
        raise _refusal(name, "a file with a list of tasks, or of plays")
    kinds = {
        bool(entry.keys() & {"hosts", "import_playbook", "ansible.builtin.import_playbook"})
        for entry in entries
    }
    if len(kinds) > 1:
        raise _refusal(name, "a file with a list of tasks, or of plays, not both")
    return kinds.pop()


class _CommandLine:
    """The command line of this run as arguments of ansible-playbook.

    Arguments that select hosts and tasks are left out.
    """

    def __init__(self) -> None:
        given = context.CLIARGS
        self.environment = {**_ENVIRONMENT}
        self.secrets: dict[str, str] = {}
        self.arguments = [f"--inventory={inventory}" for inventory in given.get("inventory") or ()]
        # One argument each: a value may begin with a dash.
        self.arguments += [f"--extra-vars={text}" for text in given.get("extra_vars") or ()]
        self.arguments += [
            f"{word}={given[name]}" for name, word in self._options() if given.get(name) is not None
        ]
        self.arguments += [word for name, word in _FLAGS.items() if given.get(name)]
        if given.get("module_path"):
            paths = given["module_path"]
            self.arguments.append(
                "--module-path="
                + (paths if isinstance(paths, str) else os.pathsep.join(map(str, paths)))
            )

    def _options(self) -> list[tuple[str, str]]:
        """Return the options with a value.

        A password that was typed replaces the option with a password file: core has not read that
        file.
        """
        typed = {
            "connection_password_file": ("ask_pass", "connection"),
            "become_password_file": ("become_ask_pass", "become"),
        }
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
        """Add the vault identities of command line and configuration.

        An identity whose password was typed gets a pipe as its file.
        """
        typed = iter(
            [
                secret.bytes.decode()
                for dummy, secret in loader._vault.secrets or ()
                if isinstance(secret, PromptVaultSecret)
            ]
        )
        configured = [str(one) for one in C.DEFAULT_VAULT_IDENTITY_LIST]
        if any(self._is_prompt(one) for one in configured):
            self.environment["ANSIBLE_VAULT_IDENTITY_LIST"] = ",".join(
                self._piped(one, typed) for one in configured
            )
        given = [str(one) for one in context.CLIARGS.get("vault_ids") or ()]
        if context.CLIARGS.get("ask_vault_pass"):
            given.append(f"{C.DEFAULT_VAULT_IDENTITY}@prompt")
        self.arguments += [f"--vault-id={self._piped(one, typed)}" for one in given]
        self.arguments += [
            f"--vault-password-file={file}"
            for file in context.CLIARGS.get("vault_password_files") or ()
        ]

    @staticmethod
    def _is_prompt(identity: str) -> bool:
        return CLI.split_vault_id(identity)[1] in _PROMPTS

    def _piped(self, identity: str, typed: t.Iterator[str]) -> str:
        if not self._is_prompt(identity):
            return identity
        name = f"vault{len(self.secrets)}"
        self.secrets[name] = next(typed, "")
        return f"{CLI.split_vault_id(identity)[0] or C.DEFAULT_VAULT_IDENTITY}@{PRIVATE}/{name}"
