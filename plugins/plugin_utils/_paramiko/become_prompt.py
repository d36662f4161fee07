# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output of a command inside become until become has succeeded or failed.

It shows whether a password is wanted, was wrong, or is no longer needed. From the chunks of both
streams, this file finds the prompt to answer, and the place where the command's own output begins.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleError

if t.TYPE_CHECKING:
    from ansible.plugins.become import BecomeBase


class Escalation:
    """Reads until become has succeeded.

    It removes prompts and the success marker from the output.
    """

    def __init__(self, become: BecomeBase | None, cmd: str) -> None:
        # Core may or may not build the command inside become: only the success marker in it shows
        # which.
        success = str(become.success) if become is not None and become.success else ""
        self._become: BecomeBase = t.cast("BecomeBase", become)
        self.over = not (success and success in cmd)
        self._answered = False
        self._pending = {True: b"", False: b""}

    def feed(self, chunk: bytes, from_stdout: bool) -> tuple[bytes, bool]:
        """Return (output of the command so far, whether to send the password now).

        Raises:
            AnsibleError: there is no way to become the user. The text is the one of ansible-core's
                ssh plugin.
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
                # The end of the prompt's line: the terminal does not echo the password, but it
                # echoes the return key.
                output += b"" if self._answered and not line.strip() else line + newline
        return output + text, answer

    def rest(self, from_stdout: bool) -> bytes:
        """Return a last line without an end.

        For the end of the stream, and for the end of the escalation.
        """
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
