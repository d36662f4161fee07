# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for kubectl. Its pods are containers of the tests' own docker.

`kubectl exec` asks a server, which has the engine of the pod's container start the command. Here,
the engine is docker, and docker's client is executed in the place of kubectl. What the tests need
of the real one is so here as well. If the client is gone, the command runs on, its output stays
open, and its input ends. A cluster, its server and its network are not here.
"""

from __future__ import annotations

from pathlib import Path

#: Takes `kubectl exec -i POD -- WORDS`, with other options before `exec`.
_KUBECTL = """#!/bin/sh
while [ "$1" != exec ]; do shift; done
[ "$2 $4" = "-i --" ] || {{ echo "error: the stand-in does not know: $*" >&2; exit 1; }}
pod=$3
shift 4
exec docker --host unix://{socket} exec -i "$pod" "$@"
"""


def write_client(directory: Path) -> Path:
    """Write the stand-in below the directory of docker's containers. Return its folder."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "kubectl").write_text(_KUBECTL.format(socket=directory / "sock"))
    (programs / "kubectl").chmod(0o755)
    return programs
