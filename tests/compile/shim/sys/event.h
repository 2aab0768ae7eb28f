/* For tests only: kqueue() and kevent() over epoll, with BSD's rules, so that the kqueue backend
   can be compiled and run on Linux: cc -Itests/compile/shim -DSPARP_USE_KQUEUE.
   The rules it keeps: the two filters of a descriptor are separate events; a change that fails is
   reported in the event list as EV_ERROR (without room there: -1, and the rest is not done);
   EV_RECEIPT reports success the same way; reports end the call without waiting; deleting what is
   not there is ENOENT; a closed descriptor takes its filters along; no room means no waiting.
   What it does not: fflags of EV_EOF (SO_ERROR would be cleared), other filters, EV_DISPATCH. */
#ifndef SHIM_SYS_EVENT_H
#define SHIM_SYS_EVENT_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)
#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_ENABLE 0x0004
#define EV_DISABLE 0x0008
#define EV_ONESHOT 0x0010
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_ERROR 0x4000
#define EV_EOF 0x8000
#define EV_SET(event, id, filt, flag, fflag, dat, user) do { \
    (event)->ident = (uintptr_t)(id); (event)->filter = (short)(filt); \
    (event)->flags = (unsigned short)(flag); (event)->fflags = (unsigned)(fflag); \
    (event)->data = (intptr_t)(dat); (event)->udata = (user); } while (0)

struct kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned fflags;
    intptr_t data;
    void *udata;
};

enum { SHIM_QUEUES = 65536, SHIM_BATCH = 256 };
struct shim_filter { bool there, off; unsigned short flags; void *udata; };
struct shim_fd { struct shim_filter two[2]; };                         /* read, write */
struct shim_queue { struct shim_fd *fds; size_t num_fds; };
static struct shim_queue shim_queues[SHIM_QUEUES];                     /* by epoll descriptor */

static inline int kqueue(void) {
    int kq = epoll_create1(0);
    if (kq >= SHIM_QUEUES) abort();
    if (kq >= 0) {
        free(shim_queues[kq].fds);
        memset(&shim_queues[kq], 0, sizeof shim_queues[kq]);
    }
    return kq;
}

/* Tells epoll what the two filters of a descriptor ask for. errno, or 0. */
static inline int shim_apply(int kq, int fd, struct shim_filter *two, int op) {
    struct epoll_event e;
    bool level = false, any = false;
    memset(&e, 0, sizeof e);
    e.data.fd = fd;
    for (int i = 0; i < 2; i++) {
        if (!two[i].there) continue;
        any = true;
        if (two[i].off) continue;
        e.events |= i == 0 ? (unsigned)EPOLLIN | (unsigned)EPOLLRDHUP : (unsigned)EPOLLOUT;
        if ((two[i].flags & EV_CLEAR) == 0) level = true;
    }
    if (!level) e.events |= (unsigned)EPOLLET;
    return epoll_ctl(kq, any ? op : EPOLL_CTL_DEL, fd, &e) == 0 ? 0 : errno;
}

