# shellcheck shell=bash
# Whoever hands a program on hands on the notices of what is in it. They are collected where the
# licensed files come from: OUT/doc/PACKAGE/copyright, and the texts these refer to under
# OUT/common-licenses. Sourced, never run.

notice_fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    return 1
}

# notice_of_package ROOT PACKAGE OUT: of a Debian package, installed or unpacked in ROOT ("" is /).
notice_of_package() {
    local text=$1/usr/share/doc/$2/copyright
    [ -s "$text" ] || notice_fail "no $text: install $2 anew without dpkg's path-exclude of copyright files" || return
    install -D -m 644 "$text" "$3/doc/$2/copyright"
}

# notice_of_source DIR PACKAGE OUT: of an unpacked source. What it carries in vendor/ states its own, in
# the first comment of each file.
notice_of_source() {
    local text
    mkdir -p "$3/doc/$2"
    if [ -s "$1/debian/copyright" ]; then
        install -m 644 "$1/debian/copyright" "$3/doc/$2/copyright"
        return
    fi
    [ -s "$1/LICENSE" ] || notice_fail "the source of $2 has no licence file" || return
    {
        cat "$1/LICENSE"
        for text in "$1"/vendor/*/*.[ch]; do
            [ -e "$text" ] || continue
            printf '\n==== %s\n\n' "${text#"$1"/}"
            sed '/\*\//q' "$text"
        done
    } >"$3/doc/$2/copyright"
    chmod 644 "$3/doc/$2/copyright"
}

# notice_common ROOT OUT: the licences in full that the notices in OUT only name by their path.
notice_common() {
    local name
    grep -rhoE '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9]' "$2/doc" | sort -u | sed 's|.*/||' |
        while read -r name; do
            [ -s "$1/usr/share/common-licenses/$name" ] ||
                notice_fail "no $1/usr/share/common-licenses/$name: is base-files there?" || return
            install -D -m 644 "$1/usr/share/common-licenses/$name" "$2/common-licenses/$name"
        done
}
