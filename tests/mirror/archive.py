"""A Debian archive of our own: a few tiny packages, in an index signed by a key made here."""
import functools
import hashlib
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile

from lib import runner

ARCHITECTURE = subprocess.run(["dpkg", "--print-architecture"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout.strip()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def tar(files, compression="xz"):
    """An archive of {path: text or bytes}; a path that ends in .sh or holds bin/ is executable."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:" + compression) as archive:
        for path, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755 if "bin/" in path else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@functools.lru_cache(maxsize=None)
def key():
    """A folder with a key pair; `public` in it is the keyring that apt is shown."""
    home = tempfile.mkdtemp(prefix="pgkeel-mirror-key-")
    runner.suite.cleanup.append(lambda: _forget_key(home))
    _gpg(home, "--quick-generate-key", "mirror@example.test", "rsa3072", "sign", "never")
    with open(os.path.join(home, "public.gpg"), "wb") as out:
        out.write(_gpg(home, "--export"))
    return home


def _forget_key(home):
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], stderr=subprocess.DEVNULL, check=False)
    shutil.rmtree(home, ignore_errors=True)


def _gpg(home, *arguments, data=b""):
    return subprocess.run(["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", "", *arguments],
                          input=data, stdout=subprocess.PIPE, check=True).stdout


def deb(name, version, fields=None, files=None):
    """A binary package, as dpkg-deb makes it."""
    with tempfile.TemporaryDirectory() as folder:
        work, path = os.path.join(folder, "tree"), os.path.join(folder, "out.deb")
        control = {"Package": name, "Version": version, "Architecture": ARCHITECTURE,
                   "Maintainer": "Nobody <nobody@example.test>", "Description": "made by a test"}
        control.update(fields or {})
        os.makedirs(os.path.join(work, "DEBIAN"))
        with open(os.path.join(work, "DEBIAN", "control"), "w") as out:
            out.writelines("%s: %s\n" % pair for pair in control.items())
        for name_in, content in (files or {"usr/share/doc/%s/copyright" % name: "free\n"}).items():
            target = os.path.join(work, name_in)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with open(target, "wb") as out:
                out.write(content.encode() if isinstance(content, str) else content)
            os.chmod(target, 0o755 if "bin/" in name_in or ".so" in name_in else 0o644)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", work, path],
                       stdout=subprocess.DEVNULL, check=True)
        with open(path, "rb") as built:
            return control, built.read()


class Archive:
    """One archive below a path of a server; kind is "" or "-security"."""

    def __init__(self, server, path, kind=""):
        self.server, self.path, self.kind = server, path, kind
        self.pool = "pool/updates/main" if kind == "-security" else "pool/main"
        self.suites = {}
        self.host = server.url

    @property
    def url(self):
        return self.host + self.path

    def _suite(self, suite):
        # apt does not keep an index that is empty; no real one is.
        return self.suites.setdefault(suite + self.kind, {
            "Packages": ["Package: pgkeel-other\nVersion: 1\nArchitecture: all\nFilename: other\nSize: 1\n"
                         "SHA256: %s\n" % sha256(b"?")],
            "Sources": ["Package: pgkeel-other\nBinary: pgkeel-other\nVersion: 1\nDirectory: other\n"
                        "Files:\n %s 1 other_1.dsc\nChecksums-Sha256:\n %s 1 other_1.dsc\n" % (
                            hashlib.md5(b"?").hexdigest(), sha256(b"?"))]})

    def _folder(self, name):
        return "%s/%s/%s" % (self.pool, name[:4] if name.startswith("lib") else name[:1], name)

    def put(self, path, data):
        self.server.files["%s/%s" % (self.path, path)] = data

    def add_deb(self, suite, name, version, fields=None, files=None):
        """Into pool and index; returns its path below the archive."""
        control, data = deb(name, version, fields, files)
        path = "%s/%s_%s_%s.deb" % (self._folder(name), name, version.split(":")[-1], ARCHITECTURE)
        self.put(path, data)
        self._suite(suite)["Packages"].append(
            "".join("%s: %s\n" % pair for pair in control.items()) +
            "Filename: %s\nSize: %d\nSHA256: %s\n" % (path, len(data), sha256(data)))
        return path

    def add_source(self, suite, name, version, index=True, text="int one;\n"):
        """A source package of two archives; returns [(path, sha256)] of both, upstream's first."""
        upstream = version.rsplit("-", 1)[0].split(":")[-1]
        made = [("%s_%s.orig.tar.xz" % (name, upstream), tar({"%s-%s/one.c" % (name, upstream): text})),
                ("%s_%s.debian.tar.xz" % (name, version), tar({"debian/patches/series": ""}))]
        for file, data in made:
            self.put("%s/%s" % (self._folder(name), file), data)
        if index:
            self._suite(suite)["Sources"].append(
                "Package: %s\nBinary: %s\nVersion: %s\nFormat: 3.0 (quilt)\nDirectory: %s\nFiles:\n" %
                (name, name, version, self._folder(name)) +
                "".join(" %s %d %s\n" % (hashlib.md5(d).hexdigest(), len(d), f) for f, d in made) +
                "Checksums-Sha256:\n" +
                "".join(" %s %d %s\n" % (sha256(d), len(d), f) for f, d in made))
        return [("%s/%s" % (self._folder(name), file), sha256(data)) for file, data in made]

    def publish(self, *suites):
        """Writes the indexes of the suites (those that were added to, and the empty ones named)."""
        for suite in suites:
            self._suite(suite)
        for suite, indexes in self.suites.items():
            listed = []
            for kind, place in (("Packages", "binary-" + ARCHITECTURE), ("Sources", "source")):
                path, plain = "main/%s/%s" % (place, kind), "\n".join(indexes[kind]).encode()
                packed = lzma.compress(plain)
                self.put("dists/%s/%s.xz" % (suite, path), packed)
                # apt wants the plain file named, too, though it fetches the small one.
                listed += [" %s %d %s\n" % (sha256(data), len(data), name)
                           for data, name in ((plain, path), (packed, path + ".xz"))]
            release = ("Origin: Debian\nLabel: Debian\nSuite: %s\nCodename: %s\n"
                       "Date: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: %s\nComponents: main\n"
                       "SHA256:\n%s" % (suite, suite, ARCHITECTURE, "".join(listed)))
            self.put("dists/%s/InRelease" % suite,
                     _gpg(key(), "--digest-algo", "SHA512", "--clear-sign", data=release.encode()))
