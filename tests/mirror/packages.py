"""Packages of the machine itself: hack/prerequisites, and what the other scripts install."""
from lib.runner import check, equal, test
from rig import CODENAME, machine, says, succeeded


def need(box, *packages, **more):
    return box.shell("need_packages " + " ".join(packages), **more)


@test("A machine without package lists gets what it lacks")
def no_lists():
    with machine() as box:
        box.main.add_deb(CODENAME, "pgkeel-thing", "1.0-1")
        box.publish()
        succeeded(need(box, "pgkeel-thing"))
        equal(box.installed("pgkeel-thing"), "1.0-1", "the version")


@test("Lists that name a version which the mirror no longer has are read again")
def stale_lists():
    with machine() as box:
        old = box.main.add_deb(CODENAME, "pgkeel-thing", "1.0-1")
        box.publish()
        box.update()
        box.main.suites.clear()
        box.main.add_deb(CODENAME, "pgkeel-thing", "1.0-2")
        box.publish()
        box.server.fault("lack", old)
        succeeded(need(box, "pgkeel-thing"))
        equal(box.installed("pgkeel-thing"), "1.0-2", "the version")


@test("A version that the index lists and the mirror lacks, cuts off or lies about gives way to an older one")
def index_ahead_of_pool():
    for fault in ("lack", "cut", "lie"):
        with machine() as box:
            box.main.add_deb(CODENAME, "pgkeel-thing", "1.0-1", {"Depends": "pgkeel-part"})
            box.main.add_deb(CODENAME, "pgkeel-part", "2:1.0-1")
            box.security.add_deb(CODENAME, "pgkeel-part", "2:1.0-2+deb1u1")
            box.publish()
            box.server.fault(fault, r"pgkeel-part_1\.0-2")
            done = succeeded(need(box, "pgkeel-thing"))
            equal(box.installed("pgkeel-part"), "2:1.0-1", "the version, with a mirror that is told to %s" % fault)
            says(done, "pgkeel-part", "1.0-2+deb1u1")


@test("Packages that want each other's very version go back together")
def siblings():
    with machine() as box:
        for version, place in (("1.0-1", box.main), ("1.0-2", box.security)):
            box_fields = {"Depends": "pgkeel-part (= %s)" % version, "Source": "pgkeel-source"}
            place.add_deb(CODENAME, "pgkeel-thing", version, box_fields)
            place.add_deb(CODENAME, "pgkeel-part", version, {"Source": "pgkeel-source"})
        box.publish()
        box.server.fault("lack", r"pgkeel-part_1\.0-2")
        succeeded(need(box, "pgkeel-thing"))
        equal(box.installed("pgkeel-thing"), "1.0-1", "the version")


@test("When the release's own suites have no whole version left, its backports are asked")
def pockets():
    with machine() as box:
        box.main.add_deb(CODENAME, "pgkeel-thing", "1.0-1")
        box.main.add_deb(CODENAME + "-backports", "pgkeel-thing", "1.1-1~bpo1")
        box.publish()
        box.server.fault("lack", r"pgkeel-thing_1\.0-1")
        succeeded(need(box, "pgkeel-thing"))
        equal(box.installed("pgkeel-thing"), "1.1-1~bpo1", "the version")


@test("A package that cannot be had anywhere is named with each place, its answer and the remedy")
def nowhere():
    with machine() as box:
        path = box.main.add_deb(CODENAME, "pgkeel-thing", "1.0-1")
        box.publish()
        box.server.fault("lack", path)
        done = need(box, "pgkeel-thing")
        check(done.returncode != 0, "it was installed:\n%s", done.stdout)
        says(done, "pgkeel-thing", box.main.url + "/" + path, "404", "apt.log", "sources.list")


@test("apt's own progress stays out of sight when all goes well, and is shown when it does not",
      long=True)
def noise():
    with machine() as box:
        box.main.add_deb(CODENAME, "pgkeel-thing", "1.0-1")
        box.publish()
        done = succeeded(need(box, "pgkeel-thing"))
        check("Selecting" not in done.stdout and "Unpacking" not in done.stdout, "noise:\n%s", done.stdout)
        says(done, "pgkeel-thing")
        done = need(box, "pgkeel-no-such-thing")
        check(done.returncode != 0, "it was installed")
        says(done, "Unable to locate package")


@test("Without root the missing packages and the command are named, and nothing is tried")
def no_root():
    with machine() as box:
        box.publish()
        done = box.shell("id() { echo 1000; }; need_packages pgkeel-thing")
        check(done.returncode != 0, "it claimed success")
        says(done, "pgkeel-thing", "apt-get install")
        equal(len(box.server.asked), 0, "requests")


@test("hack/prerequisites installs past a version that its mirror lists and lacks")
def prerequisites():
    with machine() as box:
        for name in ("gcc make libc6-dev pkg-config ca-certificates curl jq xz-utils").split():
            box.main.add_deb(CODENAME, name, "1-1")
        box.main.add_deb(CODENAME, "ccache", "1-1")
        box.security.add_deb(CODENAME, "ccache", "1-2")
        box.publish()
        box.server.fault("lack", "ccache_1-2")
        succeeded(box.run("hack/prerequisites", "build"))
        equal(box.installed("ccache"), "1-1", "the version of ccache")
        equal(box.installed("jq"), "1-1", "the version of jq")


@test("The test cluster installs past a version that its mirror lists and lacks")
def cluster():
    with machine() as box:
        box.main.add_deb(CODENAME, "pgkeel-thing", "1-1")
        box.security.add_deb(CODENAME, "pgkeel-thing", "1-2")
        box.publish()
        box.server.fault("lack", "pgkeel-thing_1-2")
        done = box.run("bash", "-Eeuo", "pipefail", "-c",
                       "HERE=$PWD/hack/testcluster.d; . $HERE/common.sh; . $HERE/packages.sh; "
                       "STATE=$PGKEEL_CACHE/state; need_packages pgkeel-thing")
        succeeded(done)
        equal(box.installed("pgkeel-thing"), "1-1", "the version")
