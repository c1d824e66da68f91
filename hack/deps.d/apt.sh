# shellcheck shell=bash
# Debian releases by the host's own mirrors, without touching the host's package lists.
# Which archive is asked is the host's choice: URIs are read from its apt sources, never written here.
# Sourced by lib.sh.

APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
APT_MAX_AGE_MIN=720
HOST_ARCHIVES=

# Debian's own archives among the host's apt sources, one a line: "URI CODENAME KIND KEYRING" with KIND one of
# ".", -updates, -security, and "." where the source names no keyring. apt reads the files itself (all
# formats, options, switched-off entries) and knows each archive's origin from its signed Release file, so
# that a vendor's repository is not taken for Debian's.
host_archives() {
    # shellcheck disable=SC2016 # apt expands these
    local list uri suite entry format='$(ORIGIN) $(COMPONENT) $(CREATED_BY) $(REPO_URI) $(CODENAME) $(SOURCESENTRY)'
    [ -z "$HOST_ARCHIVES" ] || { echo "$HOST_ARCHIVES" && return; }
    list=$(apt-get indextargets --format "$format" 2>/dev/null | grep '^Debian main Packages ' || true)
    if [ -z "$list" ]; then # A container image comes without lists: fetch them into a folder of our own.
        local state
        state=$(mktemp -d)
        mkdir -p "$state/lists/partial" "$state/cache"
        local own=(-o "Dir::State::lists=$state/lists" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root)
        apt_update_quietly "$state/log" "${own[@]}" ||
            warn "apt-get update failed for some of this machine's apt sources: $(apt_words "$state/log")"
        list=$(apt-get "${own[@]}" indextargets --format "$format" | grep '^Debian main Packages ' || true)
        rm -rf "$state"
    fi
    [ -n "$list" ] ||
        die "none of this machine's apt sources (/etc/apt/sources.list, sources.list.d) is a Debian archive that answers; add one and run apt-get update"
    HOST_ARCHIVES=$(while read -r _ _ _ uri suite entry; do
        case $suite in
            *-updates) echo "$uri ${suite%-updates} -updates $(keyring_of "$entry")" ;;
            *-security) echo "$uri ${suite%-security} -security $(keyring_of "$entry")" ;;
            *-*) ;;
            *) echo "$uri $suite . $(keyring_of "$entry")" ;;
        esac
    done <<<"$list" | sort -u)
    echo "$HOST_ARCHIVES"
}

# keyring_of FILE:N: the Signed-By of the N-th line of a list, or of the N-th stanza of a .sources file; "." for
# none. A key that stands in the file itself is written into the cache.
keyring_of() {
    local file=${1%:*} number=${1##*:} found keys
    case $file in
        *.sources)
            found=$(awk -v n="$number" 'BEGIN { RS = ""; FS = "\n" } { sub(/^(#[^\n]*\n)+/, "") } NF && ++at == n {
                for (i = 1; i <= NF; i++) {
                    if (tolower($i) ~ /^signed-by:/) { sub(/^[^:]*:[ \t]*/, "", $i); on = 1; print $i }
                    else if (on && $i ~ /^[ \t]/) { sub(/^[ \t]+/, "", $i); print $i == "." ? "" : $i }
                    else on = 0
                } }' "$file" 2>/dev/null)
            case $found in
                *'-----BEGIN'*)
                    keys=$(cache_dir)/apt/keys
                    mkdir -p "$keys"
                    keys=$keys/$(sha256sum <<<"$found" | cut -c1-16).asc
                    sed '/./,$!d' <<<"$found" >"$keys"
                    found=$keys
                    ;;
            esac
            ;;
        *) found=$(sed -n "${number}s/^[^#]*\[[^]]*signed-by=\([^] ]*\).*/\1/Ip" "$file" 2>/dev/null) ;;
    esac
    found=$(tr -s ' \t\n' , <<<"$found")
    found=${found#,} found=${found%,}
    echo "${found:-.}"
}

