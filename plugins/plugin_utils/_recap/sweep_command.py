# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command that finishes the work of an interrupted run.

It needs the options by which the run has reached its hosts.
"""

from __future__ import annotations

import re
import typing as t

from ansible import constants as C
from ansible_collections.treekill.remote.plugins.module_utils._process.masked_words import (
    mask_words,
)

#: Argument of the run's command line to its option, and to the setting that is its default.
_VALUES = {
    "remote_user": ("-u", "DEFAULT_REMOTE_USER"),
    "private_key_file": ("--private-key", "DEFAULT_PRIVATE_KEY_FILE"),
    "connection": ("-c", "DEFAULT_TRANSPORT"),
    "become_method": ("--become-method", "DEFAULT_BECOME_METHOD"),
    "ssh_common_args": ("--ssh-common-args", ""),
    "ssh_extra_args": ("--ssh-extra-args", ""),
    "connection_password_file": ("--connection-password-file", "CONNECTION_PASSWORD_FILE"),
    "become_password_file": ("--become-password-file", "BECOME_PASSWORD_FILE"),
}

#: Arguments that may hold commands with passwords.
_FREE = ("ssh_common_args", "ssh_extra_args")

_LEFT_OUT = "..."

_QUESTIONS = {"ask_pass": "-k", "become_ask_pass": "-K", "ask_vault_pass": "-J"}

#: Lists of files and scripts. Only their names are shown, and not their content.
_LISTS = {"vault_ids": "--vault-id", "vault_password_files": "--vault-password-file"}


def words_of_connection(arguments: t.Mapping[str, t.Any], log: bool = False) -> list[str]:
    """Return the options by which the run reaches its hosts.

    Args:
        arguments: `ansible.context.CLIARGS`. Extra variables are ignored. They may be secrets, and
            every process list would show them.
        log: whether the words go to the file of `log_path`, which is not private.
    """
    words = [
        word for inventory in arguments.get("inventory") or () for word in ("-i", str(inventory))
    ]
    for name, (option, setting) in _VALUES.items():
        value = arguments.get(name)
        if value and value != getattr(C, setting, None):
            words += [
                option,
                _LEFT_OUT
                if name in _FREE and (log or _may_hold_secret(str(value)))
                else str(value),
            ]
    words += [option for name, option in _QUESTIONS.items() if arguments.get(name)]
    for name, option in _LISTS.items():
        words += [word for value in arguments.get(name) or () for word in (option, str(value))]
    return words


def _may_hold_secret(text: str) -> bool:
    return (
        mask_words(text) != text
        or re.search("sshpass|proxycommand", text, re.IGNORECASE) is not None
    )
