# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The cookie: the environment variable that names the lease of a process.

TREEKILL=<run>/<lease>/<root pid>/<remote ppid>

run has 16 and lease 8 lowercase hexadecimal digits, the pids are decimal. Used on hosts and on the
controller.

A POSIX shell on the host sets it, with `$$` and `$PPID`: this shell is the root. `export` does not
change the environment that /proc shows of the exporting process. So the root has the text in its
command line, and only what it starts has it in the environment.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

VARIABLE = "TREEKILL"
#: Beside the cookie of a task that may lose its connection and continue. Without it, a search for
#: abandoned commands would count that task's command among them.
KEEP = "TREEKILL_KEEP=1"
ANY_LEASE = "*"
RUN_DIGITS = 16
LEASE_DIGITS = 8

_DIGITS = frozenset("0123456789")
_HEX = _DIGITS.union("abcdef")


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and _HEX.issuperset(text)


def _is_number(text: str) -> bool:
    """Whether the text is a decimal number as the kernel writes pids.

    str.isdigit() also accepts the digits of other scripts.
    """
    return 0 < len(text) < 20 and _DIGITS.issuperset(text)


class Cookie:
    """The parts of a cookie: run and lease as text, pids of the root and its parent as numbers."""

    __slots__ = ("run", "lease", "root", "ppid")

    def __init__(self, run: str, lease: str, root: int, ppid: int) -> None:
        self.run = run
        self.lease = lease
        self.root = root
        self.ppid = ppid

    def __repr__(self) -> str:
        return "Cookie(%r, %r, %r, %r)" % (self.run, self.lease, self.root, self.ppid)

    def __str__(self) -> str:
        return "%s/%s/%d/%d" % (self.run, self.lease, self.root, self.ppid)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cookie) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


def parse_cookie(value: str) -> "Cookie":
    """Return the cookie that the text after `TREEKILL=` stands for.

    Raises ValueError for any other text, also for `spare`.
    """
    parts = value.split("/")
    if (
        len(parts) == 4
        and _is_hex(parts[0], RUN_DIGITS)
        and _is_hex(parts[1], LEASE_DIGITS)
        and all(map(_is_number, parts[2:]))
    ):
        return Cookie(parts[0], parts[1], int(parts[2]), int(parts[3]))
    raise ValueError("not a cookie: %r (expected <run>/<lease>/<root pid>/<remote ppid>)" % value)


def export_command(run: str, lease: str, keep: bool = False) -> str:
    """Return the POSIX shell command that sets the cookie.

    The shell that runs the command becomes the root of the lease.

    keep: whether the task outlives its connection.
    """
    return "export %s=%s/%s/$$/$PPID%s" % (VARIABLE, run, lease, " " + KEEP if keep else "")


def check_names(run: str, lease: str) -> None:
    """Raise ValueError if the run id or the lease id is malformed.

    The lease `*` is valid, and means every lease of the run.
    """
    if not _is_hex(run, RUN_DIGITS):
        raise ValueError(
            "not a run id: %r (expected %d lowercase hexadecimal digits)" % (run, RUN_DIGITS)
        )
    if lease != ANY_LEASE and not _is_hex(lease, LEASE_DIGITS):
        raise ValueError(
            "not a lease id: %r (expected %d lowercase hexadecimal digits or *)"
            % (lease, LEASE_DIGITS)
        )


class CookieMatch:
    """Recognises the processes of one lease by environment and command line.

    The lease `*` stands for every lease of the run.

    root: match only processes of this root. The root itself is found by other means. A command that
    was sent twice has two roots.
    """

    __slots__ = ("any_lease", "_prefix", "_root")

    def __init__(self, run: str, lease: str, root: int = 0) -> None:
        self.any_lease = lease == ANY_LEASE
        self._root = root
        self._prefix = ("TREEKILL=%s/%s" % (run, "" if self.any_lease else lease + "/")).encode(
            "ascii"
        )
        # The last line of defence: a shorter text would match other processes. The sender checks
        # the digits, see check_names().
        if len(self._prefix) != (26 if self.any_lease else 35):
            raise ValueError("not a run and a lease id: %r, %r" % (run, lease))

    def named_root(self, environment: bytes) -> "Optional[int]":
        """Return the pid that the lease's cookie names as root; None without such a cookie.

        The environment has entries separated by NUL, as in /proc/PID/environ.

        An entry must begin with the cookie. The same text within the value of another variable is
        no cookie.
        """
        if self._prefix in environment:
            for entry in environment.split(b"\0"):
                if entry.startswith(self._prefix):
                    parts = entry.split(b"/")
                    if len(parts) == 4 and parts[2].isdigit() and len(parts[2]) < 20:
                        root = int(parts[2])
                        return root if root == (self._root or root) else None
        return None

    def claimed_by(self, arguments: "Sequence[bytes]") -> bool:
        """Whether a command line is that of the root: [shell, "-c", script].

        The script exports the cookie, as a command. A script that only mentions the export, in
        quotes or in a comment, is not the root.

        The login shell, sudo and su above the root carry the text as well. They have it one level
        of quoting deeper, or among more arguments.

        The text has `$$` unexpanded. So a text that was copied from an environment does not match.
        """
        if self._root or len(arguments) != 3 or arguments[1] != b"-c":
            return False
        before, found, after = arguments[2].partition(b"export " + self._prefix)
        if not found or not after[9 if self.any_lease else 0 :].startswith(b"$$/"):
            return False
        quote, last = 0, 32
        for char in before:
            if char == quote:
                quote = 0
            elif not quote and char in b"'\"":
                quote = char
            elif not quote and char == 35 and last in b" \t\n;&|":
                quote = 10  # a comment, up to the end of the line
            last = char
        return (
            not quote
            and before.rstrip(b" ")[-1:] in (b"", b";", b"&", b"\n")
            and b"<<" not in before
        )


def is_exempt(environment: bytes) -> bool:
    """Whether the NUL-separated entries of an environment contain `TREEKILL=spare`."""
    return b"TREEKILL=spare" in environment.split(b"\0")
