/* Calls what needs no server, so that a compile test also links and runs. C99 and C++11. */
#ifndef USE_H
#define USE_H

static int use_sparp(const char *backend) {
#ifdef __cplusplus
    sparp_options options = {};
#else
    sparp_options options = {0};
#endif
    sparp_results results;
    sparp_stats stats;
    const char *a, *b;

    if (sparp_check_options(&options)[0] != 0) return 1;
    results = sparp_run_all(&options);
    if (results.error != SPARP_E_OK || results.count != 0) return 2;
    sparp_results_free(&results);
    sparp_results_free(&results);
    if (sparp_run_each(&options, &stats) != SPARP_E_OK || stats.pulled != 0) return 3;
    options.max_at_once = -7;
    if (sparp_check_options(&options)[0] == 0) return 4;
    if (sparp_open(&options, NULL) != NULL) return 5;
    sparp_close(NULL);
    for (a = backend, b = sparp_backend(); a != NULL && (*a != 0 || *b != 0); a++, b++)
        if (*a != *b) return 6;
    if (sparp_version() != SPARP_VERSION) return 7;
    if (sparp_sizeof("sparp_options") != sizeof options || sparp_sizeof("sparp") != 0) return 8;
    options.timeout_s = SPARP_NONE;
    if (options.timeout_s != SPARP_NONE) return 9;
    return sparp_error_text(SPARP_E_REFUSED)[0] == 'c' ? 0 : 10;
}

#endif
