# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that interrupts a guardian with many hosts in flight, none of which exists.

Guardian and couriers are real. The hosts are those of the connection plugin `made_up`. The program
holds each lease by a connection of its own, as a worker would. It prints what it has seen as JSON.
`measured` runs it.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PLUGINS = Path(__file__).with_name("connection_plugins")

#: Modules of the way to the guardian.
_WIRE = ("endpoint", "framing")

#: Leases that are taken one after the other while hosts are lost.
_MORE_LEASES = 200

#: Seconds between two looks at guardian and main process.
_PAUSE = 0.1


@dataclasses.dataclass(frozen=True)
class Seen:
    """The findings of the program. Times are seconds since the interruption."""

    #: When the order for each host went out.
    orders: dict[str, float]
    #: When the report was there, and the outcome of each host in it.
    report: float
    outcomes: dict[str, str]
    reasons: dict[str, str]
    #: Seconds for which a worker has waited for a lease while hosts were lost, at most.
    answer: float
    #: Seconds between two messages about the progress, at most.
    silence: float
    #: MiB of private memory and number of descriptors, at most.
    guardian_memory: float
    guardian_descriptors: int
    main_memory: float
    main_descriptors: int
    #: Seconds of processor time that the guardian has used, without its couriers.
    guardian_seconds: float


def measured(
    hosts: list[str],
    python_path: str,
    *,
    lost: Sequence[str] = (),
    descriptors: tuple[int, int] = (1024, 1024),
    grace: float = 1.0,
    seconds: float = 600,
) -> Seen:
    """Run it for hosts with these names.

    Args:
        hosts: the name of each begins with its kind, as the connection plugin has them.
        python_path: the places of this repository and of the collection.
        lost: those whose connections are lost before the interruption, while the run goes on.
        descriptors: soft and hard limit.
        grace: seconds of the grace period.
        seconds: limit of the whole.
    """
    with tempfile.TemporaryDirectory(prefix="tk-", dir="/tmp") as directory:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TREEKILL", "XDG_RUNTIME_DIR"))
        }
        environ.update(
            TMPDIR=directory,
            PYTHONPATH=python_path,
            ANSIBLE_CONNECTION_PLUGINS=str(_PLUGINS),
            TK_ORDERS=f"{directory}/orders",
            LC_ALL="C.UTF-8",
        )
        order = {"hosts": hosts, "lost": [*lost], "descriptors": descriptors, "grace": grace}
        done = subprocess.run(
            [sys.executable, __file__],
            input=json.dumps(order),
            stdout=subprocess.PIPE,
            env=environ,
            text=True,
            timeout=seconds,
            check=True,
        )
        return Seen(**json.loads(done.stdout))


def _private_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Looks:
    """Repeated looks at the two processes, by a thread."""

    def __init__(self, guardian: int) -> None:
        self._guardian = guardian
        self._over = threading.Event()
        self._used = _processor_seconds(guardian)
        self.guardian_memory = self.main_memory = self.guardian_seconds = 0.0
        self.guardian_descriptors = self.main_descriptors = 0
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(_PAUSE):
            try:
                self.guardian_memory = max(self.guardian_memory, _private_mib(self._guardian))
                self.guardian_descriptors = max(
                    self.guardian_descriptors, _descriptors(self._guardian)
                )
                self.guardian_seconds = _processor_seconds(self._guardian) - self._used
            except OSError:
                return
            self.main_memory = max(self.main_memory, _private_mib(os.getpid()))
            self.main_descriptors = max(self.main_descriptors, _descriptors(os.getpid()))

    def end(self) -> None:
        self._over.set()
        self._thread.join()


def _product(name: str) -> Any:
    """Return a module of the collection, by the end of its name."""
    return importlib.import_module(f"ansible_collections.treekill.remote.plugins.{name}")


