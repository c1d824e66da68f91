"""What a first build says at its end: the linker's warnings."""
import os
import subprocess
import tempfile

from lib.runner import ROOT, check, test

CALLS = {"getpwuid_r": "#include <pwd.h>\nint work(void) { struct passwd p, *r; char b[9]; "
                       "return getpwuid_r(0, &p, b, 9, &r); }\n",
         "getpwnam": "#include <pwd.h>\nint work(void) { return getpwnam(\"x\") != 0; }\n",
         "nothing": "int work(void) { return 0; }\n"}


def link(call, archive):
    """A static program that calls it from an archive of that name, or from an object of its own."""
    with tempfile.TemporaryDirectory() as work:
        for name, text in (("work.c", CALLS[call]), ("main.c", "int work(void); int main(void) { return work(); }\n")):
            with open(os.path.join(work, name), "w") as out:
                out.write(text)
        subprocess.run(["gcc", "-c", "work.c", "main.c"], cwd=work, check=True)
        part = "work.o"
        if archive:
            subprocess.run(["ar", "rcs", archive, "work.o"], cwd=work, check=True)
            part = archive
        return subprocess.run([ROOT + "/hack/link", "gcc", "-static", "-o", "program", "main.o", part], cwd=work,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


@test("A warning of the linker that is known and harmless is kept back")
def known():
    done = link("getpwuid_r", "libpgport_shlib.a")
    check(done.returncode == 0 and done.stdout == "", "exit code %d: %s", done.returncode, done.stdout)


@test("A library's warning that is new is shown, and one of the project's own code ends the build")
def new():
    done = link("getpwnam", "libpgport_shlib.a")
    check(done.returncode == 0 and "getpwnam" in done.stdout, "exit code %d: %s", done.returncode, done.stdout)
    done = link("getpwuid_r", None)
    check(done.returncode == 1 and "getpwuid_r" in done.stdout, "exit code %d: %s", done.returncode, done.stdout)


@test("A link that fails says why and fails, one without warnings says nothing")
def others():
    done = link("nothing", None)
    check(done.returncode == 0 and done.stdout == "", "exit code %d: %s", done.returncode, done.stdout)
    done = subprocess.run([ROOT + "/hack/link", "gcc", "-static", "/nonexistent.o"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode != 0 and "nonexistent" in done.stdout, "exit code %d: %s", done.returncode, done.stdout)


@test("A newer linker's note on a warning that is kept back is kept back with it")
def note():
    said = ("/usr/bin/ld: /x/libcares.a(a.c.o): note: the message above does not take linker garbage collection "
            "into account")
    script = ("echo \"/usr/bin/ld: /x/libcares.a(a.c.o): in function 'lookup':\" >&2; "
              "echo \"(.text+0x6f): warning: Using 'getservbyname_r' in statically linked applications requires at "
              "runtime the shared libraries from the glibc version used for linking\" >&2; echo '%s' >&2" % said)
    done = subprocess.run([ROOT + "/hack/link", "sh", "-c", script], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 0 and done.stdout == "", "exit code %d: %s", done.returncode, done.stdout)
