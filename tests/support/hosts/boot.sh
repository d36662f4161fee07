#!/bin/sh
# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Turns fresh namespaces into a host: runs as pid 1 in them, makes file system and network, and
# becomes init. Prints "ready <pid on the machine>" when the network namespace may be given its
# port. Reads a line when it has the port. Prints "networked" when the address is set. boot.py sets
# the variables.
set -eu

# Before any mount: this /proc is still the machine's, so it has the outer pid of this process.
read -r stat < /proc/self/stat
exec 3<> "$HOST_DIR/orders" 4<> "$HOST_DIR/answers"

root=$HOST_DIR/root
upper="upperdir=$HOST_DIR/upper,workdir=$HOST_DIR/work$HOST_OVERLAY_OPTIONS"
mount -t overlay overlay -o "lowerdir=$HOST_LOWER,$upper" "$root"
for part in $HOST_PARTS; do
    parts=$HOST_DIR/parts/$part
    mkdir -p "$parts/upper" "$parts/work"
    upper="upperdir=$parts/upper,workdir=$parts/work$HOST_OVERLAY_OPTIONS"
    mount -t overlay overlay -o "lowerdir=$HOST_LOWER/$part:/$part,$upper" "$root/$part"
done
cd "$root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
# Otherwise systemd would mount the machine's own devices.
[ -z "$HOST_SYSTEMD" ] || mount --bind dev dev
mkdir -p run/sshd run/lock dev/pts
# Not the machine's ptys, and open to all users: otherwise `ssh -tt` fails for ordinary users.
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
for node in null zero full random urandom tty; do
    # Device nodes can't be made in a user namespace, so the machine's are bound.
    [ -c "dev/$node" ] || mount --bind "/dev/$node" "dev/$node"
done
# Some user namespaces refuse it, and nothing needs it in them.
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys 2> /dev/null || :
[ -z "$HOST_SYSTEMD" ] || mount -t cgroup2 cgroup2 sys/fs/cgroup
while read -r source target; do
    [ -n "$source" ] || continue
    mkdir -p ".$target"
    mount -o bind,ro "$source" ".$target"
done << END
$HOST_BINDS
END
# The file belongs to the machine's root, which a user namespace does not map.
printf '%s\n' "$HOST_NAME" 2> /dev/null > proc/sys/kernel/hostname || hostname "$HOST_NAME"
printf '%s\n' "$HOST_NAME" > etc/hostname

echo "ready ${stat%% *}"
read -r port
[ "$port" = plugged ]
ip -batch - << END
link set lo up
address add $HOST_ADDRESS/24 dev eth0
link set eth0 up
END
echo networked

exec > /dev/null 2>> "$HOST_DIR/boot.log" < /dev/null
pivot_root . mnt
# The host inherits nothing of the machine's environment or of ours, and no ignored signal of our
# caller.
# shellcheck disable=SC2086 # $HOST_INIT is a command and its arguments
exec env --default-signal -i \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    $HOST_INIT /usr/local/sbin/host-rc
