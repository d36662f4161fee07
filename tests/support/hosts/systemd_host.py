# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespace hosts whose pid 1 is systemd: logind keeps their sessions, and each user has units."""

from __future__ import annotations

import shutil
import time

from . import ssh
from .errors import HostsError
from .host import BOOT_SECONDS, PAUSE
from .namespace_host import NamespaceHost

#: States of systemd that has started all, whether or not each unit could be started in a namespace.
_UP = ("running", "degraded")


class SystemdHost(NamespaceHost):
    """A namespace host that boots as a machine does. Its logins are sessions of logind."""

    def wait_until_up(self) -> None:
        """Return when everything has started.

        Before that, logind has no users, and only root may log in.
        """
        said = self.run(
            ["systemctl", "is-system-running", "--wait"], timeout=BOOT_SECONDS, check=False
        ).stdout.strip()
        if said not in _UP:
            raise HostsError(f"systemd of {self.name} does not come up: it is {said!r}")

    def reset(self) -> None:
        """Make it a clean host, but let systemd and the services of the system run.

        All sessions and units of users are ended.
        """
        self.heal()
        deadline = time.monotonic() + BOOT_SECONDS
        users = self.root / "sys/fs/cgroup/user.slice"
        if users.is_dir():
            (users / "cgroup.kill").write_text("1")
        while processes := self.processes():
            if time.monotonic() > deadline:
                raise HostsError(
                    f"processes of {self.name} do not die: "
                    f"{', '.join(one.command for one in processes)}"
                )
            for process in processes:
                process.id.kill()
            time.sleep(PAUSE)
        for path in (self.root / "tmp").iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        ssh.wait_for_banner(self.address, self.port, deadline)
