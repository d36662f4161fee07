# Copyright (c) 2026, the treekill.remote authors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Records in a job's file that the job was ended.

The job is an asynchronous one. Otherwise core's async_status would report it as running forever.
"""

import os
import time

from ansible_collections.treekill.remote.plugins.module_utils._process.fast_signal import (
    host_signals,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterable

    from ansible_collections.treekill.remote.plugins.module_utils._tree.control import (
        TrackedProcess,
    )

#: Seconds for one file. Its disk may be slow, or gone with its server.
FILE_SECONDS = 3.0


def report_ended_jobs(processes: "Iterable[TrackedProcess]") -> None:
    """Write the file of each job whose processes are all gone, if this pass has signalled one."""
    jobs: Dict[Any, Any] = {}
    for tracked in processes:
        if tracked.job:
            jobs.setdefault((tracked.job[0], tracked.user), []).append(tracked)
    for (job, user), wrappers in jobs.items():
        if any(tracked.sent for tracked in wrappers) and all(
            tracked.ended is not None for tracked in wrappers
        ):
            write_apart(
                job, user, dict(entry.partition(b"=")[::2] for entry in wrappers[0].job[1:])
            )


def write_apart(job: bytes, user: int, environment: "Dict[bytes, bytes]") -> None:
    """Write the file in a process that has only the job's rights.

    The process ends if the disk does not answer.
    """
    try:
        child = os.fork()
    except OSError:
        return  # there are no more processes: the file stays as it is
    if not child:
        try:
            host_signals.signal(host_signals.SIGALRM, host_signals.SIG_DFL)
            host_signals.pthread_sigmask(host_signals.SIG_UNBLOCK, [host_signals.SIGALRM])
            host_signals.alarm(int(FILE_SECONDS) + 1)
            become(user)
            mark_as_ended(folder(environment), os.fsdecode(job))
        except (OSError, ValueError, KeyError, TypeError):
            pass  # the file stays as it is: the report has the processes that were ended
        finally:
            os._exit(0)
    until = time.monotonic() + FILE_SECONDS
    try:
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() >= until:
                os.kill(child, host_signals.SIGKILL)
                return
            time.sleep(0.002)
    except ChildProcessError:
        pass  # a supervisor has read its status


def become(user: int) -> None:
    """Become this user.

    Raises KeyError or OSError if that is not possible.
    """
    if os.geteuid() != user:
        import pwd

        os.setgroups([])
        os.setgid(pwd.getpwuid(user).pw_gid)
        os.setuid(user)


def folder(environment: "Dict[bytes, bytes]") -> str:
    """Return the directory of the job's files, found as the job's wrapper finds it."""
    place = os.fsdecode(environment.get(b"ANSIBLE_ASYNC_DIR", b"~/.ansible_async"))
    if place[:2] == "~/" and b"HOME" in environment:
        place = os.fsdecode(environment[b"HOME"]) + place[1:]
    place = os.path.expanduser(place)
    if not os.path.isabs(place):
        raise ValueError(place)
    return place


def mark_as_ended(place: str, job: str) -> None:
    """Mark the job as ended in each of its files that names it as not finished.

    A wrapper adds its pid to the name of the file.

    Raises OSError. Raises ValueError, KeyError or TypeError if a file holds something else.
    """
    import json

    for name in os.listdir(place):
        path = os.path.join(place, name)
        if name[: len(job) + 1] == job + "." and name[len(job) + 1 :].isdigit():
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                content = json.loads(file.read(65536).decode("utf-8"))
                owner = os.fstat(file.fileno()).st_uid
            if (
                owner == os.geteuid()
                and content["ansible_job_id"] == name
                and content["started"]
                and not content["finished"]
            ):
                yes = type(content["finished"])(1)
                content.update(
                    finished=yes,
                    failed=True,
                    killed=True,
                    msg="The job was ended by treekill.remote before it was finished.",
                )
                new = "%s.treekill.%d" % (path, os.getpid())
                with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(json.dumps(content).encode("ascii"))
                os.rename(new, path)
