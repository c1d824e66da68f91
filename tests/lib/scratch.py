"""Where tests put what they make by the thousand files and throw away."""
import os
import tempfile

ROOM = 4 << 30  # bytes; a suite of agents uses a fraction of it


def folder():
    """
    PGKEEL_SCRATCH, or a file system in memory that has room to spare, or the usual place for
    temporary files. Making and removing data directories is most of what the disk does in a test
    run, and a test that takes power away from the machine is none of these.
    """
    named = os.environ.get("PGKEEL_SCRATCH")
    if named:
        return named
    return "/dev/shm" if _in_memory("/dev/shm") else tempfile.gettempdir()


def _in_memory(where):
    try:
        with open("/proc/mounts") as mounts:
            if not any(line.split()[1:3] == [where, "tmpfs"] for line in mounts):
                return False
        state = os.statvfs(where)
    except (OSError, ValueError):
        return False
    # Twice: what is written there is no more for the programs that write it.
    return (os.access(where, os.W_OK) and not state.f_flag & os.ST_NOEXEC
            and state.f_bavail * state.f_frsize >= ROOM and memory() >= 2 * ROOM)


def memory():
    """Bytes that programs may still take."""
    try:
        with open("/proc/meminfo") as source:
            fields = dict(line.split(":") for line in source)
        return int(fields["MemAvailable"].split()[0]) << 10
    except (OSError, ValueError, LookupError):
        return 0
