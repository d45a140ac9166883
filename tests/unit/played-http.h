/* A service that is only played: answers in the order in which they are needed, requests kept to be
 * looked at.  Linked by --wrap in place of http_exchange.
 */
#ifndef TESTS_PLAYED_HTTP_H
#define TESTS_PLAYED_HTTP_H

#include "kms/http.h"

#define PLAYED_MAX 16

struct played {
  const char *url; /* what the request's URL must contain */
  unsigned status; /* 0: no answer, `failure` instead */
  const char *body;
  enum http_failure failure;
  const char *www_authenticate;
  const char *retry_after;
};

struct seen {
  char method[8], url[2048], body[40000];
  char headers[8192];                                           /* all of them, a line each */
  char authorization[6000];                                     /* that header's value */
  char header[200];                                             /* the last one but it and Accept */
  char access_key[64], secret_key[64], region[32], service[16]; /* "" where not signed */
  bool link_local, keep, allow_plain;
  char ca_bundle[256];
};

static struct played script[PLAYED_MAX];
static size_t script_size, script_at;
static struct seen seen[PLAYED_MAX];
static uint32_t waits;

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
keep_header (const struct http_header *header, struct seen *keep)
{
  const char *scheme = header->scheme ? header->scheme : "";
  size_t used = strlen (keep->headers);

  snprintf (keep->headers + used, sizeof keep->headers - used, "%s: %s%s\n", header->name, scheme,
            header->value);
  if (strcmp (header->name, "Authorization") == 0)
    snprintf (keep->authorization, sizeof keep->authorization, "%s%s", scheme, header->value);
  else if (strcmp (header->name, "Accept") != 0)
    snprintf (keep->header, sizeof keep->header, "%s: %s", header->name, header->value);
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
  for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i].name; i++)
    keep_header (&request->headers[i], keep);
  assert_true (request->body_size < sizeof keep->body);
  if (request->body)
    memcpy (keep->body, request->body, request->body_size);
  keep_signature (request->sigv4, keep);
}

static inline void
fill_answer (const struct played *step, struct http_answer *ret)
{
  const char *body = step->body ? step->body : "";

  ret->failure = HTTP_ANSWERED;
  ret->status = step->status;
  snprintf (ret->request_id, sizeof ret->request_id, "request-%zu", script_at);
  snprintf (ret->www_authenticate, sizeof ret->www_authenticate, "%s",
            step->www_authenticate ? step->www_authenticate : "");
  snprintf (ret->retry_after, sizeof ret->retry_after, "%s",
            step->retry_after ? step->retry_after : "");
  assert_int_equal (secret_init (&ret->body, strlen (body) + 1, NULL), 0);
  ret->body.size--;
  memcpy (ret->body.bytes, body, ret->body.size);
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
  *ret = (struct http_answer){.failure = step->failure, .detail = "played"};
  if (step->status == 0)
    return -1;
  fill_answer (step, ret);
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

#define PLAYED_TEST(name) cmocka_unit_test_setup_teardown (name, start_anew, end_well)

#endif
