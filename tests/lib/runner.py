"""
A test is a function with a sentence for a title. A suite's `run` imports its modules and calls
main(); the last line is 'N passed, N failed', and the exit code is 1 when one failed.
"""
import argparse
import contextlib
import http.client
import io
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
PGKEEL = os.environ.get("PGKEEL", os.path.join(BUILD, "pgkeel"))


class Failed(AssertionError):
    """A test's own verdict."""


class Skipped(Exception):
    """This machine cannot run it; says why."""


class _Suite:
    def __init__(self):
        self.tests = []      # Test, in the order of their modules
        self.evidence = []   # functions(log) that write what helps to understand a failure
        self.cleanup = []    # functions that run at the very end, last first
        self.worker = False  # other tests run beside this one
        self.parents = []    # those of them that undo what all workers share


suite = _Suite()


class Test:
    def __init__(self, title, function, lone, long):
        self.title, self.function, self.lone, self.long = title, function, lone, long


def test(title, lone=False, long=False):
    """
    Registers the function below under a sentence. long: it begins before the others, so that no
    worker is left alone with it at the end.
    """
    def register(function):
        suite.tests.append(Test(title, function, lone, long))
        return function
    return register


def alone(title):
    """
    A test that disturbs what all tests share (a node, the API server, the operator), or measures
    it: nothing runs beside it there.
    """
    return test(title, lone=True)


def must_be_alone(what):
    """Called by what disturbs the other tests: a test that does so has to say so."""
    check(not suite.worker, "%s needs a test that is marked @alone", what)


def check(truth, message, *details):
    if not truth:
        raise Failed(message % details if details else message)


def equal(got, wanted, what):
    if got != wanted:
        raise Failed("%s: got %r, wanted %r" % (what, got, wanted))


_NOT_YET = (OSError, Failed, LookupError, TypeError, ValueError, AttributeError,
            http.client.HTTPException, subprocess.SubprocessError)


def wait_for(probe, seconds, what, every=0.05):
    """
    Returns probe()'s first true answer. An exception in the probe counts as 'not yet' and is told
    when the deadline passes.
    """
    end = time.monotonic() + seconds
    last = None
    while True:
        try:
            last = probe()
            if last:
                return last
        except _NOT_YET as error:
            last = error
        if time.monotonic() >= end:
            raise Failed("%s did not come about within %g s; last seen: %.2000s"
                         % (what, seconds, last))
        time.sleep(every)


