# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection to hosts that do not exist, with the latencies and failures of real ones."""

from __future__ import annotations

import json
import os
import random
import re
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: made_up
short_description: hosts that do not exist
description: hosts that do not exist
options: {}
"""

#: Seconds: the latencies, and the time after which ssh takes a host for dead.
FASTEST, SLOWEST, DEAD = 0.01, 2.0, 10.0

#: The name of a host begins with its kind.
KINDS = ("host", "dead", "hanging")

#: What a kill pass reports of a host where nothing was.
REPORT = {
    "method": "proc", "root": None, "gone": [], "survivors": [], "spared": [], "unreadable": 0,
    "escalated": False, "supervised": False, "seconds": 0.1,
}  # fmt: skip


class Connection(ConnectionBase):
    """A connection that notes each order in the file that `TK_ORDERS` names."""

    transport = "made_up"

    def _connect(self) -> Connection:
        return self

    def exec_command(
        self, cmd: str, in_data: bytes | None = None, sudoable: bool = True
    ) -> tuple[int, bytes, bytes]:
        host = str(self._play_context.remote_addr)
        self._note(host)
        if host.startswith("hanging"):
            time.sleep(3600)
        if host.startswith("dead"):
            time.sleep(DEAD)
            raise AnsibleConnectionFailure("made up: no route to host")
        time.sleep(FASTEST * (SLOWEST / FASTEST) ** random.Random(host).random())
        nonce = re.search(r"nonce=([0-9a-f]+)", cmd)
        version = int(os.environ["TK_VERSION"])
        report = json.dumps({**REPORT, "version": version})
        mark = os.environ["TK_REPORT_MARK"]
        return 0, f"{mark} {nonce and nonce[1]} {report}\n".encode(), b""

    @staticmethod
    def _note(host: str) -> None:
        with open(os.environ["TK_ORDERS"], "a", encoding="ascii") as orders:
            orders.write(f"{host} {time.monotonic()}\n")

    def put_file(self, *dummy: Any) -> None:
        raise NotImplementedError

    def fetch_file(self, *dummy: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass
