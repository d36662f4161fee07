# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nasty tree: each kind of process that a task can leave behind.

Each kind is a line of the one shell script that starts them all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: Folder on a host where each process of a row makes a file of its own name when it is ready.
READY = "/tmp/ready-{row}"

#: Seconds that a process of the tree lives by itself: longer than any test, and limited.
LIFETIME = 7200

#: Command line of the one kind that carries no label: a process of the user's own has an equal one.
NAMESAKE = f"sleep {LIFETIME}.5"

_SAYS_READY = ': > "$ready/${0#tk-}"'

#: `life` gives the shell that runs it a label for its name. Neither a cleared environment nor
#: another user hides the label.
_PROLOGUE = r"""
export row={row} ready={ready}
mkdir -m 777 $ready
export life=': > "$1/${{0#tk-}}"; exec -a "$0" sleep {lifetime}'
live() {{ kind=$1; shift; exec "$@" bash -c "$life" "tk-$kind-$row" "$ready"; }}
"""

#: The task lasts until it is ended: a plain shell, waiting for the plain child that it started
#: last.
_EPILOGUE = """
(live plain) &
: > "$ready/script-$row"
while :; do wait; done
"""


@dataclass(frozen=True)
class Kind:
    """One kind of process."""

    name: str
    script: str  #: starts it, with `live` and the variables of the prologue
    count: int = 1  #: how many of its processes report that they are ready
    state: str = (
        ""  # letter of the state that it has to be in before the interruption; any, if empty
    )
    needs_sudo: bool = False
    orphan: bool = False  #: no process of the tree is its ancestor
    cleared: bool = False  #: its environment was cleared


def _kinds(*kinds: Kind) -> dict[str, Kind]:
    return {kind.name: kind for kind in kinds}


def _detached(name: str, interpreter: str, program: str) -> str:
    """Return shell code that starts a program with a cleared environment.

    The program gets its label and the directory in which it reports that it is ready.
    """
    return f"""env -i PATH="$PATH" bash -c 'exec -a "$0" {interpreter} "$1" "$0" "$2"' tk-{name}-$row '{program}' $ready < /dev/null > /dev/null 2>&1 &"""


_PYTHON_DAEMON = f"""
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
open(sys.argv[2] + "/" + sys.argv[1][3:], "w").close()
time.sleep({LIFETIME})
"""

_PERL_DAEMON = f"""
use POSIX;
exit if fork; POSIX::setsid(); exit if fork;
open(my $ready, ">", $ARGV[1] . "/" . substr($ARGV[0], 3)); close $ready;
sleep {LIFETIME};
"""

#: 200 children a second. Each has a session of its own and no parent in the tree, and lives for
#: half a second.
_STORM = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork(): os._exit(0)
os.setsid()
open(sys.argv[2] + "/" + sys.argv[1][3:], "w").close()
while True:
    time.sleep(0.005)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    elif os.fork():
        os._exit(0)
    else:
        os.setsid()
        time.sleep(0.5)
        os._exit(0)
"""


def _unit(name: str, starter: str) -> str:
    """Return shell code that lets systemd start a service.

    Its program is in a file: systemd would take what a shell expands for its own.
    """
    return f"""
