"""Source packages: pinned ones, and what stands in for them."""
import os

from lib.runner import check, equal, test
from rig import CODENAME, machine, says, succeeded

PINNED = "1.2.3-1+deb13u1"


def table(box, *rows):
    """sources.table with rows (package, version, series, [(path, sha256)]), and "optional" behind some."""
    path = os.path.join(box.folder, "table")
    with open(path, "w") as out:
        for package, version, series, files, *more in rows:
            out.write(" ".join([package, version, series, "xz", files[0][1], files[1][1], *more]) + "\n")
    return path


def fetch(box, rows, package="libthing"):
    """fetch_source's exit code and words, and the two paths it printed."""
    return box.shell("SOURCE_TABLE=%s; fetch_source %s >$PGKEEL_CACHE/answer" % (table(box, *rows), package))


def answer(box):
    with open(box.cache + "/answer") as out:
        return [os.path.basename(path) for path in out.read().split()]


def files_of(version):
    return ["libthing_%s.orig.tar.xz" % version.split("-")[0], "libthing_%s.debian.tar.xz" % version]


@test("A pinned source is taken from its place in the pool, whatever the index lists, and no index is read")
def pinned_from_pool():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED, index=False)
        newer = box.main.add_source("trixie", "libthing", "1.2.4-1")
        box.publish()
        box.server.fault("lack", newer[0][0].replace("+", r"\+"))
        succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
        equal(answer(box), files_of(PINNED), "the archives")
        equal(box.server.count("Sources"), 0, "times an index of sources was asked for")


@test("A pinned source is found in the security archive, below pool/updates")
def pinned_from_security():
    with machine() as box:
        pinned = box.security.add_source("trixie", "libthing", PINNED, index=False)
        box.publish()
        succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
        equal(answer(box), files_of(PINNED), "the archives")


@test("A mirror that lies about a pinned source, or cuts it off, is left for the next one")
def lying_pool():
    for fault in ("lie", "cut"):
        with machine() as box:
            box.main.add_source("trixie", "libthing", PINNED, index=False)
            pinned = box.security.add_source("trixie", "libthing", PINNED, index=False)
            box.publish()
            box.server.fault(fault, r"^/debian/pool/.*\.orig\.tar")
            succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
            equal(answer(box), files_of(PINNED), "the archives")


@test("Where the pinned source is gone, the newest of its series that can be had stands in, with a warning")
def newest_of_series():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED, index=False)
        box.main.add_source("trixie", "libthing", "1.2.4-1")
        box.main.add_source("trixie", "libthing", "1.2.5-1")
        box.main.add_source("trixie", "libthing", "1.3.0-1")
        box.publish()
        box.main.publish("trixie")
        box.server.fault("lack", r"libthing_1\.2\.[35]")
        done = succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
        equal(answer(box), files_of("1.2.4-1"), "the archives")
        says(done, "WARNING", "1.2.4-1")


@test("A neighbouring suite is asked when the pinned one has nothing of the series")
def neighbouring_suite():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED, index=False)
        box.main.add_source("forky", "libthing", "1.2.9-1")
        box.main.publish("trixie")
        box.publish()
        box.server.fault("lack", r"libthing_1\.2\.3")
        succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
        equal(answer(box), files_of("1.2.9-1"), "the archives")


@test("A second pin is taken from the pool when neither the first nor its series can be had")
def second_pin():
    with machine() as box:
        first = box.main.add_source("trixie", "libthing", PINNED, index=False)
        second = box.main.add_source("trixie", "libthing", "1.1.0-1", index=False)
        box.publish()
        box.server.fault("lack", r"libthing_1\.2\.3|/dists/trixie/main/source/")
        done = succeeded(fetch(box, [("libthing", PINNED, "1.2.", first), ("libthing", "1.1.0-1", "1.1.", second)]))
        equal(answer(box), files_of("1.1.0-1"), "the archives")
        says(done, "WARNING", "1.1.0-1")


@test("A version that mirrors are still getting is taken where a pool has it, without a word and without an index")
def optional_version():
    with machine() as box:
        newer = box.security.add_source("trixie", "libthing", "1.3.0-1", index=False)
        older = box.main.add_source("trixie", "libthing", PINNED, index=False)
        box.publish()
        done = succeeded(fetch(box, [("libthing", "1.3.0-1", "1.3.", newer, "optional"),
                                     ("libthing", PINNED, "1.2.", older)]))
        equal(answer(box), files_of("1.3.0-1"), "the archives")
        equal(box.server.count("Sources"), 0, "times an index of sources was asked for")
        check("WARNING" not in done.stdout, "a warning:\n%s", done.stdout)


