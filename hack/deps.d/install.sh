# shellcheck shell=bash
# Debian packages of this machine, for every script that needs some: what is missing is installed, past
# versions that the mirror's index lists and its pool does not have. Sourced after say, warn and die are
# there; cache_dir names the folder of the log.

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
    [ "$(id -u)" = 0 ] || die "Debian packages are missing; run as root: apt-get update && apt-get install --no-install-recommends $missing"
    say "install $missing (seconds to a minute)"
    APT_LOG=$(cache_dir)/log/apt.log
    mkdir -p "$(dirname "$APT_LOG")"
    APT_WORK=$(mktemp -d)
    local status=0
    # shellcheck disable=SC2086 # names
    with_apt_lock apt_install $missing || status=$?
    rm -rf "$APT_WORK"
    return "$status"
}

# One of this project's installations at a time: apt-get waits for dpkg's lock, not for that of its lists.
with_apt_lock() {
    mkdir -p /run/lock
    (
        flock 9
        "$@" 9>&-
    ) 9>/run/lock/pgkeel-apt
}

# apt_host ARGUMENT...: apt-get, its words in this attempt's log. Retries are for connections that break;
# a file that is not there is not asked for twice.
apt_host() {
    local status=0
    : >"$APT_WORK/attempt"
    LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o DPkg::Lock::Timeout=900 \
        -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" >"$APT_WORK/attempt" 2>&1 || status=$?
    { echo "== $(date '+%F %T') apt-get $*" && cat "$APT_WORK/attempt"; } >>"$APT_LOG"
    return "$status"
}

# apt_install NAME...: with the lists that are there; with fresh ones; without the versions that cannot be
# fetched; and with what the release's other pockets have.
apt_install() {
    apt_host install "$@" && return
    apt_update_install "$@" && return
    # What the mirror answered is for the whole of this day: only what else can go wrong is tried again.
    [ -n "$(refused_files "$APT_WORK/attempt")" ] || {
        local pause
        for pause in 2 5 10; do
            warn "apt-get failed; trying again in $pause s"
            sleep "$pause"
            apt_update_install "$@" && return
            [ -z "$(refused_files "$APT_WORK/attempt")" ] || break
        done
    }
    apt_install_around "$@" && return
    apt_failure "$@"
}

apt_update_install() { apt_host update && apt_host install "$@"; }

# apt_install_around NAME...: each version that the mirror lists and does not give is pinned away, and
# apt-get decides anew.
apt_install_around() {
    local options=(-o "Dir::Etc::Preferences=$APT_WORK/preferences") wider=
    host_preferences >"$APT_WORK/preferences"
    : >"$APT_WORK/refused"
    while :; do
        if pin_refused "$APT_WORK/attempt" "$APT_WORK/refused" >>"$APT_WORK/preferences"; then
            refused_words "$APT_WORK/refused"
        elif [ -z "$wider" ] && [ -s "$APT_WORK/refused" ]; then
            wider=yes
            wider_sources "$APT_WORK/sources" || return
            options+=(-o "Dir::Etc::SourceParts=$APT_WORK/sources" -o APT::Get::List-Cleanup=false)
            # A pocket that the mirror does not carry is no reason to give up.
            apt_host update "${options[@]}" || true
        else
            return 1
        fi
        apt_host install "${options[@]}" "$@" && return
    done
}

host_preferences() {
    local file
    eval "$(apt-config shell file Dir::Etc::preferences/f)"
    cat "${file:-/dev/null}" 2>/dev/null || true
    echo
}

# refused_files LOG: "URI reason" of each package that apt could not fetch.
refused_files() {
    sed -n 's/^E: Failed to fetch \([^ ]*\.deb\) *\(.*\)/\1 \2/p' "$1" | sed 's/ \[IP: .*//'
}

# pin_refused LOG SEEN: apt preferences without those versions, and without what was built together with
# them, for packages of one source often want each other's very version. False when there is nothing new.
pin_refused() {
    local uri reason name file version source new=1
    while read -r uri reason; do
        grep -qF "$uri " "$2" && continue
        echo "$uri $reason" >>"$2"
        file=${uri##*/}
        name=${file%%_*}
        # The index knows the whole version; a file's name lacks its epoch.
        read -r version source < <(apt-cache "${options[@]}" show "$name" 2>/dev/null |
            awk -v file="$(unescape "$file")" '
                $1 == "Version:" { version = $2 } $1 == "Source:" { source = $2 }
                $1 == "Filename:" { path = $2; sub(/.*\//, "", path) }
                function flush() { if (path == file) { print version, source; exit } version = source = path = "" }
                /^$/ { flush() } END { flush() }')
        [ -n "${version:-}" ] || continue
        printf 'Package: src:%s\nPin: version %s\nPin-Priority: -1\n\n' "${source:-$name}" "$version"
        printf 'Package: %s\nPin: version %s\nPin-Priority: -1\n\n' "$name" "$version"
        new=0
    done < <(refused_files "$1")
    return "$new"
}

# refused_words SEEN: of the last of them.
refused_words() {
    local uri reason
    read -r uri reason < <(tail -n 1 "$1")
    warn "the mirror lists $(unescape "${uri##*/}") but does not have it ($reason); looking for another version"
}

# unescape TEXT: %2b and the like.
unescape() { printf '%b' "${1//%/\\x}"; }

# wider_sources FOLDER: this machine's own lists, and at the same archives all pockets of its release.
wider_sources() {
    local parts uri codename kind keyring pocket
    eval "$(apt-config shell parts Dir::Etc::sourceparts/d)"
    mkdir -p "$1"
    cp -r "${parts%/}/." "$1/" 2>/dev/null || true
    host_archives | while read -r uri codename kind keyring; do
        [ "$kind" = . ] || continue
        for pocket in "$codename-updates" $(pockets_of "$codename"); do
            echo "deb$(apt_signed "$keyring") $uri $pocket main"
        done
    done | sort -u >"$1/pgkeel-wider.list"
}

apt_failure() {
    warn "last lines of $APT_LOG:"
    tail -n 15 "$APT_WORK/attempt" | sed 's/^/    /' >&2
    if [ -s "$APT_WORK/refused" ]; then
        warn "files that the mirror lists but does not have:"
        sort -u "$APT_WORK/refused" | sed 's/^/    /' >&2
    fi
    die "apt-get cannot install $*; the whole log is $APT_LOG. Run this again when the mirror is complete; name another mirror in /etc/apt/sources.list or /etc/apt/sources.list.d; or install them by hand"
}
