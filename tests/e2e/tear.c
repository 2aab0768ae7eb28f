/* tear.c - kill -9 at a chosen moment:   LD_PRELOAD=tear.so TEAR=N command...
   The process dies in its Nth change of a file: of a write half has been done, a rename and a cut
   either not yet or already, in turn. Linux. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int changes;

/* Is this the moment? */
static int is_now(void) {
    const char *wanted = getenv("TEAR");
    return wanted != NULL && ++changes == atoi(wanted);
}

static void die(void) {
    (void)kill(getpid(), SIGKILL);
}

static int is_file(int fd) {
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t (*real)(int, const void *, size_t);
    *(void **)&real = dlsym(RTLD_NEXT, "write");
    if (!is_file(fd) || !is_now())
        return real(fd, data, size);
    (void)real(fd, data, size / 2);
    die();
    return -1;
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    int (*real)(int, const char *, int, const char *);
    *(void **)&real = dlsym(RTLD_NEXT, "renameat");
    if (is_now()) {
        if (changes % 2 == 0)
            (void)real(from_dir, from, to_dir, to);
        die();
    }
    return real(from_dir, from, to_dir, to);
}

int ftruncate(int fd, off_t size) {
    int (*real)(int, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, "ftruncate");
    if (is_now()) {
        if (changes % 2 == 0)
            (void)real(fd, size);
        die();
    }
    return real(fd, size);
}

#ifdef __USE_LARGEFILE64
int ftruncate64(int fd, off64_t size) {
    return ftruncate(fd, size);
}
#endif
