/* The rules of BSD that shim/sys/event.h promises. */
#include <sys/event.h>
#include <sys/socket.h>
#include <unistd.h>

static int add(int kq, int fd, int filter, int flags, int room) {
    struct kevent change, got;
    EV_SET(&change, fd, filter, flags, 0, 0, NULL);
    if (kevent(kq, &change, 1, &got, room, NULL) < 0) return errno;
    return room > 0 ? (int)got.data : 0;
}

static int turn(int kq, struct kevent *got, int room) {
    const struct timespec now = { 0, 0 };
    return kevent(kq, NULL, 0, got, room, &now);
}

#define CHECK(x) do { if (!(x)) return __LINE__ & 127; } while (0)

int main(void) {
    struct kevent got[4], changes[2];
    int kq = kqueue(), pair[2];
    CHECK(kq >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);

    CHECK(add(kq, pair[0], EVFILT_READ, EV_DELETE, 1) == ENOENT);
    CHECK(add(kq, pair[0], EVFILT_READ, EV_DELETE, 0) == ENOENT);
    CHECK(add(kq, 999, EVFILT_READ, EV_ADD, 0) == EBADF);
    CHECK(add(kq, pair[0], EVFILT_READ, EV_ADD | EV_RECEIPT, 1) == 0);
    CHECK(add(kq, pair[0], EVFILT_WRITE, EV_DELETE, 1) == ENOENT);

    CHECK(turn(kq, got, 4) == 0);                           /* nothing to read */
    CHECK(write(pair[1], "abc", 3) == 3);
    CHECK(turn(kq, got, 4) == 1 && got[0].filter == EVFILT_READ && got[0].data == 3);
    CHECK(turn(kq, got, 4) == 1 && turn(kq, got, 0) == 0);  /* level; no room: no waiting */

    CHECK(add(kq, pair[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0) == 0);
    CHECK(turn(kq, got, 1) == 1 && turn(kq, got, 4) >= 1);  /* one place for two: nothing is lost */
    CHECK(add(kq, pair[0], EVFILT_WRITE, EV_ADD | EV_ONESHOT, 0) == 0);
    CHECK(turn(kq, got, 4) == 2 && turn(kq, got, 4) == 1);  /* two events; then once was enough */
    CHECK(add(kq, pair[0], EVFILT_WRITE, EV_DELETE, 1) == ENOENT);

    CHECK(add(kq, pair[0], EVFILT_READ, EV_ADD | EV_CLEAR, 0) == 0);
    CHECK(turn(kq, got, 4) == 1 && turn(kq, got, 4) == 0);  /* an edge */
    CHECK(close(pair[1]) == 0);
    CHECK(turn(kq, got, 4) == 1 && (got[0].flags & EV_EOF) != 0);

    /* A failed change is reported and the next one done. */
    EV_SET(&changes[0], pair[0], EVFILT_WRITE, EV_DELETE, 0, 0, NULL);
    EV_SET(&changes[1], pair[0], EVFILT_READ, EV_DELETE, 0, 0, NULL);
    CHECK(kevent(kq, changes, 2, got, 4, NULL) == 1 && got[0].flags == EV_ERROR);
    CHECK(got[0].data == ENOENT && add(kq, pair[0], EVFILT_READ, EV_DELETE, 1) == ENOENT);

    /* A closed descriptor takes its filters along, and its number can come back. */
    CHECK(add(kq, pair[0], EVFILT_READ, EV_ADD, 0) == 0);
    CHECK(close(pair[0]) == 0 && turn(kq, got, 4) == 0);
    CHECK(add(kq, pair[0], EVFILT_READ, EV_DELETE, 1) == EBADF);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(add(kq, pair[0], EVFILT_WRITE, EV_ADD, 0) == 0);
    CHECK(turn(kq, got, 4) == 1 && got[0].filter == EVFILT_WRITE);
    return 0;
}