static inline int shim_change(int kq, const struct kevent *change) {
    struct shim_queue *q = &shim_queues[kq];
    size_t fd = change->ident;
    int i = change->filter == EVFILT_READ ? 0 : 1, err;
    const int known = EV_ADD | EV_DELETE | EV_ENABLE | EV_DISABLE | EV_ONESHOT | EV_CLEAR
        | EV_RECEIPT;
    if (fd > INT32_MAX) return EBADF;
    if (change->filter != EVFILT_READ && change->filter != EVFILT_WRITE) return EINVAL;
    if ((change->flags & ~known) != 0) return EINVAL;
    if (fd >= q->num_fds) {
        size_t more = 2 * fd + 64;
        struct shim_fd *fds = (struct shim_fd *)realloc(q->fds, more * sizeof *fds);
        if (fds == NULL) return ENOMEM;
        memset(fds + q->num_fds, 0, (more - q->num_fds) * sizeof *fds);
        q->fds = fds;
        q->num_fds = more;
    }
    struct shim_filter *two = q->fds[fd].two;
    err = shim_apply(kq, (int)fd, two, EPOLL_CTL_MOD);
    if (err != 0) memset(two, 0, 2 * sizeof *two);           /* closed since, or never there */
    bool was_there = two[0].there || two[1].there;
    if ((change->flags & EV_ADD) == 0 && !two[i].there) return err == EBADF ? EBADF : ENOENT;
    if ((change->flags & EV_ADD) != 0) {
        two[i].there = true;
        two[i].off = false;
        two[i].flags = change->flags & (EV_ONESHOT | EV_CLEAR);
        two[i].udata = change->udata;
    }
    if ((change->flags & EV_DELETE) != 0) memset(&two[i], 0, sizeof two[i]);
    if ((change->flags & EV_DISABLE) != 0) two[i].off = true;
    if ((change->flags & EV_ENABLE) != 0) two[i].off = false;
    err = shim_apply(kq, (int)fd, two, was_there ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
    if (err != 0) memset(two, 0, 2 * sizeof *two);
    return err;
}

/* The filters of one descriptor that are ready; what finds no room is reported the next time. */
static inline int shim_report(int kq, const struct epoll_event *e, struct kevent *out, int room) {
    const unsigned gone = (unsigned)EPOLLHUP | (unsigned)EPOLLERR;
    const unsigned ends[2] = { (unsigned)EPOLLRDHUP | gone, gone };
    const unsigned asks[2] = { (unsigned)EPOLLIN | ends[0], (unsigned)EPOLLOUT | gone };
    struct shim_filter *two = shim_queues[kq].fds[e->data.fd].two;
    bool again = false;
    int num = 0, bytes = 0;
    for (int i = 0; i < 2; i++) {
        if (!two[i].there || two[i].off || (e->events & asks[i]) == 0) continue;
        if (num == room) {
            again = true;
            continue;
        }
        if (i == 0) (void)ioctl(e->data.fd, FIONREAD, &bytes);
        unsigned eof = (e->events & ends[i]) != 0 ? EV_EOF : 0;
        EV_SET(&out[num], e->data.fd, i == 0 ? EVFILT_READ : EVFILT_WRITE, two[i].flags | eof, 0,
               i == 0 ? bytes : 1, two[i].udata);
        num++;
        if ((two[i].flags & EV_ONESHOT) != 0) {
            memset(&two[i], 0, sizeof two[i]);
            again = true;
        }
    }
    if (again) (void)shim_apply(kq, e->data.fd, two, EPOLL_CTL_MOD);
    return num;
}

static inline int kevent(int kq, const struct kevent *changes, int num_changes,
                         struct kevent *events, int room, const struct timespec *timeout) {
    struct epoll_event got[SHIM_BATCH];
    int num = 0, wait_ms = -1, ready, most = room / 2 < SHIM_BATCH ? room / 2 : SHIM_BATCH;
    for (int i = 0; i < num_changes; i++) {
        int err = shim_change(kq, &changes[i]);
        if (err == 0 && (changes[i].flags & EV_RECEIPT) == 0) continue;
        if (num == room) {
            if (err == 0) continue;
            errno = err;
            return -1;
        }
        events[num] = changes[i];
        events[num].flags = EV_ERROR;
        events[num++].data = err;
    }
    if (num > 0 || room == 0) return num;
    if (timeout != NULL) {
        int64_t ms = (int64_t)timeout->tv_sec * 1000 + (timeout->tv_nsec + 999999) / 1000000;
        wait_ms = ms > INT32_MAX ? INT32_MAX : (int)ms;
    }
    ready = epoll_wait(kq, got, most > 0 ? most : 1, wait_ms);
    for (int i = 0; i < ready; i++) num += shim_report(kq, &got[i], events + num, room - num);
    return ready < 0 ? -1 : num;
}

#endif
