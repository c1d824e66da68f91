# shellcheck shell=bash
# `pgkeel install DIR` in roots of other distributions and in one that holds nothing. Sourced by
# tests/image/run.

# root_of NAME: an unpacked test image, once per run, with the file to be installed as /stage/pgkeel,
# as the operator's image brings it to an init container.
root_of() {
    local root=$WORK/root-${1/:/-}
    if [ ! -d "$root" ]; then
        hack/pgimages unpack "$1" "$root" >&2
        mkdir -p "$root/stage" "$root/proc" "$root/dev" "$root/target"
        cp "$PGKEEL" "$root/stage/pgkeel"
    fi
    echo "$root"
}

# fresh_target ROOT OWNER [OPTIONS]: an empty file system at /target, as an emptyDir volume is.
fresh_target() {
    ! mountpoint -q "$1/target" || umount "$1/target"
    mount -t tmpfs -o "mode=0770,uid=${2%:*},gid=${2#*:}${3:+,$3}" none "$1/target"
}

as() { # as OWNER ROOT COMMAND...
    local owner=$1 root=$2
    shift 2
    chroot --userspec="$owner" "$root" "$@"
}

installed() { # installed ROOT: the very file, mode 0755, nothing beside it
    cmp "$PGKEEL" "$1/target/pgkeel"
    [ "$(stat -c %a "$1/target/pgkeel")" = 755 ]
    [ "$(ls -A "$1/target")" = pgkeel ]
}

# is_root NAME OWNER ROOT: really the image that the title names.
is_root() {
    case $1 in
        empty) [ "$(find "$3" -type f)" = "$3/stage/pgkeel" ] ;;
        *)
            [ -x "$3/usr/lib/postgresql/${1#postgres:}/bin/postgres" ]
            grep -q "^postgres:x:$2:" "$3/etc/passwd"
            ;;
    esac
}

installs_and_runs() {
    local name=$1 owner=$2 root
    root=$(root_of "$name")
    is_root "$name" "$owner" "$root"
    fresh_target "$root" "$owner"
    as "$owner" "$root" /stage/pgkeel install /target
    installed "$root"
    [ "$(stat -c %u:%g "$root/target/pgkeel")" = "$owner" ]
    as "$owner" "$root" /target/pgkeel version
}

runs_as_pid_1() {
    local name=$1 owner=$2 root
    root=$(root_of "$name")
    # With /proc, as every container has it: the file finds itself there as well.
    unshare --pid --fork --mount-proc="$root/proc" chroot --userspec="$owner" "$root" /stage/pgkeel version
}

# Started from a descriptor that is closed by then, as some runtimes start programs: the kernel's record
# of the path leads nowhere.
finds_itself_with_proc() {
    local root
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    mount -t proc none "$root/proc"
    python3 -c 'import os, sys
os.chroot(sys.argv[1])
os.setgid(70000)
os.setuid(70000)
program = os.open("/stage/pgkeel", os.O_RDONLY | os.O_CLOEXEC)
os.execve(program, ["pgkeel", "install", "/target"], {})' "$root"
    umount "$root/proc"
    installed "$root"
}

leaves_what_is_there() {
    local root before
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    as 70000:70000 "$root" /stage/pgkeel install /target
    before=$(stat -c '%i %y' "$root/target/pgkeel")
    as 70000:70000 "$root" /stage/pgkeel install /target
    [ "$(stat -c '%i %y' "$root/target/pgkeel")" = "$before" ]
    mount -o remount,ro "$root/target"
    as 70000:70000 "$root" /stage/pgkeel install /target
}

replaces_a_running_older_file() {
    local root older
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    cp "$(readlink -f "$(command -v sleep)")" "$root/target/pgkeel"
    chmod 700 "$root/target/pgkeel"
    "$root/target/pgkeel" 600 &
    older=$!
    eventually test "/proc/$older/exe" -ef "$root/target/pgkeel" # until then it is but a fork of this shell
    as 70000:70000 "$root" /stage/pgkeel install /target
    installed "$root"
    kill -0 "$older" # it goes on from the file that has lost its name
    kill "$older"
    wait "$older" || true # what still runs from the volume would keep it mounted
}

