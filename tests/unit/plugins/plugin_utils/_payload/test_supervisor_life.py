# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The supervisor as a process: small, named, and gone with its module.

It does no harm to a host that is short of resources, and bears a hostile neighbour.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import ansible
import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.supervisor_socket import (
    socket_name,
)
from ansible_collections.treekill.remote.plugins.module_utils._process.title import SUPERVISOR_TITLE
from ansible_collections.treekill.remote.plugins.module_utils._survey.commands import task_name

from tests.unit.plugins.plugin_utils.supervised import PATIENCE, PYTHON, Module, both, outcome

#: Limit of the specification, in MiB, for /usr/bin/python3.
LARGEST = 9.0
NOBODY = 65534

WAITS = "import sys\nprint('ready', flush=True)\nopen(%r).read()"


def waiting(namespace, tmp_path, **options):
    """(module, shell, the fifo that lets it end) of a module that waits."""
    go = tmp_path / "go"
    os.mkfifo(go)
    module = Module(WAITS % str(go), tmp_path, **options)
    shell = namespace.spawn(module.argv(True))
    assert shell.stdout.readline() == b"ready\n"
    return module, shell, go


def supervisors(now):
    return [
        process for process in now.values() if process.arguments[0].startswith(SUPERVISOR_TITLE)
    ]