def never(probe, seconds, what, every=0.1):
    """The opposite: fails as soon as probe() is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = probe()
        if found:
            raise Failed("%s happened: %.2000s" % (what, found))
        time.sleep(every)


class _Log:
    """One file per failed test; its end is printed."""

    def __init__(self, where, title):
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:80]
        self.path = os.path.join(where, slug + ".log")
        self.file = None

    def __call__(self, text):
        if self.file is None:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            self.file = open(self.path, "w", errors="replace")
        self.file.write(text if text.endswith("\n") else text + "\n")
        self.file.flush()

    def section(self, name, text):
        self("\n==== %s\n%s" % (name, text))


def _run_one(test, where):
    log = _Log(where, test.title)
    started = time.monotonic()
    told = io.StringIO()
    message = ""
    try:
        with contextlib.redirect_stdout(told):
            test.function()
        verdict = "ok"
    except Skipped as why:
        verdict, message = "skipped", "skipped: %s" % why
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a test that exits is a failed test
        verdict, message = "FAILED", str(error) or type(error).__name__
        log(traceback.format_exc())
        _gather_evidence(log)
    lines = ["%-7s %6.2f s  %s" % (verdict, time.monotonic() - started, test.title)]
    lines += told.getvalue().splitlines() + ["        " + line for line in message.splitlines()]
    if verdict == "FAILED":
        lines.append("        more: " + os.path.relpath(log.path, ROOT))
        with open(log.path, errors="replace") as source:
            lines += ["        | " + line[:300] for line in source.read().splitlines()[-25:]]
    # One write: other workers print too.
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
    return verdict


def _gather_evidence(log):
    for gather in suite.evidence:
        try:
            gather(log)
        except Exception as trouble:
            log("evidence: %r" % trouble)


def _work(chosen, where, todo, done):
    suite.worker = True
    # Whatever was made before the fork is the parent's to undo.
    suite.cleanup = [undo for undo in suite.cleanup if undo not in suite.parents]
    try:
        while True:
            number = todo.get()
            if number is None:
                break
            done.put(_run_one(chosen[number], where))
    finally:
        _clean_up()


def _verdicts(count, done, workers):
    """What the workers have to tell, until all is told or none of them is left."""
    verdicts = []
    while len(verdicts) < count:
        # Asked first: what a worker had to tell it told before its end.
        working = any(worker.is_alive() for worker in workers)
        if not done.empty():
            verdicts.append(done.get())
        elif working:
            time.sleep(0.05)
        else:
            break
    for worker in workers:
        worker.join()
    lost = count - len(verdicts)
    if lost:
        print("FAILED  %d tests were lost with the processes that ran them; exit codes: %s"
              % (lost, [w.exitcode for w in workers]), flush=True)
    return verdicts + ["FAILED"] * lost


def _parallel(chosen, where, jobs):
    """In so many processes; tests take longer by waiting than by computing."""
    context = multiprocessing.get_context("fork")
    todo, done = context.SimpleQueue(), context.SimpleQueue()
    workers = [context.Process(target=_work, args=(chosen, where, todo, done))
               for _ in range(jobs)]
    for number in list(range(len(chosen))) + [None] * jobs:
        todo.put(number)
    for worker in workers:
        worker.start()
    return _verdicts(len(chosen), done, workers)


def _work_apart(chosen, where, apart, done):
    try:
        apart()
        for each in chosen:
            done.put(_run_one(each, where))
    finally:
        _clean_up()


def _begin_apart(chosen, where, apart):
    """
    The lone tests, one by one, in a process of their own; returns a function that waits for their
    verdicts. apart() has it make what the others share a second time.
    """
    context = multiprocessing.get_context("fork")
    done = context.SimpleQueue()
    worker = context.Process(target=_work_apart, args=(chosen, where, apart, done))
    worker.start()
    return lambda: _verdicts(len(chosen), done, [worker])


def _clean_up():
    for undo in reversed(suite.cleanup):
        try:
            undo()
        except Exception as trouble:
            print("cleanup: %r" % trouble, flush=True)


def _run_all(chosen, where, options, prepare, apart):
    """
    Those that share side by side, and the lone ones one by one: beside them where these have
    something of their own to disturb, else afterwards.
    """
    shared = sorted((t for t in chosen if not t.lone), key=lambda t: not t.long)
    if options.jobs == 1 or len(shared) < 2 or options.stop:
        shared = []
    rest = [t for t in chosen if t not in shared]
    verdicts, told_apart = [], lambda: []
    if shared:
        if rest and apart is not None:
            told_apart, rest = _begin_apart(rest, where, apart), []
        before = list(suite.cleanup)
        if prepare is not None:
            prepare()
        suite.parents = [undo for undo in suite.cleanup if undo not in before]
        verdicts += _parallel(shared, where, min(options.jobs, len(shared)))
    for each in rest:
        verdicts.append(_run_one(each, where))
        if options.stop and verdicts[-1] == "FAILED":
            break
    return verdicts + told_apart()


def _options(name, jobs):
    parser = argparse.ArgumentParser(description="the %s suite" % name)
    parser.add_argument("-k", metavar="PATTERN", default="",
                        help="only tests whose title matches (regular expression)")
    parser.add_argument("-l", "--list", action="store_true", help="print the titles")
    parser.add_argument("-x", "--stop", action="store_true", help="stop at the first failure")
    parser.add_argument("-j", "--jobs", metavar="N", type=int, default=jobs,
                        help="tests side by side, where they share nothing (%d)" % jobs)
    return parser.parse_args()


_ENDS = (signal.SIGINT, signal.SIGTERM)


def _interrupted(*_):
    """Once: what undoes the tests' doings is not interrupted again."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(name, jobs=1, prepare=None, apart=None):
    """
    jobs: how many tests may run at once, where they share nothing; prepare() makes what they all
    use, before they part; apart() is called in the process that runs the lone tests meanwhile, and
    names what it shall use instead.
    """
    options = _options(name, jobs)
    # Told to end, also where hack/run-tests began it in the background: what was made is undone.
    for number in _ENDS:
        signal.signal(number, _interrupted)
    chosen = [t for t in suite.tests if re.search(options.k, t.title, re.I)]
    if options.list:
        for each in chosen:
            print(each.title)
        return 0
    if chosen and not os.access(PGKEEL, os.X_OK):
        print("%s is not there: run 'make', or set PGKEEL=FILE\n0 passed, 1 failed" % PGKEEL)
        return 1
    verdicts = []
    try:
        verdicts = _run_all(chosen, os.path.join(BUILD, "test-logs", name), options, prepare,
                            apart)
    finally:
        _clean_up()
    failed, skipped = verdicts.count("FAILED"), verdicts.count("skipped")
    if skipped:
        print("%d skipped" % skipped, flush=True)
    print("%d passed, %d failed" % (verdicts.count("ok"), failed), flush=True)
    # Suites keep daemon threads; nothing of theirs matters any more.
    sys.stdout.flush()
    if threading.active_count() > 1:
        os._exit(1 if failed else 0)
    return 1 if failed else 0
