# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Processes that must live, whatever happens to a run.

They are the user's own processes, look-alikes, and a second run on these hosts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.support.hosts import Host, HostProcess, Lab, ProcessId
from tests.support.run import gate, play
from tests.support.run.play import Setting
from tests.support.run.run import Run, started

from . import census, pulses, tree

_COOKIE = "TREEKILL"

#: The cookie of a run that never was.
_FOREIGN = "fedcba9876543210/89abcdef/4242/4241"


@dataclass
class Company:
    """The bystanders on the hosts of a lab that stay from row to row."""

    lab: Lab
    hosts: Sequence[Host]
    members: dict[str, dict[str, list[ProcessId]]] = field(
        default_factory=dict
    )  #: host name: what it is: processes
    second: Run | None = None

    def dead(self, but: Collection[str] = ()) -> list[str]:
        """Return the bystanders that are not alive. `but`: names of hosts that had no power."""
        gone = [
            f"{name} on {host}"
            for host, groups in self.members.items()
            if host not in but
            for name, processes in groups.items()
            if not all(one.alive() for one in processes)
        ]
        if self.second is not None and self.second.process.poll() is not None:
            gone.append(f"the second run itself\n{self.second.story}")
        return gone

    def renew(self, name: str) -> None:
        """Start the user's own processes on a host again. Its power was lost."""
        self.members[name] = _users_own(self.lab[name])

    def known(self, host: Host) -> frozenset[ProcessId]:
        """Return all processes that were on the host before the row began."""
        return frozenset(
            process for processes in self.members[host.name].values() for process in processes
        )


@contextmanager
def company(lab: Lab, hosts: Sequence[Host], *, second: bool = True) -> Iterator[Company]:
    """Bystanders on the hosts, and a second run on the first two.

    At the end the second run goes on, and must end well. `second`: False if a row takes the network
    from every run.
    """
    for host in hosts:
        host.reset()
    group = Company(lab, hosts)
    with ExitStack() as stack:
        if second:
            group.second = stack.enter_context(
                started(lab, Setting(hosts=2), collection=True, script=gate.script)
            )
        for host in hosts:
            group.members[host.name] = _users_own(host)
        for host in hosts[:2] if group.second else ():
            assert group.second is not None
            gate.wait_at(group.second, host, seconds=60)
            if lab.has_pulses:
                pulses.wait_for_attached(group.second, host)
            rest = census.newcomers(host, group.known(host))
            group.members[host.name]["the task of a second run"] = [process.id for process in rest]
        yield group
        if not group.dead():
            _let_go(group)


def _users_own(host: Host) -> dict[str, list[ProcessId]]:
    return {
        "the user's process with the command line of a member": [
            host.spawn(tree.NAMESAKE.split(), user=user).id
            for user in ("ansible", "secret", "root")
        ],
        "a process with another run's cookie": [
            host.spawn(["sleep", "7201"], user=user, environ={_COOKIE: _FOREIGN}).id
            for user in ("ansible", "root")
        ],
        "a process whose cookie is garbage": [
            host.spawn(["sleep", "7202"], environ={_COOKIE: "../../1/1"}).id
        ],
    }


def _let_go(group: Company) -> None:
    if group.second is None:
        return
    for host in group.hosts[:2]:
        gate.open_gate(group.second, host)
    assert group.second.wait(60) == 0, f"the second run did not end well\n{group.second.story}"


class Companies:
    """The bystanders of each lab.

    They are made when they are needed, and made again if a row has ended some of them.
    """

    def __init__(self) -> None:
        self._present: dict[str, tuple[Company, ExitStack]] = {}

    def on(self, lab: Lab, second: bool = True) -> Company:
        """Return those of that lab. `second`: see `company`."""
        if lab.name in self._present and self._present[lab.name][0].dead():
            self._present.pop(lab.name)[1].close()
        if lab.name not in self._present:
            stack = ExitStack()
            self._present[lab.name] = (
                stack.enter_context(company(lab, list(lab), second=second)),
                stack,
            )
        return self._present[lab.name][0]

    def close(self) -> None:
        """End all of them."""
        while self._present:
            self._present.popitem()[1][1].close()


def of_row(
    run: Run, host: Host, tree_processes: Sequence[HostProcess]
) -> dict[str, list[ProcessId]]:
    """Return bystanders that exist only now.

    They are what the run's first task has left, and look-alikes made from the row's own cookie.
    """
    earlier = [
        process.id for process in tree_processes if play.earlier_label(run.row) in process.command
    ]
    assert len(earlier) == 1 + len(run.setting.leaves), (
        f"not every daemon of the first task is on {host.name}\n{run.story}"
    )
    look_alikes = []
    cookie = next(
        (
            one.environ[_COOKIE]
            for one in tree_processes
            if one.environ and _COOKIE in one.environ and "tk-background-" in one.command
        ),
        None,
    )
    if cookie:
        lease = "/".join(cookie.split("/")[1:])
        look_alikes = [
            host.spawn(
                ["sleep", "7203"],
                user=run.setting.becoming.login,
                environ={f"NOT{_COOKIE}": cookie, "X": f"{_COOKIE}={cookie}"},
            ).id,
            host.spawn(["sleep", "7204"], environ={_COOKIE: f"0123456789abcdef/{lease}"}).id,
            host.spawn(["tail", "-F", f"/tmp/{_COOKIE}={cookie}/$$/"]).id,
        ]
    return {
        "a daemon of an earlier task": earlier,
        "a process that merely contains the word": look_alikes,
    }
