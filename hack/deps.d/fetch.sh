# shellcheck shell=bash
# Source packages, pinned by sources.table, from the host's mirrors. Sourced after lib.sh.
#
# A mirror's index and its pool are not always of one moment: the index may list a version that the pool does
# not have yet, while the pinned one still lies there. So names and hashes come first, and the index after.

SOURCE_SUITE=trixie
SOURCE_TABLE=$HERE/deps.d/sources.table

# table_rows PACKAGE: its pins, the preferred one first: "version series kind hash hash", some with "optional".
table_rows() { awk -v p="$1" '$1 == p { $1 = ""; sub(/^ /, ""); print }' "$SOURCE_TABLE"; }

# whole FILE SHA256
whole() { echo "$2  $1" | sha256sum --check --status 2>/dev/null; }

# pool_folders PACKAGE KIND: where an archive keeps it.
pool_folder() {
    local package=$1 first=${1:0:1}
    case $package in lib*) first=${package:0:4} ;; esac
    case $2 in
        -security) echo "pool/updates/main/$first/$package" ;;
        *) echo "pool/main/$first/$package" ;;
    esac
}

# places_of PACKAGE [DIRECTORY...]: URIs of folders that may hold its files: its own place in every archive of
# the host's, and those that an index names.
places_of() {
    local package=$1 uri kind directory
    shift
    host_archives | while read -r uri _ kind _; do
        for directory in "$(pool_folder "$package" "$kind")" "$@"; do
            echo "${uri%/}/$directory"
        done
    done | awk '!seen[$0]++'
}

# fetch_file FILE SHA256 TRIED PLACE...: into the cache, from the first place that gives it whole. TRIED takes a
# line for each that did not.
fetch_file() {
    local file=$1 sum=$2 tried=$3 uri part said
    shift 3
    whole "$file" "$sum" && return
    part=$file.part.$BASHPID
    for uri in "${@/%//${file##*/}}"; do
        grep -qF " $uri: " "$tried" && continue
        rm -f "$part"
        if said=$(LC_ALL=C /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries=3 \
            download-file "$uri" "$part" "SHA256:$sum" 2>&1) && whole "$part" "$sum"; then
            mv "$part" "$file" && return
        fi
        rm -f "$part" "$part".*
        echo " $uri: $(why_not "$said")" >>"$tried"
    done
    return 1
}

# why_not WORDS: the reason in what apt-helper said.
why_not() {
    local reason
    reason=$(sed -n 's/^E: Failed to fetch [^ ]* *//p; s/^E: //p' <<<"$1" | grep -v '^Download Failed' | sed 's/ \[IP: .*//' | head -n 1)
    echo "${reason:-the download was not complete}"
}

# fetch_pair PACKAGE TRIED ORIG SHA256 DEBIAN SHA256 [DIRECTORY...]: print the paths of the two archives, by name.
fetch_pair() {
    local package=$1 tried=$2 orig=$3 orig_sum=$4 debian=$5 debian_sum=$6 store
    store=$(cache_dir)/src
    shift 6
    mkdir -p "$store"
    mapfile -t places < <(places_of "$package" "$@")
    fetch_file "$store/$orig" "$orig_sum" "$tried" "${places[@]}" || return
    if [ "$debian_sum" != - ]; then
        fetch_file "$store/$debian" "$debian_sum" "$tried" "${places[@]}" || return
        echo "$store/$orig $store/$debian"
    else
        echo "$store/$orig -"
    fi
}

