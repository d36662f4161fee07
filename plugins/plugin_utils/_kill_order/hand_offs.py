# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hand-offs of a task: containers, commands on other hosts, units, queues, terminal servers.

A hand-off is no child of any process of the tree. It is recognised by its client: the process of
the tree that has asked for it, as `docker run` or `ssh`. A client that returns at once has ended
when the tree is found: hand_off_hints.py finds it in the text of the task.

Of a command line only the words that are needed to look for the hand-off are read. The values of
all other options are skipped, since they may be secrets.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
    COMMAND_CHARACTERS,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._ipc.kill_report import (
    ReportedHandOff,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.command_options import (
    Options,
    UnknownOptionError,
    has_option,
    read_options,
    value_of,
    values_of,
    words_of,
)

#: What may be a part of a command to look. A word that begins with a minus sign might be an option
#: that has a program executed.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:/+-]*")
_NAME_OF_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

_ENGINES = ("docker", "podman", "podman-remote", "nerdctl")
#: Global options of the engines that have a value.
_OF_ENGINE = (
    "-H --host -c --context --config -l --log-level --tlscacert --tlscert --tlskey --root --runroot"
    " --tmpdir --cgroup-manager --storage-driver --storage-opt --connection --url --identity"
    " --namespace -n --address -a --conmon --events-backend --hooks-dir --module --runtime"
    " --runtime-flag --ssh --volumepath --network-config-dir --imagestore --out"
)
#: Global options that lead to another daemon by a name, and those that do so by anything else.
_CONTEXTS = "-c --context --connection -n --namespace"
_DAEMONS = (
    "-H --host --config --root --runroot --url --identity -a --address --storage-opt --module"
)
#: Those of podman that change nothing but the place of its files.
STORAGES = "--root --runroot --storage-opt --module"
#: Options of the engines without a value.
_FLAGS_OF_ENGINE = (
    "-D --debug --tls --tlsverify -v --version --help --remote -r --noout --syslog --trace"
    " --transient-store --debug-full --insecure-registry --experimental"
)
#: Options of `run` with a value.
_OF_RUN = (
    "-a --attach -c --cpu-shares -e --env -h --hostname -l --label -m --memory -p --publish -u"
    " --user -v --volume -w --workdir --add-host --annotation --blkio-weight --blkio-weight-device"
    " --cap-add --cap-drop --cgroup-parent --cgroupns --cidfile --cpu-count --cpu-percent"
    " --cpu-period --cpu-quota --cpu-rt-period --cpu-rt-runtime --cpus --cpuset-cpus --cpuset-mems"
    " --detach-keys --device --device-cgroup-rule --device-read-bps --device-read-iops"
    " --device-write-bps --device-write-iops --dns --dns-option --dns-opt --dns-search --domainname"
    " --entrypoint --env-file --expose --gpus --group-add --health-cmd --health-interval"
    " --health-retries --health-start-interval --health-start-period --health-timeout"
    " --io-maxbandwidth --io-maxiops --ip --ip6 --ipc --isolation --kernel-memory"
    " --label-file --link --link-local-ip"
    " --log-driver --log-opt --mac-address --memory-reservation --memory-swap --memory-swappiness"
    " --mount --name --net --net-alias --network --network-alias --oom-score-adj --pid --pids-limit"
    " --platform --pull --restart --runtime --security-opt --shm-size --stop-signal --stop-timeout"
    " --storage-opt --sysctl --tmpfs --ulimit --userns --uts --volume-driver --volumes-from --arch"
    " --authfile --cert-dir --cgroups --conmon-pidfile --creds --decryption-key --gidmap"
    " --group-entry --hostuser --hosts-file --image-volume --init-ctr --init-path --os"
    " --passwd-entry --personality --pidfile --pod --pod-id-file --preserve-fd --preserve-fds"
    " --requires --retry --retry-delay --sdnotify --seccomp-policy --secret --shm-size-systemd"
    " --subgidname --subuidname --systemd --timeout --tz --uidmap --umask --unsetenv --variant"
)
#: Options of `run` without a value. A client may have further ones.
_FLAGS_OF_RUN = (
    "-d --detach -i --interactive -t --tty -P --publish-all -q --quiet --rm --init --privileged"
    " --read-only --no-healthcheck --oom-kill-disable --sig-proxy --disable-content-trust --help"
    " --replace --rmi --no-hosts --no-hostname --tls-verify --env-host --http-proxy --passwd"
    " --read-only-tmpfs --rootfs --unsetenv-all"
)
#: Options of `exec`. Others may stand in place of the name, as `--latest` of podman does.
_OF_EXEC = "-e --env -u --user -w --workdir --env-file --detach-keys --preserve-fd --preserve-fds"
_FLAGS_OF_EXEC = "-d --detach -i --interactive -t --tty --privileged --help"
_OF_COMPOSE = (
    "-f --file -p --project-name --profile --env-file --project-directory --ansi --parallel"
    " --progress --workdir --log-level --tlscacert --tlscert --tlskey -H --host -c --context"
)
_OF_PROJECT = "-f --file -p --project-name --project-directory -H --host -c --context"
#: Options with a value of commands of compose: of those for a service, and of those for a project.
_OF_SERVICE = (
    "-e --env -l --label -p --publish -u --user -v --volume -w --workdir --cap-add --cap-drop"
    " --entrypoint --env-from-file --index --name --pull"
)
_OF_SERVICES = "-t --timeout --attach --no-attach --exit-code-from --pull --scale --wait-timeout"
#: Options of `start` and `restart` with a value.
_OF_START = (
    "-t --time --timeout -s --signal --detach-keys --checkpoint --checkpoint-dir -f --filter"
)
_FLAGS_OF_START = "-a --attach -i --interactive --sig-proxy --all -l --latest --running --help"
_OF_KUBECTL = (
    "-n --namespace -c --container --context --kubeconfig --cluster --user -s --server --token"
    " --as --as-group --cache-dir --certificate-authority --client-certificate --client-key"
    " --password --username --request-timeout --image --overrides --port -f --filename --env -l"
    " --labels --annotations --limits --requests --restart --serviceaccount --hostport --generator"
    " --image-pull-policy --pod-running-timeout --override-type --field-manager -o --output"
    " --template --grace-period --timeout --profile --profile-output -v --v --tls-server-name"
    " --as-uid --vmodule --log-dir --log-file --cascade --schedule"
)
_FLAGS_OF_KUBECTL = (
    "-i --stdin -t --tty -q --quiet --rm --attach --expose --leave-stdin-open --privileged"
    " --command --save-config --wait --force --insecure-skip-tls-verify --match-server-version"
    " --warnings-as-errors --disable-compression --allow-missing-template-keys --record --help -h"
    " --recursive -R --show-managed-fields --logtostderr --alsologtostderr"
)
#: Options of kubectl that lead to another place than the usual one.
_PLACES_OF_KUBECTL = (
    "-n",
    "--namespace",
    "--context",
    "--cluster",
    "-s",
    "--server",
    "--kubeconfig",
)
_OF_SSH = "-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -P -p -Q -R -S -W -w"
#: What an option of the form `-o Port=22` is called otherwise, in lower case.
_SHORT_OF_SSH = {"port": "-p", "user": "-l", "proxyjump": "-J"}
_PLACE_OF_SSH = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*)", re.DOTALL)
#: A place on another host: `user@host:path`, `[::1]:path`, `host::module`.
_PLACE_OF_RSYNC = re.compile(
    r"(?P<user>(?:[^/:@]+@)?)(?:\[(?P<address>[^]/]+)\]|(?P<host>[^/:[]+)):(?P<daemon>:?)"
)
_OF_RSYNC = (
    "-e --rsh --rsync-path -f --filter --exclude --include --exclude-from --include-from"
    " --files-from --bwlimit --port --password-file --timeout --contimeout --log-file"
    " --log-file-format --out-format -T --temp-dir --compare-dest --copy-dest --link-dest -M"
    " --remote-option -B --block-size --backup-dir --suffix --max-size --min-size --max-delete"
    " --partial-dir --chmod --chown --usermap --groupmap --address --sockopts --config"
    " --info --debug --modify-window -@ --iconv --checksum-seed --protocol --skip-compress"
    " --only-write-batch --read-batch --write-batch --stop-after --stop-at --compress-level"
    " --compress-choice --checksum-choice --early-input --outbuf --max-alloc"
)
_OF_SYSTEMD_RUN = (
    "-u --unit -p --property -M --machine -H --host -C --capsule --description --slice --uid --gid"
    " --nice --working-directory -E --setenv --service-type --on-active --on-boot --on-startup"
    " --on-unit-active --on-unit-inactive --on-calendar --timer-property --path-property"
    " --socket-property --background --job-mode"
)
_OF_SYSTEMCTL = (
    "-t --type --state -p --property -P -H --host -M --machine -C --capsule --root --image -n"
    " --lines -o --output -s --signal --job-mode --what --preset-mode"
    " --timestamp"
)
_VERBS = ("start", "restart", "try-restart", "reload-or-restart", "isolate")
_OF_TMUX, _OF_COMMANDS_OF_TMUX = "-c -f -L -S -T", "-b -c -e -F -f -l -n -p -s -t -x -y"
#: Commands of tmux that only look, or end something.
_NOT_OF_TMUX = ("kill", "ls", "list", "show", "has", "display", "info", "capture", "detach", "lock")
_OF_SCREEN = "-c -e -h -p -s -S -T -t"
_OF_AT = "-f -q -t -u"
_OF_CRONTAB = "-u -x"


