/* The program of the pause container: it holds a pod's namespaces open, buries
 * orphans of the pod (it is process 1 where namespaces are shared) and ends when
 * asked to. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal) { (void)signal; _exit(0); }
static void bury(int signal) {
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
}

int main(void) {
    struct sigaction act = {.sa_handler = end};
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    act.sa_handler = bury;
    act.sa_flags = SA_NOCLDSTOP;
    sigaction(SIGCHLD, &act, NULL);
    for (;;) pause();
}
