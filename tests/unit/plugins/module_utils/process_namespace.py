# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process table of its own for a test.

Its processes are real, can all be counted, and are all gone with their pid 1. For root it is a pid
namespace, for an ordinary user it has a user namespace around it. Python 3.6: these tests run where
hosts are old.
"""

import os
import subprocess
import sys
import time

PROJECT_PATHS = [path for path in sys.path if path]
#: Most seconds that anything here may take on a busy machine. Only a failing test waits for so
#: long.
PATIENCE = 30.0

_INIT = """
import signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # reaps every orphan
sys.stdout.write("ready\\n"); sys.stdout.flush()
sys.stdin.read()  # ends when the test does, whatever the test dies of
"""


#: A flag of a process that is ending.
PF_EXITING = 4


class Process:
    """A living process as its namespace numbers it."""

    def __init__(self, pid, ppid, state, arguments):
        self.pid = pid
        self.ppid = ppid
        self.state = state
        self.arguments = arguments

    def __repr__(self):
        return "%d<%d %s %s" % (self.pid, self.ppid, self.state, " ".join(self.arguments)[:100])


class ProcessNamespace:
    """Context manager. Its pid 1 reaps orphans."""

    def __enter__(self):
        command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
        self._enter = ["nsenter", "--pid", "--mount"]
        if os.geteuid():
            command.extend(["--user", "--map-root-user"])
            self._enter.extend(["--user", "--preserve-credentials"])
        self._unshare = subprocess.Popen(
            [*command, sys.executable, "-I", "-S", "-c", _INIT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._spawned = []
        if self._unshare.stdout.readline() != b"ready\n":
            self.__exit__()
            raise RuntimeError("no pid namespace: %s" % " ".join(command))
        with open("/proc/%d/task/%d/children" % (self._unshare.pid, self._unshare.pid)) as children:
            self.init = int(children.read())
        self._enter.extend(["--target", str(self.init), "--"])
        self._proc = "/proc/%d/root/proc" % self.init
        return self

    def __exit__(self, *dummy):
        self._unshare.kill()  # --kill-child: pid 1 ends with it, and all the rest with pid 1
        self._unshare.wait()
        self._unshare.stdin.close()
        self._unshare.stdout.close()
        for process in self._spawned:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def spawn(self, command, **options):
        """Start a command in here, and return its Popen. Its stdout is a pipe.

        Its parent is a shell that waits for it, as under sshd.
        """
        parent = (
            [] if options.pop("bare", False) else ["/bin/sh", "-c", '"$@"; exit "$?"', "parent"]
        )
        process = subprocess.Popen(
            self._enter + parent + command,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            **options,
        )
        self._spawned.append(process)
        return process

    def run(self, command, **options):
        """Return stdout and stderr of a command in here, which must succeed."""
        process = subprocess.Popen(
            self._enter + command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            **options,
        )
        output, errors = process.communicate(timeout=PATIENCE * 2)
        assert process.returncode == 0, errors.decode()
        return output.decode(), errors.decode()

    def processes(self):
        """Return all living processes, by pid.

        pid 1 and the shells that wait for what was spawned are left out.
        """
        found = {}
        for name in os.listdir(self._proc):
            if name.isdigit() and name != "1":
                try:
                    with open("%s/%s/stat" % (self._proc, name), "rb") as stat:
                        fields = stat.read().rpartition(b") ")[2].split()
                    with open("%s/%s/cmdline" % (self._proc, name), "rb") as cmdline:
                        arguments = (
                            cmdline.read().rstrip(b"\0").decode("utf-8", "replace").split("\0")
                        )
                except (FileNotFoundError, ProcessLookupError):
                    continue  # it ended during the look
                # A shell that is ending shows no words any more. Its parent is outside.
                waits = arguments[3:4] == ["parent"] or (
                    int(fields[6]) & PF_EXITING and fields[1] == b"0" and arguments == [""]
                )
                if (fields[0] not in b"ZX" or int(fields[17]) > 1) and not waits:
                    found[int(name)] = Process(
                        int(name), int(fields[1]), fields[0].decode(), arguments
                    )
        return found

    def wait_for(self, condition, what):
        """Poll until condition(processes) holds."""
        until = time.monotonic() + PATIENCE
        while True:
            processes = self.processes()
            if condition(processes):
                return processes
            assert time.monotonic() < until, "%s: %r" % (what, processes)
            time.sleep(0.005)


def read_lines(process, count, text=b"ready\n"):
    """Read the output of a process until the text has come so many times.

    Nothing else may come.
    """
    for dummy in range(count):
        line = process.stdout.readline()
        assert line == text, "%r instead of %r" % (line, text)
