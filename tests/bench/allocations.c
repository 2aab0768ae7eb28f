/* allocations.c - how often the library asks for memory, over the network of network.h.

   usage: allocations each|next REQUESTS      (100 at once, 120 bytes of JSON each)

   Prints how often, from the opening of the run to its last result. */
#include <stddef.h>

static long allocations;
static void *counted_realloc(void *ptr, size_t size);

#define SPARP__SYS_REALLOC counted_realloc
#include "network.h"

static long asked, wanted, good;

static void *counted_realloc(void *ptr, size_t size) {
    allocations++;
    return realloc(ptr, size);
}

static sparp_input next_request(sparp_request *out, void *user_data) {
    (void)user_data;
    if (asked == wanted)
        return SPARP_INPUT_END;
    asked++;
    out->url = "http://127.0.0.1:8080/items/12345";
    return SPARP_INPUT_READY;
}

static void on_result(sparp *run, const sparp_result *result, void *user_data) {
    (void)run;
    (void)user_data;
    good += result->status == 200 && result->body_size == 120;
}

int main(int argc, char **argv) {
    bool each = argc == 3 && strcmp(argv[1], "each") == 0;
    sparp_options options = {0};
    const sparp_result *result;
    sparp_error error;
    if (argc != 3 || (!each && strcmp(argv[1], "next") != 0)) {
        fprintf(stderr, "usage: allocations each|next REQUESTS\n");
        return 2;
    }
    wanted = atol(argv[2]);
    options.next_request = next_request;
    options.max_at_once = 100;
    options.random_seed = 1;
    if (each)
        options.on_result = on_result;
    sparp *run = sparp_open(&options, &error);
    if (run == NULL) {
        fprintf(stderr, "%s\n", sparp_error_text(error));
        return 1;
    }
    if (each)
        while (sparp_step(run, -1))
            continue;
    else
        while ((result = sparp_next(run)) != NULL)
            on_result(run, result, NULL);
    printf("%ld\n", allocations);
    sparp_close(run);
    if (good != wanted) {
        fprintf(stderr, "%ld good answers to %ld requests\n", good, wanted);
        return 1;
    }
    return 0;
}
