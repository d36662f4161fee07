# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A supervisor on a host that is short of something.

It still ends its tree, and never changes the result of an uninterrupted module.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease.kill_request import KillRequest
from ansible_collections.treekill.remote.plugins.module_utils._tree import search
from ansible_collections.treekill.remote.plugins.plugin_utils._payload.kill_command import (
    kill_command,
)

from tests.unit.plugins.plugin_utils._payload.test_supervisor_channel import TREE, sleeps, tree_of
from tests.unit.plugins.plugin_utils._payload.test_supervisor_life import NOBODY, supervisors
from tests.unit.plugins.plugin_utils.supervised import PATIENCE, PYTHON, Module

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can take that away")


def no_unix_sockets():
    """Let socket(AF_UNIX) fail with EAFNOSUPPORT.

    A unit of systemd with RestrictAddressFamilies=AF_INET does so.
    """
    number = {"x86_64": 41, "aarch64": 198}[os.uname().machine]
    rules = [
        (0x20, 0, 0, 0),
        (0x15, 0, 3, number),
        (0x20, 0, 0, 16),
        (0x15, 0, 1, 1),
        (0x06, 0, 0, 0x00050000 | 97),
        (0x06, 0, 0, 0x7FFF0000),
    ]
    program = b"".join(struct.pack("HBBI", *rule) for rule in rules)

    class Filter(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))

    libc = ctypes.CDLL(None)
    libc.prctl(38, 1, 0, 0, 0)
    assert libc.prctl(22, 2, ctypes.byref(Filter(len(rules), program)), 0, 0) == 0


def no_descriptors(proc):
    """Let it have no more descriptors than it has."""
    return "--nofile=%d" % (max(map(int, os.listdir(f"{proc}/fd"))) + 1)


def no_memory(proc):
    """Let it have no more memory than it has."""
    return "--as=%d" % (int(Path(f"{proc}/statm").read_text().split()[0]) * resource.getpagesize())


def no_processes(dummy):
    """Let its user have no more processes."""
    return "--nproc=1"


def bound(namespace, shortage, *as_user):
    """Make the supervisor in there short of that."""
    (supervisor,) = supervisors(namespace.processes())
    namespace.run(
        [
            *as_user,
            "prlimit",
            "--pid",
            str(supervisor.pid),
            shortage(f"{namespace._proc}/{supervisor.pid}"),
        ]
    )


#: A second in which it gives way, for a supervisor whose grace is half of that.
WHILE = 1.0


def started(namespace, module, *before, **options):
    shell = namespace.spawn([*before, *module.argv(True)], **options)
    assert shell.stdout.readline() == b"ready\n"
    namespace.wait_for(
        lambda now: sleeps(now) == ["1001", "1002", "1003", "1004"] and supervisors(now),
        "the tree and its supervisor",
    )
    return shell


def ends(namespace):
    namespace.wait_for(lambda now: not tree_of(now), "the end of the tree")


@AS_ROOT
def test_without_unix_sockets_the_tree_is_ended(namespace, tmp_path):
    shell = started(namespace, Module(TREE, tmp_path), preexec_fn=no_unix_sockets)
    shell.stdout.close()
    ends(namespace)


@AS_ROOT
@pytest.mark.parametrize("shortage", [no_descriptors, no_memory, no_processes])
def test_what_the_supervisor_can_have_no_more_of_does_not_keep_the_tree_alive(
    namespace, tmp_path, shortage
):
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)
    nobody = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    shell = started(namespace, Module(TREE, tmp_path, python=PYTHON, timeout=1.0), *nobody)
    bound(namespace, shortage, *nobody)
    shell.stdout.close()
    ends(namespace)


@AS_ROOT
def test_what_is_spared_is_spared_without_memory_as_well(namespace, tmp_path):
    shell = started(
        namespace,
        Module(
            TREE.replace("(sleep 1003 &)", "(TREEKILL=spare sleep 1003 &)"), tmp_path, timeout=1.0
        ),
    )
    bound(namespace, no_memory)
    shell.stdout.close()
    now = namespace.wait_for(lambda now: len(tree_of(now)) == 1, "the spared one alone")
    assert sleeps(now) == ["1003"]


@AS_ROOT
@pytest.mark.parametrize("name", search._SERVERS)
def test_an_ssh_server_that_the_task_has_started_is_left_alone_without_memory_as_well(
    namespace, tmp_path, name
):
    (tmp_path / name).write_bytes(Path(shutil.which("sleep")).read_bytes())
    (tmp_path / name).chmod(0o755)
    server = f'(exec bash -c "exec -a sleep {tmp_path}/{name} 1003" &)'
    shell = started(
        namespace, Module(TREE.replace("(sleep 1003 &)", server), tmp_path, timeout=1.0)
    )
    bound(namespace, no_memory)
    shell.stdout.close()
    now = namespace.wait_for(
        lambda now: len(tree_of(now)) <= 1 and not supervisors(now), "the server alone"
    )
    assert sleeps(now) == ["1003"]


