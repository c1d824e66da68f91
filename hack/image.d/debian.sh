# shellcheck shell=bash
# Debian trees by mmdebstrap from the host's own mirrors. Sourced after deps.d/lib.sh and deps.d/apt.sh.

# debian_tree VARIANT SUITES OUT.tar PACKAGE...: VARIANT is mmdebstrap's; "extract" unpacks packages
# with all they depend on and runs none of their scripts. Of several SUITES the first is wanted, and the
# others may stand in.
debian_tree() {
    local variant=$1 suites=$2 out=$3 suite
    shift 3
    need_packages mmdebstrap
    need_room "$(dirname "$out")" 1000 "a tree of Debian packages"
    : >"$out.refused"
    for suite in $suites; do
        say "fetch Debian $suite packages: $* (about half a minute)"
        if debian_tree_around "$variant" "$suite" "$out" "$@"; then
            [ "$suite" = "${suites%% *}" ] ||
                warn "Debian $suite stands in for ${suites%% *}: no mirror of this machine gives $* of that"
            rm -f "$out".{refused,log,preferences,options,list}
            return
        fi
    done
    warn "files that the mirrors list but do not have:"
    sort -u "$out.refused" | sed 's/^/    /' >&2
    warn "no tree with $*; the whole log is $out.log. Run this again when the mirror is complete, or name another mirror in /etc/apt/sources.list or /etc/apt/sources.list.d"
    rm -f "$out".{refused,preferences,options,list}
    return 1
}

# debian_tree_around VARIANT SUITE OUT PACKAGE...: past what the mirror lists and does not give, and then with the
# release's other pockets.
debian_tree_around() {
    local variant=$1 suite=$2 out=$3 conf wider='' options=() again=2
    shift 3
    : >"$out.preferences"
    apt_lines deb "$suite" >"$out.list" || return
    until mmdebstrap_once "$variant" "$suite" "$out" "$@"; do
        # shellcheck disable=SC2046 # names of suites
        if [ -n "$(refused_files "$out.log")" ] &&
            conf=$(APT_TYPE=deb apt_private "tree-$suite" "$suite" $(pockets_of "$suite")) &&
            APT_CONFIG=$conf pin_refused "$out.log" "$out.refused" >>"$out.preferences"; then
            refused_words "$out.refused"
        elif [ -z "$wider" ]; then
            wider=$(conf=$(APT_TYPE=deb apt_private "tree-$suite" "$suite" $(pockets_of "$suite")) && lists_read "$conf")
            [ -n "$wider" ] && ! cmp -s <(echo "$wider") "$out.list" || return
            echo "$wider" >"$out.list"
        elif [ "$again" -gt 0 ] && [ -z "$(refused_files "$out.log")" ] && grep -qE 'Temporary failure|Connection (failed|timed out)|50[0-9] ' "$out.log"; then
            sleep $((6 / again)) # a bad moment of the mirror's
            again=$((again - 1))
        else
            tail -n 15 "$out.log" | sed 's/^/    /' >&2
            return 1
        fi
    done
}

# lists_read CONF: the one-line sources among CONF's that its mirrors do carry.
lists_read() {
    local type options uri suite rest
    sed 's/^\(deb[a-z-]*\) \(\[[^]]*\] \)\?/\1|\2|/' "$(dirname "$1")/sources.list" | while IFS='|' read -r type options rest; do
        read -r uri suite _ <<<"$rest"
        # shellcheck disable=SC2016 # apt expands these
        APT_CONFIG=$1 apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
            grep -qxF "${uri%/}/ $suite" && echo "$type $options$uri $suite main"
    done || true
}

# mmdebstrap_once VARIANT SUITE OUT PACKAGE...: by the sources in OUT.list and the preferences beside it.
mmdebstrap_once() {
    local variant=$1 suite=$2 out=$3
    shift 3
    # Proxies and the like: how this machine reaches its mirrors holds for the tree's packages too.
    apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries|Max)' >"$out.options" || true
    grep -q '^Acquire::Retries ' "$out.options" || echo 'Acquire::Retries "3";' >>"$out.options"
    rm -f "$out.log"
    # Descriptors that this shell inherited are closed: mmdebstrap hands the next free one to a sh that
    # understands one digit only.
    if ! LC_ALL=C nice -n 10 mmdebstrap --variant="$variant" --aptopt="$out.options" \
        --include="$(tr ' ' , <<<"$*")" --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --setup-hook="cp '$out.preferences' \"\$1/etc/apt/preferences.d/pgkeel\"" \
        "$suite" "$out.new.tar" "$out.list" >"$out.log" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; then
        rm -f "$out.new.tar"
        return 1
    fi
    mv "$out.new.tar" "$out"
}

# with_tree TAR COMMAND...: COMMAND with the path of the unpacked tree behind it; device nodes, which
# only root could make and nobody needs, stay in the archive.
with_tree() {
    local tar=$1 tree status=0
    shift
    tree=$(mktemp -d "$tar.XXXXXX")
    tar -xf "$tar" -C "$tree" --exclude='./dev/*' --no-same-owner
    "$@" "$tree" || status=$?
    chmod -R u+w "$tree"
    rm -rf "$tree"
    return "$status"
}