# fetch_pinned PACKAGE TRIED VERSION SERIES KIND SHA256 SHA256: from the cache, or from its place in the pool.
fetch_pinned() {
    local package=$1 tried=$2 version=${3#*:}
    fetch_pair "$package" "$tried" "${package}_${version%-*}.orig.tar.$5" "$6" \
        "${package}_$version.debian.tar.xz" "$7"
}

# fetch_indexed PACKAGE TRIED CONF PINNED...: the newest version of the series that can be had, by the hashes
# that the archive's signature vouches for; the pinned one counts as the newest, by its own hashes.
fetch_indexed() {
    local package=$1 tried=$2 conf=$3 version directory orig orig_sum debian debian_sum
    shift 3
    while read -r version directory orig orig_sum debian debian_sum; do
        if [ "$version" = "$1" ]; then orig_sum=$4 debian_sum=$5; fi
        [ "$5" != - ] || debian_sum=-
        # What stands in for a version that is newer than what is built otherwise must not be older than it.
        [ "${6:-}" != optional ] || dpkg --compare-versions "$version" ge "$1" || continue
        fetch_pair "$package" "$tried" "$orig" "$orig_sum" "$debian" "$debian_sum" "$directory" || continue
        [ "$version" = "$1" ] || stands_in "$package" "$version" "$1" "checked by the archive's signature only"
        return
    done < <(source_entries "$conf" "$package" "$2" | awk -v v="$1" '{ print ($1 == v ? 0 : 1), $0 }' | sort -s -n -k 1,1 | cut -d' ' -f2-)
    return 1
}

# source_entries CONF PACKAGE SERIES: what the archive lists of the series, newest first (sort -V orders as dpkg
# does, tilde included): "version directory file sha256 file sha256", upstream's file first.
source_entries() {
    local conf=$1 package=$2 series=$3
    APT_CONFIG=$conf apt-cache showsrc --only-source "$package" 2>/dev/null | awk -v series="$series" '
        function flush() {
            if (index(version, series) == 1 && orig != "")
                print version, directory, orig, orig_sum, debian == "" ? "-" : debian, debian_sum == "" ? "-" : debian_sum
            version = directory = orig = orig_sum = debian = debian_sum = ""
        }
        /^$/ { flush() }
        /^[A-Z]/ { hashes = $1 == "Checksums-Sha256:" }
        $1 == "Version:" { version = $2 }
        $1 == "Directory:" { directory = $2 }
        hashes && $3 ~ /\.orig\.tar\.[a-z0-9]+$/ { orig = $3; orig_sum = $1 }
        hashes && $3 ~ /\.debian\.tar\.[a-z0-9]+$/ { debian = $3; debian_sum = $1 }
        END { flush() }' | sort -rV | uniq
}

stands_in() {
    warn "$1 $3, pinned in hack/deps.d/sources.table, cannot be had from this machine's mirrors."
    warn "Built with $1 $2 instead, $4; update the pin."
}

# fetch_source PACKAGE: print "upstream-archive debian-archive": of the first optional pin that a pool has; of the
# pinned version; else of the newest in its series, in its own suite and then in those beside it; else of another pin.
fetch_source() {
    local package=$1 tried rows row conf
    mapfile -t rows < <(table_rows "$package")
    [ "$(wc -w <<<"${rows[0]:-}")" -ge 5 ] ||
        die "$SOURCE_TABLE has no complete row for $package"
    tried=$(mktemp)
    fetch_source_somehow "$package" "$tried" && rm -f "$tried" && return
    echo "$LOG_NAME: the source of $package cannot be fetched. What was tried:" >&2
    sed 's/^/   /' "$tried" >&2
    [ "$(free_mib "$(cache_dir)")" -ge 200 ] ||
        echo "$LOG_NAME: only $(free_mib "$(cache_dir)") MiB are free in $(cache_dir); make room, or set PGKEEL_CACHE to another disk" >&2
    rm -f "$tried"
    die "no mirror has $package ${rows[0]%% *} or another version that may replace it. Try again when the mirror is complete; name another one in /etc/apt/sources.list or /etc/apt/sources.list.d; or put the files into $(cache_dir)/src by hand (their hashes are in hack/deps.d/sources.table)"
}

fetch_source_somehow() {
    local package=$1 tried=$2 conf='' row pin next=1
    for row in "${rows[@]}"; do
        read -ra pin <<<"$row"
        cached_pin "$package" "${pin[@]}" && return
        [ "${pin[5]:-}" = optional ] || break
        # A machine that reaches no mirror may have the next one's files.
        (host_archives &>/dev/null) && fetch_pinned "$package" "$tried" "${pin[@]}" && return
        warn "$package ${pin[0]}: not in the pool of any mirror of this machine yet; ${rows[next++]%% *} is taken instead"
    done
    # Here and not below, where a substitution would keep what it finds out to itself.
    host_archives >/dev/null
    fetch_pinned "$package" "$tried" "${pin[@]}" && return
    warn "$package ${pin[0]}: not in the pool of any mirror of this machine; the indexes are asked"
    if conf=$(apt_private "$SOURCE_SUITE" "$SOURCE_SUITE"); then
        fetch_indexed "$package" "$tried" "$conf" "${pin[@]}" && return
        conf=$(APT_MAX_AGE_MIN=5 apt_private "$SOURCE_SUITE" "$SOURCE_SUITE") &&
            fetch_indexed "$package" "$tried" "$conf" "${pin[@]}" && return
    else
        echo " the index of $SOURCE_SUITE: cannot be read" >>"$tried"
    fi
    # shellcheck disable=SC2046 # names of suites
    if conf=$(apt_private "beside-$SOURCE_SUITE" $(pockets_of "$SOURCE_SUITE") $(newer_than "$SOURCE_SUITE")); then
        fetch_indexed "$package" "$tried" "$conf" "${pin[@]}" && return
    else
        echo " the indexes beside $SOURCE_SUITE: cannot be read" >>"$tried"
    fi
    # shellcheck disable=SC2086 # rows are words
    for row in "${rows[@]}"; do
        if [ "${row##* }" = optional ]; then
            if [ -n "$conf" ] && fetch_indexed "$package" "$tried" "$conf" $row; then return; fi
        elif [ "$row" != "${pin[*]}" ]; then
            fetch_pinned "$package" "$tried" $row || continue
            stands_in "$package" "${row%% *}" "${pin[0]}" "which is pinned there, too"
            return
        fi
    done
    return 1
}

# cached_pin PACKAGE VERSION SERIES KIND SHA256 SHA256: the two paths when an earlier run left both here.
cached_pin() {
    local store version=${2#*:} orig debian=-
    store=$(cache_dir)/src
    orig=$store/${1}_${version%-*}.orig.tar.$4
    whole "$orig" "$5" || return
    if [ "$6" != - ]; then
        debian=$store/${1}_$version.debian.tar.xz
        whole "$debian" "$6" || return
    fi
    echo "$orig $debian"
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
