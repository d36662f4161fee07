# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for community.general.doas, which is not installed beside core.

It asks doas for what that plugin asks, and recognises its prompt.
"""

from __future__ import annotations

import shlex
import typing as t

from ansible.plugins.become import BecomeBase

DOCUMENTATION = r"""
name: doas
short_description: Become by doas
description: For the rows of the matrix.
options:
  become_user:
    description: User to become.
    default: root
    vars: [{name: ansible_become_user}]
    keyword: [{name: become_user}]
  become_pass:
    description: What doas asks for.
    vars: [{name: ansible_become_password}]
  become_exe:
    description: The program.
    default: doas
  become_flags:
    description: Its options.
    default: ''
"""


class BecomeModule(BecomeBase):
    """Become by C(doas -u USER SHELL -c COMMAND), with C(-n) if there is no password to give."""

    name = "doas"
    fail = ("Authentication failed", "Operation not permitted")
    missing = ("Authentication required",)

    def check_password_prompt(self, b_output: bytes) -> bool:
        """Whether the output ends with C(doas (login@host) password: )."""
        return any(line.startswith(b"doas (") for line in b_output.splitlines())

    def build_become_command(self, cmd: str, shell: t.Any) -> str:
        """Return the command line, for a POSIX shell."""
        super().build_become_command(cmd, shell)
        if not cmd:
            return cmd
        password = self.get_option("become_pass")
        self.prompt = "doas" if password else ""
        words = [
            "doas",
            *([] if password else ["-n"]),
            "-u",
            self.get_option("become_user"),
            shell.executable,
        ]
        return f"{shlex.join(words)} -c {self._build_success_command(cmd, shell, noexe=True)}"
