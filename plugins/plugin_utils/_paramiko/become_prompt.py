# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first words of a command inside become: whether a password is wanted, was wrong, or is not needed any more.

This file is private to the collection treekill.remote.

Fed with what the two streams say, it knows when to answer a prompt and from where on the output is the command's own.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

if t.TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase


class Escalation:
    """Reads until become has succeeded. What it takes for itself, prompts and the sign of success, is not part of the output."""

    def __init__(self, become: BecomeBase | None, cmd: str) -> None:
        # Core builds the command inside become or does not; only the sign of success in it tells.
        success = str(become.success) if become is not None and become.success else ""
        self._become: BecomeBase = t.cast("BecomeBase", become)
        self.over = not (success and success in cmd)
        self._answered = False
        self._pending = {True: b"", False: b""}

    def feed(self, chunk: bytes, from_stdout: bool) -> tuple[bytes, bool]:
        """(output of the command so far, whether the password is to be sent now).

        Raises:
            AnsibleError: there is no way to become the user, in the words of ansible-core's ssh plugin.
        """
        if self.over:
            return self.rest(from_stdout) + chunk, False
        output, answer = b"", False
        text = self._pending[from_stdout] + chunk
        self._pending[from_stdout] = b""
        while text and not self.over:
            line, newline, text = text.partition(b"\n")
            if self._become.expect_prompt() and self._become.check_password_prompt(line):
                self._prompted()
                answer = True
            elif not newline:
                self._pending[from_stdout] = line
            elif self._become.check_success(line):
                self.over = True
            else:
                self._check(line)
                # The end of the prompt's line: what was typed is not echoed, the return key is.
                output += b"" if self._answered and not line.strip() else line + newline
        return output + text, answer

    def rest(self, from_stdout: bool) -> bytes:
        """A last line without an end, once there will be no more, or the escalation is over."""
        rest, self._pending[from_stdout] = self._pending[from_stdout], b""
        if rest and not self.over:
            self._check(rest)
        return rest

    def _prompted(self) -> None:
        if self._answered:
            raise AnsibleError(f"Incorrect {self._become.name} password")
        self._answered = True

    def _check(self, line: bytes) -> None:
        if self._become.check_incorrect_password(line):
            raise AnsibleError(f"Incorrect {self._become.name} password")
        if self._become.check_missing_password(line):
            raise AnsibleError(f"Missing {self._become.name} password")
