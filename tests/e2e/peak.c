/* peak FILE COMMAND...: runs the command; its largest resident set in KiB goes to FILE. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct rusage usage;
    int status;
    FILE *f;
    pid_t child;

    if (argc < 3) return 2;
    child = fork();
    if (child == 0) {
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &usage) != child) return 2;
    f = fopen(argv[1], "w");
    if (f == NULL) return 2;
#ifdef __APPLE__
    fprintf(f, "%ld\n", usage.ru_maxrss / 1024);
#else
    fprintf(f, "%ld\n", usage.ru_maxrss);
#endif
    if (fclose(f) != 0) return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
