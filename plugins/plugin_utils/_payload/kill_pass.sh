# Copyright (c) 2026, the treekill.remote authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# Several variables are emptied in one line, lists are split into words on purpose, and eval sets the variables of each process:
# shellcheck disable=SC1007,SC2013,SC2015,SC2086,SC2154

# Run as `/bin/sh -c TEXT treekill TEXT key=value ...`: the text is its own first argument, to be run again by sudo.
# In here: no single quote (they cost five characters each on the way), no tab, no line that begins or ends within a string.
# A process is written pid_start, also in the names of its variables: a pid can be given again.
# Lists are words with a space on both sides, so that `case` finds a member in them.

trap "" HUP INT QUIT PIPE TERM
export LC_ALL=C
text=$1
shift
run= lease= nonce= signal=15 children=1 children_signal=15 timeout=10 arrival_timeout=2 arguments=1 escalate=1 alone=1 look=0 found= began= heads=
for word in "$@"; do
  case $word in run=*|lease=*|nonce=*|signal=*|children=*|children_signal=*|timeout=*|arrival_timeout=*|arguments=*|escalate=*|alone=*|look=*|found=*|began=*|heads=*)
    eval "${word%%=*}=\${word#*=}";;
  esac
done
case $run in ????????????????) ;; *) exit 64;; esac
mark="TREEKILL=$run/"
case $lease in "*") named="${mark}[0-9a-f]*/";; ????????) mark="$mark$lease/" named=$mark;; *) exit 64;; esac
all=" " above=" " roots=" " exempt=" " logins=" " blind=0 denied= refusal= late= signalled= cleaning=" " held=" " loose=" " kinds=" " judged=" " front=" " passers=" " pending=1 stopping= left=" " dead=" " doubt= doubtful=
# its few own tools get the same: the tree may keep the host busy. Only root may do it
renice -n -20 -p $$ >/dev/null 2>&1