printf '%s\\n' ": > $ready/{name}-$row" "exec -a tk-{name}-$row sleep {LIFETIME}" > $ready.{name}
{starter} bash $ready.{name}"""


KINDS = _kinds(
    Kind("background", "(live background) &"),
    Kind("grandchild", """bash -c 'bash -c "$life" "$0" "$ready" & wait' tk-grandchild-$row &"""),
    Kind("setsid", "(live setsid setsid) &"),
    Kind("nohup", "(live nohup nohup) &"),
    Kind("ignores-signals", "(trap '' TERM HUP INT; live ignores-signals) &"),
    Kind(
        "respawns",
        """bash -c 'trap : TERM; while :; do bash -c "$life" "$0" "$ready"; done' tk-respawns-$row &""",
    ),
    Kind(
        "starts-on-term",
        # The shell reads a pipe whose writing end is its own. That read waits for ever, without a
        # child that a signal could end instead.
        f"""bash -c 'late() {{ bash -c "$life" tk-late-$row "$ready" & }}; trap late TERM; {_SAYS_READY}
            exec 3<> <(:); while :; do read -r line <&3; done' tk-starts-on-term-$row &""",
    ),
    Kind(
        "stopped",
        f"""bash -c '{_SAYS_READY}; kill -STOP $$; exec -a "$0" sleep {LIFETIME}' tk-stopped-$row &""",
        state="T",
    ),
    Kind(
        "own-pty",
        """script -qc 'exec bash -c "$life" "tk-own-pty-$row" "$ready"' /dev/null < /dev/null &""",
    ),
    Kind("namesake", f""": > "$ready/namesake-$row"; {NAMESAKE} &"""),
    Kind("daemon", "( (live daemon setsid) < /dev/null > /dev/null 2>&1 & )", orphan=True),
    Kind("fast-exit", "( ( ( ( (live fast-exit) & ) & ) & ) & )", orphan=True),
    Kind(
        "hops",
        # A process that forks and exits, again and again: each process of it lives for some 50 ms.
        r"""export hops=': > "$ready/${0#tk-}"; read -rt 0.05 line <> <(:); bash -c "$hops" "$0" & exit'; bash -c "$hops" tk-hops-$row &""",
        orphan=True,
    ),
    Kind("setsid-cleared", '(live setsid-cleared env -i PATH="$PATH" setsid) &', cleared=True),
    Kind("sudo", "(live sudo sudo -n) &", needs_sudo=True),
    Kind("other-user", "(live other-user sudo -n -u other) &", needs_sudo=True),
    Kind(
        "sudo-ignores-term",
        "(trap '' TERM HUP INT; live sudo-ignores-term sudo -n) &",
        needs_sudo=True,
    ),
    Kind(
        "daemon-cleared",
        '( (live daemon-cleared env -i PATH="$PATH" setsid) < /dev/null > /dev/null 2>&1 & )',
        orphan=True,
        cleared=True,
    ),
    Kind(
        "daemon-python",
        _detached("daemon-python", "python3 -c", _PYTHON_DAEMON),
        orphan=True,
        cleared=True,
    ),
    Kind(
        "daemon-perl", _detached("daemon-perl", "perl -e", _PERL_DAEMON), orphan=True, cleared=True
    ),
    Kind(
        "hops-cleared",
        # Like hops, with no trace of the tree in its environment, and deaf to all signals that it
        # can ignore. Each process of it lives for some 30 ms.
        r"""hop='trap "" HUP INT QUIT TERM USR1 USR2 ALRM; : > "$2/${0#tk-}"; read -rt 0.03 line <> <(:); bash -c "$1" "$0" "$1" "$2" & exit'
        env -i PATH="$PATH" bash -c "$hop" tk-hops-cleared-$row "$hop" $ready &""",
        orphan=True,
        cleared=True,
    ),
    Kind("storm", _detached("storm", "python3 -c", _STORM), orphan=True, cleared=True),
    Kind("spared", "(export TREEKILL=spare; live spared setsid) &"),
    Kind(
        "password-sudo",
        # Only for a sudo that wants a password. It gets it from a here-document: no process list
        # shows it. Its session has no terminal. With one, some versions of sudo start a monitor,
        # which ends the command by itself.
        """(trap '' TERM HUP INT; exec setsid sudo -S -p '' bash -c "$life" tk-password-sudo-$row "$ready" << END
$TK_PASSWORD
END
) &""",
    ),
    # As another user than that of the task, by another way than the usual one.
    Kind(
        "su",
        """sudo -n su -s /bin/bash -c "$life" other "tk-su-$row" "$ready" &""",
        needs_sudo=True,
    ),
    Kind(
        "su-ignores-term",
        """(trap '' TERM HUP INT; exec sudo -n su -s /bin/bash -c "$life" other "tk-su-ignores-term-$row" "$ready") &""",
        needs_sudo=True,
    ),
    Kind(
        "su-daemon",
        """sudo -n su -s /bin/bash -c '(exec setsid bash -c "$1" "$0" "$2") &' other "tk-su-daemon-$row" "$life" "$ready" &""",
        needs_sudo=True,
    ),
    Kind(
        "setpriv", "(live setpriv sudo -n setpriv --reuid=other --clear-groups) &", needs_sudo=True
    ),
    Kind(
        "setpriv-ignores-term",
        "(trap '' TERM HUP INT; live setpriv-ignores-term sudo -n setpriv --reuid=other "
        "--clear-groups) &",
        needs_sudo=True,
    ),
    Kind("doas", "(live doas doas -n -u other) &", needs_sudo=True),
    # With the password of an account that has one, on standard input, as sudo below.
    Kind(
        "su-password",
        """setsid su -c "$life" -s /bin/bash secret "tk-su-password-$row" "$ready" << END &
$TK_PASSWORD
END""",
    ),
    Kind(
        "su-password-daemon",
        """setsid su -c '(exec setsid bash -c "$1" "$0" "$2") &' -s /bin/bash secret "tk-su-password-daemon-$row" "$life" "$ready" << END &
$TK_PASSWORD
END""",
    ),
    # Units of systemd. systemd itself starts what is not a scope. So it is no child of the task,
    # and gets nothing of the task's environment.
    Kind(
        "unit-scope",
        """systemd-run --user --scope --quiet bash -c "$life" tk-unit-scope-$row $ready &""",
    ),
    Kind(
        "unit-scope-root",
        """sudo -n systemd-run --scope --quiet bash -c "$life" tk-unit-scope-root-$row $ready &""",
        needs_sudo=True,
    ),
    Kind("unit-service", _unit("unit-service", "systemd-run --user --quiet")),
    Kind(
        "unit-service-root",
        _unit("unit-service-root", "sudo -n systemd-run --quiet"),
        needs_sudo=True,
    ),
    # After that, whatever systemd starts has the environment of the task with its cookie.
    Kind(
        "imports-environment",
        """systemctl --user import-environment 2> "$ready.import"
sudo -n env TREEKILL="$TREEKILL" systemctl import-environment 2>> "$ready.import"
(live imports-environment) &""",
        needs_sudo=True,
    ),
    Kind(
        "many",
        # 20 families of 25: plain, deaf to TERM, in sessions of their own, orphaned.
        r"""
        export brood='for n in {1..24}; do (exec -a "$0" sleep 7200) & done; : > "$ready/${0#tk-}"; wait'
        family=0
        while [ $((family += 1)) -le 20 ]; do
            case $((family % 4)) in
                0) bash -c "$brood" tk-many-$row & ;;
                1) (trap '' TERM; exec bash -c "$brood" tk-many-$row) & ;;
                2) setsid bash -c "$brood" tk-many-$row & ;;
                3) (bash -c "$brood" tk-many-$row &) ;;
            esac
        done""",
        count=500,
    ),
)

