# What Threadbox does to files in this sandbox beyond the toolbox's own calls. POSIX sh; called as: sh -c "$TB" threadbox VERB …
#
# Answers are lines that begin with `@tb `; anything else is noise.

tb_say() { printf '\n@tb %s\n' "$*"; }

tb_fail() { tb_say "fail $1 $(printf '%s' "$2" | tr '\n' ' ')"; }

# Moves one uploaded file into place: readers see the old or the new content. Keeps the mode of the file that is replaced.
tb_place_one() {
    number=$1 target=$2 dir=${2%/*}
    dir=${dir:-/}
    if [ ! -d "$dir" ]; then
        error=$(mkdir -p "$dir" 2>&1) || { tb_fail "$number" "$error"; return 1; }
    fi
    mode=
    if [ -L "$target" ]; then
        [ ! -d "$target" ] || rm -f "$target"
    elif [ -d "$target" ]; then
        tb_fail "$number" "Is a directory"
        return 1
    elif [ -e "$target" ]; then
        mode=$(stat -c %a "$target")
    fi
    new=$dir/.threadbox-write-${stage##*/}
    error=$( {
        mv -f "$stage/$number" "$new" && { [ -z "$mode" ] || chmod "$mode" "$new"; } && mv -f "$new" "$target"
    } 2>&1) && return 0
    tb_fail "$number" "$error"
    rm -f "$new"
    return 1
}

tb_place_all() {
    number=0
    for target; do
        tb_place_one "$number" "$target" || break
        number=$((number + 1))
    done
    tb_say "done $number"
}

# place STAGE TARGET…: files `0`, `1`, … of the stage, or with TB_INLINE the first from TB_DATA.
tb_place() {
    stage=$1
    shift
    # Done before, and only the answer was lost.
    if [ -e "$stage/answer" ]; then cat "$stage/answer"; return; fi
    if [ "$TB_INLINE" = yes ]; then
        command -v base64 > /dev/null 2>&1 || { tb_say unsupported; return; }
        error=$( { mkdir -p "$stage" && printf '%s' "$TB_DATA" | base64 -d > "$stage/0"; } 2>&1) || {
            tb_fail 0 "$error"
            rm -rf "$stage"
            return
        }
    fi
    tb_place_all "$@" > "$stage/answer.new"
    mv -f "$stage/answer.new" "$stage/answer"
    cat "$stage/answer"
    find "$stage" -mindepth 1 ! -name answer -exec rm -rf {} + 2>/dev/null
}

# walk START ENTRIES FIND-ARGUMENTS…
tb_walk() {
    if ! cd "$1" 2>/dev/null; then
        if [ -d "$1" ]; then tb_fail 0 "Permission denied"; elif [ -e "$1" ]; then tb_fail 0 "Not a directory"; else tb_fail 0 "No such file"; fi
        return
    fi
    entries=$2
    shift 2
    { find . -maxdepth 0 -printf '' && printf '' | head -z -n 1; } > /dev/null 2>&1 || { tb_say unsupported; return; }
    tb_say walk
    find . "$@" 2>/dev/null | head -z -n "$entries" | head -c 8388608
    tb_say end
}

# delete PATH STAGE: the stage tells the second of two calls with one answer that the first did it.
tb_delete() {
    if [ ! -e "$1" ] && [ ! -L "$1" ]; then
        if [ -d "$2" ]; then tb_say "done 1"; else tb_fail 0 "No such file"; fi
        return
    fi
    mkdir -p "$2" 2>/dev/null
    if error=$(rm -rf "$1" 2>&1); then tb_say "done 1"; else tb_fail 0 "$error"; fi
}

tb_directory() {
    if error=$(mkdir -p "$1" 2>&1); then tb_say "done 1"; else tb_fail 0 "$error"; fi
}

# own CANDIDATE…: the first directory that can be ours. What was ours before can be again, so it is always the same.
tb_own() {
    for own; do
        if (umask 077 && mkdir -p "$own/stage") 2>/dev/null && [ -w "$own" ]; then
            tb_say "own $own"
            return
        fi
    done
    tb_fail 0 "No directory can be written"
}

LC_ALL=C
export LC_ALL
verb=$1
shift
case $verb in
place) tb_place "$@" ;;
walk) tb_walk "$@" ;;
delete) tb_delete "$@" ;;
directory) tb_directory "$@" ;;
own) tb_own "$@" ;;
esac
