/* notify.c owns the posting of one message. */
#include "kms/notify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/text.h"
#include "kms/http.h"

#define NOTIFY_TIMEOUT_MS 10000

static int
failed (char ret_why[NOTIFY_WHY_MAX], const char *what, const char *detail)
{
  text_print (ret_why, NOTIFY_WHY_MAX, "%s%s%s", what, detail[0] ? ": " : "", detail);
  return -1;
}

static int
post (const char *url, const char *body, size_t body_size, char ret_why[NOTIFY_WHY_MAX])
{
  const struct http_request request = {
      .method = "POST",
      .url = url,
      .headers = {{"Content-Type", NULL, "application/json"}},
      .body = body,
      .body_size = body_size,
      .timeout_ms = NOTIFY_TIMEOUT_MS,
  };
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  char status[32];

  if (http_exchange (&request, &answer) == 0) {
    snprintf (status, sizeof status, "HTTP %u", answer.status);
    return answer.status / 100 == 2 ? 0 : failed (ret_why, status, "");
  }
  if (answer.failure == HTTP_REFUSED) /* the words have the URL in them */
    return failed (ret_why, "refused", "neither https, nor http to a loopback address");
  return failed (ret_why, http_failure_name (answer.failure), answer.detail);
}

int
notify_post (struct secret *message, size_t size, char ret_why[NOTIFY_WHY_MAX])
{
  char *newline = memchr (message->bytes, '\n', size);

  if (!newline)
    return failed (ret_why, "input", "there is no URL");
  *newline = '\0';
  return post ((char *)message->bytes, newline + 1,
               size - (size_t)(newline + 1 - (char *)message->bytes), ret_why);
}

/* The URL may hold a token, so it lies in secret memory. */
static int
read_input (struct secret *input, size_t *ret_size)
{
  size_t used = 0;

  if (secret_init (input, NOTIFY_MESSAGE_MAX, NULL) < 0)
    return -1;
  while (used < NOTIFY_MESSAGE_MAX) {
    ssize_t n = read (STDIN_FILENO, input->bytes + used, NOTIFY_MESSAGE_MAX - used);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0) {
      *ret_size = used;
      return 0;
    }
    used += (size_t)n;
  }
  return -1;
}

int
notify_main (void)
{
  CLEANUP_SECRET struct secret input = {0};
  char why[NOTIFY_WHY_MAX];
  size_t size;
  int r;

  if (read_input (&input, &size) < 0)
    r = failed (why, "input", "it can't be read, or is too long");
  else
    r = notify_post (&input, size, why);
  if (r == 0)
    return 0;
  puts (why);
  fflush (stdout);
  return 1;
}
