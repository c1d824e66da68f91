"""
Which PostgreSQL the suite runs: the host's newest, or the major that PGKEEL_POSTGRES names. A major
that this host does not have comes out of its test image (hack/pgimages) and runs in a chroot, where
its own libc and users are; only root can do that.
"""
import fcntl
import os
import re
import shutil
import subprocess

from lib import runner

FOLDERS = ("/usr/lib/postgresql/%d/bin", "/usr/pgsql-%d/bin")
# In a mount namespace of its own: ROOT FOLDER PGKEEL UID COMMAND...
ENTER = """set -e
root=$1 folder=$2 program=$3 uid=$4
shift 4
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir -p "$root$folder"
mount --bind "$folder" "$root$folder"
touch "$root/tmp/pgkeel"
mount --bind "$program" "$root/tmp/pgkeel"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec setpriv --no-new-privs chroot --userspec="$uid:$uid" --groups= "$root" /tmp/pgkeel "$@"
"""


class Programs:
    """root is None for the host's own; uid is None where any may be used."""

    def __init__(self, major, bindir, root=None, uid=None):
        self.major, self.bindir, self.root, self.uid = major, bindir, root, uid


def _on_host(major):
    for pattern in FOLDERS:
        if os.access(os.path.join(pattern % major, "initdb"), os.X_OK):
            return pattern % major
    return None


def _newest_on_host():
    for major in range(18, 13, -1):
        if _on_host(major):
            return Programs(major, _on_host(major))
    raise runner.Skipped("no PostgreSQL server is installed here")


def _pgimages(*words):
    done = subprocess.run([os.path.join(runner.ROOT, "hack", "pgimages"), *words],
                          capture_output=True, text=True, check=False)
    # A suite that is not released yet moves on to the next major, and a mirror may keep an old copy.
    gone = re.search("Unable to locate package postgresql-.*|Release file .* is expired", done.stderr)
    if gone:
        raise runner.Skipped("hack/pgimages %s: %s" % (" ".join(words), gone.group()))
    runner.check(done.returncode == 0, "hack/pgimages %s: %s", " ".join(words), done.stderr)
    return done.stdout.strip()


def _unpacked(name):
    """The image's files, laid out once per content."""
    archive = _pgimages("build", name)
    content = os.path.basename(os.path.dirname(archive))
    where = os.path.join(runner.BUILD, "postgres")
    root = os.path.join(where, "%s-%s" % (name.replace(":", "-"), content))
    os.makedirs(where, exist_ok=True)
    with open(os.path.join(where, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(root):
            shutil.rmtree(root + ".new", ignore_errors=True)
            _pgimages("unpack", name, root + ".new")
            os.chmod(root + ".new", 0o755)
            os.rename(root + ".new", root)
    return root


def _from_image(major):
    if os.geteuid() != 0:
        raise runner.Skipped("PostgreSQL %d is not installed here, and only root can use its image"
                             % major)
    root = _unpacked("postgres:%d" % major)
    with open(os.path.join(root, "etc", "passwd")) as accounts:
        entry = next(line for line in accounts if line.startswith("postgres:"))
    return Programs(major, FOLDERS[0] % major, root, int(entry.split(":")[2]))


def find(major=None):
    major = major or int(os.environ.get("PGKEEL_POSTGRES") or 0)
    if not major:
        return _newest_on_host()
    return Programs(major, _on_host(major)) if _on_host(major) else _from_image(major)


def psql():
    """The host's: that of an image needs the image's libraries."""
    found = shutil.which("psql")
    if not found:
        raise runner.Skipped("psql is not installed here")
    return found
