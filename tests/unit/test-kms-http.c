/* One exchange over HTTP: what is sent, what is taken, what is refused, and what is left in memory.
 */
#include "tests/unit/aws-test.h"

#include <sys/wait.h>

#include "kms/http.h"
#include "kms/secret-text.h"
#include "tests/unit/http-server.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

static const struct canned table[] = {
    {"/ok",
     HEAD "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-amzn-RequestId: r1\r\n"
          "Content-Length: 4\r\n\r\nbody",
     0},
    {"/empty", "HTTP/1.1 204 No Content\r\n\r\n", 0},
    {"/denied", "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno", 0},
    {"/moved", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n", 0},
    {"/full", HEAD "Content-Length: 65536\r\n\r\n", 65536},
    {"/large", HEAD "Content-Length: 65537\r\n\r\n", 65537},
    {"/endless", HEAD "Connection: close\r\n\r\n", 100000},
    {"/cut", HEAD "Content-Length: 100\r\nConnection: close\r\n\r\nshort", 0},
    {"/garbage", "\x01\x02\x03 Connection: close\r\n\r\n", 0},
    {"/nothing", "", 0},
    {"/hang", NULL, 0},
    {NULL, NULL, 0},
};

/* The URL of a path on the server, in one of two buffers. */
static const char *
url_of (const char *host, const char *path)
{
  static char urls[2][128];
  static int which;

  which = !which;
  snprintf (urls[which], sizeof urls[which], "http://%s:%u%s", host, server.port, path);
  return urls[which];
}

static struct http_request
request_for (const char *path)
{
  return (struct http_request){
      .method = "GET", .url = url_of ("127.0.0.1", path), .timeout_ms = 60000};
}

static void
assert_failure (const struct http_request *request, enum http_failure failure)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};

  assert_int_equal (http_exchange (request, &answer), -1);
  if (answer.failure != failure)
    fail_msg ("%s: %s (%s) instead of %s", request->url, http_failure_name (answer.failure),
              answer.detail, http_failure_name (failure));
  assert_null (answer.body.bytes);
  assert_true (answer.detail[0] != '\0');
}

static void
assert_asked (const char *what)
{
  pthread_mutex_lock (&server.lock);
  if (!strcasestr (server.request, what))
    fail_msg ("the request has no \"%s\": %s", what, server.request);
  pthread_mutex_unlock (&server.lock);
}

/* ---- answers ---- */

static void
an_answer_comes_with_status_body_and_headers (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  (void)state;
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_int_equal (answer.status, 200);
  assert_int_equal (answer.body.size, 4);
  assert_string_equal ((char *)answer.body.bytes, "body");
  assert_string_equal (answer.request_id, "r1");
  assert_int_equal (answer.date_s, 784111777);
  assert_asked ("GET /ok HTTP/1.1\r\n");
}

static void
an_answer_without_body_has_an_empty_text (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/empty");

  (void)state;
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_int_equal (answer.status, 204);
  assert_int_equal (answer.body.size, 0);
  assert_string_equal ((char *)answer.body.bytes, "");
}

static void
an_error_status_is_an_answer_too (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/denied");

  (void)state;
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_int_equal (answer.status, 400);
  assert_string_equal ((char *)answer.body.bytes, "no");
}

static void
redirects_are_not_followed (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/moved");

  (void)state;
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_int_equal (answer.status, 302);
  assert_string_equal (answer.location, "/ok");
  assert_asked ("/moved");
}

static void
bodies_are_bounded (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request full = request_for ("/full"), large = request_for ("/large");

  (void)state;
  assert_int_equal (http_exchange (&full, &answer), 0);
  assert_int_equal (answer.body.size, HTTP_BODY_MAX);
  assert_failure (&large, HTTP_TOO_LARGE);
  large = request_for ("/endless");
  assert_failure (&large, HTTP_TOO_LARGE);
}

static void
what_is_no_whole_answer_is_broken (void **state)
{
  static const char *const paths[] = {"/cut", "/garbage", "/unknown"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (paths); i++) {
    struct http_request request = request_for (paths[i]);

    assert_failure (&request, HTTP_BROKEN);
  }
}

