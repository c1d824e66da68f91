"""clang-format: from pip's index, or from Debian's packages."""
import glob
import os

from lib.runner import check, test
from rig import machine, says, succeeded


def read(path):
    with open(path, "rb") as source:
        return source.read()


@test("Where pip's index has no clang-format, Debian's is taken, with its own loader and libraries")
def formatter():
    with machine() as box:
        loader = glob.glob("/lib64/ld-linux*.so.*") + glob.glob("/lib/ld-linux*.so.*")
        libraries = glob.glob("/lib/*-linux-gnu/libc.so.6")
        files = {loader[0].lstrip("/"): read(loader[0]), "usr/bin/clang-format-14": read("/bin/echo")}
        files.update({path.lstrip("/"): read(path) for path in libraries})
        box.main.add_deb("bookworm", "clang-format-14", "1:14.0.6-12", None, files)
        box.main.publish("bookworm")
        box.security.publish("bookworm")
        box.publish()
        # An empty folder first on the path hides this machine's own.
        hidden = box.folder + "/bin"
        os.mkdir(hidden)
        for name in ("clang-format", "clang-format-14"):
            with open(os.path.join(hidden, name), "w") as out:
                out.write("#!/bin/sh\nexit 127\n")
            os.chmod(os.path.join(hidden, name), 0o755)
        done = succeeded(box.run("hack/clang-format", "some", "words", own_packages=False,
                                 PIP_INDEX_URL=box.server.url + "/simple", PIP_NO_CACHE_DIR="1",
                                 PATH=hidden + ":" + os.environ["PATH"]))
        says(done, "WARNING", "some words")
        check(box.server.count("^/simple/clang-format/") > 0, "pip's index was not asked")
