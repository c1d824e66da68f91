"""A machine whose apt knows nothing but the archives of a test, and that keeps its own packages out of it."""
import contextlib
import os
import shutil
import subprocess
import tempfile

import archive
from lib.runner import ROOT, check
from server import Server

CODENAME = next(line.split("=")[1].strip() for line in open("/etc/os-release")
                if line.startswith("VERSION_CODENAME="))


class Machine:
    """Folders for apt, dpkg and the project's cache; environment() points every tool at them."""

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        self.main = archive.Archive(server, "/debian")
        self.security = archive.Archive(server, "/security", "-security")
        self.cache = os.path.join(folder, "cache")
        self.root = os.path.join(folder, "root")
        for path in ("etc/apt.conf.d", "etc/preferences.d", "etc/sources.list.d", "etc/trusted.gpg.d",
                     "state/lists/partial", "aptcache/archives/partial", "root/var/lib/dpkg/info",
                     "root/var/lib/dpkg/updates", "cache", "tmp", "home"):
            os.makedirs(os.path.join(folder, path))
        for path in ("root/var/lib/dpkg/status", "root/var/lib/dpkg/available"):
            open(os.path.join(folder, path), "w").close()
        self.settings = {"Dir::Etc": folder + "/etc/", "Dir::State": folder + "/state/",
                         "Dir::Cache": folder + "/aptcache/", "APT::Sandbox::User": "root",
                         "Dir::State::status": self.root + "/var/lib/dpkg/status",
                         "Acquire::Retries::Delay": "false"}
        self.with_sources(("deb", self.main, CODENAME), ("deb", self.security, CODENAME + "-security"))

    def with_sources(self, *lines):
        """One-line sources; with_deb822 is the other form."""
        keyring = archive.key() + "/public.gpg"
        self._write("etc/sources.list", "".join("%s [signed-by=%s] %s %s main\n" % (
            kind, keyring, one.url, suite) for kind, one, suite in lines))

    def with_deb822(self, *stanzas):
        keyring = archive.key() + "/public.gpg"
        self._write("etc/sources.list", "")
        self._write("etc/sources.list.d/debian.sources", "\n".join(
            "Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n" % (
                one.url, suites, keyring) for one, suites in stanzas))

    def _write(self, path, text):
        with open(os.path.join(self.folder, path), "w") as out:
            out.write(text)

    def publish(self):
        """Both archives' indexes, and the machine's lists as a first apt-get update leaves them."""
        self.main.publish(CODENAME)
        self.security.publish(CODENAME)

    def environment(self, own_packages=True):
        """own_packages: dpkg, too, sees the test's packages and not this machine's."""
        self._write("apt.conf", "".join('%s "%s";\n' % pair for pair in self.settings.items()))
        kept = {name: value for name, value in os.environ.items()
                if not name.lower().endswith("_proxy") and name not in ("GOFLAGS", "GOPROXY")}
        kept.update(APT_CONFIG=self.folder + "/apt.conf", PGKEEL_CACHE=self.cache, LC_ALL="C",
                    TMPDIR=self.folder + "/tmp", HOME=self.folder + "/home")
        if own_packages:
            kept["DPKG_ROOT"] = self.root
        return kept

    def run(self, command, *arguments, own_packages=True, seconds=300, **more):
        """A program of the repository, or of the machine; its two streams are one."""
        environment = self.environment(own_packages)
        environment.update(more)
        return subprocess.run([command, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                              timeout=seconds, check=False)

    def shell(self, script, **more):
        """A bash script with the functions that the scripts of hack/ share."""
        parts = "deps.d/lib.sh deps.d/apt.sh deps.d/fetch.sh image.d/debian.sh".split()
        return self.run("bash", "-euo", "pipefail", "-c", "HERE=%s/hack LOG_NAME=test\n%s\n%s" % (
            ROOT, "\n".join(". $HERE/" + part for part in parts), script), **more)

    def update(self):
        done = self.run("apt-get", "-qq", "update")
        check(done.returncode == 0, "apt-get update: %s", done.stdout)

    def installed(self, package):
        """The version, or None."""
        asked = self.run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", package)
        return asked.stdout.split()[1] if asked.stdout.startswith("installed ") else None


@contextlib.contextmanager
def machine():
    folder = tempfile.mkdtemp(prefix="pgkeel-mirror-")
    server = Server()
    try:
        yield Machine(folder, server)
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


def says(done, *words):
    """What was said has all of the words in it."""
    for word in words:
        check(word in done.stdout, "no '%s' in what was said:\n%s", word, done.stdout)


def succeeded(done):
    check(done.returncode == 0, "exit code %d:\n%s", done.returncode, done.stdout)
    return done
