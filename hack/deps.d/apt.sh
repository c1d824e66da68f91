# shellcheck shell=bash
# Another Debian release by the host's own mirrors, without touching the host's package lists.
# Which archive is asked is the host's choice: URIs are read from its apt sources, never written here.
# Sourced after lib.sh.

APT_KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
APT_MAX_AGE_MIN=720

# Debian's own archives among the host's apt sources, as "URI kind" with kind one of "", -updates, -security.
# apt reads the files itself (all formats, options, switched-off entries) and knows each archive's
# origin from its signed Release file, so that a vendor's repository is not taken for Debian's.
host_archives() {
    # shellcheck disable=SC2016 # apt expands these
    local list format='$(ORIGIN) $(COMPONENT) $(CREATED_BY) $(REPO_URI) $(CODENAME)'
    list=$(apt-get indextargets --format "$format" | grep '^Debian main Packages ' || true)
    if [ -z "$list" ]; then # A container image comes without lists: fetch them into a folder of our own.
        local state
        state=$(mktemp -d)
        mkdir -p "$state/lists/partial" "$state/cache"
        local own=(-o "Dir::State::lists=$state/lists" -o "Dir::Cache=$state/cache" -o APT::Sandbox::User=root)
        persist apt-get -qq "${own[@]}" update >&2 || warn "apt-get update failed for some of this machine's apt sources"
        list=$(apt-get "${own[@]}" indextargets --format "$format" | grep '^Debian main Packages ' || true)
        rm -rf "$state"
    fi
    [ -n "$list" ] ||
        die "no Debian archive among this machine's apt sources (/etc/apt/sources.list, sources.list.d); add one and run apt-get update"
    awk '{ kind = $5; sub(/^[a-z]+/, "", kind); if (kind ~ /^(-updates|-security|)$/) print $4, kind }' <<<"$list" | sort -u
}

# apt_lines deb|deb-src SUITE: one-line apt sources for SUITE at the host's mirrors.
apt_lines() {
    local type=$1 suite=$2 uri kind option=
    [ -r "$APT_KEYRING" ] && option=" [signed-by=$APT_KEYRING]"
    host_archives | while read -r uri kind; do
        printf '%s%s %s %s%s main\n' "$type" "$option" "$uri" "$suite" "${kind:-}"
    done
}

# apt_private SUITE: print the path of an apt.conf whose sources are SUITE's source packages, with
# lists fetched when they are older than half a day or `fresh` is given. Use it as APT_CONFIG.
apt_private() {
    local suite=$1 fresh=${2:-} dir
    dir=$(cache_dir)/apt/$suite
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    touch "$dir/status"
    apt_lines deb-src "$suite" >"$dir/sources.new"
    # The cache lies in a home folder that apt's unprivileged user cannot enter, hence the sandbox line.
    cat >"$dir/apt.conf" <<EOF
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::Cache "$dir/cache";
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::Retries "6";
EOF
    if [ -n "$fresh" ] || ! cmp -s "$dir/sources.new" "$dir/sources.list" ||
        [ -z "$(find "$dir/stamp" -mmin "-$APT_MAX_AGE_MIN" 2>/dev/null)" ]; then
        mv "$dir/sources.new" "$dir/sources.list"
        say "reading the package lists of Debian $suite"
        APT_CONFIG=$dir/apt.conf persist apt-get -qq -o APT::Update::Error-Mode=any update >&2 ||
            die "apt-get update for Debian $suite failed with the sources in $dir/sources.list; does this mirror carry $suite?"
        touch "$dir/stamp"
    fi
    rm -f "$dir/sources.new"
    echo "$dir/apt.conf"
}
