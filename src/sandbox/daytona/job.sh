# Looks after the programs Threadbox runs in this sandbox. POSIX sh; called as: sh -c "$TB" threadbox VERB JOB …
#
# A job is a directory. `mkdir` of it is the lock that makes a command run once. In it: `run` starts the program, `out` and
# `err` are what it prints, `pid` is the supervisor with its start time, `group` the program's process group, `why` says who
# ends it, `rc` appears last and whole. Answers are lines that begin with `@tb `; anything else is noise.

verb=$1 job=$2

tb_say() { printf '\n@tb %s\n' "$*"; }

tb_nap() { sleep "0.$1" 2>/dev/null || sleep 1; }

# Start time of a process in ticks since boot, which no two processes with one number share; empty for the dead.
tb_started() {
    started= line=
    { read -r line < "/proc/$1/stat"; } 2>/dev/null || return 0
    set -- ${line##*) }
    case $1 in Z | X | x) return 0 ;; esac
    started=${20}
}

tb_alive() {
    pid= since=
    { read -r pid since < "$job/pid"; } 2>/dev/null
    [ -n "$since" ] || return 1
    tb_started "$pid"
    [ "$started" = "$since" ]
}

# Sets state: none, starting, running, ended (with code and why).
tb_look() {
    code= why=-
    if [ -e "$job/rc" ]; then
        state=ended
        read -r code why < "$job/rc"
    elif [ ! -d "$job" ]; then
        state=none
    elif [ ! -s "$job/pid" ]; then
        state=starting
    elif tb_alive; then
        state=running
    elif [ -e "$job/rc" ]; then
        # It ended between the two looks.
        state=ended
        read -r code why < "$job/rc"
    else
        # Its supervisor is gone without a word: the sandbox was restarted, or ran out of memory.
        tb_sweep
        tb_end 137 lost
        state=ended code=137 why=lost
    fi
}

# The room of the result is taken at the start, so that a full disk cannot swallow it.
tb_reserve() { printf '%-40s\n' '' > "$job/rc.new"; }

tb_end() {
    [ -e "$job/rc.new" ] || tb_reserve 2>/dev/null
    { printf '%-3s %-20s' "$1" "$2" 1<> "$job/rc.new" && mv -f "$job/rc.new" "$job/rc"; } 2>/dev/null
}

