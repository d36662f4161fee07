# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command lines of clients that leave work to a service of the same host.

The services are systemd, the queues of at and cron, and the terminal servers tmux and screen.
"""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.command_options import (
    all_options,
    has_option,
    read_options,
    value_of,
    values_of,
    words_of,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import (
    HandOff,
    safe_look,
)

_OF_SYSTEMD_RUN = (
    "-u --unit -p --property -M --machine -H --host -C --capsule --description --slice --uid --gid"
    " --nice --working-directory -E --setenv --service-type --on-active --on-boot --on-startup"
    " --on-unit-active --on-unit-inactive --on-calendar --timer-property --path-property"
    " --socket-property --background --job-mode"
)
_OF_SYSTEMCTL = (
    "-t --type --state -p --property -P -H --host -M --machine -C --capsule --root --image -n"
    " --lines -o --output -s --signal --job-mode --what --preset-mode"
    " --timestamp"
)
_VERBS = ("start", "restart", "try-restart", "reload-or-restart", "isolate")
_OF_TMUX, _OF_COMMANDS_OF_TMUX = "-c -f -L -S -T", "-b -c -e -F -f -l -n -p -s -t -x -y"
#: Commands of tmux that only look, or end something.
_NOT_OF_TMUX = ("kill", "ls", "list", "show", "has", "display", "info", "capture", "detach", "lock")
_OF_SCREEN = "-c -e -h -p -s -S -T -t"
_OF_AT = "-f -q -t -u"
_OF_CRONTAB = "-u -x"


def of_systemd_run(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the unit that systemd-run starts."""
    options, rest = read_options(words, _OF_SYSTEMD_RUN)
    if has_option(options, "--scope"):
        # The processes of a scope are those of the task.
        return None
    waits = has_option(options, "--wait", "-t", "--pty", "-P", "--pipe", "-S", "--shell")
    where = words_of(options, "--user", "-H", "--host", "-M", "--machine")
    names = values_of(options, "-H", "--host", "-M", "--machine")
    unit = value_of(options, "-u", "--unit")
    if unit:
        look = safe_look(["systemctl", *where, "status", unit], unit, *names)
        return HandOff("unit", name, unit, look, not waits, where=where)
    if not (rest or waits):
        return None
    what = "a unit that runs " + (rest[0].rpartition("/")[2] if rest else "a shell")
    look = safe_look(["systemctl", *where, "list-units", "run-*"], *names)
    return HandOff("unit", name, what, look, not waits, where=where)


def of_systemctl(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the units that systemctl starts."""
    options, rest = read_options(words, _OF_SYSTEMCTL)
    verb = rest[0] if rest else ""
    more, units = all_options(rest[1:], _OF_SYSTEMCTL)
    options += more
    if not units or verb not in _VERBS and not (verb == "enable" and has_option(options, "--now")):
        return None
    where = words_of(options, "--user", "-H", "--host", "-M", "--machine")
    names = values_of(options, "-H", "--host", "-M", "--machine")
    look = safe_look([name, *where, "status", *units], *units, *names)
    # A unit that is started again was there before.
    at_once = verb in ("start", "enable", "isolate")
    return HandOff("unit", name, " ".join(units), look, at_once, where=where)


def of_at(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the job that at or batch puts into the queue."""
    options, dummy = read_options(words, _OF_AT)
    if any(one in ("-l", "-d", "-r", "-c", "-V") for one, dummy in options):
        return None
    return HandOff("queue", name, "a job of " + name, ["atq"], True)


def of_crontab(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the crontab that is changed."""
    options, rest = read_options(words, _OF_CRONTAB)
    given = {option for option, dummy in options}
    if given & {"-l", "-r", "-T", "-V"} or not rest and given - {"-u", "-x", "-e"}:
        return None
    user = words_of(options, "-u")
    look = safe_look([name, *user, "-l"], *values_of(options, "-u"))
    return HandOff("queue", name, "a crontab" + " of ".join(["", *user[1:]]), look, True)


def of_tmux(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the session of tmux that a client has started, or has given commands."""
    options, rest = read_options(words, _OF_TMUX)
    if rest and rest[0].startswith(_NOT_OF_TMUX) or has_option(options, "-V", "-h", "--help"):
        return None
    where = words_of(options, "-L", "-S")
    session = value_of(read_options(rest[1:], _OF_COMMANDS_OF_TMUX)[0], "-s", "-t")
    what = f"{name} {session}" if session else name
    # A socket of a job may show anything.
    look = () if "-S" in where else safe_look([name, *where, "ls"], *values_of(options, "-L"))
    return HandOff("terminal", name, what, look, True, where=where)


def of_screen(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the session of screen that a client has started, or has given commands."""
    options, rest = read_options(words, _OF_SCREEN)
    if (
        any(one in ("-l", "-v", "-w", "--version", "--help") for one, dummy in options)
        or "-ls" in words
        or "-list" in words
        or has_option(options, "-X")
        and rest[:1] in (["quit"], ["kill"])
    ):
        return None
    session = value_of(options, "-S")
    if not session and has_option(options, "-r", "-R", "-x"):
        session = rest[0] if rest else ""
    what = f"{name} {session}" if session else name
    return HandOff("terminal", name, what, [name, "-ls"], True)
