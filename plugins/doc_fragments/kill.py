# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kill options: the one place for their names, types, defaults and texts."""

from __future__ import annotations

#: The options that make sense for one task. The others are options of the run.
ARGUMENT_NAMES = (
    "kill_signal",
    "kill_children",
    "kill_children_signal",
    "kill_mode",
    "kill_timeout",
    "kill_retry_for",
)


class _Arguments:
    """The text of `ARGUMENTS`, made when it is read: no run of a playbook needs it."""

    def __get__(self, instance: object, owner: type[ModuleDocFragment]) -> str:
        import yaml  # noqa: PLC0415  # as late as the text

        options = yaml.safe_load(owner.DOCUMENTATION)["options"]
        arguments = {}
        for name in ARGUMENT_NAMES:
            option = options[name]
            source = (
                f"Defaults to the variable C(treekill_{name}), E(TREEKILL_{name.upper()}),"
                f" or C({name}) of section C([treekill]) in C(ansible.cfg)."
            )
            more = {fact: option[fact] for fact in ("choices", "version_added") if fact in option}
            arguments[name] = {
                "type": option["type"],
                **more,
                "description": [*option["description"], source],
            }
        return str(yaml.safe_dump({"options": arguments}))


class ModuleDocFragment:
    #: For callback and connection plugins: with the sources from which ansible-core reads them.
    DOCUMENTATION = r"""
options:
  kill_signal:
    description:
      - First signal to the root, the first process of the command on the host. Most often it is a
        shell that waits for the command. Then the shell gets its signal last, and the command gets
        O(kill_children_signal).
      - A name, with or without C(SIG), or a number.
    type: str
    default: TERM
    env:
      - name: TREEKILL_KILL_SIGNAL
    ini:
      - section: treekill
        key: kill_signal
    vars:
      - name: treekill_kill_signal
  kill_children:
    description:
      - Signal the rest of the tree as well.
      - With V(false) only the root is signalled. What it leaves behind keeps running, and the
        recap lists it.
    type: bool
    default: true
    env:
      - name: TREEKILL_KILL_CHILDREN
    ini:
      - section: treekill
        key: kill_children
    vars:
      - name: treekill_kill_children
  kill_children_signal:
    description:
      - First signal to the rest of the tree.
      - A name, with or without C(SIG), or a number.
    type: str
    default: TERM
    env:
      - name: TREEKILL_KILL_CHILDREN_SIGNAL
    ini:
      - section: treekill
        key: kill_children_signal
    vars:
      - name: treekill_kill_children_signal
  kill_mode:
    description:
      - Which processes of a command get the first signal at once. A process that only carries the
        command (its module, sudo, su, a shell that waits for it) gets the signal last.
      - With V(mixed) a program that handles the signal gets it alone. The processes that it has
        started get the signal when the program has ended, unless the program has ended them. So if
        a wrapper passes the signal on, its command does not get it twice.
      - With V(tree) all processes of the command get the signal at once. Use it for programs that
        handle the signal by waiting for the processes that they have started.
      - SIGHUP, SIGINT and SIGQUIT always go to all of them, as from a terminal.
    version_added: 1.1.0
    type: str
    choices: [mixed, tree]
    default: mixed
    env:
      - name: TREEKILL_KILL_MODE
    ini:
      - section: treekill
        key: kill_mode
    vars:
      - name: treekill_kill_mode
  kill_timeout:
    description:
      - The grace period in seconds, from the first signal to SIGKILL for what is left.
    type: float
    default: 10
    env:
      - name: TREEKILL_KILL_TIMEOUT
    ini:
      - section: treekill
        key: kill_timeout
    vars:
      - name: treekill_kill_timeout
  finish:
    description:
      - Leave a transaction of a package manager or a file system tool to finish, instead of ending
        it. All else of the tree is ended. O(finish_programs) and O(finish_modules) say what counts.
      - With V(false) a transaction is ended like any process. That can leave a package half
        configured, or a file system half written.
    version_added: 1.1.0
    type: bool
    default: true
    env:
      - name: TREEKILL_FINISH
    ini:
      - section: treekill
        key: finish
    vars:
      - name: treekill_finish
  finish_programs:
    description:
      - Names of the programs whose transactions are left to finish. An asterisk at the end stands
        for any letters.
      - The name is that of the executable file, after symbolic links. Root must own the file, and
        the process must run as root, or as a user of the task. A script does not count.
      - Package managers and C(lvm) count only while they hold the lock of their database. A program
        that downloads, or waits for a lock that another process holds, is ended.
      - An empty list leaves none to finish.
    version_added: 1.1.0
    type: list
    elements: str
    default:
      [dpkg, apt-get, apt, "aptitude*", rpm, rpmdb, dnf5, microdnf, zypp-rpm, pacman, apk,
      flatpak, mke2fs, "mkfs.*", resize2fs, tune2fs, e2fsck, "fsck.*", xfs_growfs,
      xfs_repair, lvm, parted, sfdisk, sgdisk, cryptsetup, mdadm, grub-install,
      grub2-install, fwupdtool, flashrom, pg_upgrade, mysql_upgrade, mariadb-upgrade]
    env:
      - name: TREEKILL_FINISH_PROGRAMS
    ini:
      - section: treekill
        key: finish_programs
    vars:
      - name: treekill_finish_programs
  finish_modules:
    description:
      - Databases that count when a Python program holds their lock, such as a module of Ansible.
      - V(apt) is the one of dpkg, which python3-apt uses. V(dnf) is the one of rpm, which C(dnf),
        C(yum) and libdnf use.
      - An empty list leaves none to finish.
    version_added: 1.1.0
    type: list
    elements: str
    default: [apt, dnf]
    env:
      - name: TREEKILL_FINISH_MODULES
    ini:
      - section: treekill
        key: finish_modules
    vars:
      - name: treekill_finish_modules
  finish_timeout:
    description:
      - Seconds after which a transaction is ended like all else, with first signals and
        O(kill_timeout).
    version_added: 1.1.0
    type: float
    default: 600
    env:
      - name: TREEKILL_FINISH_TIMEOUT
    ini:
      - section: treekill
        key: finish_timeout
    vars:
      - name: treekill_finish_timeout
  kill_wait:
    description:
      - After an interruption, the main process waits for the report of the hosts and prints the
        recap.
      - With V(false) it ends at once, and the guardian finishes the work alone.
      - It is an option of the run. Of all variables, only extra variables can set it.
    type: bool
    default: true
    env:
      - name: TREEKILL_KILL_WAIT
    ini:
      - section: treekill
        key: kill_wait
    vars:
      - name: treekill_kill_wait
  kill_retry_for:
    description:
      - Seconds to keep trying a host that can't be reached, with growing pauses, also after the
        main process has ended.
    type: float
    default: 60
    env:
      - name: TREEKILL_KILL_RETRY_FOR
    ini:
      - section: treekill
        key: kill_retry_for
    vars:
      - name: treekill_kill_retry_for
  kill_async:
    description:
      - End jobs with C(poll) 0 as well when the run is interrupted.
      - With V(false) they are left alone, and the recap lists them.
      - With V(true) their hosts end them as well if the whole controller is gone. For that, one
        idle session stays open on each host with such a job, as long as the run lasts.
    type: bool
    default: false
    env:
      - name: TREEKILL_KILL_ASYNC
    ini:
      - section: treekill
        key: kill_async
    vars:
      - name: treekill_kill_async
  supervise:
    description:
      - Put a supervisor around modules. This small process on the host keeps every orphan of the
        module in the tree. It ends the tree itself when the connection breaks, even if the whole
        controller is gone.
      - It needs Linux and Python 3.6 or later on the host. Elsewhere, and if O(kill_children) is
        V(false), tasks run without it.
    type: bool
    default: true
    env:
      - name: TREEKILL_SUPERVISE
    ini:
      - section: treekill
        key: supervise
    vars:
      - name: treekill_supervise
  on_disconnect:
    description:
      - What becomes of a tree that loses its connection while the run continues.
      - With V(kill) it is ended as soon as its host can be reached again.
      - With V(keep) it is left alone, for tasks that cut their own connection on purpose, such as
        network set-up.
    type: str
    choices: [kill, keep]
    default: kill
    env:
      - name: TREEKILL_ON_DISCONNECT
    ini:
      - section: treekill
        key: on_disconnect
    vars:
      - name: treekill_on_disconnect
  track:
    description:
      - Which remote commands are guarded.
      - With V(all) every command is guarded, on every connection with a POSIX shell, in unedited
        playbooks.
      - With V(plugins) only commands that go through the connection and action plugins of this
        collection are guarded. The actions of ansible-core are not patched. After an interruption
        the recap names the other tasks in flight.
      - With V(none) no command is guarded. If it is set on a host, play or task, that one is
        unguarded, and the recap lists it. If it is set for the run, nothing is started or written,
        and there is no recap.
      - Only the run chooses between V(all) and V(plugins). If one of them is set on a host, play or
        task, that one is guarded. Of all variables, only extra variables choose for the run.
    type: str
    choices: [all, plugins, none]
    default: all
    env:
      - name: TREEKILL_TRACK
    ini:
      - section: treekill
        key: track
    vars:
      - name: treekill_track
"""

    #: For the callback alone: what is run when everything was ended.
    AFTER_KILL = r"""
options:
  after_kill:
    description:
      - What to run on interrupted hosts once nothing of the interrupted tasks is alive there, to
        release a lock for example, or for C(dpkg --configure -a).
      - It names tasks files, which become one play, or playbooks, but not both. Relative paths are
        looked up beside the interrupted playbook, then in the current directory.
      - It is a separate run. It has the inventory, user, keys, become options, extra variables,
        vault identities and check mode of the interrupted command line. It also has the passwords
        that were typed for that. It is guarded as well, and runs no O(after_kill) itself.
      - A host with survivors, or without a confirmed end, is left out. The recap lists these hosts.
      - It gets five variables. C(treekill_run) is the id of the interrupted run.
      - C(treekill_cause) is the cause, such as V(SIGINT).
      - C(treekill_hosts) lists the hosts that it is run on.
      - C(treekill_interrupted) has C(tasks) for each of them, the names of the tasks that were
        ended.
      - C(treekill_task) is the first of these on the current host.
      - Nothing is run by default, and with V(none).
    type: list
    elements: str
    default: []
    env:
      - name: TREEKILL_AFTER_KILL
    ini:
      - section: treekill
        key: after_kill
    vars:
      - name: treekill_after_kill
  after_kill_timeout:
    description:
      - Seconds until O(after_kill) is interrupted, as by Ctrl-C.
    type: float
    default: 120
    env:
      - name: TREEKILL_AFTER_KILL_TIMEOUT
    ini:
      - section: treekill
        key: after_kill_timeout
    vars:
      - name: treekill_after_kill_timeout
"""

    #: For the callback: an option of the run.
    ALWAYS = r"""
options:
  run_always:
    description:
      - After the first SIGINT, SIGTERM or SIGHUP, the C(always) sections of blocks run before the
        run ends, as C(finally) does in Python. First everything that is running is ended. Then each
        host of the play runs the C(always) sections of the blocks that it is in, from the innermost
        out.
        Nothing else runs, no C(rescue), no handler and no further play.
      - A task of another host may have been waiting. Its host runs its C(always) sections too.
      - A second signal ends these as well. Then the run ends as any interrupted run.
      - A host on which the end of its task is not confirmed is left out. The recap lists what ran.
      - It works with the strategies linear, free and host_pinned.
      - It is an option of the run. Of all variables, only extra variables can set it.
    version_added: 1.1.0
    type: bool
    default: false
    env:
      - name: TREEKILL_RUN_ALWAYS
    ini:
      - section: treekill
        key: run_always
    vars:
      - name: treekill_run_always
"""

    #: For modules that end processes when their task runs. C(KILL_ARGUMENTS) of the hosts' side has
    #: their types and defaults.
    MODULES = r"""
options:
  kill_signal:
    description: First signal to the roots of the trees. A name, with or without C(SIG), or a
      number.
    type: str
    default: TERM
  kill_children:
    description: Signal the rest of the trees as well.
    type: bool
    default: true
  kill_children_signal:
    description: First signal to the rest of the trees. A name, with or without C(SIG), or a number.
    type: str
    default: TERM
  kill_mode:
    description:
      - Which processes get the first signal at once. With V(mixed) a program that handles the
        signal gets it alone, and what it has started when it has gone.
      - With V(tree) all of them.
    version_added: 1.1.0
    type: str
    choices: [mixed, tree]
    default: mixed
  kill_timeout:
    description: The grace period in seconds, from the first signal to SIGKILL for what is left.
    type: float
    default: 10
  finish:
    description:
      - Leave a transaction of a package manager or a file system tool to finish, and end it only
        when O(finish_timeout) is over. The module waits for it. All else is ended.
      - With V(false) a transaction is ended like any process.
    version_added: 1.1.0
    type: bool
    default: true
  finish_programs:
    description:
      - Names of the programs whose transactions are left to finish, see
        O(treekill.remote.guardian#callback:finish_programs).
      - The default is the same as there.
    version_added: 1.1.0
    type: list
    elements: str
  finish_modules:
    description:
      - Databases that count when a Python program holds their lock, see
        O(treekill.remote.guardian#callback:finish_modules).
      - The default is the same as there.
    version_added: 1.1.0
    type: list
    elements: str
  finish_timeout:
    description: Seconds after which a transaction is ended like all else.
    version_added: 1.1.0
    type: float
    default: 600
  arguments:
    description:
      - Return command lines. With V(false), return only names of programs, for command lines that
        hold secrets.
      - Command lines of a supervised task with C(no_log) are never returned.
    type: bool
    default: true
"""

    #: For actions and modules: the same options as task arguments. They have no default: an option
    #: that a task does not set comes from the variables, the environment and ansible.cfg.
    ARGUMENTS = ""


# ansible-test reads the texts above without an import, and wants a text for each of them.
ModuleDocFragment.ARGUMENTS = _Arguments()  # type: ignore[assignment]