# Ends all that carry the mark of this job, also those that left its group.
tb_sweep() {
    pid= since=
    { read -r pid since < "$job/pid"; } 2>/dev/null
    [ -n "$since" ] || return 0
    for round in 1 2 3; do
        found=
        for file in $(grep -ls "THREADBOX_JOB=${job##*/}-$pid-$since-" /proc/[0-9]*/environ 2>/dev/null); do
            file=${file#/proc/}
            kill -KILL "${file%/environ}" 2>/dev/null && found=yes
        done
        [ -n "$found" ] || return 0
    done
}

tb_signal() {
    group=
    { read -r group < "$job/group"; } 2>/dev/null
    [ -n "$group" ] || return 0
    kill "-$1" "-$group" 2>/dev/null || kill "-$1" "$group" 2>/dev/null
}

tb_sizes() {
    outs=0 errs=0
    [ -e "$job/err" ] || return 0
    set -- $(stat -c %s "$job/out" "$job/err" 2>/dev/null)
    outs=${1:-0} errs=${2:-0}
}

# Waits: until it ended, or there is news and `$3` is news; at most `$1` milliseconds. `$2` is `long` where seconds may pass.
tb_await() {
    waited=0 naps=0
    while :; do
        tb_look
        [ "$state" != ended ] && [ "$state" != none ] || return 0
        if [ "$3" = news ]; then
            tb_sizes
            [ "$outs" -le "$from_out" ] && [ "$errs" -le "$from_err" ] || return 0
        fi
        [ "$waited" -lt "$1" ] || return 0
        naps=$((naps + 1))
        if [ "$2" = long ]; then
            if [ "$naps" -lt 10 ]; then tb_nap 1; waited=$((waited + 100)); else tb_nap 4; waited=$((waited + 400)); fi
        elif [ "$naps" -lt 10 ]; then
            tb_nap 02; waited=$((waited + 20))
        else
            tb_nap 08; waited=$((waited + 80))
        fi
    done
}

# One stream: its size, where the hole in it ends, and the bytes from `$3` on when they are few.
tb_stream() {
    cut=0
    bytes=
    if [ "$2" -gt "$3" ] && [ "$4" -gt 0 ] && command -v base64 > /dev/null 2>&1; then
        count=$(($2 - $3))
        [ "$count" -le "$4" ] || [ "$5" != some ] || count=$4
        [ "$count" -gt "$4" ] || bytes=$(tail -c "+$(($3 + 1))" "$job/$1" | head -c "$count" | base64 | tr -d '\n')
    fi
    { read -r cut < "$job/$1.cut"; } 2>/dev/null
    tb_say "$1 $2 ${cut:-0} $bytes"
}

# `$1`: most bytes of each stream to send along; `$2`: `some` to send the first of more, else none of more.
tb_report() {
    tb_sizes
    tb_say "state $state ${code:--} $why"
    tb_stream out "$outs" "$from_out" "$1" "$2"
    tb_stream err "$errs" "$from_err" "$1" "$2"
    tb_say end
}

# Gives the disk back what lies between the first `$2` and the last `$3` bytes of a stream.
tb_punch() {
    size=$(stat -c %s "$job/$1" 2>/dev/null)
    to=$(((${size:-0} - $3) / 4096 * 4096)) from=$((($2 + 4095) / 4096 * 4096)) cut=0
    { read -r cut < "$job/$1.cut"; } 2>/dev/null
    [ "$to" -gt "$((from + 65536))" ] && [ "$to" -gt "$cut" ] || return 0
    if fallocate -p -o "$from" -l "$((to - from))" "$job/$1" 2>/dev/null; then
        echo "$to" > "$job/$1.cut"
    elif [ "$size" -gt 536870912 ]; then
        # No holes can be made here, and nobody reads the middle: the disk is worth more than the program.
        tb_stop disk 10
    fi
}

# Asks, and kills after `$2` tenths of a second. Whoever comes first says why.
tb_stop() {
    [ -e "$job/why" ] || echo "$1" > "$job/why"
    tb_signal TERM
    patience=$2
    while [ "$patience" -gt 0 ] && [ ! -e "$job/rc" ]; do
        tb_nap 1
        patience=$((patience - 1))
    done
    [ -e "$job/rc" ] || tb_signal KILL
}

# Removes jobs that ended, beyond the newest `$1`, and uploads nobody came for.
tb_prune() {
    jobs=${job%/*}
    ls -1t "$jobs" 2>/dev/null | tail -n "+$(($1 + 1))" | while read -r old; do
        job=$jobs/$old
        tb_look
        [ "$state" = running ] || rm -rf "$job"
    done
    find "${jobs%/*}/stage" -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf {} + 2>/dev/null
}

# How often the kernel killed something here for want of memory.
tb_ooms() {
    ooms=0
    while read -r event count; do
        [ "$event" != oom_kill ] || ooms=$count
    done 2>/dev/null < /sys/fs/cgroup/memory.events
    return 0
}

# The supervisor, in a session of its own: starts the program, waits for it, ends what it left, writes the result.
tb_supervise() {
    limit=$3 head=$4 tail=$5 keep=$6 text=$TB
    unset TB
    : > "$job/out"
    : > "$job/err"
    tb_started $$
    echo "$$ $started" > "$job/pid"
    if [ -e "$job/why" ]; then
        read -r why < "$job/why"
        tb_end 137 "$why"
        return
    fi
    tb_ooms
    before=$ooms
    THREADBOX_JOB=${job##*/}-$$-$started- setsid sh "$job/run" < /dev/null >> "$job/out" 2>> "$job/err" &
    child=$!
    echo "$child" > "$job/group"
    # Told to stop before the group was known: then nobody else ends it.
    [ ! -e "$job/why" ] || tb_signal KILL
    setsid sh -c "$text" threadbox watch "$job" "$limit" "$head" "$tail" < /dev/null > /dev/null 2>&1 &
    watch=$!
    tb_prune_in_background "$keep"
    wait "$child"
    code=$?
    kill -KILL "-$watch" 2>/dev/null || kill -KILL "$watch" 2>/dev/null
    tb_signal KILL
    tb_sweep
    why=-
    [ ! -e "$job/why" ] || read -r why < "$job/why"
    tb_ooms
    [ "$code$why" != 137- ] || [ "$ooms" = "$before" ] || why=memory
    tb_punch out "$head" "$tail"
    tb_punch err "$head" "$tail"
    tb_end "$code" "$why"
}

tb_prune_in_background() { (tb_prune "$1") < /dev/null > /dev/null 2>&1 & }

# Keeps the time and the size.
tb_watch() {
    (
        sleep "$3" 2>/dev/null || sleep "${3%.*}"
        tb_stop timeout 10
        tb_sweep
    ) &
    nap=2
    while :; do
        tb_nap "$nap"
        # Nobody looks after the program any more, so nobody would end it in time.
        tb_alive || { tb_sweep; kill -KILL 0; }
        tb_sizes
        if [ $((outs + errs)) -gt 1048576 ]; then nap=2; elif [ "$nap" -lt 9 ]; then nap=$((nap + 1)); fi
        # The reader may be as far behind as it took to answer; a few more megabytes cost nothing.
        tb_punch out "$4" "$(($5 + 8388608))"
        tb_punch err "$4" "$(($5 + 8388608))"
    done
}

# Takes the lock, or finds it taken: `how` is begun, joined or busy.
tb_lock() {
    [ -d "${job%/*}" ] || error=$(mkdir -p "${job%/*}" 2>&1) || { tb_say "failed $error"; return 1; }
    if mkdir "$job" 2>/dev/null; then
        how=begun
        return 0
    fi
    [ -d "$job" ] || { tb_say "failed cannot make $job"; return 1; }
    how=joined
    [ -n "$TB_KEY" ] || return 0
    key=
    { read -r key < "$job/key"; } 2>/dev/null
    [ "$key" != "$TB_KEY" ] || return 0
    tb_look
    case $state in
    running | starting) how=busy ;;
    *)
        rm -rf "$job"
        if mkdir "$job" 2>/dev/null; then how=begun; else how=busy; fi
        ;;
    esac
}

