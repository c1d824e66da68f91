# shellcheck shell=bash
# The file itself. Sourced by tests/image/run.

MAX_BYTES=$((10 * 1048576))
MAX_START_US=2000

names_no_loader() {
    readelf --program-headers "$PGKEEL" | absent 'program interpreter'
    readelf --dynamic "$PGKEEL" | absent NEEDED
}

is_small() {
    local bytes
    bytes=$(stat -c %s "$PGKEEL")
    echo "$bytes bytes"
    [ "$bytes" -le "$MAX_BYTES" ]
}

is_stripped() { readelf --sections "$PGKEEL" | absent -E '\.symtab|\.debug_info'; }

# Other work on the machine only ever adds: the least of many runs is what the file itself costs.
starts_quickly() {
    local least median
    cc -O1 -o "$WORK/spawn" tests/image/spawn.c
    read -r least median < <("$WORK/spawn" 300 "$PGKEEL" version)
    echo "least $least us, median $median us"
    [ "$least" -le "$MAX_START_US" ]
}

# As after the cache was deleted: make must not link against a folder that is no more.
notices_that_libraries_are_gone() {
    local build=$WORK/gone prefix
    mkdir -p "$build"
    echo "DEPS_PREFIX := $WORK/no-such-prefix" >"$build/deps.mk"
    make --no-print-directory BUILD="$build" "$build/deps.mk"
    prefix=$(sed -n '1s/^DEPS_PREFIX := //p' "$build/deps.mk")
    [ -e "$prefix/deps.mk" ] || { echo "deps.mk still names $prefix"; return 1; }
    # ... and once it is there, nothing is made again.
    make --no-print-directory BUILD="$build" --question "$build/deps.mk"
}

test_static() {
    check "the file names no loader and no shared library" names_no_loader
    check "the file is stripped" is_stripped
    check "the file is at most 10 MiB" is_small
    check "the file starts and exits within 2 ms" starts_quickly
    check "make notices that the libraries' cache was deleted" notices_that_libraries_are_gone
}
