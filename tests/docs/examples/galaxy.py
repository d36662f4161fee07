# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Galaxy server on this machine's loopback.

It has one collection: the tarball of this very tree.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tools.environment import _collection, _lock, _venvs


@dataclass
class Galaxy:
    """A server that is running."""

    url: str
    tarball: Path
    asked: list[str] = field(
        default_factory=list
    )  #: paths, in the order in which they were asked for

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment by which `ansible-galaxy` asks this server, and no other."""
        return {"ANSIBLE_GALAXY_SERVER": self.url, "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}

    @property
    def version(self) -> str:
        """Version of the collection."""
        return self.tarball.name.removesuffix(".tar.gz").rpartition("-")[2]

    def answer(self, path: str) -> bytes | None:
        """Return the body for a path, None if there is nothing.

        The shapes are those of the Galaxy API, version 3, as far as ansible-galaxy reads them.
        """
        self.asked.append(path)
        if path == f"/download/{self.tarball.name}":
            return self.tarball.read_bytes()
        # It asks for `/api` where the protocol has `/api/`.
        content = self._index().get(path.partition("?")[0].rstrip("/") + "/")
        return None if content is None else json.dumps(content).encode()

    def _index(self) -> dict[str, Any]:
        here, version = "/api/v3/collections/treekill/remote/", self.version
        listed = {
            "version": version,
            "href": f"{here}versions/{version}/",
            "requires_ansible": None,
        }
        artifact = {
            "filename": self.tarball.name,
            "sha256": hashlib.sha256(self.tarball.read_bytes()).hexdigest(),
            "size": self.tarball.stat().st_size,
        }
        whole = {
            **listed,
            "namespace": {"name": "treekill"},
            "collection": {"name": "remote"},
            "download_url": f"{self.url}download/{self.tarball.name}",
            "artifact": artifact,
            "metadata": {"dependencies": {}},
            "signatures": [],
        }
        return {
            "/api/": {"available_versions": {"v3": "v3/"}},
            here: {
                "namespace": "treekill",
                "name": "remote",
                "created_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:00:00Z",
            },
            f"{here}versions/": {"meta": {"count": 1}, "links": {"next": None}, "data": [listed]},
            listed["href"]: whole,
        }


@contextmanager
def serving() -> Iterator[Galaxy]:
    """Serve the tree as it is now, during the block."""
    with _lock.locked():
        tarball = _collection.build(_venvs.Venv(Path(sys.prefix)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.galaxy = galaxy = Galaxy(f"http://127.0.0.1:{server.server_port}/", tarball)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield galaxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.server.galaxy.answer(self.path)  # type: ignore[attr-defined]
        self.send_response(404 if body is None else 200)
        self.send_header(
            "Content-Type",
            "application/octet-stream"
            if self.path.startswith("/download/")
            else "application/json",
        )
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *dummy: object) -> None:
        """Do not write to the terminal of the tests."""
