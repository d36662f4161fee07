# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs that clean up when a signal asks them to end.

Each leaves a file when it has begun, and another one when it has finished its clean-up.

Their arguments: the kind of clean-up, the mark of the run, the name of the signal.
"""

from __future__ import annotations

from tests.support.hosts import Host
from tests.support.run.run import Run

#: Seconds that a clean-up takes.
SECONDS = 2

#: In bash, in which most people write such a program.
SHELL = f"""#!/bin/bash
row=$2 signal=${{3:-TERM}}
finish() {{ touch /tmp/cleaned-$row; exit 0; }}
plain() {{ echo "shutting down"; sleep {SECONDS}; echo "lock released"; finish; }}
half() {{ head -c 500000 /dev/zero | tr "\\0" $1; }}
megabyte() {{ half x; sleep {SECONDS}; half y; finish; }}
in_background() {{ kill -s $signal $child; wait $child; finish; }}
case $1 in
  in_background)
    trap "$1" $signal
    /tmp/job.py once $row-child $signal & child=$!
    touch /tmp/begun-$row
    wait $child;;
  *) trap "$1" $signal; touch /tmp/begun-$row; while :; do sleep 0.1; done;;
esac
"""

#: In Python: one that takes a second signal as "abort now", and wrappers of that one.
PYTHON = f"""#!/usr/bin/python3
import os, signal, subprocess, sys, time
kind, row, name = sys.argv[1], sys.argv[2], (sys.argv[3:] or ["TERM"])[0]
number = getattr(signal, "SIG" + name)
child = None
came = []

def on_signal(number, frame):
    came.append(number)
    if len(came) > 1 and kind != "wrapper":
        print("aborted", flush=True)
        os._exit(3)
    if child:
        # Two signals within a moment may be one.
        time.sleep(0.3)
        child.send_signal(number)

signal.signal(number, on_signal)
if kind == "wrapper":
    child = subprocess.Popen([sys.argv[0], "once", row + "-child", name])
open("/tmp/begun-" + row, "w").close()
if child:
    status = child.wait()
    while not came:
        time.sleep(0.05)
else:
    while not came:
        time.sleep(0.05)
    print("cleans up", flush=True)
    for dummy in range(20):
        time.sleep({SECONDS} / 20)
open("/tmp/cleaned-" + row, "w").close()
"""

#: What a process may do about its first signal. Its arguments: one of these, the name of the
#: signal, the mark of the run.
ENDS = """#!/bin/bash
does=$1 signal=$2
exits() { exit 0; }
fails() { exit 1; }
dies() { trap - $signal; kill -s $signal $$; }
breaks() { kill -s PIPE $$; }
crashes() { kill -s SEGV $$; }
ignores() { :; }
trap $does $signal
touch /tmp/begun-$3-$does
while :; do sleep 0.1; done
"""

#: Kinds of clean-up, and the programs that have them.
KINDS = {
    "plain": "job.sh",
    "megabyte": "job.sh",
    "in_background": "job.sh",
    "once": "job.py",
    "wrapper": "job.py",
}


def put_on(host: Host) -> None:
    """Put the programs on the host, in /tmp."""
    for name, text in (("job.sh", SHELL), ("job.py", PYTHON), ("ends.sh", ENDS)):
        path = host.root / "tmp" / name
        path.write_text(text)
        path.chmod(0o755)


def command(kind: str, signal: str = "TERM") -> str:
    """Return the command line of a task that runs one of them."""
    return f"/tmp/{KINDS[kind]} {kind} {{{{ row }}}} {signal}"


def marks(kind: str, row: str) -> list[str]:
    """Return the marks of the clean-ups of one of them: its own, and that of its child."""
    return [row, *([f"{row}-child"] if kind in ("wrapper", "in_background") else [])]


def has_begun(run: Run, host: Host, kind: str) -> bool:
    """Whether all of its processes are ready for the signal."""
    return all((host.root / f"tmp/begun-{mark}").exists() for mark in marks(kind, run.row))


def unfinished(run: Run, host: Host, kind: str) -> list[str]:
    """Return which clean-ups have not come to their end."""
    return [
        mark for mark in marks(kind, run.row) if not (host.root / f"tmp/cleaned-{mark}").exists()
    ]