# centiseconds since boot, into $now; from the start of a process if /proc has no clock (subset=pid)
clock() {
  now=
  { read -r now rest </proc/uptime; } 2>/dev/null
  case $now in
    *.*) now=${now%.*}${now#*.};;
    *)
      now=$(cat /proc/self/stat 2>/dev/null)
      set -f
      set -- ${now##*") "}
      set +f
      now=${20};;
  esac
  while case $now in 0?*) ;; *) false;; esac; do now=${now#0}; done
  case $now in ""|*[!0-9]*) unseen;; esac
}
# a host that shows no processes, or those of another pid namespace, whose numbers mean nothing here
unseen() {
  echo "treekill: no /proc of this pid namespace: nothing can be found, and nothing was ended" >&2
  exit 65
}
own=
{ read -r own rest </proc/self/stat; } 2>/dev/null
[ "$own" = $$ ] || unseen
# seconds, perhaps with a fraction, as centiseconds into $centi
to_centi() {
  centi=${1%.*} rest=
  case $1 in *.*) rest=${1#*.};; esac
  rest=${rest}00
  rest=${rest%"${rest#??}"}
  centi=$((${centi:-0} * 100 + ${rest#0}))
}
pause() {
  sleep "$1" 2>/dev/null || sleep 1
}
# /proc/$1/stat into $state $ppid $start $name; the name may hold any text, so only what follows the last bracket counts
look() {
  line=
  while IFS= read -r part || [ -n "$part" ]; do line="$line $part"; done <"/proc/$1/stat" || return 1
  case $line in *") "*) ;; *) return 1;; esac
  name=${line#*"("}
  name=${name%")"*}
  set -f
  set -- ${line##*") "}
  set +f
  state=$1 ppid=$2 start=${20} flags=$7
  [ "${18}" -le 1 ] || case $state in Z|X) state=S;; esac
} 2>/dev/null
# is pid_start still the same process, and no zombie? (a process whose first thread alone has ended is none)
lives() {
  look "${1%_*}" && [ "$start" = "${1#*_}" ] && case $state in Z|X) false;; esac
}
# signal $1 to pid_start $2; 1: gone, 2: not permitted
send() {
  lives "$2" || return 1
  kill -"$1" "${2%_*}" 2>/dev/null && return
  lives "$2" || return 1
  return 2
}
# entries of a NUL-separated file, one a line
entries() {
  tr "\n\0" "\1\n" <"$1" 2>/dev/null
}
# The pids of the environments or command lines, the files $2 and on, in which an entry matches $1. The status is 0. If no process can be started, a
# list would be empty and the tree not seen: then its status is another one, and the pass ends without a report.
having() {
  what=$1
  shift
  if [ "$nul" ]; then
    grep -lsz "$what" "$@" /dev/null 2>/dev/null
  else
    for file in $(grep -ls "${what#^}" "$@" /dev/null 2>/dev/null); do
      entries "$file" | grep -q "$what" && echo "$file"
    done
  fi | tr -cs 0-9 " "
}
nul=$(printf "a\0b" | grep -z "^b" 2>/dev/null)
# is the command line of $1 that of the root: shell, -c, script?
claims() {
  entries "/proc/$1/cmdline" 2>/dev/null | {
    IFS= read -r rest; IFS= read -r two; IFS= read -r script; IFS= read -r more && exit 1
    [ "$two" = -c ] || exit 1
    case $script in *"$mark"*) ;; *) exit 1;; esac
    before=${script%%"$mark"*} after=${script#*"$mark"}
    [ "$lease" = "*" ] && after=${after#????????/}
    case $before in *[\"\\]*) exit 1;; esac
    case $before in *"$quote"*|*[\#\<]*) exit 1;; esac
    case $before in "export "|*[\;\&]" export ") ;; *) exit 1;; esac
    case $after in \$\$/*) ;; *) exit 1;; esac
  }
}
quote=$(printf "\047")
# is pid $1, with the name $name, an ssh server run by root?
serves() {
  case $name in sshd|sshd-session|sshd-auth|dropbear) grep -qs "^Uid:.[0-9]*.0[^0-9]" "/proc/$1/status";; *) false;; esac
}
# is pid $1 spared? The list is that of pids, which may have changed hands since
spared() {
  case $spare in *" $1 "*) entries "/proc/$1/environ" | grep -q "^TREEKILL=spare\$";; *) false;; esac
}
# the topmost root above pid $1, itself without one, into $top and $top_start; $between: an exempt process below that root
climb() {
  passed= between= top=
  look "$1" || return
  top=$1 top_start=$start
  while [ "$ppid" -gt 1 ]; do
    up=$ppid born=$start
    look "$up" && [ "$start" -le "$born" ] || break
    serves "$up" && break
    case $claiming in *" $up "*) claims "$up" && top=$up top_start=$start between=$passed;; esac
    spared "$up" && passed=1
  done
}
untouchable=" 0 1 $$ "
up=$$
while look "$up" && [ "$ppid" -gt 0 ]; do up=$ppid untouchable="$untouchable$up "; done

# take pid $1 of start time $3 into the tree and stop it; $2: is it a root? What was started after the first signals goes into $cleaning, and is left
# alone until the grace period is over: a process cleans up by starting programs. The others go into $fresh.
take() {
  case $untouchable in *" $1 "*) return 1;; esac
  look "$1" && [ "$start" = "$3" ] || return 1
  case $state in Z|X) return 1;; esac
  id=${1}_$start
  [ -z "$2" ] || has "$roots" || roots="$roots$id " arrived=1
  has "$all" && return 1
  all="$all$id " new="$new$id "
  eval "sent_$id= ended_$id= start_$1=$start ppid_$id=$ppid user_$id= command_$id= name_$id=\$name"
  if [ "$signalled" ] && [ -z "$late$arrived" ] && [ "$start" -ge "$signalled" ] && had_signal "$ppid"; then
    cleaning="$cleaning$id "
    return 0
  fi
  fresh="$fresh$id "
  target "$id" && may_stop "$1" && {
    send STOP "$id"
    case $? in 0) stopping="$stopping $id";; 2) denied="$denied $id ";; esac
  }
  return 0
}
# has pid $1 had its first signal, or is it not of the tree? Without a signal it goes on with its work: what it starts cleans up nothing.
had_signal() {
  eval "parent=${1}_\$start_$1"
  case $all in *" $parent "*) ;; *) return 0;; esac
  case $cleaning in *" $parent "*) return 0;; esac
  eval "[ \"\$sent_$parent\" ]"
}
target() {
  [ "$children" = 1 ] || case $roots in *" $1 "*) ;; *) false;; esac
}
# whether the list $1 has the process $id
has() {
  case $1 in *" $id "*) ;; *) false;; esac
}
# not if a process above it could stop itself as well, and could not be resumed from here
may_stop() {
  up=$1
  look "$up"
  parent=$ppid
  known "$parent" && return
  [ "$parent" -le 1 ] || kill -0 "$parent" 2>/dev/null || return 1
  while look "$up" && [ "$ppid" -gt 1 ]; do
    up=$ppid
    look "$up" || break
    case $state in T|t) ;; *) above="$above${up}_$start ";; esac
  done
}
resume() {
  # a sudo above would resume a root that is held
  for id in $roots; do has "$held" && return; done
  for id in $above; do
    lives "$id" && case $state in T|t) kill -CONT "${id%_*}" 2>/dev/null;; esac
  done
}
# the report's rows of the processes $1, while they still show it
describe() {
  files=
  for id in $1; do
    pid=${id%_*} files="$files /proc/$pid/cmdline"
    uid=
    while read -r key rest uid rest; do [ "$key" = Uid: ] && break; done 2>/dev/null <"/proc/$pid/status"
    eval "user_$id=\$uid"
  done
  [ "$files" ] && [ "$arguments" = 1 ] && [ "$nul" ] || return
  while IFS= read -r line; do
    pid=${line#/proc/} line=${line#*:}
    pid=${pid%%/*}
    eval "id=${pid}_\$start_$pid"
    eval "command=\$command_$id"
    [ ${#command} -gt 240 ] || eval "command_$id=\${command:+\$command }\$line"
  done <<EOT
$(grep -Hsz "" $files | tr "\0\n" "\n?" | tr -c "\n\040-\176" "?" | cut -c1-270 | sed "s/[\\\\\"]/\\\\&/g")
EOT
}
# take the exempt process $1 out
set_aside() {
  exempt="$exempt$1 " grown=1
  eval "sent_$1= ended_$1= start_${1%_*}=${1#*_} ppid_$1=$ppid user_$1= command_$1= name_$1=\$name"
  describe "$1"
}
# Can something of the tree be left, though this look at the environments $* has found nothing? The answer is $doubt. A list of /proc has each
# living process, since new pids are larger than all others. What was gone when it was read may have started another one. So one look that has
# read everything alive is enough, and no number of others. PF_EXITING is 4, PF_KTHREAD 2097152.
judge() {
  unread=$(grep -L "" "$@" /dev/null 2>&1 | sed "/ermi/d;s/[^0-9]//g") || exit
  for pid in $unread; do
    look "$pid" || { doubt=$pid; continue; }
    id=${pid}_$start
    has "$dead$all" && continue
    case $state$((flags & 2097156)) in
      [ZX]*|?4) dead="$dead$id ";;
      ?0)
        # cleared, or in the middle of exec: then it has no command line either, for a moment
        grep -q . "/proc/$pid/cmdline" 2>/dev/null && continue
        clock
        eval ": \${blank_$id:=$now}; blank=\$blank_$id"
        [ $((now - blank)) -gt 50 ] && continue;;
      *) continue;;
    esac
    doubt=$pid
  done
  up=$newest
  newest
  [ "$newest" -ge "$up" ] || doubt=$up
}
# the pid that the kernel has given last, into $newest
newest() {
  newest=0
  { read -r newest </proc/sys/kernel/ns_last_pid; } 2>/dev/null
}
# one look at the whole table: holders, the roots above them, and all below; new ones into $new
scan() {
  new=" " fresh=" " fleeting= arrived= claiming= ids= files= doubt=
  newest
  # not /proc/[0-9]*/environ: the shell leaves out what has ended since it was listed, and nothing would show that it was there
  set -- /proc/[0-9]*
  files=$(printf "%s/environ " "$@") || exit
  set -- $files
  files=
  spare=" $(having "^TREEKILL=spare\$" "$@")" || exit
  again=$(having "^${mark}[0-9a-f/]*\$" "$@") || exit
  for holder in $again; do
    known "$holder" && continue
    # seen, but gone before it could be stopped: it may be escaping
    look "$holder" || { fleeting=$holder; continue; }
    ids="$ids ${holder}_$start" files="$files /proc/$holder/environ"
  done
  # read again, now that each pid is fixed to a process: it may have changed hands since
  [ -z "$files" ] || again=" $(having "^${mark}[0-9a-f/]*\$" $files)" || exit
  [ -z "$files" ] && [ "$all" != " " ] || claiming=" $(having "^.*$mark" /proc/[0-9]*/cmdline)" || exit
  for id in $ids; do
    holder=${id%_*}
    case $again in *" $holder "*) ;; *) lives "$id" || fleeting=$holder; continue;; esac
    # stopped first, since it may be escaping, unless it is exempt
    [ "$spare" = " " ] && { look "$holder" && serves "$holder" || take "$holder" "" "${id#*_}"; }
    climb "$holder"
    lives "$id" || { fleeting=$holder; continue; }
    serves "$holder" && continue
    [ "$between" ] && continue
    if [ "$top" != "$holder" ]; then take "$top" 1 "$top_start"
    elif entries "/proc/$holder/environ" | grep -q "^$named$holder/[0-9]*\$"; then take "$holder" 1 "${id#*_}"
    else take "$holder" "" "${id#*_}"
    fi
  done
  if [ "$all" = " " ]; then
    for pid in $claiming; do
      climb "$pid"
      claims "$pid" && take "$top" 1 "$top_start"
    done
  fi
  [ "$new$left" != "  " ] || judge "$@"
  [ "$all" = " " ] && return
  # "pid parent" of all; a name can forge no line of this file
  table=$(grep -s "^PPid:" /proc/[0-9]*/status | tr -cs "0-9\n" " ") || exit
  grown=1
  while [ "$grown" ]; do
    grown=
    while read -r pid up; do
      case $all$exempt in *" ${up}_"*) below "$pid";; esac
    done <<EOT
