/* AWS Signature Version 4, the verifying side (AWS General Reference, "Signing AWS API requests").
 *
 * It shares no code with the client, whose signatures come from libcurl.  Pure functions: the clock
 * and the secret key are given by the caller.
 */
#ifndef SIM_AWS_SIGV4_H
#define SIM_AWS_SIGV4_H

#include <stdint.h>

#include "common/cleanup.h"
#include "tools/sim/request.h"

/* How far the client's clock may be off, either way. */
#define SIGV4_WINDOW_S 300
#define SIGV4_WINDOW_STS_S 900
#define SIGV4_SIGNED_MAX 40
#define SIGV4_SIGNATURE_SIZE 65 /* hex digits and a NUL */
#define SIGV4_TIME_MAX 17       /* 20150830T123600Z */

/* What an Authorization header says.  The strings are the request's own, or copies in `text`. */
struct sigv4 {
  char text[2048];
  const char *access_key, *date, *region, *service; /* the credential scope */
  const char *signed_names[SIGV4_SIGNED_MAX];
  size_t signed_count;
  const char *signature; /* 64 hex digits */
  char time[SIGV4_TIME_MAX];
};

enum sigv4_result {
  SIGV4_OK,
  SIGV4_MISSING,    /* no Authorization header at all */
  SIGV4_INCOMPLETE, /* one that can't be taken apart, or that leaves out what must be signed */
  SIGV4_EXPIRED,    /* signed too long ago */
  SIGV4_EARLY,      /* signed in the future */
  SIGV4_SCOPE,      /* for another service, or its date is not that of the time */
  SIGV4_MISMATCH,   /* another secret, or a changed request */
};

/* Takes the Authorization and X-Amz-Date headers apart: SIGV4_OK, _MISSING or _INCOMPLETE. */
enum sigv4_result sigv4_parse (const struct request *request, struct sigv4 *ret);

/* Whether time and scope are good for `service` at `now_s` (Unix time), give or take `window_s`. */
enum sigv4_result sigv4_check_scope (const struct sigv4 *auth, const char *service, int64_t now_s,
                                     int64_t window_s) MUST_CHECK;

/* Whether the signature is right for the request under that secret key. */
enum sigv4_result sigv4_check_signature (const struct sigv4 *auth, const struct request *request,
                                         const char *secret_key) MUST_CHECK;

/* The steps of it, for the tests.  Texts are new strings; NULL when out of memory, or when a signed
 * header is not there. */
char *sigv4_canonical_request (const struct sigv4 *auth, const struct request *request) MUST_CHECK;
char *sigv4_string_to_sign (const struct sigv4 *auth, const char *canonical_request) MUST_CHECK;

void sigv4_sign (const struct sigv4 *auth, const char *secret_key, const char *string_to_sign,
                 char ret[SIGV4_SIGNATURE_SIZE]);

/* "20150830T123600Z" of a Unix time, and back (-1 when it is not one). */
void sigv4_format_time (int64_t unix_s, char ret[SIGV4_TIME_MAX]);
int sigv4_parse_time (const char *text, int64_t *ret_unix_s) MUST_CHECK;

#endif
