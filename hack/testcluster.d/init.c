/* The first process of every pod and of every machine of the test cluster: does nothing but reap
 * what is orphaned, and ends when told to. On a machine it is given a file to note in how its
 * components ended, since nobody else is left to ask. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void note(pid_t pid, int status) {
    char when[32] = "";
    time_t now = time(NULL);

    strftime(when, sizeof when, "%H:%M:%S", gmtime(&now));
    if (WIFSIGNALED(status))
        printf("%s process %d killed by signal %d\n", when, (int)pid, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        printf("%s process %d exited with status %d\n", when, (int)pid, WEXITSTATUS(status));
    fflush(stdout);
}

int main(int argc, char **argv) {
    int notes = argc > 1 && freopen(argv[1], "a", stdout) != NULL;
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (;;) {
        int sig = 0, status;
        pid_t pid;

        if (sigwait(&set, &sig) == 0 && sig != SIGCHLD)
            return 0;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
            if (notes)
                note(pid, status);
    }
}
