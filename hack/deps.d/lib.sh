# shellcheck shell=bash
# What the scripts of hack/ share: messages, the cache folder, package checks.
# Sourced, never run. Progress goes to stderr, because stdout carries the path that was asked for.

# The name before every message; the script that sources this sets it.
: "${LOG_NAME:=$(basename "$0")}"

# A script that has its own words keeps them.
declare -F say >/dev/null || say() { printf '%s: [%3ds] %s\n' "$LOG_NAME" "$SECONDS" "$*" >&2; }
warn() { say "WARNING: $*"; }
declare -F die >/dev/null || die() {
    printf '%s: %s\n' "$LOG_NAME" "$*" >&2
    exit 1
}

# Where everything that may be deleted at any time is kept.
cache_dir() {
    local base=${PGKEEL_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set; set PGKEEL_CACHE}/.cache}/pgkeel}
    mkdir -p "$base" || die "cannot make the cache folder $base; set PGKEEL_CACHE to a folder that can be written"
    (cd "$base" && pwd)
}

# free_mib FOLDER: what this user may still write there.
free_mib() { df -Pm "$1" | awk 'END { print $4 }'; }

# need_room FOLDER MIB WHAT: refuses what would end in the middle for want of space.
need_room() {
    local free
    mkdir -p "$1"
    free=$(free_mib "$1")
    [ "$free" -ge "$2" ] ||
        die "$3 needs about $2 MiB in $1, where $free MiB are free; make room, or set PGKEEL_CACHE to a folder on another disk"
}

# usage SCRIPT: the comment at its head.
usage() { sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "$1"; }

# keep_recent FOLDER: marks it as used, and drops its neighbours of other content hashes that nobody
# has used for two weeks.
keep_recent() {
    touch "$1"
    find "$(dirname "$1")" -mindepth 1 -maxdepth 1 ! -path "$1" -mtime +14 -exec rm -rf {} +
}

# hash_of FILE...: one short name for the contents of files, and of whatever stands on stdin.
hash_of() {
    { cat; sha256sum -- "$@" | cut -d' ' -f1; } | sha256sum | cut -c1-16
}

# read_words FILE: the words of a list file, without comments.
read_words() { sed 's/#.*//' "$1" | tr -s ' \t\n' '\n' | sed '/^$/d'; }

# with_lock FILE COMMAND...: two builds of the same thing wait for each other.
with_lock() {
    local file=$1
    shift
    mkdir -p "$(dirname "$file")"
    (
        flock -n 9 || { say "waiting for another run that holds $file"; flock 9; }
        # The lock stays with this shell: a child that outlives the command must not hold it on.
        "$@" 9>&-
    ) 9>"$file"
}

# run_logged LOG COMMAND...: quiet when it works, the end of its log when it does not.
run_logged() {
    local log=$1
    shift
    "$@" >>"$log" 2>&1 && return
    printf '%s: failed: %s\n%s: last lines of %s:\n' "$LOG_NAME" "$*" "$LOG_NAME" "$log" >&2
    tail -n 30 "$log" | sed 's/^/    /' >&2
    return 1
}

# shellcheck source=hack/deps.d/apt.sh
. "$(dirname "${BASH_SOURCE[0]}")/apt.sh"
# shellcheck source=hack/deps.d/install.sh
. "$(dirname "${BASH_SOURCE[0]}")/install.sh"
