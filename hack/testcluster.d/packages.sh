# shellcheck shell=bash
# Debian packages, and a Go that is new enough.
# shellcheck disable=SC2034 # GO is for build.sh

GO_NEEDED=1.21 # from here on Go fetches by itself the newer one that the modules ask for

# need_packages PACKAGE...: installs what is missing; refreshes the lists only when that fails.
need_packages() {
    local missing=() package
    for package in "$@"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] ||
            missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    say "install ${missing[*]} (about 20 s)"
    apt_get install "${missing[@]}" || persist apt_update_install "${missing[@]}" ||
        die_with_log "apt-get install ${missing[*]} failed" "$STATE/log/apt.log"
}

apt_update_install() {
    apt_get update && apt_get install "$@"
}

# One of this project's installations at a time: apt-get waits for dpkg's lock, not for that of its lists.
apt_get() {
    local verb=$1
    shift
    mkdir -p "$STATE/log" /run/lock
    DEBIAN_FRONTEND=noninteractive flock -o /run/lock/pgkeel-apt apt-get -q -y \
        -o DPkg::Lock::Timeout=900 "$verb" --no-install-recommends "$@" >>"$STATE/log/apt.log" 2>&1
}

# persist COMMAND...: a download, tried up to five times: mirrors and proxies have bad moments.
persist() {
    local pause
    for pause in 2 5 10 20; do
        "$@" && return
        say "failed: $*; once more in $pause s"
        sleep "$pause"
    done
    "$@"
}

# find_go: sets GO to one that is new enough, installing Debian's (or its backports') if need be; and
# has it fetch all modules, so that what follows needs no network.
find_go() {
    find_go_itself
    local module
    say "fetch Go modules"
    for module in kube containerd runc; do
        # What is wrong for good is told by the build.
        persist fetch_modules "$module" || return 0
    done
}

fetch_modules() {
    (cd "$HERE/$1" && GOTOOLCHAIN=auto GOFLAGS=-mod=readonly GOWORK=off \
        "$GO" mod download >>"$STATE/log/modules.log" 2>&1)
}

find_go_itself() {
    local candidate
    for candidate in go /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        go_new_enough "$candidate" && GO=$(command -v "$candidate") && return
    done
    apt_get update || true
    if version_at_least "$(apt-cache policy golang-go | awk '/Candidate:/ { print $2 }')"; then
        need_packages golang-go
    else
        install_go_from_backports
    fi
    for candidate in /usr/bin/go /usr/lib/go-*/bin/go; do
        go_new_enough "$candidate" && GO=$candidate && return
    done
    die "no Go >= $GO_NEEDED found or installable; put one on PATH and run this again"
}

go_new_enough() {
    local version
    version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) && version_at_least "${version#go}"
}

# version_at_least VERSION: Debian's carry an epoch ("2:1.19~1").
version_at_least() {
    [[ -n $1 && $1 != "(none)" ]] && dpkg --compare-versions "${1#*:}" ge "$GO_NEEDED"
}

# install_go_of SUITE APT_OPTION...
install_go_of() {
    local suite=$1
    shift
    apt_get update "$@" && apt_get install "$@" -t "$suite" golang-go
}

# The machine's own mirror, for this one installation only: its list of sources stays as it is.
install_go_from_backports() {
    local site codename lists=$STATE/backports
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # shellcheck disable=SC2016 # apt-get fills these in
    site=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
        awk -v suite="$codename" '$1 == "Debian" && $2 == suite && !n++ { print $3 }')
    [[ -n $site ]] || die "no apt source for '$codename'; put a Go >= $GO_NEEDED on PATH"
    say "install Go from $codename-backports (about 60 s)"
    mkdir -p "$lists"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site $codename-backports main" \
        >"$lists/backports.list"
    cp -r /etc/apt/sources.list /etc/apt/sources.list.d/. "$lists/" 2>/dev/null || true
    local use=(-o "Dir::Etc::SourceParts=$lists" -o Dir::Etc::SourceList=/dev/null)
    persist install_go_of "$codename-backports" "${use[@]}" ||
        die_with_log "Go cannot be installed from $codename-backports" "$STATE/log/apt.log"
    rm -rf "$lists"
}