def resident(namespace, process):
    """Return MiB."""
    status = Path(f"{namespace._proc}/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


def test_how_large_it_is(namespace, tmp_path):
    dummy, shell, go = waiting(namespace, tmp_path, python=PYTHON)
    (supervisor,) = supervisors(
        namespace.wait_for(
            lambda now: [process.state for process in supervisors(now)] == ["S"],
            "the supervisor asleep",
        )
    )
    before = resident(namespace, supervisor)
    # An orphan that ends meanwhile changes nothing. If the module takes its time, the supervisor
    # makes itself small.
    namespace.run(["kill", "-CHLD", str(supervisor.pid)])
    namespace.wait_for(
        lambda now: resident(namespace, supervisor) <= LARGEST, f"no more than {LARGEST} MiB"
    )
    print(
        f"resident memory of a supervisor on {PYTHON}: {resident(namespace, supervisor):.1f} MiB, "
        f"{before:.1f} before"
    )
    go.write_text("")
    assert shell.wait(PATIENCE) == 0


def test_ps_says_what_it_is_and_shows_the_module_as_ever(namespace, tmp_path):
    module, shell, go = waiting(namespace, tmp_path)
    now = namespace.wait_for(supervisors, "the supervisor")
    (supervisor,) = supervisors(now)
    assert supervisor.arguments == [
        f"treekill: supervisor of run {module.run}, lease {module.lease}: YSB0YXNr"
    ]
    assert task_name("YSB0YXNr") == "a task"
    assert [process.arguments for process in now.values() if process.ppid == supervisor.pid] == [
        [module.python, str(module.path)]
    ]
    go.write_text("")
    assert shell.wait(PATIENCE) == 0
    namespace.wait_for(lambda now: not now, "its end")


@pytest.mark.parametrize("closed", ["", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_its_socket_can_be_reached_whatever_is_closed(namespace, tmp_path, closed):
    go = tmp_path / "go"
    os.mkfifo(go)
    module = Module(f"open({str(go)!r}).read()", tmp_path, after=closed, retries=True)
    shell = namespace.spawn(module.argv(True))
    namespace.wait_for(supervisors, "the supervisor")
    with go.open("w"), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(socket_name(module.run, module.lease))
    assert shell.wait(PATIENCE) == 0


def states(namespace):
    """Return the states of all processes, dead ones included."""
    found = []
    for path in Path(namespace._proc).glob("[0-9]*/stat"):
        try:
            found.append(path.read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended during the look
    return found


def test_orphans_are_reaped_while_the_module_runs(namespace, tmp_path):
    text = (
        "import os\nfor number in range(200):\n    pid = os.fork()\n    if not pid:\n"
        "        os.fork()\n        os._exit(0)\n    os.waitpid(pid, 0)\n"
    )
    go = tmp_path / "go"
    os.mkfifo(go)
    shell = namespace.spawn(Module(text + WAITS % str(go), tmp_path).argv(True))
    assert shell.stdout.readline() == b"ready\n"

    until = time.monotonic() + PATIENCE
    while "Z" in states(namespace):
        assert time.monotonic() < until
    go.write_text("")
    assert shell.wait(PATIENCE) == 0


def test_the_module_may_wait_for_its_own_children_alone(tmp_path):
    """No orphan of a grandchild appears among the module's children."""
    text = (
        "import os\nread, write = os.pipe()\npid = os.fork()\nif not pid:\n"
        "    if os.fork():\n        os._exit(3)\n    os.read(read, 1)\n    os._exit(4)\n"
        "print(os.waitpid(-1, 0)[1])\ntry:\n    os.waitpid(-1, os.WNOHANG)\n"
        "except ChildProcessError:\n    print('no others')\nos.write(write, b'x')"
    )
    supervised, bare = both(Module(text, tmp_path))
    assert supervised == bare
    assert supervised.out == b"768\nno others\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="root has no limit to give up")
def test_a_user_without_processes_to_spare_runs_the_module_all_the_same(tmp_path):
    def become_poor():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        os.setgroups([])
        os.setgid(60123)
        os.setuid(60123)

    if not PYTHON.startswith("/usr/"):
        pytest.skip("no Python here that every user can start")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)
    module = Module(
        "import os\ntry:\n    os.fork()\nexcept OSError:\n    os.write(1, b'poor')\nos._exit(6)",
        tmp_path,
    )
    for supervised in (True, False):
        done = subprocess.run(
            module.alone(supervised),
            capture_output=True,
            preexec_fn=become_poor,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (6, b"poor", b"")


SQUATTER = """
import os, socket, sys
os.setuid(%d)
taken = socket.socket(socket.AF_UNIX)
taken.bind(%r)
%s
print("ready", flush=True)
sys.stdin.read()
"""
SQUATTERS = {
    "deaf": "",
    "silent": "taken.listen(8)",
    "full": "taken.listen(0)\nothers = [socket.socket(socket.AF_UNIX) for dummy in range(5)]\n"
    "for other in others:\n    other.setblocking(False)\n    other.connect_ex(taken.getsockname())",
}


@pytest.fixture
def squat():
    """Start a process that takes the name of a module's lease, as another user."""
    started = []

    def start(module, kind):
        program = SQUATTER % (NOBODY, socket_name(module.run, module.lease), SQUATTERS[kind])
        started.append(
            subprocess.Popen(
                [sys.executable, "-I", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
        assert started[-1].stdout.readline() == b"ready\n"

    yield start
    for squatter in started:
        squatter.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("detaches", [False, True])
@pytest.mark.parametrize("kind", SQUATTERS)
def test_a_taker_of_the_name_of_the_lease_does_not_keep_the_module_from_running(
    squat, tmp_path, kind, detaches
):
    module = Module("print('it runs')", tmp_path, detaches=detaches, retries=True, timeout=0.0)
    squat(module, kind)
    began = time.monotonic()
    assert outcome(module, True).out == b"it runs\n"
    # The wait for a process that is taken for a supervisor lasts half a minute.
    assert time.monotonic() - began < 10


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("kind", SQUATTERS)
def test_a_taker_of_the_name_of_the_lease_does_not_keep_the_tree_from_ending(
    squat, namespace, tmp_path, kind
):
    module, shell, dummy = waiting(namespace, tmp_path)
    squat(module, kind)
    shell.stdout.close()
    namespace.wait_for(
        lambda now: (
            not [process for process in now.values() if "report" not in process.arguments[0]]
        ),
        "the end of the tree",
    )


class Job:
    """Core's own starter of asynchronous jobs, with a job that waits.

    The job reports where it is, and waits until it may go on.
    """

    def __init__(self, namespace, tmp_path, then=""):
        self.namespace = namespace
        self.go = tmp_path / "go"
        os.mkfifo(self.go)
        job = tmp_path / "job.py"
        # The kernel splits the first line at a blank and cuts a long one. A shell starts the
        # interpreter, as in the scripts that pip installs.
        first = f"#!/bin/sh\n'''exec' {shlex.quote(sys.executable)} \"$0\" \"$@\"\n' '''\n"
        job.write_text(
            f"{first}import json, subprocess\nopen({str(self.go)!r}).read()\n{then}\n"
            "print(json.dumps(dict(changed=True)))"
        )
        job.chmod(0o755)
        packages = Path(ansible.__file__).parent
        text = (packages / "modules" / "async_wrapper.py").read_text(encoding="utf-8")
        # Its watcher looks again after half of the limit that is set here, in seconds.
        words = (
            ["true", str(job), str(job)]
            if "<preserve_tmp> <module_path>" in text
            else [str(job), "_", "-preserve_tmp"]
        )
        module = Module(
            text, tmp_path, python=sys.executable, arguments=["j123", "5", *words], detaches=True
        )
        environment = dict(
            os.environ, ANSIBLE_ASYNC_DIR=str(tmp_path / "jobs"), PYTHONPATH=str(packages.parent)
        )
        self.shell = namespace.spawn(module.argv(True), env=environment)

    def started(self):
        """Wait until the starter has returned, and return what it printed."""
        said = self.shell.stdout.read()
        assert self.shell.wait(PATIENCE) == 0
        return said


def test_a_job_is_supervised_after_its_starter_returned(namespace, tmp_path):
    job = Job(namespace, tmp_path)
    assert b'"started": ' in job.started()
    (supervisor,) = supervisors(
        namespace.wait_for(lambda now: len(supervisors(now)) == 1, "one supervisor")
    )
    now = namespace.processes()
    assert all(
        process.ppid in {*now, supervisor.pid}
        for process in now.values()
        if process.pid != supervisor.pid
    )
    job.go.write_text("")
    namespace.wait_for(lambda now: not now, "the end of the job, and of the supervisor with it")


def test_the_supervisor_of_a_job_stays_with_it_while_its_starter_takes_its_time_to_end(
    namespace, tmp_path
):
    """A process that is exiting shows no command line, and still has its child."""
    go = tmp_path / "go"
    os.mkfifo(go)
    text = (
        "import os, resource, time\n"
        "between = os.fork()\n"
        "if not between:\n"
        "    if not os.fork():\n"
        "        for descriptor in range(3): os.close(descriptor)\n"
        f"        open({str(go)!r}).read()\n"
        "        os._exit(0)\n"
        "    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))\n"
        "    try:\n"
        "        for dummy in range(100000): os.write(os.pipe()[1], b'x')  # what takes its time\n"
        "    except OSError: pass\n"
        "    os._exit(0)\n"
        "while open('/proc/%d/cmdline' % between, 'rb').read(1): pass\n"
    )
    module = Module(text, tmp_path, python=sys.executable, arguments=["j123"], detaches=True)
    shell = namespace.spawn(module.argv(True))
    assert shell.stdout.read() == b""
    assert shell.wait(PATIENCE) == 0
    (supervisor,) = supervisors(namespace.processes())
    with go.open("w"):
        now = namespace.wait_for(lambda now: len(now) < 3, "the end of what was between the two")
        assert sorted(process.ppid in now for process in now.values()) == [False, True]
        assert supervisor.pid in now
    namespace.wait_for(lambda now: not now, "the end of the job, and of the supervisor with it")


def test_the_supervisor_of_a_job_does_not_stay_with_a_daemon_that_the_job_leaves(
    namespace, tmp_path
):
    stay = tmp_path / "stay"
    os.mkfifo(stay)
    job = Job(
        namespace,
        tmp_path,
        f"subprocess.Popen(['setsid', 'cat', {str(stay)!r}], stdin=-3, stdout=-3, stderr=-3)",
    )
    job.started()
    job.go.write_text("")
    with stay.open("w"):
        now = namespace.wait_for(
            lambda now: [process.arguments for process in now.values()] == [["cat", str(stay)]],
            "the daemon alone",
        )
        assert [process.ppid for process in now.values()] == [1]
    namespace.wait_for(lambda now: not now, "the end of the daemon by itself")
