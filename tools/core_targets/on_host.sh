#!/bin/sh
# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs one target on a throw-away host. Arguments: the target, and `guarded` for a run with the
# callback.
set -eu
target=$1 way=$2 here=/run/core-targets
mkdir -p "$here/upper" "$here/work" /root/ansible
: > "$here/guarded"
chmod 666 "$here/guarded"
layers="lowerdir=/opt/ansible,upperdir=$here/upper,workdir=$here/work"
mount -t overlay overlay -o "$layers" /root/ansible
if [ "$way" = guarded ]; then
    executor=/root/ansible/lib/ansible/executor
    cp /opt/core-targets/enable.py "$executor/treekill_enable.py"
    {
        printf '\nfrom ansible.executor import treekill_enable\n'
        printf 'treekill_enable.guard(TaskQueueManager)\n'
    } >> "$executor/task_queue_manager.py"
    # A link instead of ANSIBLE_COLLECTIONS_PATH, which targets replace.
    ln -s /opt/collections/ansible_collections /usr/lib/python3/dist-packages/ansible_collections
fi
# Targets that need ssh log in as root, with their own keys or with that of ansible-test.
mkdir -p /root/.ansible/test
ssh-keygen -m PEM -q -t rsa -N '' -f /root/.ansible/test/id_rsa
cp /root/.ansible/test/id_rsa /root/.ansible/test/id_rsa.pub /root/.ssh
cat /root/.ssh/id_rsa.pub >> /root/.ssh/authorized_keys
printf 'localhost,127.0.0.1,::1 %s\n' "$(cat /etc/ssh/ssh_host_ed25519_key.pub)" \
    > /root/.ssh/known_hosts
# A target may ask for a package that is installed: pip must not refuse it because it is Debian's.
# pip finds other packages in a folder, not in an index.
printf '[global]\nbreak-system-packages = true\nno-index = true\nfind-links = /opt/packages\n' \
    > /etc/pip.conf
rsyslogd -n &
syslog=$!
cd /root/ansible
status=0
python3 bin/ansible-test integration --local --allow-destructive --color no -v "$target" \
    < /dev/null 2>&1 || status=$?
kill "$syslog" || :
wait "$syslog" || :
times > "$here/times"
exit "$status"
