# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A supervisor takes its run for gone when a pulse was lost and no other one has come in time.

Only a pulse of its own user counts, and only a supervisor of its own user is told anything.
"""

import os
import secrets
import select
import socket
import subprocess
import sys
import time

import pytest
from ansible_collections.treekill.remote.plugins.module_utils._lease import pulse_socket
from ansible_collections.treekill.remote.plugins.module_utils._lease.pulse_socket import (
    pulse_address,
    pulse_addresses,
)
from ansible_collections.treekill.remote.plugins.module_utils._supervisor import pulse_watch

from tests.unit.plugins.module_utils.process_namespace import PROJECT_PATHS

LEASE = "89abcdef"

PULSE = """
import sys
sys.path[:] = %r
from ansible_collections.treekill.remote.plugins.module_utils._supervisor.pulse import be_pulse
be_pulse(sys.argv[1], "nonce")
""" % (PROJECT_PATHS,)

#: Another user has only the standard library.
STRANGER = """
import os, socket, sys
os.setuid(65534)
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1].replace("@", chr(0)))
listener.listen(8)
print("up", flush=True)
sys.stdin.read()
"""

#: Connects to the pulse, and prints what it gets there.
INTRUDER = """
import os, socket, sys
os.setuid(65534)
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1].replace("@", chr(0)))
connection.settimeout(10)
try:
    connection.send(b"89abcdef" + bytes([10]))
    print(connection.recv(100))
except ConnectionError:
    print(b"")
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user")


@pytest.fixture(autouse=True)
def grace(monkeypatch):
    monkeypatch.setattr(pulse_watch, "GRACE_SECONDS", 0.5)


@pytest.fixture
def run():
    return secrets.token_hex(8)


