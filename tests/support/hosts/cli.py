# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, such as `python -m tests.support.hosts up --count 2 --lab NAME`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence

from . import area, foreground, kinds, state, trees
from .accounts import ACCOUNTS, PASSWORD
from .area import Area
from .errors import HostsError, NoSuchLab
from .host import Host
from .lab import Lab, labs
from .processes import HostProcess
from .programs import SELF

_DEFAULT_LAB = "default"


def main(argv: Sequence[str]) -> int:
    """Run one command, and return the exit status."""
    # Split here: argparse would take options between a host's name and the -- for a part of the
    # command.
    end = argv.index("--") if "--" in argv else len(argv)
    arguments = _parser().parse_args(argv[:end])
    arguments.argv, arguments.words = argv, argv[end + 1 :]
    # With these handlers, what is half made is removed.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    command: Callable[[argparse.Namespace], int] = arguments.function
    try:
        there = _area_of(arguments)
        if there is None:
            return command(arguments)
        return _inside(there, argv)
    except HostsError as error:
        sys.stderr.write(f"hosts: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _leave(number: int, dummy: object) -> None:
    raise SystemExit(128 + number)


def _area_of(arguments: argparse.Namespace) -> Area | None:
    """Return the rootless area in which the command's lab is."""
    name = getattr(arguments, "lab", None)
    return next((one for one in area.areas() if one.name == name), None)


def _inside(there: Area, argv: Sequence[str]) -> int:
    """Run this command in the area."""
    status = foreground.run(there.enter_argv([*SELF, *argv]))
    if argv[0] == "down":
        there.close()
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.hosts", description="Throw-away real hosts on this machine."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        function: Callable[[argparse.Namespace], int], *parts: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        name = function.__name__.lstrip("_")
        made = commands.add_parser(
            name, help=function.__doc__, description=function.__doc__, parents=parts
        )
        made.set_defaults(function=function)
        return made

    lab, made, hosts, one = _lab_option(), _making_options(), _hosts_argument(), _host_argument()
    command(_up, lab, made)
    run = command(_run, made)
    run.add_argument("--lab", metavar="NAME", help="in this lab, which is up")
    down = command(_down, lab)
    down.add_argument("--all", action="store_true", help="every lab")
    down.add_argument("--id", help=argparse.SUPPRESS)
    command(_list).add_argument("--json", action="store_true", help="as JSON")
    command(_kinds)
    for function in (_cut, _heal, _kill, _boot, _reset):
        command(function, lab, hosts)
    execute = command(_exec, lab, one)
    run.epilog = execute.epilog = "The command and its arguments stand behind --."
    execute.add_argument("--user", choices=sorted(ACCOUNTS), help="as this account (default: root)")
    for function in (_count, _ps):
        counting = command(function, lab, hosts)
        counting.add_argument(
            "--match", default="", metavar="REGEX", help="only where the command line has this"
        )
        counting.add_argument(
            "--system", action="store_true", help="init, sshd and its session processes too"
        )
    for name, function in (("hold", _hold), ("tree", _tree)):
        # The commands of a rootless area's own processes. No person types them.
        hidden = commands.add_parser(name)
        hidden.set_defaults(function=function)
        hidden.add_argument("argument")
    return parser


def _lab_option() -> argparse.ArgumentParser:
    part = argparse.ArgumentParser(add_help=False)
    part.add_argument(
        "--lab",
        default=_DEFAULT_LAB,
        metavar="NAME",
        help=f"name of the lab (default: {_DEFAULT_LAB})",
    )
    return part


def _making_options() -> argparse.ArgumentParser:
    part = argparse.ArgumentParser(add_help=False)
    part.add_argument("--count", type=int, default=2, help="how many hosts (default: 2)")
    part.add_argument(
        "--kind",
        default=kinds.AUTO,
        choices=kinds.CHOICES,
        help="what hosts are made of (default: the best that can run here)",
    )
    part.add_argument(
        "--rootless",
        dest="kind",
        action="store_const",
        const=kinds.ROOTLESS,
        help="the same as --kind rootless",
    )
    part.add_argument(
        "--base",
        default=trees.DEFAULT,
        help=f"a Debian suite, or machine for this machine's own root (default: {trees.DEFAULT})",
    )
    part.add_argument(
        "--no-python", dest="python", action="store_false", help="hosts without Python"
    )
    part.add_argument(
        "--bind",
        action="append",
        default=[],
        metavar="SOURCE:TARGET",
        help="show hosts a directory of this machine",
    )
    return part


def _hosts_argument() -> argparse.ArgumentParser:
    part = argparse.ArgumentParser(add_help=False)
    part.add_argument("hosts", nargs="*", metavar="HOST", help="all of the lab when none is named")
    return part


def _host_argument() -> argparse.ArgumentParser:
    part = argparse.ArgumentParser(add_help=False)
    part.add_argument("host", metavar="HOST")
    return part


def _make(arguments: argparse.Namespace, *, name: str | None, owned: bool) -> Lab:
    binds = dict(item.split(":", 1) for item in arguments.bind)
    return Lab.up(
        count=arguments.count,
        name=name,
        kind=arguments.kind,
        base=arguments.base,
        python=arguments.python,
        binds=binds,
        owned=owned,
    )


def _up(arguments: argparse.Namespace) -> int:
    """Bring a lab up. It stays until `down`."""
    arguments.kind = kinds.choose(arguments.kind)
    if arguments.kind == kinds.ROOTLESS:
        return _up_in_area(arguments)
    lab = _make(arguments, name=arguments.lab, owned=False)
    itself = "python -m tests.support.hosts"
    enter = f"{itself} run --lab {lab.name} -- " if state.in_area() else ""
    _say(
        f"{len(lab)} {lab.spec.kind} hosts are up: {' '.join(host.name for host in lab)}",
        f"  {enter}ansible -i {lab.inventory} all -m ping",
        f"  {enter}ssh -F {lab.ssh_config} web1",
        f"  accounts: {' '.join(ACCOUNTS)}; the password of secret is {PASSWORD}"
        if lab.spec.kind == kinds.NAMESPACE
        else f"  account: {lab['web1'].login}",
        f"  {itself} down --lab {lab.name}",
    )
    return 0


def _up_in_area(arguments: argparse.Namespace) -> int:
    area.prepare_tree(arguments.base)
    there, status = Area.open(arguments.lab), 1
    try:
        status = _inside(there, arguments.argv)
    finally:
        if status:
            there.close()
    return status


def _run(arguments: argparse.Namespace) -> int:
    """Run a command where hosts can be reached and made.

    With --count 0 there is no lab around it. Otherwise it gets a new lab, or one that is up. The
    command finds HOSTS_LAB, HOSTS_INVENTORY and HOSTS_SSH_CONFIG in its environment. Without root,
    hosts can be reached from nowhere else.
    """
    words = _words(arguments)
    if arguments.lab:
        return foreground.run(words, _lab_environ(Lab.load(arguments.lab)))
    arguments.kind = kinds.choose(arguments.kind)
    if arguments.kind == kinds.ROOTLESS:
        if arguments.count:
            area.prepare_tree(arguments.base)
        there = Area.open()
        try:
            return _inside(there, arguments.argv)
        finally:
            there.close()
    if arguments.count == 0:
        return foreground.run(words)
    with _make(arguments, name=None, owned=True) as lab:
        return foreground.run(words, _lab_environ(lab))


def _lab_environ(lab: Lab) -> dict[str, str]:
    return {
        **os.environ,
        "HOSTS_LAB": lab.name,
        "HOSTS_INVENTORY": str(lab.inventory),
        "HOSTS_SSH_CONFIG": str(lab.ssh_config),
    }


def _down(arguments: argparse.Namespace) -> int:
    """End a lab, and remove all that it made."""
    if arguments.all:
        for lab in labs():
            lab.down()
        for there in area.areas():
            there.close()
        return 0
    try:
        lab = Lab.load(arguments.lab)
    except NoSuchLab:
        if arguments.id:
            return 0
        raise
    if arguments.id in (None, lab.spec.id):
        lab.down()
    return 0


def _list(arguments: argparse.Namespace) -> int:
    """Print the labs and their hosts."""
    if arguments.json:
        _say(
            json.dumps(
                [
                    {
                        "lab": lab.name,
                        "kind": lab.spec.kind,
                        "directory": str(lab.directory),
                        "inventory": str(lab.inventory),
                        "ssh_config": str(lab.ssh_config),
                        "hosts": [
                            {
                                "name": host.name,
                                "address": host.address,
                                "port": host.port,
                                "on": host.on,
                            }
                            for host in lab
                        ],
                    }
                    for lab in labs()
                ],
                indent=2,
            )
        )
        return 0
    for there in area.areas():
        foreground.run(there.enter_argv([*SELF, "list"]))
    for lab in labs():
        owner = f", owned by process {lab.spec.owner.pid}" if lab.spec.owner else ""
        _say(f"{lab.name}: {len(lab)} {lab.spec.kind} hosts, {lab.directory}{owner}")
        _say(
            *(
                f"  {host.name} {host.address} port {host.port}{'' if host.on else ', off'}"
                for host in lab
            )
        )
    return 0


def _kinds(dummy: argparse.Namespace) -> int:
    """Print which kinds of hosts can run here, and for the others the reason."""
    for kind in kinds.CHOICES[1:]:
        reason = kinds.why_not(kind)
        _say(f"{kind}: {'yes' if reason is None else 'no, ' + reason}")
    return 0


def _chosen(arguments: argparse.Namespace) -> Iterable[Host]:
    lab = Lab.load(arguments.lab)
    return [lab[name] for name in arguments.hosts] if arguments.hosts else list(lab)


def _cut(arguments: argparse.Namespace) -> int:
    """Cut the network of hosts."""
    for host in _chosen(arguments):
        host.cut()
    return 0


def _heal(arguments: argparse.Namespace) -> int:
    """Give hosts their network back."""
    for host in _chosen(arguments):
        host.heal()
    return 0


def _kill(arguments: argparse.Namespace) -> int:
    """Cut the power: pid 1 dies, and all processes of the host with it."""
    for host in _chosen(arguments):
        host.power_off()
    return 0


def _boot(arguments: argparse.Namespace) -> int:
    """Switch the power on."""
    for host in _chosen(arguments):
        host.boot()
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    """Kill all processes but the host's own, empty /tmp, and heal the network."""
    for host in _chosen(arguments):
        host.reset()
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    """Run a command on a host, without ssh."""
    host = Lab.load(arguments.lab)[arguments.host]
    return foreground.run(host.exec_argv(_words(arguments), user=arguments.user))


def _count(arguments: argparse.Namespace) -> int:
    """Print how many processes are alive on hosts."""
    _say(str(sum(map(len, _tables(arguments).values()))))
    return 0


def _ps(arguments: argparse.Namespace) -> int:
    """Print the processes of hosts: host, pid, parent, user, state, command."""
    for name, table in _tables(arguments).items():
        for one in table:
            _say(f"{name} {one.pid:>7} {one.ppid:>7} {one.user:<8} {one.state} {one.command}")
    return 0


def _hold(arguments: argparse.Namespace) -> int:
    return area.hold(arguments.argument)


def _tree(arguments: argparse.Namespace) -> int:
    trees.prepare(arguments.argument)
    return 0


def _tables(arguments: argparse.Namespace) -> dict[str, list[HostProcess]]:
    """Return the processes of the named hosts, or of all hosts that are on."""
    if not arguments.hosts:
        return Lab.load(arguments.lab).processes(arguments.match, system=arguments.system)
    return {
        host.name: host.processes(arguments.match, system=arguments.system)
        for host in _chosen(arguments)
    }


def _words(arguments: argparse.Namespace) -> list[str]:
    words: list[str] = arguments.words
    if not words:
        raise HostsError("no command: write it behind --")
    return words


def _say(*lines: str) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)
