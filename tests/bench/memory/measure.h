/* How much heap and stack a client takes: main() for each of those here. client() sends `count`
   requests at once and returns how many were answered.
   Heap: the most that malloc() and its kin have handed out at one time, those of the C library
   included; the linker puts us before them (--wrap). Stack: what was written of a painted one. */
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_SIZE (1 << 20)
#define PAINT 0xA5

static int client(int count, const char *url);

/* --- heap ------------------------------------------------------------------------------------- */

void *__real_malloc(size_t size);
void  __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void  __wrap_free(void *ptr);

typedef union block {                   /* before each block: how large it is */
    size_t      size;
    long double aligned;
} block;

static size_t live, peak;

void *__wrap_malloc(size_t size) {
    block *b = (block *)__real_malloc(sizeof *b + size);
    if (b == NULL)
        return NULL;
    b->size = size;
    live += size;
    peak = live > peak ? live : peak;
    return b + 1;
}

void __wrap_free(void *ptr) {
    block *b = (block *)ptr;
    if (b == NULL)
        return;
    live -= b[-1].size;
    __real_free(b - 1);
}

void *__wrap_calloc(size_t count, size_t size) {
    void *ptr = __wrap_malloc(count * size);
    return ptr != NULL ? memset(ptr, 0, count * size) : NULL;
}

/* In two steps, so that the old block is still there: no more than what realloc() may do. */
void *__wrap_realloc(void *ptr, size_t size) {
    size_t old = ptr != NULL ? ((block *)ptr)[-1].size : 0;
    void *to;
    if (size == 0) {
        __wrap_free(ptr);
        return NULL;
    }
    live -= old;                        /* one block grows: it is not counted twice */
    to = __wrap_malloc(size);
    live += old;
    if (to == NULL)
        return NULL;
    memcpy(to, ptr != NULL ? ptr : to, old < size ? old : size);
    __wrap_free(ptr);
    return to;
}

/* --- stack ------------------------------------------------------------------------------------ */

typedef struct job {
    int         count, answered;
    const char *url;
    size_t      heap;
    char       *top;
} job;

static void *work(void *argument) {
    job *j = (job *)argument;
    char here;
    size_t before = live;
    j->top = &here;
    peak = live;
    j->answered = client(j->count, j->url);
    j->heap = peak - before;
    return NULL;
}

int main(int argc, char **argv) {
    job j = {0};
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned char *stack = (unsigned char *)mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t low = 0;
    if (argc != 3 || stack == MAP_FAILED)
        return 2;
    j.count = atoi(argv[1]);
    j.url = argv[2];
    memset(stack, PAINT, STACK_SIZE);
    pthread_attr_init(&attributes);
    if (pthread_attr_setstack(&attributes, stack, STACK_SIZE) != 0
        || pthread_create(&thread, &attributes, work, &j) != 0)
        return 2;
    pthread_join(thread, NULL);
    while (low < STACK_SIZE && stack[low] == PAINT)
        low++;
    printf("%lu %lu\n", (unsigned long)j.heap,
           (unsigned long)(j.top - (char *)(stack + low)));
    return j.answered == j.count ? 0 : 1;
}
