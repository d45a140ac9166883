/* Exchanges that are only played: answers in the order in which they are needed, requests kept to
 * be looked at.  Linked by --wrap in place of http_exchange and backoff_wait.
 */
#ifndef TESTS_AWS_HTTP_H
#define TESTS_AWS_HTTP_H

#include "tests/unit/aws-test.h"

#include "kms/aws-credentials.h"
#include "kms/backoff.h"
#include "kms/http.h"

#define PLAYED_MAX 16

struct played {
  const char *url; /* what the request's URL must contain */
  unsigned status; /* 0: no answer, `failure` instead */
  const char *body;
  enum http_failure failure;
};

struct seen {
  char method[8], url[1024], headers[4096], body[32768];
  char access_key[64], secret_key[64], region[32], service[16]; /* "" where not signed */
  bool link_local, keep, allow_plain;
  char ca_bundle[256];
};

static struct played script[PLAYED_MAX];
static size_t script_size, script_at;
static struct seen seen[PLAYED_MAX];
static uint32_t waits;

bool __wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms);
bool
__wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms)
{
  (void)at_least_ms;
  waits++;
  return ++backoff->tries < backoff->max_tries;
}

static inline void
keep_signature (const struct http_sigv4 *sigv4, struct seen *keep)
{
  if (!sigv4)
    return;
  snprintf (keep->access_key, sizeof keep->access_key, "%s", sigv4->access_key);
  snprintf (keep->secret_key, sizeof keep->secret_key, "%s", sigv4->secret_key);
  snprintf (keep->region, sizeof keep->region, "%s", sigv4->region);
  snprintf (keep->service, sizeof keep->service, "%s", sigv4->service);
}

static inline void
keep_request (const struct http_request *request, struct seen *keep)
{
  *keep = (struct seen){.link_local = request->link_local,
                        .keep = request->keep,
                        .allow_plain = request->allow_plain};
  snprintf (keep->method, sizeof keep->method, "%s", request->method);
  snprintf (keep->url, sizeof keep->url, "%s", request->url);
  snprintf (keep->ca_bundle, sizeof keep->ca_bundle, "%s",
            request->ca_bundle ? request->ca_bundle : "");
  for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i].name; i++) {
    const struct http_header *h = &request->headers[i];
    size_t used = strlen (keep->headers);

    snprintf (keep->headers + used, sizeof keep->headers - used, "%s: %s%s\n", h->name,
              h->scheme ? h->scheme : "", h->value);
  }
  assert_true (request->body_size < sizeof keep->body);
  if (request->body)
    memcpy (keep->body, request->body, request->body_size);
  keep_signature (request->sigv4, keep);
}

int __wrap_http_exchange (const struct http_request *request, struct http_answer *ret);
int
__wrap_http_exchange (const struct http_request *request, struct http_answer *ret)
{
  const struct played *step = &script[script_at];
  const char *body = step->body ? step->body : "";

  if (script_at >= script_size)
    fail_msg ("nothing is played for %s", request->url);
  keep_request (request, &seen[script_at++]);
  if (!strstr (request->url, step->url))
    fail_msg ("%s was asked where %s was to be", request->url, step->url);
  assert_true (request->timeout_ms > 0);
  *ret = (struct http_answer){.failure = step->failure, .detail = "played"};
  if (step->status == 0)
    return -1;
  ret->failure = HTTP_ANSWERED;
  ret->status = step->status;
  snprintf (ret->request_id, sizeof ret->request_id, "request-%zu", script_at);
  assert_int_equal (secret_init (&ret->body, strlen (body) + 1, NULL), 0);
  ret->body.size--;
  memcpy (ret->body.bytes, body, ret->body.size);
  return 0;
}

/* Plays these answers from now on; those before must all have been used. */
#define PLAY(...)                       \
  play ((struct played[]){__VA_ARGS__}, \
        sizeof ((struct played[]){__VA_ARGS__}) / sizeof (struct played))
static inline void
play (const struct played *steps, size_t count)
{
  assert_int_equal (script_at, script_size);
  assert_true (count <= PLAYED_MAX);
  memcpy (script, steps, count * sizeof *steps);
  script_size = count;
  script_at = 0;
  waits = 0;
}

static inline void
assert_all_played (void)
{
  if (script_at != script_size)
    fail_msg ("%s was never asked", script[script_at].url);
}

static inline void
assert_seen (size_t i, const char *what, const char *text)
{
  if (!strstr (text, what))
    fail_msg ("request %zu has no %s: %s", i, what, text);
}

static inline int
start_anew (void **state)
{
  script_size = script_at = 0;
  aws_credentials_reset (0);
  return make_home (state);
}

static inline int
end_well (void **state)
{
  assert_all_played ();
  aws_credentials_reset (0);
  return drop_home (state);
}

#define PLAYED_TEST(name) cmocka_unit_test_setup_teardown (name, start_anew, end_well)

#endif