# apt_signed KEYRING: the option of a one-line source. A mirror may be signed by its owner's key or by Debian's.
apt_signed() {
    local keyring=$1
    [ "$keyring" != . ] || keyring=
    [ ! -r "$APT_KEYRING" ] || case ,$keyring, in *",$APT_KEYRING,"*) ;; *) keyring=${keyring:+$keyring,}$APT_KEYRING ;; esac
    [ -z "$keyring" ] || echo " [signed-by=$keyring]"
}

# apt_lines deb|deb-src SUITE...: one-line apt sources for the suites at the host's mirrors.
apt_lines() {
    local type=$1 suite uri kind keyring
    shift
    host_archives | while read -r uri _ kind keyring; do
        for suite in "$@"; do
            case $suite,$kind in
                sid,-* | *-*,-*) ;; # these have no pockets of their own
                *) printf '%s%s %s %s%s main\n' "$type" "$(apt_signed "$keyring")" "$uri" "$suite" "${kind#.}" ;;
            esac
        done
    done | sort -u
}

# pockets_of SUITE: what the same release has beside itself, its updates and its security archive.
pockets_of() { echo "$1-proposed-updates $1-backports"; }

# newer_than SUITE: the releases after it, nearest first. Debian's order is known to nobody but Debian.
newer_than() {
    case $1 in
        bookworm) echo trixie forky sid ;;
        trixie) echo forky sid ;;
        forky) echo sid ;;
    esac
}

# apt_words LOG: the first few errors of apt's, in one line.
apt_words() { grep -E '^(E|W|Err)' "$1" | sort -u | head -n 4 | paste -sd' '; }

# apt_update_quietly LOG ARGUMENT...: apt-get update; a bad moment of the mirror's is waited for, an answer that
# will stay (no such suite, a key that does not fit) is not.
apt_update_quietly() {
    local log=$1 pause
    shift
    for pause in 2 5 10 0; do
        LC_ALL=C apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Retries=3 "$@" update >"$log" 2>&1 && return
        ! grep -qE 'does not have a Release file|is not signed|404  Not Found' "$log" || return
        [ "$pause" = 0 ] || sleep "$pause"
    done
    return 1
}

# apt_private NAME SUITE...: print the path of an apt.conf whose sources are the suites' source packages (APT_TYPE=deb:
# their binary packages), with lists fetched when they are older than APT_MAX_AGE_MIN. Use it as APT_CONFIG. What
# a mirror does not carry is left out; false when it gives none of it.
apt_private() {
    local dir
    dir=$(cache_dir)/apt/$1
    with_lock "$dir.lock" apt_private_locked "$dir" "${@:2}" >&2 || return
    echo "$dir/apt.conf"
}

apt_private_locked() {
    local dir=$1
    shift
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    touch "$dir/status"
    apt_lines "${APT_TYPE:-deb-src}" "$@" >"$dir/sources.new" || return
    [ -s "$dir/sources.new" ] || return
    # The cache lies in a home folder that apt's unprivileged user cannot enter, hence the sandbox line.
    # What this machine is told by APT_CONFIG (a proxy, say) holds here, too.
    {
        [ -z "${APT_CONFIG:-}" ] || cat "$APT_CONFIG"
        cat <<EOF
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
EOF
    } >"$dir/apt.conf"
    if ! cmp -s "$dir/sources.new" "$dir/sources.list" ||
        [ -z "$(find "$dir/stamp" -mmin "-$APT_MAX_AGE_MIN" 2>/dev/null)" ]; then
        mv "$dir/sources.new" "$dir/sources.list"
        say "read the package lists of Debian $* (some 10 s)"
        rm -f "$dir/stamp"
        APT_CONFIG=$dir/apt.conf apt_update_quietly "$dir/log" ||
            warn "some lists of Debian $* cannot be read: $(apt_words "$dir/log")"
        compgen -G "$dir/lists/*_main_*" >/dev/null || return
        touch "$dir/stamp"
    fi
    rm -f "$dir/sources.new"
}