static void
who_says_nothing_is_given_up (void **state)
{
  struct http_request request = request_for ("/hang");

  (void)state;
  request.timeout_ms = 200;
  assert_failure (&request, HTTP_TIMEOUT);
  request.timeout_ms = 0;
  assert_failure (&request, HTTP_TIMEOUT);
}

static void
who_does_not_listen_is_no_connection (void **state)
{
  struct http_request request = request_for ("/ok");

  (void)state;
  request.url = "http://127.0.0.1:1/";
  assert_failure (&request, HTTP_CONNECT);
}

static void
tls_is_not_spoken_by_a_plain_server (void **state)
{
  struct http_request request = request_for ("/ok");
  char url[64];

  (void)state;
  snprintf (url, sizeof url, "https://127.0.0.1:%u/", server.port);
  request.url = url;
  request.timeout_ms = 20000;
  assert_failure (&request, HTTP_TLS);
  request.ca_bundle = "/nonexistent/ca.pem";
  assert_failure (&request, HTTP_TLS_VERIFY);
}

/* ---- what is sent ---- */

static void
a_post_carries_its_body_and_headers (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  (void)state;
  request.method = "POST";
  request.body = "a\0b";
  request.body_size = 3;
  request.headers[0] = (struct http_header){"Content-Type", NULL, "x/y"};
  request.headers[1] = (struct http_header){"Authorization", "Bearer ", "token"};
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_asked ("POST /ok ");
  assert_asked ("content-length: 3\r\n");
  assert_asked ("content-type: x/y\r\n");
  assert_asked ("authorization: Bearer token\r\n");
}

static void
a_put_without_body_has_the_length_zero (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  (void)state;
  request.method = "PUT";
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_asked ("PUT /ok ");
  assert_asked ("content-length: 0\r\n");
}

static void
all_headers_are_signed (void **state)
{
  static const struct http_sigv4 sigv4 = {"AKID", "kfPlanted-secret", "eu-central-1", "kms"};
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  (void)state;
  request.method = "POST";
  request.sigv4 = &sigv4;
  request.headers[0] = (struct http_header){"Content-Type", NULL, "application/x-amz-json-1.1"};
  request.headers[1] = (struct http_header){"X-Amz-Target", "TrentService.", "Decrypt"};
  request.headers[2] = (struct http_header){"X-Amz-Security-Token", NULL, "tok"};
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_asked ("Authorization: AWS4-HMAC-SHA256 Credential=AKID/");
  assert_asked ("/eu-central-1/kms/aws4_request, SignedHeaders=content-type;host;x-amz-date;"
                "x-amz-security-token;x-amz-target, Signature=");
  assert_asked ("x-amz-target: TrentService.Decrypt\r\n");
}

static void
a_value_with_a_line_break_is_not_sent (void **state)
{
  struct http_request request = request_for ("/ok");

  (void)state;
  request.headers[0] = (struct http_header){"Authorization", NULL, "a\r\nX-Evil: 1"};
  assert_failure (&request, HTTP_REFUSED);
  request.headers[0].value = "a\nb";
  assert_failure (&request, HTTP_REFUSED);
}

/* ---- where it goes ---- */

static void
plain_http_goes_to_this_machine_only_unless_allowed (void **state)
{
  static const char *const refused[] = {"http://192.0.2.1/",
                                        "http://example.com/",
                                        "http://127.0.0.1.example.com/",
                                        "ftp://127.0.0.1/",
                                        "https://user@127.0.0.1/",
                                        "https://u:p@127.0.0.1/",
                                        "file:///etc/passwd",
                                        "127.0.0.1",
                                        ""};
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (refused); i++) {
    request.url = refused[i];
    assert_failure (&request, HTTP_REFUSED);
  }
  request.url = url_of ("0.0.0.0", "/ok"); /* which Linux takes for this machine, and we don't */
  assert_failure (&request, HTTP_REFUSED);
  request.allow_plain = true;
  assert_int_equal (http_exchange (&request, &answer), 0);
}

