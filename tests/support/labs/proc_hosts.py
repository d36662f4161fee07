# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts whose /proc shows less.

One hides the processes of other users. One has no /proc, and a ps that still lists them, as BSD has
it.
"""

from __future__ import annotations

import os
import struct

from tests.support.hosts import Host

_SEES_PROC = "/run/sees-proc"
_ENTER = "/usr/local/bin/enter-proc"
_PS = f'#!/bin/sh\nexec {_ENTER} --mount={_SEES_PROC}/namespace /usr/bin/ps "$@"\n'

#: Numbers of capabilities, for setns(2) of a mount namespace. Written as struct vfs_cap_data has
#: them, revision 2, effective.
_CAP_SYS_CHROOT, _CAP_SYS_ADMIN = 18, 21
_CAPABILITIES = struct.pack(
    "<IIIII", 0x02000001, 1 << _CAP_SYS_CHROOT | 1 << _CAP_SYS_ADMIN, 0, 0, 0
)


def hide_others(host: Host) -> None:
    """Mount /proc with hidepid=2, and assert that it hides."""
    host.run(["mount", "-o", "remount,hidepid=2", "/proc"])
    assert not host.ssh("ls -d /proc/1").stdout
    assert host.ssh("sudo -n ls -d /proc/1").stdout


def take_proc_away(host: Host) -> None:
    """Cover /proc for all programs but ps, and assert that it is covered.

    ps runs where /proc is not covered, as the user that calls it.
    """
    # A file of a mount namespace can only be in a private mount of one that has a smaller number.
    # Each processor gives numbers of its own, so a younger one may have the smaller number. It has
    # the larger one if both were made on one processor.
    host.run(["mkdir", _SEES_PROC])
    host.run(["mount", "-t", "tmpfs", "tmpfs", _SEES_PROC])
    host.run(["mount", "--make-private", _SEES_PROC])
    host.run(["touch", f"{_SEES_PROC}/namespace"])
    each = " || ".join(
        f"taskset -c {cpu} unshare --mount={_SEES_PROC}/namespace true"
        for cpu in sorted(os.sched_getaffinity(0))
    )
    host.run(["sh", "-c", each])
    host.run(["cp", "/usr/bin/nsenter", _ENTER])
    os.setxattr(host.root / _ENTER.lstrip("/"), "security.capability", _CAPABILITIES)
    ps = host.root / "usr/local/bin/ps"
    ps.write_text(_PS)
    ps.chmod(0o755)
    host.run(["mount", "-t", "tmpfs", "-o", "mode=555", "tmpfs", "/proc"])
    seen = host.ssh("ls /proc; ps -A -o pid=,user=,args=; TK_SEEN=yes ps axeww")
    assert "/usr/sbin/sshd" in seen.stdout, seen.stderr
    assert "TK_SEEN=yes" in seen.stdout, seen.stderr
    assert "\n1 " not in seen.stdout.partition(" root ")[0], seen.stdout
