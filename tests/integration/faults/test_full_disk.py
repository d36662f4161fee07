# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Full disks: of the controller, where the guardian needs a directory, and of the host.

The kill pass needs none on the host.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hosts import Host, Lab
from tests.support.run import tasks
from tests.support.run.playing import Play, started
from tests.support.run.run import Run
from tests.support.trees.triggers import INT
from tools.environment._paths import ROOT

# The controller's.

_SHARED_DIRECTORIES = ("/tmp", "/dev/shm")

#: Small file systems over all directories that a guardian may take, seen by this run alone. They
#: are removed with its last process. Arguments: paths that stay visible below them, `--`, the
#: command.
_SMALL_DISKS = """
mount -t tmpfs tmpfs /mnt
count=0
for path; do
    [ "$path" != -- ] || break
    count=$((count + 1))
    mkdir "/mnt/$count"
    mount --rbind "$path" "/mnt/$count"
done
for directory in "$TMPDIR" /tmp /dev/shm; do
    mount -t tmpfs -o size=256k,nr_inodes=50,mode=1777 tmpfs "$directory"
done
count=0
while [ "$1" != -- ]; do
    count=$((count + 1))
    mkdir -p "$1"
    mount --rbind "/mnt/$count" "$1"
    shift
done
shift
exec "$@"
"""

#: A callback that is called before the guardian's. Core has made its own temporary files by then,
#: and now the disks are full.
_FILL = """
import errno, os
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = (
    "name: fill\\ntype: aggregate\\nshort_description: fills disks\\n"
    "description: fills disks\\n"
)

def fill(directory, spare_files):
    made = []
    try:
        with open(os.path.join(directory, "filler"), "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
    except OSError as error:
        assert error.errno == errno.ENOSPC
    try:
        while True:
            made.append(os.path.join(directory, "filler-%d" % len(made)))
            open(made[-1], "wb").close()
    except OSError as error:
        assert error.errno == errno.ENOSPC
    for path in made[-1 - spare_files:-1]:
        os.unlink(path)

def take_its_name(directory):
    # The name that the guardian of this process would give its directory there. Another user has
    # made it before.
    start = open("/proc/self/stat").read().rpartition(")")[2].split()[19]
    path = os.path.join(directory, "treekill-%d-%d-%s" % (os.getuid(), os.getpid(), start))
    os.mkdir(path)
    os.chmod(path, 0o777)

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "fill"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook):
        for word in os.environ["TK_FILL"].split():
            directory, spare_files = word.split("=")
            if spare_files == "taken":
                take_its_name(directory)
            else:
                fill(os.path.expandvars(directory), int(spare_files))
        self._display.display("the disks are full")
"""


def small_disks(lab: Lab) -> list[str]:
    """Return words before a command.

    The files of the run may themselves be below a directory that gets a small disk.
    """
    needed = (ROOT, Path(sys.base_prefix), lab.directory)
    hidden = [
        str(path)
        for path in needed
        if any(path.is_relative_to(directory) for directory in _SHARED_DIRECTORIES)
    ]
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-euc",
        _SMALL_DISKS,
        "small-disks",
        *hidden,
        "--",
    ]


def a_play(lab: Lab, disks: str, task: tasks.Task) -> Play:
    """Return a play with small disks.

    `disks`: directories, each with the number of files that can still be made there. `taken` is for
    one where another user has the name that is needed.
    """
    return Play(
        [task],
        before=small_disks(lab),
        parent="/var/tmp",
        files={"fill.py": _FILL},
        environ={"TK_FILL": disks},
        options={"kill_timeout": 1},
        sections={
            "defaults": {
                "callbacks_enabled": "fill, treekill.remote.guardian",
                "callback_plugins": ".",
            }
        },
    )


def test_where_there_is_no_place_for_a_guardian_the_user_is_told_and_the_run_goes_on(
    lab: Lab, web1: Host
) -> None:
    # Core needs /dev/shm: with that full, it runs no task at all, with or without this collection.
    with started(lab, a_play(lab, "$TMPDIR=0 /tmp=0 /dev/shm=taken", tasks.trace())) as run:
        assert run.wait(60) == 0, run.story
        assert tasks.has_left_trace(run, web1), run.story
        assert "No space left on device" in tasks.said(run), run.story
        assert (
            "Nothing is guarded: processes that an interruption leaves behind keep running"
            in tasks.said(run)
        ), run.story
        tasks.wait_until_nothing_is_left(run)


@pytest.mark.parametrize(
    "room", [0, 1, 2, 3], ids=["nothing", "a directory", "a directory and a file", "all"]
)
def test_another_directory_is_taken_where_the_first_has_no_room_or_the_user_is_told(
    lab: Lab, web1: Host, room: int
) -> None:
    """A guardian needs a directory and two files in it, all of them empty."""
    with started(lab, a_play(lab, f"$TMPDIR={room} /tmp=0", tasks.grow())) as run:
        tasks.wait_for_tree(run, [web1])
        if room in (1, 2) and "Nothing is guarded" in tasks.said(run):
            return
        assert not run.errors, run.story
        interrupt_and_see_all_end(run, lab, web1)


def interrupt_and_see_all_end(run: Run, lab: Lab, host: Host) -> None:
    INT.fire(run, lab)
    assert run.wait(60) == INT.status, run.story
    tasks.wait_until_gone(run, [host])
    assert re.search(rf"^{host.name} +: ended [1-9]\d* .*survivors 0", run.errors, re.MULTILINE), (
        run.story
    )
    tasks.wait_until_nothing_is_left(run)


# The host's.


@contextlib.contextmanager
def a_small_home(host: Host) -> Iterator[None]:
    """The home directory of the login, with its keys, on a small disk of its own."""
    home = f"/home/{host.login}"
    script = (
        f"cp -a {home} /run/home; mount -t tmpfs -o size=8m tmpfs {home}; cp -a /run/home/. "
        f"{home}; rm -r /run/home"
    )
    host.run(["sh", "-euc", script])
    try:
        yield
    finally:
        host.run(["umount", "--lazy", home])


def fill_home(host: Host) -> None:
    home = f"/home/{host.login}"
    # Until no block is left. Then only a directory entry fits in.
    host.run(["sh", "-c", f"cat /dev/zero > {home}/filler"], user=host.login, check=False)
    assert "No space left" in host.ssh("echo word > ~/word").stderr


@pytest.mark.parametrize("anew", [False, True], ids=["same connection", "new connection"])
def test_the_kill_pass_needs_no_room_on_the_host(lab: Lab, web1: Host, anew: bool) -> None:
    sections = {"ssh_connection": {"ssh_args": "-o ControlMaster=no"}} if anew else {}
    play = Play(
        [tasks.grow()],
        options={"kill_timeout": 1},
        sections=sections,
        kinds=["background", "setsid", "ignores-signals"],
    )
    with a_small_home(web1), started(lab, play) as run:
        tasks.wait_for_tree(run, [web1])
        with web1.full_disk("/tmp"), web1.full_disk("/var/tmp"), web1.full_disk("/dev/shm"):
            fill_home(web1)
            interrupt_and_see_all_end(run, lab, web1)