@pytest.fixture
def start():
    """Return a function that starts a program and waits for its first line."""
    started = []

    def start_one(text, *words):
        process = subprocess.Popen(
            [sys.executable, "-c", text, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        if text == PULSE:
            assert process.stdout.readline() == b"nonce here\n"
            tell(process, "the input is open")
        assert b"up" in process.stdout.readline()
        return process

    yield start_one
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def tell(pulse, text):
    pulse.stdin.write(text.encode() + b"\n")
    pulse.stdin.flush()


def until_gone(watch, seconds=10.0):
    """Return the seconds after which the run counts as gone; None if it does not."""
    read_end, write_end = os.pipe()
    poll = select.poll()
    poll.register(read_end, select.POLLIN)
    began = time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            if watch.run_is_gone():
                return time.monotonic() - began
            if watch.released:
                time.sleep(0.01)
            elif watch.connection is not None:
                select.select([watch.connection], [], [], 0.05)
            else:
                watch.wait(poll, read_end)
        return None
    finally:
        os.close(read_end)
        os.close(write_end)


def attached(watch):
    """Whether the watch is connected to a pulse, or to a listener that sends nothing."""
    assert not watch.run_is_gone()
    if watch.connection is None:
        return False
    select.select([watch.connection], [], [], 2)
    assert not watch.run_is_gone()
    return watch.connection is not None


def test_without_a_pulse_no_run_is_gone(run):
    assert until_gone(pulse_watch.PulseWatch(run, LEASE), 1.5) is None


def test_a_run_is_gone_some_time_after_its_pulse(run, start):
    pulse = start(PULSE, run)
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert attached(watch)
    assert pulse.stdout.readline() == b"nonce attached 89abcdef\n"
    pulse.stdin.close()
    pulse.wait(10)
    assert until_gone(watch) >= 0.5


def test_another_pulse_in_time_keeps_the_run(run, start):
    pulse = start(PULSE, run)
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert attached(watch)
    pulse.kill()
    pulse.wait()
    assert not watch.run_is_gone()
    start(PULSE, run)
    assert until_gone(watch, 1.5) is None
    assert watch.connection is not None


def test_a_pulse_whose_input_is_closed_at_once_has_no_supervisors(run):
    """A plugin may close the input of each command. Such a pulse would come and go all the time."""
    done = subprocess.run(
        [sys.executable, "-c", PULSE, run], input=b"\n", stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.splitlines() == [
        b"nonce here",
        b"nonce failed its connection closes the input of a command",
    ]


def test_before_its_input_is_known_to_be_open_a_pulse_has_no_supervisors(run):
    pulse = subprocess.Popen(
        [sys.executable, "-c", PULSE, run], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with pulse:
        assert pulse.stdout.readline() == b"nonce here\n"
        watch = pulse_watch.PulseWatch(run, LEASE)
        assert not attached(watch)
        pulse.kill()
    assert until_gone(watch, 1.5) is None


def test_a_pulse_that_is_over_shows_nothing(run, start):
    """The run goes on, and needs no pulse there any more."""
    pulse = start(PULSE, run)
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert attached(watch)
    tell(pulse, "over")
    pulse.wait(10)
    assert until_gone(watch, 1.5) is None


def test_a_pulse_that_ends_before_its_first_word_shows_nothing(run):
    """It was about to end when the supervisor came, and may have been that of other tasks."""
    watch = pulse_watch.PulseWatch(run, LEASE)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(pulse_address(run, "0"))
        listener.listen(1)
        assert not watch.run_is_gone()
        assert watch.connection is not None
    assert until_gone(watch, 1.5) is None


def test_the_pulse_of_another_container_is_not_found(run, start, monkeypatch):
    """Containers may share their network. That pulse ends with the tasks there."""
    start(PULSE, run)
    name = pulse_socket.pulse_address(run, "")
    assert pulse_addresses(run)
    monkeypatch.setattr(pulse_socket, "pulse_address", lambda *dummy: name[:-2] + "0/")
    assert not pulse_addresses(run)


def test_the_pulse_of_another_run_does_not_keep_it(run, start):
    pulse = start(PULSE, run)
    start(PULSE, secrets.token_hex(8))
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert attached(watch)
    pulse.kill()
    assert until_gone(watch) is not None


@pytest.mark.parametrize(("lease", "released"), [(LEASE, True), ("*", True), ("01234567", False)])
def test_a_job_that_is_released_is_watched_no_longer(run, start, lease, released):
    pulse = start(PULSE, run)
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert attached(watch)
    assert pulse.stdout.readline() == b"nonce attached 89abcdef\n"
    tell(pulse, "release " + lease)
    assert pulse.stdout.readline() == b"nonce released %s\n" % lease.encode()
    pulse.kill()
    pulse.wait()
    assert (until_gone(watch, 3.0) is None) == released


def test_a_supervisor_that_comes_later_hears_all(run, start):
    pulse = start(PULSE, run)
    tell(pulse, "grace 7")
    tell(pulse, "release " + LEASE)
    assert pulse.stdout.readline() == b"nonce released 89abcdef\n"
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert not watch.run_is_gone()
    select.select([watch.connection], [], [], 10)
    assert not watch.run_is_gone()
    assert watch.released
    assert watch.grace == 7


@as_root
def test_the_socket_of_another_user_does_not_keep_a_job_alive(run, start):
    pulse = start(PULSE, run)
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert attached(watch)
    start(STRANGER, pulse_address(run, "0").replace("\0", "@"))
    pulse.kill()
    assert until_gone(watch) is not None


@as_root
def test_the_socket_of_another_user_does_not_end_a_job(run, start):
    stranger = start(STRANGER, pulse_address(run, "0").replace("\0", "@"))
    watch = pulse_watch.PulseWatch(run, LEASE)
    assert not attached(watch)
    stranger.kill()
    assert until_gone(watch, 1.5) is None


@as_root
def test_names_that_another_user_holds_hide_no_pulse(run, start):
    for digits in "012":
        start(STRANGER, pulse_address(run, digits).replace("\0", "@"))
    start(PULSE, run)
    assert attached(pulse_watch.PulseWatch(run, LEASE))


@as_root
def test_a_pulse_closes_the_connection_of_another_user(run, start):
    pulse = start(PULSE, run)
    tell(pulse, "release 01234567")
    assert pulse.stdout.readline() == b"nonce released 01234567\n"
    (address,) = pulse_addresses(run)
    intruder = subprocess.run(
        [sys.executable, "-c", INTRUDER, address.replace("\0", "@")],
        stdout=subprocess.PIPE,
        check=True,
    )
    assert intruder.stdout == b"b''\n"
    tell(pulse, "release " + LEASE)
    # not a word of a lease that it has named
    assert pulse.stdout.readline() == b"nonce released 89abcdef\n"


def test_a_listener_that_accepts_nothing_holds_up_no_look(run):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(pulse_address(run, "0"))
        listener.listen(0)
        others = [socket.socket(socket.AF_UNIX) for dummy in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(pulse_address(run, "0"))
        watch = pulse_watch.PulseWatch(run, LEASE)
        began = time.monotonic()
        assert not watch.run_is_gone()
        assert time.monotonic() - began < 1.0
        for other in others:
            other.close()
