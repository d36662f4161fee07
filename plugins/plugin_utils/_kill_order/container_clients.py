# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command lines of clients of containers: engines such as docker, compose, and kubectl.

The tables say which options have a value. Without them, that value might be taken for the name of a
container.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.command_options import (
    UnknownOptionError,
    all_options,
    has_option,
    read_options,
    value_of,
    values_of,
    words_of,
)
from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import (
    Followed,
    HandOff,
    safe_look,
)

_NAME_OF_CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

#: Clients with the commands of docker.
ENGINES = ("docker", "podman", "podman-remote", "nerdctl")
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
PLACES_OF_KUBECTL = (
    "-n",
    "--namespace",
    "--context",
    "--cluster",
    "-s",
    "--server",
    "--kubeconfig",
)


def of_engine(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the container that a client of an engine starts, or has a command executed in.

    Raises:
        UnknownOptionError: it is not known which word is the name.
    """
    options, rest = read_options(words, _OF_ENGINE, _FLAGS_OF_ENGINE)
    where = words_of(options, *_CONTEXTS.split(), *_DAEMONS.split(), "--remote", "-r")
    contexts = words_of(options, *_CONTEXTS.split())
    given = values_of(options, *_CONTEXTS.split())
    elsewhere = contexts != where
    if rest[:1] == ["container"]:
        rest = rest[1:]
    verb, rest = (rest[0], rest[1:]) if rest else ("", rest)
    if verb == "compose":
        found = of_compose(name, rest)
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
    look = safe_look([name, *contexts, *words], *(rest if starts else [called or image]), *given)
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


def of_compose(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the containers of a project of compose."""
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
        more = all_options(rest[1:], _OF_SERVICES)[0]
    # To wait until the services are healthy implies to detach.
    detached = rest[0] in ("start", "restart") or has_option(more, "-d", "--detach", "--wait")
    look = (
        safe_look([*start, *project, "ps"], *values_of(options, *_OF_PROJECT.split()))
        if where == project
        else ()
    )
    return HandOff("container", name, what, look, detached, where=where)


def of_kubectl(name: str, words: Sequence[str]) -> HandOff | None:
    """Return the pod that kubectl or oc starts, or has a command executed in.

    Raises:
        UnknownOptionError: it is not known which word is the name.
    """
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
    names = PLACES_OF_KUBECTL[:3]
    contexts = words_of(options, *names)
    where = words_of(options, *PLACES_OF_KUBECTL)
    given = values_of(options, *names)
    # A name with a slash has its own type, such as deployment/web.
    of_type = [] if "/" in rest[0] else ["pod"]
    look = safe_look([name, *contexts, "get", *of_type, rest[0]], rest[0], *given)
    return HandOff(
        "container",
        name,
        f"{name} {verb} {rest[0]}",
        look if contexts == where else (),
        verb == "run" and not has_option(options, "-i", "--stdin", "--attach", "--rm"),
        where=where,
    )
