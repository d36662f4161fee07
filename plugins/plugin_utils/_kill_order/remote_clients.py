# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command lines of clients that go to another host: ssh and rsync."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.command_options import (
    all_options,
    read_options,
    value_of,
    values_of,
    words_of,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import (
    HandOff,
    safe_look,
)

_OF_SSH = "-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -P -p -Q -R -S -W -w"
#: What an option of the form `-o Port=22` is called otherwise, in lower case.
_SHORT_OF_SSH = {"port": "-p", "user": "-l", "proxyjump": "-J"}
_PLACE_OF_SSH = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*)", re.DOTALL)
#: A place on another host: `user@host:path`, `[::1]:path`, `host::module`.
_PLACE_OF_RSYNC = re.compile(
    r"(?P<user>(?:[^/:@]+@)?)(?:\[(?P<address>[^]/]+)\]|(?P<host>[^/:[]+)):(?P<daemon>:?)"
)
_OF_RSYNC = (
    "-e --rsh --rsync-path -f --filter --exclude --include --exclude-from --include-from"
    " --files-from --bwlimit --port --password-file --timeout --contimeout --log-file"
    " --log-file-format --out-format -T --temp-dir --compare-dest --copy-dest --link-dest -M"
    " --remote-option -B --block-size --backup-dir --suffix --max-size --min-size --max-delete"
    " --partial-dir --chmod --chown --usermap --groupmap --address --sockopts --config"
    " --info --debug --modify-window -@ --iconv --checksum-seed --protocol --skip-compress"
    " --only-write-batch --read-batch --write-batch --stop-after --stop-at --compress-level"
    " --compress-choice --checksum-choice --early-input --outbuf --max-alloc"
)


def of_ssh(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the host where ssh has a command executed."""
    options, rest = read_options(words, _OF_SSH)
    # ssh takes options behind the host as well.
    more, dummy = read_options(rest[1:], _OF_SSH)
    options = [_short_of_ssh(*one) for one in options + more]
    # Without a command, or as the master of other connections, it has started nothing there.
    if not rest or any(one in ("-O", "-G", "-V", "-Q", "-W", "-N") for one, dummy in options):
        return None
    way = words_of(options, "-l", "-p")
    # The files and jump hosts of a job may have the user's own ssh execute anything.
    where = words_of(options, "-F", "-J", "-o")
    look = safe_look([name, *way, rest[0], "ps", "-ef"], rest[0], *values_of(options, "-l", "-p"))
    return HandOff("host", name, rest[0], () if where else look, where=(*where, *way))


def _short_of_ssh(option: str, value: str) -> tuple[str, str]:
    """Return an option of ssh, in its short form if it leads to another place.

    Of the others nothing is returned but the name: their values may be secrets.
    """
    found = _PLACE_OF_SSH.fullmatch(value) if option == "-o" else None
    if option != "-o" or found is None:
        return ("", "") if option == "-o" else (option, value)
    name = found[1].lower()
    if name in _SHORT_OF_SSH:
        return (_SHORT_OF_SSH[name], found[2]) if found[2] != "none" else ("", "")
    if name == "hostname":
        return "-o", "HostName=" + found[2]
    return ("-o", "ProxyCommand") if name == "proxycommand" and found[2] != "none" else ("", "")


def of_rsync(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the host that rsync copies from or to."""
    if "--server" in words or "--daemon" in words:
        return None
    options, places = all_options(words, _OF_RSYNC)
    for word in places:
        if word[:8] == "rsync://":
            return HandOff("host", name, word[8:].partition("/")[0], ())
        found = _PLACE_OF_RSYNC.match(word)
        if found is None:
            continue
        host = found["user"] + (found["address"] or found["host"])
        if found["daemon"]:
            return HandOff("host", name, host, ())
        shell = value_of(options, "-e", "--rsh").split() or ["ssh"]
        if shell[0].rpartition("/")[2] == "ssh":
            by = of_ssh("ssh", [*shell[1:], "--", host])
            if by is not None:
                return dataclasses.replace(by, program=name)
        # Its words may hold a password.
        return HandOff("host", name, host, (), where=["--rsh"])
    return None
