# shellcheck shell=bash
# What hack/deps, hack/image and hack/pgimages share: messages, the cache folder, package checks.
# Sourced, never run. Progress goes to stderr, because stdout carries the path that was asked for.

# The name before every message; the script that sources this sets it.
: "${LOG_NAME:=$(basename "$0")}"

say() { printf '%s: [%3ds] %s\n' "$LOG_NAME" "$SECONDS" "$*" >&2; }
warn() { printf '%s: WARNING: %s\n' "$LOG_NAME" "$*" >&2; }
die() {
    printf '%s: %s\n' "$LOG_NAME" "$*" >&2
    exit 1
}

# Where everything that may be deleted at any time is kept.
cache_dir() {
    local base=${PGKEEL_CACHE:-${XDG_CACHE_HOME:-${HOME:?HOME is not set; set PGKEEL_CACHE}/.cache}/pgkeel}
    mkdir -p "$base" || die "cannot make the cache folder $base; set PGKEEL_CACHE to a folder that can be written"
    (cd "$base" && pwd)
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

# missing_packages NAME...: those Debian packages that are not installed.
missing_packages() {
    local name
    for name in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || echo "$name"
    done
}

# need_packages NAME...: install what is missing as root, or say what to run.
need_packages() {
    local missing
    missing=$(missing_packages "$@" | paste -sd' ')
    [ -z "$missing" ] && return
    [ "$(id -u)" = 0 ] || die "Debian packages are missing; run: sudo apt-get install --no-install-recommends $missing"
    say "installing $missing"
    # A fresh container has no package lists at all, an old one has lists that no longer fit.
    # shellcheck disable=SC2086
    apt_host install $missing >&2 || persist apt_update_install $missing >&2 ||
        die "apt-get install $missing failed; see its message above"
}

apt_update_install() { apt_host update && apt_host install "$@"; }

# One of this project's installations at a time: apt-get waits for dpkg's lock, not for that of its lists.
apt_host() {
    mkdir -p /run/lock
    DEBIAN_FRONTEND=noninteractive flock -o /run/lock/pgkeel-apt apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=900 -o Dpkg::Use-Pty=0 "$@"
}

# persist COMMAND...: a download, tried up to five times: mirrors have bad moments.
persist() {
    local pause
    for pause in 2 5 10 20; do
        "$@" && return
        warn "failed: $*; once more in $pause s"
        sleep "$pause"
    done
    "$@"
}

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