# launch JOB TIMEOUT HEAD TAIL KEEP WAIT INLINE, with the texts in TB_RUN, TB_CODE or the files in TB_STAGE.
tb_launch() {
    mask=$(umask)
    umask 077
    from_out=0 from_err=0
    tb_lock || return 0
    if [ "$how" = begun ]; then
        [ -z "$TB_STAGE" ] || mv "$TB_STAGE"/* "$job/"
        if ! {
            { [ -z "$TB_NAME" ] || printf '%s' "$TB_NAME" > "$job/name"; } &&
                { [ -z "$TB_KEY" ] || echo "$TB_KEY" > "$job/key"; } &&
                { [ -z "$TB_RUN" ] || printf '%s' "$TB_RUN" > "$job/run"; } &&
                { [ -z "$TB_CODE_FILE" ] || printf '%s' "$TB_CODE" > "$job/$TB_CODE_FILE"; } &&
                tb_reserve && [ -s "$job/run" ]
        }; then
            tb_end 137 full
        elif command -v setsid > /dev/null 2>&1; then
            unset TB_RUN TB_CODE TB_CODE_FILE TB_STAGE TB_NAME TB_KEY
            umask "$mask"
            setsid sh -c "$TB" threadbox supervise "$job" "$3" "$4" "$5" "$6" < /dev/null > /dev/null 2>&1 &
        else
            tb_end 127 setsid
        fi
    elif [ -n "$TB_STAGE" ]; then
        rm -rf "$TB_STAGE"
    fi
    [ "$how" = busy ] || tb_await "$7" short -
    tb_say "$how"
    tb_report "$8" -
}

# tick JOB FROM_OUT FROM_ERR WAIT NEWS INLINE SOME
tb_tick() {
    from_out=$3 from_err=$4
    tb_await "$5" long "$6"
    tb_report "$7" "$8"
}

# kill JOB WHY GRACE FROM_OUT FROM_ERR INLINE WHICH: `any` is also what was not begun yet, so that it never will be.
tb_kill() {
    from_out=$5 from_err=$6
    umask 077
    mkdir -p "${job%/*}"
    if [ "$8" = any ] && mkdir "$job" 2>/dev/null; then
        tb_end 137 "$3"
    else
        tb_look
        if [ "$state" = starting ] || [ "$state" = running ]; then
            tb_stop "$3" "$4"
            tb_sweep
            tb_await 3000 short -
            # Its supervisor never came; should it come yet, it finds the reason and begins nothing.
            [ "$state" != starting ] || tb_end 137 "$3"
        fi
    fi
    tb_look
    tb_report "$7" -
}

# list DIRECTORY: the names of the jobs in it.
tb_list() {
    for name in "$2"/*/name; do
        [ -e "$name" ] || continue
        IFS= read -r line < "$name"
        tb_say "name $line"
    done
    tb_say end
}

case $verb in
launch) tb_launch "$@" ;;
tick) tb_tick "$@" ;;
kill) tb_kill "$@" ;;
list) tb_list "$@" ;;
supervise) tb_supervise "$@" ;;
watch) tb_watch "$@" ;;
esac
