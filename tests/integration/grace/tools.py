# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real tools whose work is to be finished, besides dpkg, and what they say of it afterwards.

The package managers install a package whose script takes its time. It leaves a file when it has
begun, and another one when it has finished. A file system is made on an image that is first read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.hosts import Host

#: Debian packages with the tools.
PACKAGES = ("rpm", "dnf", "zypper", "pacman-package-manager")

#: Seconds that a script takes: longer than the grace period of the rows.
SECONDS = 4

_NAME = "treekill-slow"
_BEGUN, _FINISHED = f"/tmp/{_NAME}-begun", f"/tmp/{_NAME}-finished"
_RPM = f"/tmp/{_NAME}.rpm"
_PACMAN = f"/tmp/{_NAME}.pkg.tar"
_IMAGE = f"/tmp/{_NAME}.image"

#: Bytes of the image. It is empty and takes no place. To read it takes some seconds.
_IMAGE_SIZE = "24G"

_SCRIPT = f"""\
touch {_BEGUN}
i=0
while [ "$i" -lt {SECONDS * 10} ]; do
  i=$((i + 1))
  sleep 0.1
  # More than a pipe holds: an output that no process reads would stop the script.
  seq 1000
done
touch {_FINISHED}
"""

#: rpm of Debian has its database in the home directory of root, where zypper does not look.
_BUILD_RPM = f"""set -e
mkdir -p /etc/rpm /var/lib/rpm /tmp/{_NAME}-rpm
echo '%_dbpath /var/lib/rpm' > /etc/rpm/macros
cd /tmp/{_NAME}-rpm
head() {{
  printf '%s\\n' "Name: $1" 'Version: 1' 'Release: 1' 'Summary: for tests' 'License: GPL' \\
    'BuildArch: noarch'
}}
{{ head shell; printf '%s\\n' 'Provides: /bin/sh' %description 'has the name of the shell' %files
}} > shell.spec
{{ head {_NAME}; printf '%s\\n' %description 'takes its time' %post; cat <<'END'
{_SCRIPT}
END
echo %files; }} > slow.spec
rpmbuild -bb --define "_topdir $PWD" shell.spec slow.spec
rpm --install --force-debian RPMS/noarch/shell-1-1.noarch.rpm
cp RPMS/noarch/{_NAME}-1-1.noarch.rpm {_RPM}
"""

_BUILD_PACMAN = f"""set -e
mkdir -p /tmp/{_NAME}-pacman /var/lib/pacman
ln -sf /proc/mounts /etc/mtab
sed -i /CheckSpace/d /etc/pacman.conf
cd /tmp/{_NAME}-pacman
printf '%s\\n' 'pkgname = {_NAME}' 'pkgver = 1-1' 'arch = any' > .PKGINFO
cat > .INSTALL <<'END'
post_install() {{
{_SCRIPT}
}}
END
tar -cf {_PACMAN} .PKGINFO .INSTALL
"""


@dataclass(frozen=True)
class Tool:
    """A tool, and how a task uses it."""

    program: str
    #: The task. What stands behind it must not be run.
    task: Mapping[str, Any]
    #: Prepares the host, and the file that it makes last.
    build: str
    made: str
    #: Removes what the tool has made, whatever state that is in.
    remove: str
    #: Succeeds if the work is done, and the tool finds nothing wrong.
    check: str
    #: Succeeds if the work is under way.
    begun: str = f"test -e {_BEGUN}"
    #: Fails if the host lacks something.
    needs: str = "true"


_RPM_REMOVED = f"rm -f {_BEGUN} {_FINISHED}; rpm --erase --force-debian --noscripts {_NAME}"
_RPM_IN_ORDER = (
    f"test -e {_FINISHED} && rpm --query {_NAME} && rpm --verifydb"
    f" && rpm --erase --force-debian {_NAME}"
)


def _rpm(program: str, task: Mapping[str, Any], **more: Any) -> Tool:
    return Tool(program, task, _BUILD_RPM, _RPM, _RPM_REMOVED, _RPM_IN_ORDER, **more)


def _shell(command: str) -> dict[str, Any]:
    return {"ansible.builtin.shell": f"{command}; touch /tmp/next-{{{{ row }}}}"}


TOOLS = {
    "rpm": _rpm("rpm", _shell(f"rpm --install --force-debian {_RPM}")),
    "dnf": _rpm("dnf", _shell(f"dnf --assumeyes --releasever=1 install {_RPM}")),
    "dnf module": _rpm(
        "dnf",
        {
            "ansible.builtin.dnf": {
                "name": _RPM,
                "disable_gpg_check": True,
                "releasever": "1",
                "use_backend": "dnf4",
            }
        },
        needs="/usr/bin/python3 -c 'import dnf'",
    ),
    "zypper": _rpm(
        "zypper",
        _shell(f"zypper --non-interactive --no-gpg-checks --no-refresh install {_RPM}"),
    ),
    "pacman": Tool(
        "pacman",
        _shell(f"pacman --noconfirm --upgrade {_PACMAN}"),
        _BUILD_PACMAN,
        _PACMAN,
        f"rm -rf {_BEGUN} {_FINISHED} /var/lib/pacman/db.lck /var/lib/pacman/local/{_NAME}-*",
        f"test -e {_FINISHED} && pacman --query {_NAME} && pacman --noconfirm --remove {_NAME}",
    ),
    "mkfs.ext4": Tool(
        "mkfs.ext4",
        # It looks for bad blocks first, by a program of its own.
        _shell(f"mkfs.ext4 -F -q -c {_IMAGE}"),
        "true",
        "/",
        f"rm -f {_IMAGE} && truncate --size={_IMAGE_SIZE} {_IMAGE}",
        f"e2fsck -f -n {_IMAGE}",
        begun="pgrep -x badblocks",
    ),
}


def put_on(host: Host, tool: Tool) -> None:
    """Prepare the host for the tool; skip the test if the host can't have it."""
    if host.run(["sh", "-c", f"command -v {tool.program} && {tool.needs}"], check=False).returncode:
        pytest.skip(f"the host has no {tool.program}, or it lacks what its module needs")
    if not succeeds(host, f"test -e {tool.made}"):
        host.run(["bash", "-c", tool.build])


def remove(host: Host, tool: Tool) -> None:
    """Bring the host into the state before the task."""
    host.run(["sh", "-c", tool.remove], check=False)


def succeeds(host: Host, script: str) -> bool:
    """Whether a script succeeds on the host."""
    return not host.run(["sh", "-c", script], check=False).returncode


#: The task of each.
TASKS = {name: tool.task for name, tool in TOOLS.items()}
