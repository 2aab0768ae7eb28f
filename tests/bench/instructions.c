/* instructions.c - a fixed run of the library over the network of network.h, to be counted by
   callgrind.

   usage: instructions REQUESTS       (100 at once, 120 bytes of JSON each) */
#include "network.h"

static long asked, wanted, good;

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
    sparp_options options = {0};
    options.next_request = next_request;
    options.on_result = on_result;
    options.max_at_once = 100;
    options.random_seed = 1;
    wanted = argc > 1 ? atol(argv[1]) : 1000;
    sparp_error error = sparp_run_each(&options, NULL);
    if (error != SPARP_E_OK || good != wanted) {
        fprintf(stderr, "%s: %ld good answers to %ld requests\n", sparp_error_text(error), good,
                wanted);
        return 1;
    }
    return 0;
}
