# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stand-in for the program of the pages that cleans up when it is interrupted.

It is a dump of a database, as far as signals go.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.hosts import Host

#: It cleans up for a while if it gets INT, and ends at once if it gets another signal.
_PG_DUMP = r"""#!/bin/bash
trap 'echo TERM > /tmp/dump-cleaned; exit 1' TERM
trap 'sleep 2.5; echo in peace > /tmp/dump-cleaned; exit 1' INT
echo 'CREATE TABLE app'
: > /tmp/dump-begun
while :; do sleep 0.05; done
"""


@contextmanager
def with_pg_dump(*hosts: Host) -> Iterator[None]:
    """Put it on a host for a `with` block."""
    programs = [host.root / "usr/local/bin/pg_dump" for host in hosts]
    for program in programs:
        program.write_text(_PG_DUMP)
        program.chmod(0o755)
    try:
        yield
    finally:
        for program in programs:
            program.unlink()
