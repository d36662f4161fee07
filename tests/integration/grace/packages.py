# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A real package whose script takes its time, and what the package manager says of it afterwards.

The script leaves a file when it has begun, and another one when it has finished.
"""

from __future__ import annotations

import pytest

from tests.support.hosts import Host, Lab
from tests.support.hosts.processes import HostProcess
from tests.support.run.waiting import until
from tests.support.trees import census

#: Seconds that the script takes: longer than the grace period of the rows.
SECONDS = 4

#: Characters of each of the lines that it prints, ten in a second.
LINE = 4000

NAME = "treekill-slow"
FILE = f"/tmp/{NAME}.deb"

#: While the host has this file, the script of the package waits.
_HANGS = f"tmp/{NAME}-hangs"

#: Words of apt-get for the packages of a server on the host, and for no others.
FROM_SERVER = (
    f"-o Dir::Etc::SourceList=/tmp/{NAME}.list -o Dir::Etc::SourceParts=-"
    " -o APT::Sandbox::User=root"
)

#: A server of one package that stops in the middle of the package. It leaves a file then.
_SERVER = f"""
import hashlib, http.server, socketserver, time

with open("{FILE}", "rb") as file:
    package = file.read()
with open("/tmp/{NAME}/DEBIAN/control") as file:
    index = file.read() + "Filename: ./{NAME}.deb\\nSize: %d\\nSHA256: %s\\n" % (
        len(package), hashlib.sha256(package).hexdigest()
    )

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        slow = self.path.endswith(".deb")
        content = package if slow else index.encode()
        if not slow and not self.path.endswith("/Packages"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:100] if slow else content)
        if slow:
            open("/tmp/{NAME}-asked", "w").close()
            time.sleep(600)

# An HTTPServer would ask for the name of its address, which takes long where no server tells it.
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
with open("/tmp/{NAME}.list", "w") as file:
    file.write("deb [trusted=yes] http://127.0.0.1:%d/ ./\\n" % server.server_address[1])
server.serve_forever()
"""

_BUILD = f"""set -e
mkdir -p /tmp/{NAME}/DEBIAN /tmp/{NAME}/usr/share/{NAME}
date > /tmp/{NAME}/usr/share/{NAME}/date
cat > /tmp/{NAME}/DEBIAN/control <<END
Package: {NAME}
Version: 1.0
Architecture: all
Maintainer: Nobody <nobody@example.org>
Description: takes its time
END
cat > /tmp/{NAME}/DEBIAN/postinst <<END
#!/bin/sh
set -e
echo "the script begins"
touch /tmp/{NAME}-begun
while [ -e /tmp/{NAME}-hangs ]; do sleep 0.1; done
i=0
while [ "\\$i" -lt {SECONDS * 10} ]; do
  i=\\$((i + 1))
  sleep 0.1
  # More than a pipe holds: an output that no process reads would stop the script.
  printf '%{LINE}s\n' "\\$i"
done
touch /tmp/{NAME}-finished
END
chmod 755 /tmp/{NAME}/DEBIAN/postinst
dpkg-deb --build /tmp/{NAME} {FILE}
"""


def put_on(host: Host) -> None:
    """Build the package on the host."""
    host.run(["sh", "-c", _BUILD])


def skip_without_dpkg(lab: Lab) -> None:
    """Skip a test on hosts that have no dpkg."""
    if not (lab["web1"].root / "usr/bin/apt-get").exists():
        pytest.skip("the hosts have no apt-get: their files are those of this machine")


def skip_without_python_apt(host: Host) -> None:
    """Skip a test on a host that lacks what the module `apt` needs."""
    if host.run(["/usr/bin/python3", "-c", "import apt"], check=False).returncode:
        pytest.skip("the host has no python3-apt: its files are those of this machine")


def remove(host: Host) -> None:
    """Bring the package database into order, without the package."""
    # A broken one is mended by hand: the script is not to be waited for.
    host.run(["sh", "-c", f"rm -f /var/lib/dpkg/info/{NAME}.postinst"])
    host.run(["dpkg", "--configure", "-a"], check=False)
    host.run(["dpkg", "--purge", "--force-all", NAME], check=False)
    host.run(["sh", "-c", f"rm -f /tmp/{NAME}-* /tmp/{NAME}.list"])
    assert not audit(host)


def hang(host: Host) -> None:
    """Let the script of the package wait."""
    (host.root / _HANGS).touch()


def go_on(host: Host) -> None:
    """Let the script of the package go on."""
    (host.root / _HANGS).unlink()


def serve(host: Host) -> HostProcess:
    """Start a server of the package on the host, and let its apt-get know it."""
    server = host.spawn(["/usr/bin/python3", "-c", _SERVER])
    until((host.root / f"tmp/{NAME}.list").exists, 20, "the server of the package has not begun")
    host.run(["sh", "-c", f"apt-get update {FROM_SERVER} -o APT::Get::List-Cleanup=0"])
    return server


def is_downloaded(host: Host) -> bool:
    """Whether the download of the package has begun."""
    return (host.root / f"tmp/{NAME}-asked").exists()


def locked(host: Host) -> set[str]:
    """Return the names of the locks of dpkg that a process of the host holds."""
    script = "cat /proc/locks; stat --format 'file %i %n' /var/lib/dpkg/lock*"
    lines = host.run(["sh", "-c", script]).stdout.splitlines()
    files = dict(line.split()[1:] for line in lines if line.startswith("file "))
    held = {line.split()[-3].rpartition(":")[2] for line in lines if " WRITE " in line}
    return {path.rpartition("/")[2] for inode, path in files.items() if inode in held}


def has_begun(host: Host) -> bool:
    """Whether the script of the package runs."""
    return (host.root / f"tmp/{NAME}-begun").exists()


def has_finished(host: Host) -> bool:
    """Whether the script of the package came to its end."""
    return (host.root / f"tmp/{NAME}-finished").exists()


def left(host: Host) -> list[str]:
    """Return the command lines of what is of the tree: all but those of the host's system."""
    return [process.command for process in census.of_tree(host, frozenset())]


def audit(host: Host) -> str:
    """Return what dpkg finds wrong: nothing if all is well."""
    return host.run(["dpkg", "--audit"], check=False).stdout.strip()


def state(host: Host) -> str:
    """Return how dpkg names the state of the package."""
    asked = host.run(["dpkg-query", "--show", "--showformat=${Status}", NAME], check=False)
    return asked.stdout.strip()
