/* sparp/version.h - what we are made of. Uses text. */

/* What a static build was linked with: see tools/static.sh. */
#ifndef SPARP_CLI_TLS
#define SPARP_CLI_TLS ""
#endif

static void put_version(text *t) {
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#elif defined(__VERSION__)
    const char *compiler = "gcc " __VERSION__;
#else
    const char *compiler = "unknown";
#endif
    PUT(t, "sparp " SPARP_VERSION_STRING "\ncompiler  ");
    put_text(t, compiler);
    PUT(t, "\nTLS       ");
    put_text(t, sparp_tls_library());
    PUT(t, SPARP_CLI_TLS);
#ifdef SPARP_CLI_LIBC
    PUT(t, "\nlibc      " SPARP_CLI_LIBC);
#endif
    PUT(t, "\nbackend   ");
    put_text(t, sparp_backend());
    PUT(t, "\nzlib      ");
    put_text(t, sparp_has_zlib() ? "yes\n" : "no\n");
}