@AS_ROOT
def test_a_task_that_replaces_the_files_of_its_python_is_ended(namespace, tmp_path):
    """An upgrade of Python does so: what the supervisor needs of it is in memory by then."""
    shell = started(namespace, Module(TREE, tmp_path, python=PYTHON), "unshare", "--mount")
    (supervisor,) = supervisors(namespace.processes())
    namespace.run(["sleep", str(WHILE)])
    namespace.wait_for(
        lambda now: now[supervisor.pid].state == "S", "a supervisor that has nothing to do"
    )
    folder = subprocess.run(
        [PYTHON, "-c", "import os; print(os.path.dirname(os.__file__))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    subprocess.run(
        [
            "nsenter",
            f"--mount={namespace._proc}/{supervisor.pid}/ns/mnt",
            "mount",
            "-t",
            "tmpfs",
            "none",
            folder,
        ],
        check=True,
    )
    shell.stdout.close()
    ends(namespace)


@AS_ROOT
def test_where_no_processes_can_be_seen_the_module_is_ended(namespace, tmp_path):
    """No evidence shows which orphans there are. The module is our child."""
    text = (
        "import subprocess, sys, time\n"
        "subprocess.check_call(['mount', '-t', 'tmpfs', 'none', '/proc'])\n"
        "print('ready', flush=True)\ntime.sleep(1000)"
    )
    shell = namespace.spawn(["unshare", "--mount", *Module(text, tmp_path, timeout=1.0).argv(True)])
    assert shell.stdout.readline() == b"ready\n"
    shell.stdout.close()
    namespace.wait_for(lambda now: not now, "the end of the module and of its supervisor")


def kill_pass(module, **options):
    """Return the command of a kill pass for a module."""
    request = KillRequest(module.run, module.lease, "n0", **options)
    return ["/bin/sh", "-c", kill_command(request, [PYTHON])]


STUBBORN = (
    "import os, signal\nsignal.signal(15, lambda *dummy: os.write(1, b'told\\n'))\n"
    "os.write(1, b'ready\\n')\nwhile True: signal.pause()\n"
)


@pytest.mark.parametrize("first", ["the pass", "the channel"])
def test_a_pass_that_dies_in_its_grace_leaves_the_tree_to_the_supervisor(
    namespace, tmp_path, first
):
    """That happens if the system has no memory left for it, or if its session is ended."""
    module = Module(STUBBORN, tmp_path, timeout=0.5)
    shell = namespace.spawn(module.argv(True))
    assert shell.stdout.readline() == b"ready\n"
    before = namespace.wait_for(supervisors, "the supervisor")
    (supervisor,) = supervisors(before)
    (child,) = (pid for pid, process in before.items() if process.ppid == supervisor.pid)
    running = namespace.spawn(kill_pass(module, timeout=1000.0), bare=True)
    assert shell.stdout.readline() == b"told\n"
    if first == "the channel":
        shell.stdout.close()
        namespace.run(["sleep", str(WHILE)])
        assert {child, supervisor.pid} <= set(namespace.processes()), (
            "a supervisor that does not give way to the pass"
        )
    passes = [pid for pid in namespace.processes() if pid not in before]
    namespace.run(["kill", "-KILL", *map(str, sorted(passes))])
    running.wait(PATIENCE)
    if first == "the pass":
        shell.stdout.close()
    ends(namespace)


@AS_ROOT
def test_a_signal_that_may_not_be_passed_on_changes_nothing(namespace, tmp_path):
    """The module has become another user, and root here may not signal such processes.

    So it is for any user, if a module becomes root.
    """
    go = tmp_path / "go"
    os.mkfifo(go)
    text = (
        f"import os\ngo = os.open({str(go)!r}, os.O_RDWR)\nos.setuid({NOBODY})\n"
        "print('ready', flush=True)\nos.read(go, 1)\nprint('done')"
    )
    shell = namespace.spawn(
        ["setpriv", "--bounding-set", "-kill", *Module(text, tmp_path).argv(True)]
    )
    assert shell.stdout.readline() == b"ready\n"
    (supervisor,) = supervisors(namespace.wait_for(supervisors, "the supervisor"))
    for name in ("USR1", "TERM", "HUP"):
        namespace.run(["kill", f"-{name}", str(supervisor.pid)])
    with go.open("w") as told:
        told.write("x")
    assert (shell.stdout.read(), shell.wait(PATIENCE)) == (b"done\n", 0)


def test_a_storm_of_signals_changes_nothing(tmp_path):
    """They come while the status of the module is read, too."""
    text = (
        "import os, signal\nsignal.signal(signal.SIGUSR1, signal.SIG_IGN)\n"
        "os.write(1, b'%d\\n' % os.getppid())\n"
    )
    for dummy in range(20):
        module = Module(text, tmp_path)
        running = subprocess.Popen(
            module.argv(True),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        supervisor = int(running.stdout.readline())
        over = threading.Event()

        def storm(supervisor=supervisor, over=over):
            while not over.is_set():
                try:
                    os.kill(supervisor, signal.SIGUSR1)
                except ProcessLookupError:
                    return

        thread = threading.Thread(target=storm)
        thread.start()
        try:
            output, errors = running.communicate(timeout=PATIENCE)
        finally:
            over.set()
            thread.join()
        assert (running.returncode, output, errors) == (0, b"", b"")


@pytest.mark.parametrize("detaches", [False, True])
@pytest.mark.parametrize("least", [5, 6, 7])
def test_a_module_that_may_hardly_open_anything_has_its_own_end(tmp_path, least, detaches):
    """If the supervisor can't have its descriptors, the module runs without it."""
    module = Module(
        "import os\nos.write(1, b'it runs')\nos._exit(6)",
        tmp_path,
        detaches=detaches,
        retries=True,
        timeout=0.0,
    )
    shell = ["/bin/sh", "-c", f'ulimit -n {least}; exec "$@"', "x"]
    done = subprocess.run(
        [*shell, *module.argv(True)], check=False, capture_output=True, timeout=PATIENCE
    )
    bare = subprocess.run(
        [*shell, *module.argv(False)], check=False, capture_output=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout) == (bare.returncode, bare.stdout) == (6, b"it runs")