@dataclasses.dataclass(frozen=True)
class Followed:
    """A container of the default daemon that its client has started, and waits for."""

    name: str
    #: Of the client, as a report has it.
    user: str = ""
    #: Whether the client was ended by SIGKILL: its grace period is over, or was skipped.
    killed: bool = False


@dataclasses.dataclass(frozen=True)
class HandOff:
    """One thing that a client has asked for: see `ReportedHandOff`."""

    kind: str
    program: str
    what: str
    look: Sequence[str]
    #: Whether the client returns, and what it has asked for goes on.
    at_once: bool = False
    followed: Followed | None = None
    #: Options that lead to another server than the usual one, with their values.
    where: Sequence[str] = ()
    #: The container, if it has a name.
    name: str = ""

    @property
    def key(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        """Equal for two clients that have asked for the same."""
        return self.kind, self.named, tuple(self.look), tuple(self.where)

    @property
    def named(self) -> str:
        """Its name, with the way there unless the command to look has that."""
        return " ".join([self.what, *self.where]) if self.where and not self.look else self.what

    def behind(self, variables: Sequence[str]) -> HandOff:
        """Return it as one whose client may have found its daemon by these variables.

        A command to look would perhaps ask another daemon.
        """
        if self.kind != "container" or not variables:
            return self
        return dataclasses.replace(self, look=(), where=(*self.where, *variables))

    def reported(self, *, seen: bool) -> ReportedHandOff:
        """Return it as a report has it before secrets are masked."""
        return ReportedHandOff(
            kind=self.kind,
            program=self.program,
            what=self.named,
            look="\0".join(self.look),
            seen=seen,
            state="left",
        )


def hand_off(words: Sequence[str]) -> HandOff | None:
    """Return what a client has asked for; None for a command line that hands nothing off."""
    name = _base(*words[:1])
    read = _of_engine if name in _ENGINES else _READERS.get(name)
    try:
        return read(name, words[1:]) if read else None
    except UnknownOptionError:
        if {"run", "exec", "start", "restart"}.isdisjoint(words):
            return None
        detached = not {"-d", "--detach", "--detach=true", "start", "restart"}.isdisjoint(words)
        return _unread(name, words[1:], detached)


def _unread(name: str, words: Sequence[str], at_once: bool = False) -> HandOff:
    """Return the hand-off of a client whose other words do not show what it has asked for."""
    # Options before the command may lead elsewhere, and those of kubectl stand anywhere.
    elsewhere = any(word.startswith("-") for word in words[:1]) or (
        name in ("kubectl", "oc") and any(word.startswith(_PLACES_OF_KUBECTL) for word in words)
    )
    kind, look = _KINDS.get(name, "container"), _LOOKS.get(name, ())
    return HandOff(kind, name, name, () if elsewhere else look, at_once)


def of_command(command: str) -> HandOff | None:
    """Return what a process has asked for, by its command line in a report.

    A single word is that of a process whose arguments may not be shown. A command line that was cut
    off has lost at least a part of its last word.
    """
    separator = "\0" if "\0" in command else None
    name = _base(*command.split(separator, 1)[:1])
    if name not in CLIENTS and not name.startswith("python"):
        # A report may have 30,000 processes.
        return None
    words = command.split(separator)
    if name.startswith("python"):
        # Version 1 of docker-compose is a script.
        words, name = words[1:], _base(*words[1:2])
        if name != "docker-compose":
            return None
    if len(command) >= COMMAND_CHARACTERS:
        words = words[:-1]
    found = hand_off(words) if words[1:] else None
    # Where the name itself was cut off, the program is named.
    cut = len(command) >= COMMAND_CHARACTERS and (
        _KINDS.get(name) == "host" or not {"run", "exec"}.isdisjoint(words)
    )
    if found is None and (cut or not words[1:]):
        return _unread(name, words[1:])
    return found


def _base(word: str = "") -> str:
    return word.rpartition("/")[2]


def _look(words: Sequence[str], *given: str) -> Sequence[str]:
    """Return a command to look; nothing if one of the words that a client has given is no name."""
    return words if all(map(_NAME.fullmatch, given)) else ()


def _of_engine(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_ENGINE, _FLAGS_OF_ENGINE)
    where = words_of(options, *_CONTEXTS.split(), *_DAEMONS.split(), "--remote", "-r")
    contexts = words_of(options, *_CONTEXTS.split())
    given = values_of(options, *_CONTEXTS.split())
    elsewhere = contexts != where
    if rest[:1] == ["container"]:
        rest = rest[1:]
    verb, rest = (rest[0], rest[1:]) if rest else ("", rest)
    if verb == "compose":
        found = _of_compose(name, rest)
        # The options before `compose` lead to another daemon.
        return found and dataclasses.replace(
            found, look=() if where else found.look, where=(*where, *found.where)
        )
    if verb not in ("run", "exec", "start", "restart"):
        return None
    starts = verb in ("start", "restart")
    known = {"run": (_OF_RUN, _FLAGS_OF_RUN), "exec": (_OF_EXEC, _FLAGS_OF_EXEC)}
    options, rest = read_options(rest, *known.get(verb, (_OF_START, _FLAGS_OF_START)))
    if not rest:
        if starts and options and not has_option(options, "--help"):
            raise UnknownOptionError  # it starts all, or the latest one
        return None
    detached = starts or has_option(options, "-d", "--detach")
    image = rest[0]
    called = value_of(options, "--name") if verb == "run" else image
    if any("=" in one for one in (rest if starts else [called or image])):
        raise UnknownOptionError
    what = called or f"of image {image}"
    if verb == "exec":
        what, words = f"in {called}", ["top", called]
    elif starts:
        what = " ".join(rest)
        words = ["ps", *(word for one in rest for word in ("--filter", f"name={one}"))]
    else:
        words = ["ps", "--filter", f"name={called}" if called else f"ancestor={image}"]
    look = _look([name, *contexts, *words], *(rest if starts else [called or image]), *given)
    followed = None
    # One that restarts by itself may run again after any look.
    if (name, verb) == ("docker", "run") and not (
        detached or where or has_option(options, "--restart")
    ):
        followed = Followed(called) if _NAME_OF_CONTAINER.fullmatch(called) else None
    return HandOff(
        "container",
        name,
        f"{name} {verb} {what}",
        () if elsewhere else look,
        detached,
        followed,
        where,
        called,
    )


def _of_compose(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_COMPOSE)
    if rest[:1] not in (["up"], ["run"], ["start"], ["restart"], ["exec"]):
        return None
    where = words_of(options, *_OF_PROJECT.split())
    project = words_of(options, "-p", "--project-name")
    start = [name] if name == "docker-compose" else [name, "compose"]
    what = " ".join([*start, rest[0]])
    if rest[0] in ("run", "exec"):
        more, dummy = read_options(rest[1:], _OF_SERVICE)
    else:
        more = _all_options(rest[1:], _OF_SERVICES)[0]
    # To wait until the services are healthy implies to detach.
    detached = rest[0] in ("start", "restart") or has_option(more, "-d", "--detach", "--wait")
    look = (
        _look([*start, *project, "ps"], *values_of(options, *_OF_PROJECT.split()))
        if where == project
        else ()
    )
    return HandOff("container", name, what, look, detached, where=where)


def _of_kubectl(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_KUBECTL, _FLAGS_OF_KUBECTL)
    verb = rest[0] if rest else ""
    if verb not in ("exec", "run"):
        return None
    more, rest = read_options(rest[1:], _OF_KUBECTL, _FLAGS_OF_KUBECTL)
    if not rest:
        return None
    if "=" in rest[0] or verb == "exec" and has_option(more, "-f", "--filename"):
        raise UnknownOptionError
    behind, dummy = read_options(rest[1:], _OF_KUBECTL, _FLAGS_OF_KUBECTL)
    options += more + behind
    names = _PLACES_OF_KUBECTL[:3]
    contexts = words_of(options, *names)
    where = words_of(options, *_PLACES_OF_KUBECTL)
    given = values_of(options, *names)
    # A name with a slash has its own type, such as deployment/web.
    of_type = [] if "/" in rest[0] else ["pod"]
    look = _look([name, *contexts, "get", *of_type, rest[0]], rest[0], *given)
    return HandOff(
        "container",
        name,
        f"{name} {verb} {rest[0]}",
        look if contexts == where else (),
        verb == "run" and not has_option(options, "-i", "--stdin", "--attach", "--rm"),
        where=where,
    )


def _of_ssh(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_SSH)
    # ssh takes options behind the host as well.
    more, dummy = read_options(rest[1:], _OF_SSH)
    options = [_short_of_ssh(*one) for one in options + more]
    # Without a command, or as the master of other connections, it has started nothing there.
    if not rest or any(one in ("-O", "-G", "-V", "-Q", "-W", "-N") for one, dummy in options):
        return None
    way = words_of(options, "-l", "-p")
    # The files and jump hosts of a job may have the user's own ssh execute anything.
    where = words_of(options, "-F", "-J", "-o")
    look = _look([name, *way, rest[0], "ps", "-ef"], rest[0], *values_of(options, "-l", "-p"))
    return HandOff("host", name, rest[0], () if where else look, where=(*where, *way))


def _short_of_ssh(option: str, value: str) -> tuple[str, str]:
    """Return an option of ssh, in its short form if it leads to another place.

    Of the others nothing is returned but the name: their values may be secrets.
    """
    found = _PLACE_OF_SSH.fullmatch(value) if option == "-o" else None
    if option != "-o" or found is None:
        return ("", "") if option == "-o" else (option, value)
    name = found[1].lower()
    if name in _SHORT_OF_SSH:
        return (_SHORT_OF_SSH[name], found[2]) if found[2] != "none" else ("", "")
    if name == "hostname":
        return "-o", "HostName=" + found[2]
    return ("-o", "ProxyCommand") if name == "proxycommand" and found[2] != "none" else ("", "")


def _of_rsync(name: str, words: Sequence[str]) -> HandOff | None:
    if "--server" in words or "--daemon" in words:
        return None
    options, places = _all_options(words, _OF_RSYNC)
    for word in places:
        if word[:8] == "rsync://":
            return HandOff("host", name, word[8:].partition("/")[0], ())
        found = _PLACE_OF_RSYNC.match(word)
        if found is None:
            continue
        host = found["user"] + (found["address"] or found["host"])
        if found["daemon"]:
            return HandOff("host", name, host, ())
        shell = value_of(options, "-e", "--rsh").split() or ["ssh"]
        if shell[0].rpartition("/")[2] == "ssh":
            by = _of_ssh("ssh", [*shell[1:], "--", host])
            if by is not None:
                return dataclasses.replace(by, program=name)
        # Its words may hold a password.
        return HandOff("host", name, host, (), where=["--rsh"])
    return None


def _all_options(words: Sequence[str], valued: str) -> tuple[Options, list[str]]:
    """Return the options of a command line and its other words, which stand in any order."""
    options, rest = read_options(words, valued)
    others = []
    while rest:
        others.append(rest[0])
        more, rest = read_options(rest[1:], valued)
        options += more
    return options, others


def _of_systemd_run(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_SYSTEMD_RUN)
    if has_option(options, "--scope"):
        # The processes of a scope are those of the task.
        return None
    waits = has_option(options, "--wait", "-t", "--pty", "-P", "--pipe", "-S", "--shell")
    where = words_of(options, "--user", "-H", "--host", "-M", "--machine")
    names = values_of(options, "-H", "--host", "-M", "--machine")
    unit = value_of(options, "-u", "--unit")
    if unit:
        look = _look(["systemctl", *where, "status", unit], unit, *names)
        return HandOff("unit", name, unit, look, not waits, where=where)
    if not (rest or waits):
        return None
    what = "a unit that runs " + (rest[0].rpartition("/")[2] if rest else "a shell")
    look = _look(["systemctl", *where, "list-units", "run-*"], *names)
    return HandOff("unit", name, what, look, not waits, where=where)


def _of_systemctl(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_SYSTEMCTL)
    verb = rest[0] if rest else ""
    more, units = _all_options(rest[1:], _OF_SYSTEMCTL)
    options += more
    if not units or verb not in _VERBS and not (verb == "enable" and has_option(options, "--now")):
        return None
    where = words_of(options, "--user", "-H", "--host", "-M", "--machine")
    names = values_of(options, "-H", "--host", "-M", "--machine")
    look = _look([name, *where, "status", *units], *units, *names)
    # A unit that is started again was there before.
    at_once = verb in ("start", "enable", "isolate")
    return HandOff("unit", name, " ".join(units), look, at_once, where=where)


def _of_at(name: str, words: Sequence[str]) -> HandOff | None:
    options, dummy = read_options(words, _OF_AT)
    if any(one in ("-l", "-d", "-r", "-c", "-V") for one, dummy in options):
        return None
    return HandOff("queue", name, "a job of " + name, ["atq"], True)


def _of_crontab(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_CRONTAB)
    given = {option for option, dummy in options}
    if given & {"-l", "-r", "-T", "-V"} or not rest and given - {"-u", "-x", "-e"}:
        return None
    user = words_of(options, "-u")
    look = _look([name, *user, "-l"], *values_of(options, "-u"))
    return HandOff("queue", name, "a crontab" + " of ".join(["", *user[1:]]), look, True)


def _of_tmux(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_TMUX)
    if rest and rest[0].startswith(_NOT_OF_TMUX) or has_option(options, "-V", "-h", "--help"):
        return None
    where = words_of(options, "-L", "-S")
    session = value_of(read_options(rest[1:], _OF_COMMANDS_OF_TMUX)[0], "-s", "-t")
    what = f"{name} {session}" if session else name
    # A socket of a job may show anything.
    look = () if "-S" in where else _look([name, *where, "ls"], *values_of(options, "-L"))
    return HandOff("terminal", name, what, look, True, where=where)


def _of_screen(name: str, words: Sequence[str]) -> HandOff | None:
    options, rest = read_options(words, _OF_SCREEN)
    if (
        any(one in ("-l", "-v", "-w", "--version", "--help") for one, dummy in options)
        or "-ls" in words
        or "-list" in words
        or has_option(options, "-X")
        and rest[:1] in (["quit"], ["kill"])
    ):
        return None
    session = value_of(options, "-S")
    if not session and has_option(options, "-r", "-R", "-x"):
        session = rest[0] if rest else ""
    what = f"{name} {session}" if session else name
    return HandOff("terminal", name, what, [name, "-ls"], True)


_KINDS = {
    "rsync": "host",
    "ssh": "host",
    "systemctl": "unit",
    "systemd-run": "unit",
    "at": "queue",
    "batch": "queue",
    "crontab": "queue",
    "tmux": "terminal",
    "screen": "terminal",
}
_READERS: t.Mapping[str, t.Callable[[str, Sequence[str]], HandOff | None]] = {
    "docker-compose": _of_compose,
    "kubectl": _of_kubectl,
    "oc": _of_kubectl,
    "ssh": _of_ssh,
    "rsync": _of_rsync,
    "systemd-run": _of_systemd_run,
    "systemctl": _of_systemctl,
    "at": _of_at,
    "batch": _of_at,
    "crontab": _of_crontab,
    "tmux": _of_tmux,
    "screen": _of_screen,
}
#: Programs that hand work to others.
CLIENTS = frozenset({*_ENGINES, *_READERS})

#: What shows the hand-offs of a program whose arguments may not be reported.
_LOOKS: t.Mapping[str, tuple[str, ...]] = {
    "rsync": (),
    "ssh": (),
    "docker": ("docker", "ps"),
    "podman": ("podman", "ps"),
    "podman-remote": ("podman-remote", "ps"),
    "nerdctl": ("nerdctl", "ps"),
    "docker-compose": ("docker-compose", "ls"),
    "kubectl": ("kubectl", "get", "pod"),
    "oc": ("oc", "get", "pod"),
    "systemd-run": ("systemctl", "list-units"),
    "systemctl": ("systemctl", "list-units"),
    "at": ("atq",),
    "batch": ("atq",),
    "crontab": ("crontab", "-l"),
    "tmux": ("tmux", "ls"),
    "screen": ("screen", "-ls"),
}