class _Program:
    """The run, in the place of a main process and of all its workers."""

    def __init__(self, grace: float) -> None:
        self._run, self._grace = secrets.token_hex(8), grace
        self._options = dataclasses.replace(
            _product("plugin_utils._core.options").resolve(), timeout=grace, retry_for=0.0
        )
        self._messages = _product("plugin_utils._ipc.messages")
        main = _product("plugin_utils._system.processes").identify(os.getpid())
        self.path = _product("plugin_utils._guardian.guardian_process").ensure(self._run, main)
        self._held: dict[str, tuple[Any, str]] = {}
        # They are there in a run that has sent a command.
        _product("plugin_utils._payload.cache").programs()

    def connect(self) -> Any:
        """Return another connection to the guardian."""
        endpoint, framing = (_product(f"plugin_utils._ipc.{name}") for name in _WIRE)
        channel = framing.Channel(endpoint.connect(self.path, timeout=30))
        channel.socket.settimeout(120)
        return channel

    def _send(self, channel: Any, request: Any) -> None:
        channel.send(self._messages.request_frame(request))

    def take(self, host: str) -> None:
        """Take a lease for a host, and keep the connection."""
        channel = self.connect()
        self._held[host] = channel, self._granted(channel, host)

    def _granted(self, channel: Any, host: str) -> str:
        request = self._request(host)
        self._send(channel, request)
        assert channel.receive()["granted"], host
        return str(request.lease)

    def lose(self, hosts: Sequence[str]) -> float:
        """Lose hosts, and take more leases. Return the longest wait for one."""
        for host in hosts:
            channel, lease = self._held[host]
            self._send(channel, self._messages.LeaseBrokenNotice(lease, lost=True, wait=False))
        channel, longest = self.connect(), 0.0
        for dummy in range(_MORE_LEASES if hosts else 0):
            before = time.monotonic()
            lease = self._granted(channel, "host")
            longest = max(longest, time.monotonic() - before)
            self._send(channel, self._messages.LeaseDoneNotice(lease))
        channel.close()
        return longest

    def interrupt(self) -> tuple[float, float, Any]:
        """End the run with its tasks in flight.

        Return the moment, the longest time between two messages, and the report.
        """
        channel, silence = self.connect(), 0.0
        began = before = time.monotonic()
        self._send(channel, self._messages.ReportRequest(wait=True))
        while True:
            answer = self._messages.read_report(channel.receive())
            silence, before = max(silence, time.monotonic() - before), time.monotonic()
            if hasattr(answer, "results"):
                return began, silence, answer

    def _request(self, host: str) -> Any:
        lease = secrets.token_hex(4)
        order = self._messages.KillOrderTerms(
            run=self._run,
            lease=lease,
            options=self._options,
            interpreters=("/usr/bin/python3",),
            becomes=False,
            pipelined=False,
            show_arguments=True,
        )
        reach = {
            "connection": "made_up",
            "connection_options": {},
            "shell": "sh",
            "shell_options": {},
            "become": None,
            "become_options": {},
            "play_context": {"remote_addr": host, "executable": "/bin/sh"},
        }
        no = dict.fromkeys(("keep", "end_async", "local", "cut", "transfer"), False)
        terms = self._messages.LeaseTerms(
            run=self._run, timeout=self._grace, retry_for=0.0, supervised=True, **no
        )
        return self._messages.LeaseRequest(
            lease=lease,
            host=host,
            task="a task",
            order=json.dumps(order.to_message()),
            reach=json.dumps(reach),
            terms=terms,
        )


def main() -> None:
    """Do as standard input says, and print what was seen."""
    asked = json.load(sys.stdin)
    resource.setrlimit(resource.RLIMIT_NOFILE, tuple(asked["descriptors"]))
    from ansible.plugins.loader import init_plugin_loader  # noqa: PLC0415

    init_plugin_loader()
    os.environ.update(
        TK_VERSION=str(_product("module_utils._kill_pass.report_line").VERSION),
        TK_REPORT_MARK=_product("module_utils._lease.kill_request").MARK,
    )
    program = _Program(asked["grace"])
    for host in asked["hosts"]:
        program.take(host)
    answer = program.lose(asked["lost"])
    looks = _Looks(_product("plugin_utils._run.report_wait").guardian_at(program.path)[0])
    began, silence, report = program.interrupt()
    took = time.monotonic() - began
    looks.end()
    lines = Path(os.environ["TK_ORDERS"]).read_text().splitlines()
    seen = Seen(
        orders={line.split()[0]: float(line.split()[1]) - began for line in reversed(lines)},
        report=took,
        outcomes={one.host: one.outcome.value for one in report.results},
        reasons={one.host: one.reason for one in report.results if one.reason},
        answer=answer,
        silence=silence,
        guardian_memory=looks.guardian_memory,
        guardian_descriptors=looks.guardian_descriptors,
        main_memory=looks.main_memory,
        main_descriptors=looks.main_descriptors,
        guardian_seconds=looks.guardian_seconds,
    )
    json.dump(dataclasses.asdict(seen), sys.stdout)


if __name__ == "__main__":
    main()