$table
EOT
  done
  describe "$new"
}
# is pid $1 that of a process of the tree, or exempt, and not given again since?
known() {
  case $all$exempt in *" ${1}_"*) look "$1";; *) false;; esac && case $all$exempt in *" ${1}_$start "*) ;; *) false;; esac
}
# take pid $1 if the parent that it names is a process of the tree, and still the same
below() {
  case $untouchable in *" $1 "*) return;; esac
  known "$1" && return
  look "$1" || return
  case $state in Z|X) return;; esac
  up=$ppid born=$start
  serves "$1" && server=1 || { spared "$1" && server=0; } || server=
  eval "parent=${up}_\$start_$up"
  case $logins in *" $parent "*) return;; esac
  case $all$exempt in *" $parent "*) ;; *) return;; esac
  lives "$parent" || return
  case $server$exempt in [01]*|*" $parent "*)
    [ "$server" = 1 ] && logins="$logins${1}_$born "
    look "$1" && [ "$start" = "$born" ] && set_aside "${1}_$born"
    return;;
  esac
  take "$1" "" "$born" && grown=1
}
# On a busy host, a process that was sent STOP may wait for a processor first: it is in state R then.
freeze() {
  clock
  until=$((now + 200)) stop_by=$((now + 50))
  while
    for id in $stopping; do
      while [ "$now" -lt "$stop_by" ] && lives "$id" && [ $state = R ]; do pause 0.05; clock; done
    done
    stopping=
    scan
    [ "$fresh" != " " ] && clock && [ "$now" -lt "$until" ]
  do :; done
}
# has the hexadecimal mask $1 the bit of signal $2?
has_bit() {
  mask=$1 place=$((($2 - 1) / 4))
  while [ "$place" -gt 0 ]; do mask=${mask%?} place=$((place - 1)); done
  digit=${mask#"${mask%?}"}
  case $digit in [0-9]) ;; a) digit=10;; b) digit=11;; c) digit=12;; d) digit=13;; e) digit=14;; f) digit=15;; *) return 1;; esac
  [ $(((digit >> (($2 - 1) % 4)) & 1)) = 1 ]
}
# the masks of the signals that pid $1 ignores and handles, into $ignored and $caught
masks() {
  ignored= caught=
  while read -r key rest; do
    case $key in SigIgn:) ignored=$rest;; SigCgt:) caught=$rest;; esac
  done 2>/dev/null <"/proc/$1/status"
}
# the number of the first signal to $1 into $number
number_of() {
  number=$children_signal
  case $roots in *" $1 "*) number=$signal;; esac
}
# the kind of $1 for those below it, into $kind: it waits for them (relay, shell), or it may pass its signal on
kind_of() {
  program=$(readlink "/proc/${1%_*}/exe" 2>/dev/null)
  program=${program##*/}
  eval "program=\${program:-\$name_$1}"
  case ${program%% *} in
    sudo|sudo.*|sudo-rs|su|su-rs|doas|runuser|pkexec|dzdo|script|nsenter) kind=relay;;
    sh|bash|rbash|dash|ash|busybox|zsh|ksh|ksh93|mksh|lksh|yash|fish|tcsh|csh|bsd-csh|static-sh|toybox) kind=shell;;
    *) kind=other;;
  esac
}
# the parent of $1 among the living, into $parent; empty without one
parent_of() {
  eval "parent=\$up_$1"
  case $left in *" $parent "*) ;; *) parent=;; esac
}
# the first signals, to the processes that are due: what a task runs comes first, what carries it comes last. See _tree/signal_order.py.
first_signals() {
  [ "$signalled" ] || { clock; signalled=$now; }
  check ""
  busy=" " keep=" " pending=
  for id in $left; do
    # a process that may not be signalled can only be ended by a sudo above it
    has "$denied" && continue
    parent_of "$id"
    [ -z "$parent" ] || case $busy in *" $parent "*) ;; *) busy="$busy$parent ";; esac
  done
  for id in $busy; do
    case $kinds in
      *" $id "*) eval "kind=\$kind_$id";;
      *) kind_of "$id"; eval "kind_$id=$kind"; kinds="$kinds$id ";;
    esac
    masks "${id%_*}"
    number_of "$id"
    has_bit "$ignored" 2 && eval "deaf_$id=1" || eval "deaf_$id="
    case $number$kind$passers in 1[a-z]*|2[a-z]*|3[a-z]*|*relay*|*" $id "*) ;; *) [ "$alone" = 1 ] && has_bit "$caught" "$number" && passers="$passers$id ";; esac
  done
  # those for which a shell waits: what it has started with & ignores INT, and the shell does not
  for id in $left; do
    parent_of "$id"
    [ "$parent" ] || continue
    case $judged in *" $parent=$id "*) continue;; esac
    judged="$judged$parent=$id "
    eval "kind=\$kind_$parent deaf=\$deaf_$parent"
    [ "$kind" = shell ] || continue
    masks "${id%_*}"
    number_of "$id"
    [ -z "$deaf" ] && has_bit "$ignored" 2 || has_bit "$ignored" "$number" || front="$front$parent=$id "
  done
  # a shell can be held if the shell above it is, which may come later in the list
  known=
  while [ "$known" != "$keep" ]; do
    known=$keep
    for id in $busy; do
      has "$keep$cleaning" && continue
      eval "kind=\$kind_$id"
      [ "$kind" = shell ] && awaits "$id" && hold "$id" && keep="$keep$id "
    done
  done
  for id in $left; do
    has "$cleaning" && continue
    eval "sent=\$sent_$id"
    turn=1
    case $busy in *" $id "*)
      eval "kind=\$kind_$id"
      [ "$kind" = relay ] && turn=;;
    esac
    [ -z "$sent" ] && target "$id" || continue
    [ "$turn" ] && ! waits "$id" || { pending=1; continue; }
    number_of "$id"
    send "$number" "$id"
    case $? in 0) eval "sent_$id=$number";; 2) has "$denied" || denied="$denied $id ";; esac
  done
  held=$keep back=
  [ "$held" = " " ] || pending=1
  for id in $left; do
    has "$loose$held$cleaning" || back="$id $back" loose="$loose$id "
  done
  for id in $back; do send CONT "$id"; done
  resume
}
# is one alive of those for which shell $1 waits?
awaits() {
  for pair in $front; do
    case $pair in "$1="*) case $left in *" ${pair#*=} "*) return 0;; esac;; esac
  done
  return 1
}
# may $1, a shell that waits for others, stay stopped until they are gone? Then it does not go on with its next command.
hold() {
  case $held in *" $1 "*) return 0;; esac
  case $loose$denied in *" $1 "*) return 1;; esac
  lives "$1" && case $state in T|t) ;; *) false;; esac || return 1
  parent_of "$1"
  [ "$parent" ] || return 0
  eval "kind=\$kind_$parent"
  case $kind in relay) return 1;; shell) case $keep in *" $parent "*) ;; *) return 1;; esac;; esac
}
# does something above $1 get its signal first, and perhaps pass it on?
waits() {
  below=$1
  while :; do
    parent_of "$below"
    [ "$parent" ] || return 1
    case $passers in *" $parent "*) case $front in *" $parent=$below "*) ;; *) return 0;; esac;; esac
    below=$parent
  done
}
# record what is gone; $left are the living that are to be ended, $still all living. With an empty $1 nothing is resumed
check() {
  left=" " still=" "
  clock
  for id in $all; do
    eval "ended=\$ended_$id sent=\$sent_$id"
    [ "$ended" ] && continue
    if lives "$id" || [ "${id#*_}" = 0 ]; then
      still="$still$id "
      target "$id" && left="$left$id "
      [ "${id#*_}" = 0 ] && continue
      eval "up_$id=${ppid}_\$start_$ppid name_$id=\$name"
      has "$loose" && sent=${sent:-0}
      case ${1-1}$held in
        *" $id "*|" "*) ;;
        *) case $state$sent in [Tt]9|[Tt]) ;; [Tt]*) kill -CONT "${id%_*}" 2>/dev/null;; esac;;
      esac
    else
      eval "ended_$id=$((now - begin))"
    fi
  done
  [ -z "${1-1}" ] || resume
}
await() {
  clock
  to_centi "$timeout"
  until=$((now + centi)) nap=0.01 before=
  while :; do
    deadline=$until
    check
    scan
    until=$deadline
    [ "$new" = " " ] || pending=1
    if [ "$fresh" != " " ]; then
      freeze; first_signals
      until=$deadline before=
    elif [ "$pending" ] && [ "$left" != "$before" ]; then
      before=$left nap=0.01
      first_signals
    elif [ "$new$left$fleeting$doubt" = "  " ]; then
      return 0
    fi
    clock
    [ "$now" -ge "$until" ] && return 1
    pause "$nap"
    nap=0.05
  done
}
# the processes above a living one that may not be signalled, into $shields
shielding() {
  shields=" "
  for id in $denied; do
    lives "$id" || continue
    up=${id%_*}
    while look "$up" && [ "$ppid" -gt 1 ]; do
      up=$ppid
      case $all in *" ${up}_"*) look "$up" && shields="$shields${up}_$start ";; *) break;; esac
    done
  done
}
kill_rest() {
  late=1 held=" "
  clock
  last=$((now + 500))
  while :; do
    for id in $left; do has "$denied" || { may_stop "${id%_*}" && send STOP "$id"; }; done
    freeze
    check
    shielding
    more=
    for id in $left; do
      has "$denied" && continue
      has "$shields" && { send CONT "$id"; continue; }
      more=1
      send KILL "$id" && eval "sent_$id=9"
    done
    check
    if [ -z "$more" ]; then scan; [ "$new$fleeting$doubt" = " " ] && return; fi
    clock
    if [ "$now" -ge "$last" ]; then
      # no scan has found the tree empty: it is no proof that all known processes are gone
      [ "$left" != " " ] || doubt=${doubt:-$newest}
      name_doubt
      return
    fi
    pause 0.01
    check
  done
}
# a row of the report for what may be left
name_doubt() {
  doubtful=${fleeting:-$doubt}
  [ -z "$doubtful" ] || { eval "ppid_${doubtful}_0=0 name_${doubtful}_0=?"; all="$all${doubtful}_0 "; check; }
}
# the name of signal $1 into $name
signal_name() {
  case $1 in
    "") name=exited;; 1) name=HUP;; 2) name=INT;; 3) name=QUIT;; 9) name=KILL;; 10) name=USR1;; 12) name=USR2;; 15) name=TERM;;
    *) name=$(kill -l "$1" 2>/dev/null || echo "$1");;
  esac
}
# centiseconds $1 as seconds into $time
seconds() {
  time=0$(($1 % 100))
  time=$(($1 / 100)).${time#"${time%??}"}
}
# the name of the user $1 into $user
user_name() {
  eval "user=\$name_of_user_$1"
  [ -z "$user" ] || return
  user=$1
  while IFS=: read -r name rest uid rest; do [ "$uid" = "$1" ] && user=$name && break; done </etc/passwd
  eval "name_of_user_$1=\$user"
}
# the reason why pid_start $1 of user $user is still there, into $reason
explain() {
  lives "$1"
  case $fleeting$1 in
    *?_0)
      reason="not confirmed: the host starts processes faster than they can be looked at"
      [ -z "$fleeting" ] || reason="still starting new processes 5 s after KILL"
      return;;
  esac
  if ! target "$1"; then reason="left: kill_children is false"; return; fi
  case $denied in *" $1 "*) reason="not permitted (owned by $user${refusal:+; }$refusal)"; return;; esac
  case $shields in *" $1 "*) reason="not killed: a process below it may not be signalled and would keep running as an orphan"; return;; esac
  if [ "$state" = D ]; then reason="uninterruptible (state D)"; else reason="still there 5 s after KILL (state $state)"; fi
}
rows() {
  comma=
  for id in $1; do
    eval "parent=\$ppid_$id uid=\$user_$id command=\$command_$id comm=\$name_$id sent=\$sent_$id ended=\$ended_$id"
    user_name "$uid"
    if [ -z "$command" ]; then
      command=$(printf "%s" "$comm" | tr -c "\040-\176" "?" | sed "s/[\\\\\"]/\\\\&/g")
      [ "$arguments" != 1 ] || command="[$command]"
    fi
    role=child
    has "$roots" && role=root
    if [ "$ended" ]; then
      signal_name "$sent"
      seconds "$ended"
      end="\"ended\":\"$name\",\"seconds\":$time}"
    else
      end="\"ended\":null,\"seconds\":null}"
      [ "$2" ] && explain "$id" && end="${end%?},\"reason\":\"$reason\"}"
    fi
    has "$logins" && end="${end%?},\"reason\":\"ssh server: its logins are left alone\"}"
    printf "%s" "$comma{\"pid\":${id%_*},\"start\":${id#*_},\"ppid\":$parent,\"user\":\"$user\",\"command\":\"$command\",\"role\":\"$role\",$end"
    comma=,
  done
}
report() {
  trap - EXIT
  gone= root=null
  for id in $all; do
    eval "ended=\$ended_$id"
    [ "$ended" ] && gone="$gone $id"
  done
  for id in $roots; do
    eval "root={\\\"pid\\\":${id%_*},\\\"ppid\\\":\$ppid_$id}"
    break
  done
  shielding
  handed=false
  [ "$found" ] && handed=true
  clock
  seconds $((now - begin))
  took=$time
  printf "\nTREEKILL-REPORT %s {\"version\":1,\"method\":\"shell\",\"root\":%s,\"gone\":[" "$nonce" "$root"
  rows "$gone"
  printf "],\"survivors\":["
  rows "$still" 1
  printf "],\"spared\":["
  rows "$exempt"
  printf "],\"unreadable\":%d,\"escalated\":%s,\"seconds\":%s}\n" "$blind" "$handed" "$took"
}

