#include "measure.h"
#define SPARP_IMPLEMENTATION
#include "sparp.h"

static void on_result(sparp *run, const sparp_result *r, void *user_data) {
    (void)run;
    *(int *)user_data += r->status == 200;
}

static int client(int count, const char *url) {
    static sparp_request requests[1000];
    sparp_options options = {0};
    int answered = 0;
    for (int i = 0; i < count; i++)
        requests[i].url = url;
    options.requests = requests;
    options.num_requests = (size_t)count;
    options.max_at_once = count;
    options.on_result = on_result;
    options.user_data = &answered;
    options.tls.insecure_no_verify = true;
    sparp_run_each(&options, NULL);
    return answered;
}