replaces_what_a_killed_run_left() {
    local root
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    head -c 100000 "$PGKEEL" >"$root/target/.pgkeel.new"
    as 70000:70000 "$root" /stage/pgkeel install /target
    installed "$root"
}

heeds_no_umask() {
    local root
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    (umask 077 && as 70000:70000 "$root" /stage/pgkeel install /target)
    installed "$root"
}

lets_many_run_at_once() {
    local root i pids=() pid
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    for i in 1 2 3 4 5 6; do
        as 70000:70000 "$root" /stage/pgkeel install /target &
        pids[i]=$!
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    installed "$root"
}

names_a_missing_folder() {
    local root
    root=$(root_of empty)
    expect "open folder '/nowhere' (mount a volume there, or create the folder): No such file or directory" \
        as 70000:70000 "$root" /stage/pgkeel install /nowhere
    expect "give the folder, not the file" as 70000:70000 "$root" /stage/pgkeel install /stage/pgkeel
}

names_a_read_only_volume() {
    local root
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    mount -o remount,ro "$root/target"
    expect "mount the volume without readOnly" as 70000:70000 "$root" /stage/pgkeel install /target
}

names_a_foreign_folder() {
    local root
    root=$(root_of empty)
    fresh_target "$root" 0:0 mode=0755
    expect "uid 70000, gid 70000 may not write there" as 70000:70000 "$root" /stage/pgkeel install /target
}

names_a_full_volume() {
    local root
    root=$(root_of empty)
    fresh_target "$root" 70000:70000 size=1m
    echo old >"$root/target/pgkeel"
    expect "enlarge the volume or its sizeLimit" as 70000:70000 "$root" /stage/pgkeel install /target
    [ "$(cat "$root/target/pgkeel")" = old ]
    [ "$(ls -A "$root/target")" = pgkeel ]
}

names_a_folder_in_the_way() {
    local root
    root=$(root_of empty)
    fresh_target "$root" 70000:70000
    mkdir "$root/target/pgkeel"
    expect "there is a folder of that name: remove it" as 70000:70000 "$root" /stage/pgkeel install /target
    [ "$(ls -A "$root/target")" = pgkeel ]
}

wants_one_folder() {
    local status=0
    "$PGKEEL" install || status=$?
    [ "$status" = 64 ]
    status=0
    "$PGKEEL" install /a /b || status=$?
    [ "$status" = 64 ]
}

test_install() {
    check "install: the file installs itself and runs in Debian 13 with PostgreSQL 17 as uid 26" \
        installs_and_runs postgres:17 26:26
    check "install: the file installs itself and runs in Debian 12 with PostgreSQL 15 as uid 100, gid 102" \
        installs_and_runs postgres:15 100:102
    check "install: the file installs itself and runs where there is nothing else, not even /proc" \
        installs_and_runs empty 70000:70000
    check "install: the file finds itself when it was started from a descriptor" finds_itself_with_proc
    check "install: the file runs as PID 1 in Debian 12" runs_as_pid_1 postgres:15 100:102
    check "install: the file runs as PID 1 where there is nothing else" runs_as_pid_1 empty 70000:70000
    check "install: a second run writes nothing, and passes on a volume that became read-only" leaves_what_is_there
    check "install: an older file is replaced while it runs" replaces_a_running_older_file
    check "install: what a killed run left is replaced" replaces_what_a_killed_run_left
    check "install: the mode is 0755 whatever the umask" heeds_no_umask
    check "install: six runs at once end in one whole file" lets_many_run_at_once
    check "install: a missing folder and a file in its place are named" names_a_missing_folder
    check "install: a read-only volume is named with its remedy" names_a_read_only_volume
    check "install: a folder of another owner is named with uid and gid" names_a_foreign_folder
    check "install: a full volume is named and keeps the old file" names_a_full_volume
    check "install: a folder in the file's place is named" names_a_folder_in_the_way
    check "install: no folder or two are a usage error" wants_one_folder
}