@test("Where no pool has it yet, the next pin is taken at once, and both versions are named")
def optional_version_to_come():
    with machine() as box:
        newer = box.main.add_source("trixie", "libthing", "1.3.0-1")
        older = box.main.add_source("trixie", "libthing", PINNED, index=False)
        box.publish()
        box.main.publish("trixie")
        box.server.fault("lack", r"libthing_1\.3")
        rows = [("libthing", "1.3.0-1", "1.3.", newer, "optional"), ("libthing", PINNED, "1.2.", older)]
        done = succeeded(fetch(box, rows))
        equal(answer(box), files_of(PINNED), "the archives")
        equal(box.server.count("Sources"), 0, "times an index of sources was asked for")
        says(done, "WARNING", "1.3.0-1", PINNED)
        # What lies in the cache serves a machine that reaches no mirror at all.
        box.with_sources()
        succeeded(fetch(box, rows))
        equal(answer(box), files_of(PINNED), "the archives without a mirror")


@test("Where both are gone from the pools, what the indexes have stands in, with a warning, unless it is older")
def optional_series():
    for lacks, stands_in in (("3\\.0|2", "1.4.0-1"), ("3\\.0|2|4", None)):
        with machine() as box:
            newer = box.main.add_source("trixie", "libthing", "1.3.0-1", index=False)
            older = box.main.add_source("trixie", "libthing", PINNED, index=False)
            for version in ("1.4.0-1", "1.1.0-1"):
                box.main.add_source("forky", "libthing", version)
            box.main.publish("trixie")
            box.publish()
            box.server.fault("lack", r"libthing_1\.(%s)" % lacks)
            done = fetch(box, [("libthing", "1.3.0-1", "1.", newer, "optional"), ("libthing", PINNED, "1.2.", older)])
            if stands_in:
                equal(answer(box), files_of(stands_in), "the archives")
                says(succeeded(done), "WARNING", stands_in)
            else:
                check(done.returncode != 0, "an older version was taken:\n%s", done.stdout)


@test("A lie that is told everywhere is refused; each place, its answer and the remedy are named")
def lies_everywhere():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED)
        box.main.publish("trixie")
        box.publish()
        box.server.fault("lie", r"\.orig\.tar")
        done = fetch(box, [("libthing", PINNED, "1.2.", pinned)])
        check(done.returncode != 0, "a source with another hash was taken:\n%s", done.stdout)
        says(done, "libthing", box.main.url + "/" + pinned[0][0], "Hash Sum mismatch",
             box.security.url, "404", "/src")
        left = [name for name in os.listdir(box.cache + "/src") if ".orig." in name]
        equal(left, [], "what is left of a refused download")


@test("What a broken-off download left behind is not taken for the source")
def broken_off():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED, index=False)
        box.publish()
        os.makedirs(box.cache + "/src")
        for name in files_of(PINNED) + [files_of(PINNED)[0] + ".part"]:
            with open(os.path.join(box.cache, "src", name), "w") as out:
                out.write("half a file")
        succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
        equal(answer(box), files_of(PINNED), "the archives")
        asked = len(box.server.asked)
        succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
        equal(len(box.server.asked), asked, "requests, once both archives are there")


@test("A machine without package lists, with sources in deb822 form, or with one archive only finds the source")
def other_machines():
    for prepare in (lambda box: None, lambda box: box.update(),
                    lambda box: box.with_sources(("deb", box.main, "stable")),
                    lambda box: box.with_deb822((box.main, "stable"), (box.security, "stable-security"))):
        with machine() as box:
            pinned = box.main.add_source("trixie", "libthing", PINNED, index=False)
            box.main.publish("stable")
            box.publish()
            box.security.publish("stable")
            prepare(box)
            succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
            equal(answer(box), files_of(PINNED), "the archives")


@test("A machine without any Debian archive in its sources is told what to add")
def no_archive():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED, index=False)
        box.with_sources()
        done = fetch(box, [("libthing", PINNED, "1.2.", pinned)])
        check(done.returncode != 0, "it fetched from nowhere:\n%s", done.stdout)
        says(done, "sources.list")


@test("A proxy that apt is told to use is used for sources")
def proxy():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED, index=False)
        box.publish()
        box.main.host = "http://mirror.invalid"
        box.with_sources(("deb", box.main, CODENAME))
        box.settings["Acquire::http::Proxy"] = box.server.url
        succeeded(fetch(box, [("libthing", PINNED, "1.2.", pinned)]))
        equal(answer(box), files_of(PINNED), "the archives")


@test("A cache folder on a full disk is named, with what is free there")
def full_disk():
    with machine() as box:
        pinned = box.main.add_source("trixie", "libthing", PINNED, index=False, text="x" * 3000)
        box.publish()
        box.update()
        done = box.run("unshare", "--mount", "bash", "-c",
                       "mount -t tmpfs -o size=16k tmpfs $PGKEEL_CACHE && mkdir $PGKEEL_CACHE/src && "
                       "head -c 15000 /dev/zero >$PGKEEL_CACHE/full; HERE=$PWD/hack LOG_NAME=test; "
                       ". $HERE/deps.d/lib.sh; . $HERE/deps.d/fetch.sh; SOURCE_TABLE=%s; fetch_source libthing"
                       % table(box, ("libthing", PINNED, "1.2.", pinned)))
        check(done.returncode != 0, "it was fetched:\n%s", done.stdout)
        says(done, "0 MiB are free in " + box.cache)
