/* An exchange that is only played: answers in the order in which they are needed, requests kept to
 * be looked at, and a clock that the test turns.  Linked by --wrap in place of http_exchange,
 * clock_ms and backoff_wait.
 */
#ifndef TESTS_AZURE_HTTP_H
#define TESTS_AZURE_HTTP_H

#include "tests/unit/azure-test.h"

#include "common/io.h"
#include "kms/azure-vault.h"
#include "kms/backoff.h"
#include "kms/http.h"

#define PLAYED_MAX 16

struct played {
  const char *url; /* what the request's URL must contain */
  unsigned status; /* 0: no answer, `failure` instead */
  const char *body;
  const char *www_authenticate;
  enum http_failure failure;
  const char *retry_after;
};

struct seen {
  char method[8], url[2048], authorization[6000], header[200], body[40000];
  bool link_local;
};

static struct played script[PLAYED_MAX];
static size_t script_size, script_at;
static struct seen seen[PLAYED_MAX];
static uint64_t fake_ms = 1000000;
static uint32_t waits, last_at_least_ms;

uint64_t __wrap_clock_ms (void);
uint64_t
__wrap_clock_ms (void)
{
  return fake_ms;
}

bool __wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms);
bool
__wrap_backoff_wait (struct backoff *backoff, uint32_t at_least_ms)
{
  waits++;
  last_at_least_ms = at_least_ms;
  fake_ms += at_least_ms + 10;
  return ++backoff->tries < backoff->max_tries && fake_ms < backoff->deadline_ms;
}

static inline void
keep_request (const struct http_request *request, struct seen *keep)
{
  *keep = (struct seen){.link_local = request->link_local};
  snprintf (keep->method, sizeof keep->method, "%s", request->method);
  snprintf (keep->url, sizeof keep->url, "%s", request->url);
  for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i].name; i++) {
    const struct http_header *h = &request->headers[i];

    if (strcmp (h->name, "Authorization") == 0)
      snprintf (keep->authorization, sizeof keep->authorization, "%s%s", h->scheme ? h->scheme : "",
                h->value);
    else if (strcmp (h->name, "Accept") != 0)
      snprintf (keep->header, sizeof keep->header, "%s: %s", h->name, h->value);
  }
  assert_true (request->body_size < sizeof keep->body);
  if (request->body)
    memcpy (keep->body, request->body, request->body_size);
}

int __wrap_http_exchange (const struct http_request *request, struct http_answer *ret);
int
__wrap_http_exchange (const struct http_request *request, struct http_answer *ret)
{
  const struct played *step = &script[script_at];

  if (script_at >= script_size)
    fail_msg ("nothing is played for %s", request->url);
  keep_request (request, &seen[script_at++]);
  if (!strstr (request->url, step->url))
    fail_msg ("%s was asked where %s was to be", request->url, step->url);
  assert_true (request->timeout_ms > 0);
  if (step->status == 0) {
    ret->failure = step->failure;
    return -1;
  }
  ret->failure = HTTP_ANSWERED;
  ret->status = step->status;
  assert_int_equal (secret_init (&ret->body, strlen (step->body ? step->body : "") + 1, NULL), 0);
  ret->body.size--;
  memcpy (ret->body.bytes, step->body ? step->body : "", ret->body.size);
  snprintf (ret->www_authenticate, sizeof ret->www_authenticate, "%s",
            step->www_authenticate ? step->www_authenticate : "");
  snprintf (ret->retry_after, sizeof ret->retry_after, "%s",
            step->retry_after ? step->retry_after : "");
  snprintf (ret->request_id, sizeof ret->request_id, "request-%zu", script_at);
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

static inline int
start_anew (void **state)
{
  script_size = script_at = 0;
  fake_ms += 1000000000;
  azure_vault_forget ();
  return clear_environment (state);
}

static inline int
end_well (void **state)
{
  (void)state;
  assert_all_played ();
  azure_vault_forget ();
  return 0;
}

#define PLAYED_TEST(name) cmocka_unit_test_setup_teardown (name, start_anew, end_well)

#endif
