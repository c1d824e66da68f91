"""Debian trees: those of the image's certificates, of the Containerfile's base and of PostgreSQL's test images."""
import subprocess

from lib.runner import check, equal, test
from rig import machine, says, succeeded


def tree(box, *packages, suites="trixie"):
    done = box.shell('debian_tree extract "%s" $PGKEEL_CACHE/tree.tar %s' % (suites, " ".join(packages)),
                     own_packages=False)
    return done


def inside(box, path):
    """A file of the tree, or None."""
    got = subprocess.run(["tar", "-xOf", box.cache + "/tree.tar", "./" + path], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, check=False)
    return got.stdout if got.returncode == 0 else None


def add(place, suite, name, version, **fields):
    return place.add_deb(suite, name, version, fields, {"usr/share/%s" % name: version})


def trixie(box):
    box.main.publish("trixie")
    box.security.publish("trixie")
    box.publish()


@test("A tree is made past a version that the index lists and the mirror lacks, cuts off or lies about",
      long=True)
def older_version():
    for fault in ("lack", "cut", "lie"):
        with machine() as box:
            add(box.main, "trixie", "pgkeel-thing", "1.0-1", Depends="pgkeel-part")
            add(box.main, "trixie", "pgkeel-part", "1.0-1")
            add(box.security, "trixie", "pgkeel-part", "1.0-2")
            trixie(box)
            box.server.fault(fault, r"pgkeel-part_1\.0-2")
            succeeded(tree(box, "pgkeel-thing"))
            equal(inside(box, "usr/share/pgkeel-part"), "1.0-1", "the version in the tree")


@test("A tree takes a package from the release's other pockets when its own suites have none that is whole")
def pocket():
    with machine() as box:
        add(box.main, "trixie", "pgkeel-thing", "1.0-1")
        add(box.main, "trixie-backports", "pgkeel-thing", "1.1-1")
        trixie(box)
        box.server.fault("lack", r"pgkeel-thing_1\.0-1")
        succeeded(tree(box, "pgkeel-thing"))
        equal(inside(box, "usr/share/pgkeel-thing"), "1.1-1", "the version in the tree")


@test("A tree of the next suite stands in where one is named")
def next_suite():
    with machine() as box:
        add(box.main, "trixie", "pgkeel-thing", "1.0-1")
        add(box.main, "forky", "pgkeel-thing", "2.0-1")
        trixie(box)
        box.main.publish("forky")
        box.server.fault("lack", r"pgkeel-thing_1\.0-1")
        done = succeeded(tree(box, "pgkeel-thing", suites="trixie forky"))
        equal(inside(box, "usr/share/pgkeel-thing"), "2.0-1", "the version in the tree")
        says(done, "WARNING", "forky")


@test("A tree that cannot be made is told with each place, its answer and the remedy, and leaves nothing")
def nowhere():
    with machine() as box:
        path = add(box.main, "trixie", "pgkeel-thing", "1.0-1")
        trixie(box)
        box.server.fault("lack", path)
        done = tree(box, "pgkeel-thing")
        check(done.returncode != 0, "a tree was made:\n%s", done.stdout)
        says(done, box.main.url + "/" + path, "404", "sources.list")
        equal(inside(box, "usr/share/pgkeel-thing"), None, "what is in the tree")
