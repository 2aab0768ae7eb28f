/* With all that can be left out left out, by macros of the command line: what is wanted of it all
   the same is refused, not forgotten. C99 and C++11. */
#define SPARP_IMPLEMENTATION
#include "sparp.h"
#include "use.h"

static bool refused(const sparp_options *options) {
    sparp_error error = SPARP_E_OK;
    sparp *run = sparp_open(options, &error);
    sparp_close(run);
    return run == NULL && error == SPARP_E_BAD_OPTIONS
        && strcmp(sparp_check_options(options), sparp_error_text(error)) == 0;
}

/* Not tried again: it will not be known later, either. */
static bool knows_no_names(void) {
    sparp_request request;
    sparp_options options;
    sparp_results results;
    bool ok;
    memset(&request, 0, sizeof request);
    memset(&options, 0, sizeof options);
    request.url = "http://localhost/";
    options.requests = &request;
    options.num_requests = 1;
    results = sparp_run_all(&options);
    ok = results.count == 1 && results.items[0].error == SPARP_E_DNS_NOT_FOUND
        && results.items[0].attempts == 1
        && strcmp(results.items[0].detail, sparp_error_text(SPARP_E_DNS_NOT_FOUND)) == 0;
    sparp_results_free(&results);
    return ok;
}

int main(void) {
    sparp_options options, none;
    memset(&none, 0, sizeof none);
    options = none;
    options.workers = 2;
    if (!refused(&options)) return 20;
    options = none;
    options.max_redirects = 1;
    if (!refused(&options)) return 21;
    options = none;
    options.proxy = "http://127.0.0.1:1";
    options.lenient_proxies = true;
    if (!refused(&options)) return 22;
    options = none;
    options.https_proxy = "http://127.0.0.1:1";
    if (!refused(&options)) return 23;
    options = none;
    options.resolve = "a:80:127.0.0.1";
    if (!refused(&options)) return 24;
    options = none;
    options.connect_to = "a:80:b:80";
    if (!refused(&options)) return 25;
    options = none;
    options.num_host_limits = 1;
    if (!refused(&options)) return 26;
    options = none;
    options.max_cost_per_second = 1;
    if (!refused(&options)) return 27;
    options = none;
    options.max_redirects = SPARP_NONE;
    options.workers = 1;
    if (sparp_check_options(&options)[0] != 0) return 28;
    if (!knows_no_names()) return 29;
    return use_sparp(NULL);
}