#: Kinds that only a supervisor on the host can find. They descend from no process of the tree, and
#: have nothing that shows where they came from.
SUPERVISOR = frozenset({"daemon-cleared", "daemon-python", "daemon-perl", "hops-cleared", "storm"})

#: Kinds that become another user by other ways than sudo alone, for a host that has doas.
BECOMES = (
    "su",
    "su-ignores-term",
    "su-daemon",
    "su-password",
    "setpriv",
    "setpriv-ignores-term",
    "doas",
)

#: Units of systemd: processes that are moved into one, and stay in the tree, and what another
#: process of systemd's starts.
SCOPES = ("unit-scope", "unit-scope-root")
SERVICES = ("unit-service", "unit-service-root")

#: Kinds of some rows only. The others run on every host, for root or for a login that may use sudo
#: without a password.
_OF_SOME_ROWS = {
    "many",
    "password-sudo",
    "spared",
    "su-password-daemon",
    "imports-environment",
    *BECOMES,
    *SCOPES,
    *SERVICES,
}
FULL = tuple(name for name in KINDS if name not in _OF_SOME_ROWS)

#: The kinds for an account that may not use sudo.
WITHOUT_SUDO = tuple(name for name in FULL if not KINDS[name].needs_sudo)

#: The kinds that the kill pass finds by itself.
UNSUPERVISED = tuple(name for name in FULL if name not in SUPERVISOR)

#: Ways to leave a daemon on purpose.
DAEMONS = (
    "nohup",
    "setsid",
    "daemon",
    "setsid-cleared",
    "daemon-cleared",
    "daemon-python",
    "daemon-perl",
)

#: Kinds that end at the first TERM, with every process.
COOPERATIVE = ("background", "grandchild", "setsid", "nohup", "daemon")


def left_behind(row: str, kinds: Iterable[str]) -> str:
    """Return the text of a task that leaves processes of these kinds behind.

    It ends when each of them is ready.
    """
    prologue = _PROLOGUE.format(row=row, ready=READY.format(row=row), lifetime=LIFETIME)
    # Otherwise they hold the output of the task, which then lasts as long as they do.
    started = [f"{{\n{KINDS[name].script}\n}} < /dev/null > /dev/null 2>&1" for name in kinds]
    awaited = [f'until [ -e "$ready/{name}-$row" ]; do sleep 0.02; done' for name in kinds]
    return prologue + "\n".join([*started, *awaited]) + "\n"


def script(row: str, kinds: Iterable[str]) -> str:
    """Return the text of the task, which starts a process of each kind, and lasts until its end."""
    prologue = _PROLOGUE.format(row=row, ready=READY.format(row=row), lifetime=LIFETIME)
    return prologue + "\n".join(KINDS[name].script for name in kinds) + _EPILOGUE


def label_of(command: str, row: str) -> str | None:
    """Return the kind of process that a command line of that row shows, None if none."""
    if command == NAMESAKE:
        return "namesake"
    found = re.search(rf"\btk-([a-z-]+?)-{row}\b", command)
    if found:
        return found[1]
    return "script" if f"row={row} " in command else None
