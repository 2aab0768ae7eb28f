/* input_generator.c - the requests come from a function, one at a time: there may be millions of
   them, and no more than a few are ever in memory.
   cc input_generator.c -lbearssl -lpthread -o input_generator
   ./input_generator http://127.0.0.1:8080 */
#define SPARP_IMPLEMENTATION
#include "../sparp.h"
#include <stdio.h>

struct work {
    const char *base;
    int         next, last;
    char        url[256];
    int         succeeded;
    size_t      bytes;
};

/* One url buffer will do: sparp has copied it before it asks for the next request. */
static sparp_input next_request(sparp_request *out, void *user_data) {
    struct work *work = user_data;
    if (work->next > work->last)
        return SPARP_INPUT_END;
    snprintf(work->url, sizeof work->url, "%s/items/%d", work->base, work->next++);
    out->url = work->url;
    return SPARP_INPUT_READY;
}

/* What the result points at lives until this function returns. */
static void on_result(sparp *run, const sparp_result *result, void *user_data) {
    struct work *work = user_data;
    (void)run;
    if (result->outcome == SPARP_OUTCOME_SUCCESS) {
        work->succeeded++;
        work->bytes += result->body_size;
    }
}

int main(int argc, char **argv) {
    struct work work = {0};
    work.base = argc > 1 ? argv[1] : "http://127.0.0.1:8080";
    work.next = 1;
    work.last = 2000;

    sparp_options options = {0};
    options.next_request = next_request;
    options.on_result = on_result;
    options.user_data = &work;               /* for both of them */
    options.max_at_once = 50;

    sparp_error error = sparp_run_each(&options, NULL);
    if (error != SPARP_E_OK)
        fprintf(stderr, "no run: %s\n", sparp_error_text(error));
    printf("%d items, %zu bytes\n", work.succeeded, work.bytes);
    return 0;
}
