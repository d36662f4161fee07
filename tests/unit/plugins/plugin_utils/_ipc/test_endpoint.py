# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The directory and the socket of a guardian.

No other user could have prepared the directory, and no other user answers at the socket.
"""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._process.model import ProcessId
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc import endpoint
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.endpoint import (
    EndpointError,
    WrongPeer,
)

#: No process: only the name of its directory is made.
MAIN = ProcessId(2**22 + 1, 7)

STRANGER = 64999


@pytest.fixture
def parent(monkeypatch):
    """The only directory that there is, short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="tk-", dir="/tmp") as directory:
        monkeypatch.setattr(endpoint, "parents", lambda: iter([directory]))
        yield Path(directory)


def directory_below(parent: Path) -> Path:
    return parent / f"treekill-{os.getuid()}-{MAIN.pid}-{MAIN.start}"


def test_the_directory_is_made_for_this_user_alone_whatever_the_umask(parent):
    before = os.umask(0)
    try:
        path = Path(endpoint.socket_path(MAIN))
    finally:
        os.umask(before)
    assert path.parent == directory_below(parent)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_all_processes_of_a_run_come_to_the_same_place_and_no_others(parent):
    assert endpoint.socket_path(MAIN) == endpoint.socket_path(MAIN)
    assert endpoint.socket_path(MAIN) != endpoint.socket_path(ProcessId(MAIN.pid, MAIN.start + 1))


def of_another(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, STRANGER, STRANGER)


PREPARED = {
    "open to the group": lambda path: (path.mkdir(), path.chmod(0o750)),
    "open to all": lambda path: (path.mkdir(), path.chmod(0o777)),
    "a link to a private directory": lambda path: path.symlink_to(
        tempfile.mkdtemp(dir=path.parent)
    ),
    "a dangling link": lambda path: path.symlink_to(path.parent / "nothing"),
    "a file": lambda path: path.touch(0o700),
    "another user's": of_another,
}


@pytest.mark.parametrize("prepare", PREPARED.values(), ids=PREPARED)
def test_a_place_that_another_user_may_have_prepared_is_not_trusted(parent, prepare):
    try:
        prepare(directory_below(parent))
    except PermissionError:
        pytest.skip("only root can make another user's directory")
    with pytest.raises(EndpointError, match="not a private directory of this user"):
        endpoint.socket_path(MAIN)


def test_the_next_directory_is_taken_where_one_will_not_do(parent, monkeypatch):
    long = parent / ("x" * 80)
    long.mkdir()
    squatted, good = parent / "squatted", parent / "good"
    squatted.mkdir()
    good.mkdir()
    directory_below(squatted).touch()
    monkeypatch.setattr(endpoint, "parents", lambda: iter(map(str, [long, squatted, good])))
    assert Path(endpoint.socket_path(MAIN)).parent == directory_below(good)


def test_where_none_will_do_each_is_named_with_the_reason(parent, monkeypatch):
    long = parent / ("x" * 80)
    long.mkdir()
    directory_below(parent).touch()
    monkeypatch.setattr(
        endpoint, "parents", lambda: iter(map(str, [long, parent, parent / "missing"]))
    )
    with pytest.raises(
        EndpointError,
        match=r"too long for a socket's name; .*not a private directory of this user; .*No such "
        r"file",
    ):
        endpoint.socket_path(MAIN)


def test_a_listener_replaces_one_that_is_dead_and_is_this_users_alone(parent):
    path = endpoint.socket_path(MAIN)
    endpoint.listen(path).close()
    assert not endpoint.answers(path)
    with endpoint.listen(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert endpoint.answers(path)


def test_the_peer_is_told_by_its_pid(parent):
    path = endpoint.socket_path(MAIN)
    with endpoint.listen(path) as listener, endpoint.connect(path, 5.0):
        accepted, dummy = listener.accept()
        with accepted:
            assert endpoint.check_peer(accepted) == os.getpid()


def test_no_process_listens_where_there_is_nothing(parent):
    path = endpoint.socket_path(MAIN)
    with pytest.raises(FileNotFoundError):
        endpoint.connect(path, 5.0)
    assert not endpoint.answers(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_peer_of_another_uid_is_refused_at_both_ends(parent):
    parent.chmod(0o755)
    path = parent / "socket"
    child = os.fork()
    if child == 0:
        # The stranger listens, as a thief of the orders with their passwords would.
        parent.chmod(0o777)
        os.setresgid(STRANGER, STRANGER, STRANGER)
        os.setresuid(STRANGER, STRANGER, STRANGER)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listener.accept()[0].recv(1)
        os._exit(0)
    try:
        refused = None
        while refused is None:
            try:
                endpoint.connect(str(path), 5.0)
            except WrongPeer as error:
                refused = error
            except (FileNotFoundError, ConnectionRefusedError):
                continue  # it does not listen yet
        assert f"uid {STRANGER}" in str(refused)
        assert not endpoint.answers(str(path))
    finally:
        os.waitpid(child, 0)


def test_nothing_is_left_after_remove_and_removing_twice_is_harmless(parent):
    path = endpoint.socket_path(MAIN)
    endpoint.listen(path).close()
    Path(endpoint.lock_path(path)).touch()
    for dummy in range(2):
        endpoint.remove(path)
        assert list(parent.iterdir()) == []


def test_word_of_a_crash_stays(parent):
    path = endpoint.socket_path(MAIN)
    Path(endpoint.crash_path(path)).write_text("why")
    endpoint.remove(path)
    assert Path(endpoint.crash_path(path)).read_text() == "why"
