# shellcheck shell=bash
# Source packages by apt, pinned by sources.table. Sourced after lib.sh and apt.sh.

SOURCE_SUITE=trixie
SOURCE_TABLE=$HERE/deps.d/sources.table

table_row() { awk -v p="$1" '$1 == p { print $2, $3, $4, $5 }' "$SOURCE_TABLE"; }

# fetch_file CONF URI FILE SHA256: into the cache, unless it is there already and whole.
fetch_file() {
    local conf=$1 uri=$2 file=$3 sum=$4
    echo "$sum  $file" | sha256sum --check --status 2>/dev/null && return
    rm -f "$file"
    APT_CONFIG=$conf /usr/lib/apt/apt-helper -qq download-file "$uri" "$file.part" "SHA256:$sum" >&2 &&
        mv "$file.part" "$file"
}

# fetch_version CONF PACKAGE VERSION ORIG_SHA256 DEBIAN_SHA256: print the paths of the two archives.
# A hash of "any" takes what the archive's signed index says, "-" leaves the Debian part out.
fetch_version() {
    local conf=$1 package=$2 version=$3 uri name size sum want orig='' debian='' store
    store=$(cache_dir)/src
    mkdir -p "$store"
    local uris
    uris=$(APT_CONFIG=$conf apt-get -qq source --print-uris --download-only "$package=$version" 2>/dev/null) || return
    # shellcheck disable=SC2034 # size is a column of apt's that nobody needs
    while read -r uri name size sum; do
        case $name in
            *.orig.tar.*.asc) continue ;;
            *.orig.tar.*) want=$4 ;;
            *.debian.tar.*) want=$5 ;;
            *) continue ;;
        esac
        [ "$want" = - ] && continue
        [ "$want" = any ] && want=${sum#SHA256:}
        uri=${uri#\'}
        fetch_file "$conf" "${uri%\'}" "$store/$name" "$want" || return
        case $name in *.orig.*) orig=$store/$name ;; *) debian=$store/$name ;; esac
    done < <(grep "^'" <<<"$uris")
    [ -n "$orig" ] && echo "$orig ${debian:--}"
}

# fetch_pinned_from_cache PACKAGE: the same two paths when an earlier run left both here.
fetch_pinned_from_cache() {
    local package=$1 version series orig_sum debian_sum store file orig='' debian=-
    read -r version series orig_sum debian_sum <<<"$(table_row "$package")"
    store=$(cache_dir)/src
    for file in "$store/${package}_${version%-*}".orig.tar.*; do
        echo "$orig_sum  $file" | sha256sum --check --status 2>/dev/null && orig=$file
    done
    if [ "$debian_sum" != - ]; then
        debian=$(echo "$store/${package}_$version".debian.tar.*)
        echo "$debian_sum  $debian" | sha256sum --check --status 2>/dev/null || return
    fi
    [ -n "$orig" ] && echo "$orig $debian"
}

# fetch_source PACKAGE: print "upstream-archive debian-archive" of the pinned version; when a point
# release has replaced it, of the newest in its series that the archive's signature vouches for.
fetch_source() {
    local package=$1 version series orig_sum debian_sum conf candidate
    read -r version series orig_sum debian_sum <<<"$(table_row "$package")"
    [ -n "${debian_sum:-}" ] || die "$SOURCE_TABLE has no complete row for $package"
    fetch_pinned_from_cache "$package" && return
    conf=$(apt_private "$SOURCE_SUITE") || return
    fetch_version "$conf" "$package" "$version" "$orig_sum" "$debian_sum" && return
    conf=$(apt_private "$SOURCE_SUITE" fresh) || return
    fetch_version "$conf" "$package" "$version" "$orig_sum" "$debian_sum" && return
    [ "$debian_sum" = - ] || debian_sum=any
    for candidate in $(source_versions "$conf" "$package" "$series"); do
        [ "$candidate" = "$version" ] && continue
        fetch_version "$conf" "$package" "$candidate" any "$debian_sum" || continue
        warn "$package $version, pinned in hack/deps.d/sources.table, is no longer in the archive."
        warn "Built with $package $candidate instead, checked by the archive's signature only; pin it anew."
        return
    done
    die "cannot fetch the source of $package $version, nor of any other $series* (Debian $SOURCE_SUITE, sources in $(dirname "$conf")/sources.list)"
}

# source_versions CONF PACKAGE SERIES: versions in the archive that begin with SERIES, newest first
# (sort -V orders as dpkg does, tilde included).
source_versions() {
    local conf=$1 package=$2 series=$3
    APT_CONFIG=$conf apt-cache showsrc --only-source "$package" |
        awk -v s="$series" '$1 == "Version:" && index($2, s) == 1 { print $2 }' | sort -rV | uniq
}

# unpack_source ORIG DEBIAN DIR: upstream's source with Debian's patches (security fixes among them).
unpack_source() {
    local orig=$1 debian=$2 dir=$3 patch
    mkdir -p "$dir"
    tar -xf "$orig" -C "$dir" --strip-components=1 --no-same-owner || return
    [ "$debian" = - ] && return
    tar -xf "$debian" -C "$dir" --no-same-owner || return
    while read -r patch; do
        patch -d "$dir" -p1 --quiet --forward <"$dir/debian/patches/$patch" || return
    done < <(sed 's/#.*//; s/[[:space:]].*//; /^$/d' "$dir/debian/patches/series")
    # Patches to autotools inputs concern Debian's packaging; aged inputs keep make from wanting autoconf.
    find "$dir" \( -name '*.am' -o -name '*.ac' -o -name '*.m4' -o -name '*.in' \) -exec touch -d '2000-01-01' {} +
}
