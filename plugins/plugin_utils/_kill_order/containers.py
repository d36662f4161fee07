# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Has docker stop containers whose clients were in the tree, and were ended with it.

A name alone is no evidence. While its client still pulls the image, the name may be given to a
container of another user. A client in the foreground passes its first signal on to its own
container, and docker records that. So a container is stopped only under three conditions. It has
the client's name. Docker has recorded that signal for it since the kill began. It was not started
again since.

Nothing of a client's command line is used but the name: any process can have any command line. So
docker is asked with its default daemon only, and no file is read.
"""

from __future__ import annotations

import contextlib
import enum
import math
import secrets
import shlex
import signal
import typing as t

if t.TYPE_CHECKING:
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.hand_off import (
        Followed,
    )
    from ansible_collections.treekill.remote.plugins.plugin_utils._kill_order.kill_order import (
        KillOrder,
    )

#: Seconds for all containers together: at most, and beyond the rest of the grace period. The main
#: process waits 15 seconds beyond the grace period.
_MAX_SECONDS, _BEYOND_SECONDS = 10, 5
#: Seconds beyond these for the connection.
_CONNECTION_SECONDS = 3
#: Seconds between two looks at a container that is being stopped.
_PAUSE_SECONDS = 1

#: Containers of one tree that docker is asked about.
_MAX_CONTAINERS = 8

#: $1: seconds since the kill began. $2: seconds of grace that are left. $3: number of the signal.
#: $4: mark of the answers. $5: user of the clients. $6: seconds for all. The rest: names of
#: containers. An answer has the mark, the position of the name, and a word. Docker itself ends a
#: container after the grace period, even if no script waits for that. A stop that is broken off
#: might end it at once.
_SCRIPT = r"""
now=$(date +%s) || exit
since=$((now - $1)) grace=$2 signal=$3 mark=$4 user=$5 end=$((now + $6))
shift 6
case $user in "$(id -un)"|"$(id -u)") ;; *) exit;; esac
left() { left=$((end - $(date +%s))); [ "$left" -gt 0 ]; }
ask() { left && timeout -k 1 "$left" docker "$@" 2>/dev/null </dev/null; }
runs() { running=$(ask ps --quiet --no-trunc --filter "id=$id"); }
follow() {
  id=
  # docker tells of whole seconds. It waits for the end of this one: a start in it counts, too
  for dummy in 1 2 3; do
    [ ! "$id" ] || break
    until=$(($(date +%s) + 1))
    # docker takes the name as the beginning of one
    events=$(ask events --since "$since" --until "$until" --filter type=container \
      --filter event=kill --filter event=start --filter event=restart --filter "container=$2" \
      --format "{{.Action}} {{.ID}} {{.Actor.Attributes.name}} {{.Actor.Attributes.signal}}") ||
      return
    id=$(echo "$events" | {
      id=
      while read -r action one called number; do
        [ "$called" = "$2" ] || continue
        case $action in
          kill) [ "$number" != "$signal" ] || id=$one;;
          *) id=;;
        esac
      done
      echo "$id"
    })
  done
  case $id in *[!0-9a-f]*|"") return;; esac
  runs || return
  [ "$running" ] || { echo "$mark $1 ended"; return; }
  (
    trap "" HUP
    exec timeout -k 1 $((grace + {beyond})) docker stop --time "$grace" "$id"
  ) >/dev/null 2>&1 </dev/null &
  while runs; do
    [ "$running" ] || { echo "$mark $1 stopped"; return; }
    sleep {pause}
  done
}
at=0 asked=
for name do
  follow "$at" "$name" &
  asked="$asked $!" at=$((at + 1))
done
wait $asked
"""


class Ending(enum.Enum):
    """The knowledge about a container. The texts are the answers of the script."""

    #: It had ended with its client.
    ENDED = "ended"
    STOPPED = "stopped"
    #: Nothing is known, or there is not enough evidence.
    LEFT = "left"


class _TooLateError(BaseException):
    """Nothing may catch it but this module: plugins try again after other exceptions."""


def stop(
    order: KillOrder, followed: t.Sequence[Followed], grace: float, since_began: float
) -> list[Ending]:
    """Have containers stopped whose clients were ended, and return what became of each.

    A container has had its first signal by its client, so only the rest of the grace period is
    left. This returns after the seconds named above, whatever the host does.

    Args:
        order: reaches the host.
        followed: the containers. Their clients ran as one user.
        grace: seconds of the grace period that are left.
        since_began: seconds since the kill began.
    """
    followed = followed[:_MAX_CONTAINERS]
    if not followed:
        return []
    mark = f"TREEKILL-CONTAINER-{secrets.token_hex(8)}"
    left = max(math.ceil(grace), 0)
    budget = min(left + _BEYOND_SECONDS, _MAX_SECONDS)
    words = [
        str(math.ceil(since_began)),
        str(left),
        str(order.terms.options.children_signal),
        mark,
        followed[0].user,
        str(budget),
        *(one.name for one in followed),
    ]
    script = _SCRIPT.replace("{beyond}", str(_BEYOND_SECONDS))
    script = script.replace("{pause}", str(_PAUSE_SECONDS))
    try:
        with _at_most(budget + _CONNECTION_SECONDS):
            output = order.output_of(f"set -- {shlex.join(words)}\n{script}")
    # Whatever a plugin raises, the containers stay in the recap as some that may go on.
    except (Exception, _TooLateError):  # noqa: BLE001
        output = ""
    answers = {tuple(line.split()) for line in output.splitlines()}
    return [
        next((one for one in Ending if (mark, str(at), one.value) in answers), Ending.LEFT)
        for at in range(len(followed))
    ]


@contextlib.contextmanager
def _at_most(seconds: float) -> t.Iterator[None]:
    """Abort what takes longer. This process is the courier's own, with one thread."""

    def break_off(*dummy: object) -> None:
        raise _TooLateError

    before = signal.signal(signal.SIGALRM, break_off)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
