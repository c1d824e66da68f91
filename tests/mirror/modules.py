"""Go modules and the Go toolchain, by a module proxy of our own."""
import base64
import hashlib
import io
import os
import shutil
import zipfile

from lib.runner import Skipped, check, equal, test
from rig import machine, says, succeeded
from server import Server

GO = next((path for path in (shutil.which("go"), "/usr/local/go/bin/go", "/usr/bin/go")
           if path and os.access(path, os.X_OK)), None)
NAME, VERSION = "example.test/part", "v1.0.0"


def go_hash(files):
    """The h1: hash of {name: data}, as go.sum has it."""
    lines = "".join("%s  %s\n" % (hashlib.sha256(data).hexdigest(), name) for name, data in sorted(files.items()))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()


def module():
    """go.mod, the zip, and go.sum's lines."""
    mod = b"module example.test/part\n\ngo 1.21\n"
    at = "%s@%s/" % (NAME, VERSION)
    files = {at + "go.mod": mod, at + "part.go": b"package part\n"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    sums = "%s %s %s\n%s %s/go.mod %s\n" % (NAME, VERSION, go_hash(files), NAME, VERSION, go_hash({"go.mod": mod}))
    return mod, out.getvalue(), sums


def serve(server):
    mod, packed, _ = module()
    base = "/go/%s/@v/%s" % (NAME, VERSION)
    server.files.update({base + ".mod": mod, base + ".zip": packed,
                         base + ".info": b'{"Version": "v1.0.0", "Time": "2026-01-01T00:00:00Z"}'})


def project(box, go="1.21"):
    """A folder like hack/testcluster.d with one module to build."""
    for name in ("kube", "containerd", "runc"):
        folder = os.path.join(box.folder, "cluster", name)
        os.makedirs(folder)
        with open(folder + "/go.mod", "w") as out:
            out.write("module example.test/%s\n\ngo %s\n\nrequire %s %s\n" % (name, go, NAME, VERSION))
        with open(folder + "/go.sum", "w") as out:
            out.write(module()[2])


def fetch(box, script="GO=$USE_GO; fetch_modules kube", **more):
    if GO is None:
        raise Skipped("no Go on this machine")
    values = {"GOPROXY": box.server.url + "/go", "GOSUMDB": "off", "GOMODCACHE": box.folder + "/modules",
              "GOFLAGS": "-modcacherw", "USE_GO": GO, "GIT_TERMINAL_PROMPT": "0"}
    values.update(more)
    return box.run("bash", "-Eeuo", "pipefail", "-c",
                   "P=$PWD/hack/testcluster.d; . $P/common.sh; . $P/packages.sh; HERE=%s/cluster; "
                   "STATE=$PGKEEL_CACHE/state; mkdir -p $STATE/log; %s" % (box.folder, script),
                   own_packages=False, **values)


@test("Modules that the first proxy lacks, cuts off or lies about come from the next one")
def next_proxy():
    for fault in ("lack", "cut", "lie"):
        with machine() as box:
            project(box)
            serve(box.server)
            other = Server()
            serve(other)
            box.server.fault(fault, r"\.zip$")
            succeeded(fetch(box, GOPROXY="%s/go,%s/go" % (box.server.url, other.url)))
            check(other.count(r"\.zip$") >= 1, "the second proxy was not asked after '%s'", fault)
            other.end()


@test("A module that no proxy gives rightly is refused; each proxy, its answer and the remedy are named")
def refused():
    for fault, word in (("lack", "404"), ("lie", "")):
        with machine() as box:
            project(box)
            serve(box.server)
            box.server.fault(fault, r"\.zip$")
            done = fetch(box)
            check(done.returncode != 0, "a module was taken after '%s':\n%s", fault, done.stdout)
            says(done, "kube", box.server.url, "GOPROXY", word)


@test("Only the proxies that the machine names are asked for modules")
def only_named():
    with machine() as box:
        project(box)
        done = fetch(box, GOPROXY="off")
        check(done.returncode != 0, "a module came from somewhere:\n%s", done.stdout)
        equal(len(box.server.asked), 0, "requests")
        says(done, "GOPROXY")


@test("Where no proxy has the Go that the modules ask for, Debian's own stands in")
def toolchain():
    with machine() as box:
        project(box, go="1.99.1")
        serve(box.server)
        script = "#!/bin/sh\ncase $1 in env) echo go1.99.3 ;; version) echo go version go1.99.3 ;; esac\n"
        for suite, version in (("trixie-backports", "1.99.0-1"), ("forky", "1.99.3-1")):
            text = script.replace("1.99.3", version.split("-")[0])
            box.main.add_deb(suite, "golang-1.99-go", version, {"Depends": "golang-1.99-src"},
                             {"usr/lib/go-1.99/bin/go": text})
            box.main.add_deb(suite, "golang-1.99-src", version, None, {"usr/share/go-1.99/src/x.go": "package x\n"})
        box.main.publish("trixie")
        box.publish()
        done = fetch(box, "GO=$USE_GO; need_toolchain kube; echo chosen $GO; $GO version", GOTOOLCHAIN="auto")
        succeeded(done)
        says(done, "go version go1.99.3", box.cache)
