# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The cookie: the environment variable by which a process says which lease it belongs to.

Private to the collection treekill.remote. Runs on the hosts and on the controller, so: standard library, Python 3.6 and later.

    TREEKILL=<run>/<lease>/<root pid>/<remote ppid>

run is 16 and lease 8 lowercase hexadecimal digits, the pids are decimal. A POSIX shell on the host sets it, with C($$) and C($PPID):
that is the root. `export` does not change what /proc shows as the environment of the exporting process, so the root has the text
in its command line and only what it starts has it in the environment.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional, Sequence

VARIABLE = "TREEKILL"
SPARE = "spare"
ANY_LEASE = "*"
RUN_DIGITS = 16
LEASE_DIGITS = 8

_MARK = b"TREEKILL="
_SPARE_ENTRY = b"TREEKILL=spare"
_HEX = frozenset("0123456789abcdef")


def _is_hex(text: "str", digits: "int") -> "bool":
    return len(text) == digits and _HEX.issuperset(text)


class Cookie:
    """One cookie, taken apart: run and lease as text, the pid of the root and of the root's parent as numbers."""

    __slots__ = ("run", "lease", "root", "ppid")

    def __init__(self, run: "str", lease: "str", root: "int", ppid: "int") -> "None":
        self.run = run
        self.lease = lease
        self.root = root
        self.ppid = ppid

    def __repr__(self) -> "str":
        return "Cookie(%r, %r, %r, %r)" % (self.run, self.lease, self.root, self.ppid)

    def __str__(self) -> "str":
        return "%s/%s/%d/%d" % (self.run, self.lease, self.root, self.ppid)

    def __eq__(self, other: "object") -> "bool":
        return isinstance(other, Cookie) and str(self) == str(other)

    def __hash__(self) -> "int":
        return hash(str(self))


def parse_cookie(value: "str") -> "Cookie":
    """The cookie that the text after C(TREEKILL=) says. Raises ValueError for everything else, C(spare) included."""
    parts = value.split("/")
    if len(parts) == 4 and _is_hex(parts[0], RUN_DIGITS) and _is_hex(parts[1], LEASE_DIGITS) and all(part.isdigit() and len(part) < 20 for part in parts[2:]):
        return Cookie(parts[0], parts[1], int(parts[2]), int(parts[3]))
    raise ValueError("not a cookie: %r (expected <run>/<lease>/<root pid>/<remote ppid>)" % value)


def export_command(run: "str", lease: "str") -> "str":
    """The POSIX shell command that sets the cookie; the shell that runs it becomes the root of the lease."""
    return "export %s=%s/%s/$$/$PPID" % (VARIABLE, run, lease)


class CookieMatch:
    """Recognises the processes of one lease, or with the lease C(*) of every lease of a run, by environment and command line."""

    __slots__ = ("run", "lease", "_prefix")

    def __init__(self, run: "str", lease: "str") -> "None":
        """Raises ValueError for names that are not what their name says: too short a prefix would match strangers."""
        if not _is_hex(run, RUN_DIGITS):
            raise ValueError("not a run id: %r (expected %d lowercase hexadecimal digits)" % (run, RUN_DIGITS))
        if lease != ANY_LEASE and not _is_hex(lease, LEASE_DIGITS):
            raise ValueError("not a lease id: %r (expected %d lowercase hexadecimal digits or *)" % (lease, LEASE_DIGITS))
        self.run = run
        self.lease = lease
        self._prefix = ("%s=%s/" % (VARIABLE, run) + ("" if lease == ANY_LEASE else lease + "/")).encode("ascii")

    def in_environment(self, environment: "bytes") -> "Optional[Cookie]":
        """The lease's cookie in NUL-separated entries as /proc/PID/environ has them, or None.

        The word within the value of another variable is no cookie: an entry must begin with it.
        """
        at = environment.find(self._prefix)
        while at >= 0:
            if at == 0 or environment[at - 1] == 0:
                end = environment.find(b"\0", at)
                try:
                    return parse_cookie(environment[at + len(_MARK):end if end >= 0 else None].decode("ascii"))
                except ValueError:
                    pass  # somebody's variable that only begins like ours: the search goes on behind it
            at = environment.find(self._prefix, at + 1)
        return None

    def claimed_by(self, arguments: "Sequence[bytes]") -> "bool":
        """Whether a command line is that of the lease's root: [shell, "-c", script], the script setting the cookie outside quotes.

        The login shell, sudo and su above the root carry the same text, but one level of quoting deeper or among more arguments.
        C($$) as it stands, not expanded: what a process prints or searches after the fact is no claim.
        """
        if len(arguments) != 3 or arguments[1] != b"-c":
            return False
        script = arguments[2]
        at = script.find(self._prefix)
        while at >= 0:
            rest = script[at + len(self._prefix):at + len(self._prefix) + LEASE_DIGITS + 4]
            if self.lease == ANY_LEASE:
                rest = rest[LEASE_DIGITS + 1:] if _is_hex(rest[:LEASE_DIGITS].decode("latin-1"), LEASE_DIGITS) else b""
            if rest.startswith(b"$$/") and not _ends_quoted(script[:at]):
                return True
            at = script.find(self._prefix, at + 1)
        return False


def spared(environment: "bytes") -> "bool":
    """Whether NUL-separated environment entries contain C(TREEKILL=spare)."""
    return _SPARE_ENTRY in environment.split(b"\0")


def _ends_quoted(script: "bytes") -> "bool":
    """Whether a shell that has read so far is within quotes."""
    quote = 0
    escaped = False
    for char in script:
        if escaped:
            escaped = False
        elif char == 0x5C and quote != 0x27:
            escaped = True
        elif quote:
            if char == quote:
                quote = 0
        elif char in (0x22, 0x27):
            quote = char
    return quote != 0