static void
a_proxy_is_used_but_for_this_machine_and_metadata (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  (void)state;
  setenv ("http_proxy", "http://127.0.0.1:1", 1);
  setenv ("ALL_PROXY", "http://127.0.0.1:1", 1);
  assert_int_equal (http_exchange (&request, &answer), 0);
  http_answer_clear (&answer);
  request.url = url_of ("0.0.0.0", "/ok");
  request.allow_plain = true;
  assert_failure (&request, HTTP_CONNECT);
  request.link_local = true;
  assert_int_equal (http_exchange (&request, &answer), 0);
  unsetenv ("http_proxy");
  unsetenv ("ALL_PROXY");
}

static void
hosts_are_read_as_they_will_be_used (void **state)
{
  static const struct {
    const char *url, *host;
    bool loopback;
  } cases[] = {
      {"https://KMS.Example.COM:8443/x", "kms.example.com", false},
      {"http://[::1]:80/", "::1", true},
      {"http://127.1.2.3/", "127.1.2.3", true},
      {"http://0x7f.1/", "127.0.0.1", true},
      {"https://vault.localhost:1/", "vault.localhost", true},
      {"https://localhost.example.com/", "localhost.example.com", false},
      {"https://xlocalhost/", "xlocalhost", false},
      {"http://128.0.0.1/", "128.0.0.1", false},
  };
  char host[HTTP_HOST_MAX];

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    assert_int_equal (http_url_host (cases[i].url, host), 0);
    assert_string_equal (host, cases[i].host);
    assert_int_equal (http_url_is_loopback (cases[i].url), cases[i].loopback);
  }
  assert_int_equal (http_url_host ("https://a@b/", host), -1);
  assert_int_equal (http_url_host ("nonsense", host), -1);
}

/* ---- connections ---- */

static void
exchange_kept (void)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  request.keep = true;
  assert_int_equal (http_exchange (&request, &answer), 0);
}

static void
connections_that_are_kept_are_used_again (void **state)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  struct http_request request = request_for ("/ok");

  (void)state;
  http_close_kept ();
  server.connections = 0;
  exchange_kept ();
  exchange_kept ();
  assert_int_equal (server.connections, 1);
  assert_int_equal (http_exchange (&request, &answer), 0);
  assert_int_equal (server.connections, 2);
  http_close_kept ();
  exchange_kept ();
  assert_int_equal (server.connections, 3);
}

static void
a_child_never_uses_its_parents_connection (void **state)
{
  int status = -1;
  pid_t pid;

  (void)state;
  http_close_kept ();
  server.connections = 0;
  exchange_kept ();
  pid = fork ();
  if (pid == 0) {
    exchange_kept ();
    _exit (0);
  }
  assert_int_equal (waitpid (pid, &status, 0), pid);
  assert_int_equal (status, 0);
  assert_int_equal (server.connections, 2);
  exchange_kept (); /* and the parent's goes on */
  assert_int_equal (server.connections, 2);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (an_answer_comes_with_status_body_and_headers),
      cmocka_unit_test (an_answer_without_body_has_an_empty_text),
      cmocka_unit_test (an_error_status_is_an_answer_too),
      cmocka_unit_test (redirects_are_not_followed),
      cmocka_unit_test (bodies_are_bounded),
      cmocka_unit_test (what_is_no_whole_answer_is_broken),
      cmocka_unit_test (who_says_nothing_is_given_up),
      cmocka_unit_test (who_does_not_listen_is_no_connection),
      cmocka_unit_test (tls_is_not_spoken_by_a_plain_server),
      cmocka_unit_test (a_post_carries_its_body_and_headers),
      cmocka_unit_test (a_put_without_body_has_the_length_zero),
      cmocka_unit_test (all_headers_are_signed),
      cmocka_unit_test (a_value_with_a_line_break_is_not_sent),
      cmocka_unit_test (plain_http_goes_to_this_machine_only_unless_allowed),
      cmocka_unit_test (a_proxy_is_used_but_for_this_machine_and_metadata),
      cmocka_unit_test (hosts_are_read_as_they_will_be_used),
      cmocka_unit_test (connections_that_are_kept_are_used_again),
      cmocka_unit_test (a_child_never_uses_its_parents_connection),
  };
  int failed;

  unsetenv ("http_proxy");
  unsetenv ("https_proxy");
  if (server_start (table) < 0)
    return 1;
  failed = cmocka_run_group_tests (tests, NULL, NULL);
  server_stop ();
  return failed;
}