# Without a report nothing stays stopped: another pass may never come. No process can be started for this. In bash the status of the first command is
# that of a process that could not be started.
let_go() {
  held=" "
  # also those that do not show the stop yet
  for id in $all; do target "$id" && send CONT "$id"; done
  resume
}

trap let_go EXIT
clock
begin=${began:-$now}
begin=${begin%.*}
[ "$begin" -gt 0 ] || begin=$now
to_centi "$arrival_timeout"
settled=$((now + centi)) new=" " still=" "
# a look at transactions signals nothing, and none are recognised here
[ "$look" = 1 ] && { report; exit 0; }
for id in $(echo "$found" | tr "," " "); do
  case ,$heads, in *,$id,*) head=1;; *) head=;; esac
  take "${id%_*}" "$head" "${id#*_}"
done
while scan; [ "$all" = " " ]; do
  clock
  [ "$now" -ge "$settled" ] && { [ -z "$fleeting$doubt" ] || [ "$now" -ge $((settled + 500)) ]; } && break
  pause 0.05
done
[ "$all" = " " ] && name_doubt
for file in /proc/[0-9]*/environ; do [ -r "$file" ] || blind=$((blind + 1)); done
if [ "$all" != " " ] && [ -z "$doubtful" ]; then
  freeze
  if [ "$denied" ] && [ "$escalate" = 1 ] && [ -z "$found" ]; then
    check
    to_centi "$timeout"
    limit="timeout -s KILL $((centi / 100 + 30))"
    $limit true 2>/dev/null || limit=
    found=$(echo $still | tr " " ",") heads=$(echo $roots | tr " " ",")
    answer=$($limit sudo -n /bin/sh -c "$text" treekill "$text" "$@" found="$found" heads="$heads" began="$begin" 2>&1 </dev/null)
    found=
    case $answer in
      *"TREEKILL-REPORT $nonce {"*) resume; printf "%s\n" "$answer"; exit 0;;
    esac
    refusal="sudo -n: $(printf "%s\n" "$answer" | sed -n "\$s/^sudo: //;\$p" | tr -c "\n\040-\176" "?" | tr "\"\\\\" "??")"
  fi
  first_signals
  await || { kill_rest; [ "$shields" = " " ] || pause 0.5; }
  check
  if [ "$children" != 1 ] && [ "$still" != " " ]; then pause 0.3; check; fi
fi
report
