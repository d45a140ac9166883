/* Feeds the simulator's request parser, and everything behind it, with requests.
 *
 * An input is "METHOD PATH\n", headers as "Name: value\n", an empty line, and the body.  So that
 * the fuzzer gets past the door, "Authorization: sign kms" (or sts) is replaced by a right
 * signature, and "Authorization: bearer" by a token that the vaults of the demo accept.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "tests/fuzz/fuzz.h"
#include "tools/sim/aws-identity.h"
#include "tools/sim/aws-sigv4.h"
#include "tools/sim/azure-identity.h"
#include "tools/sim/sim.h"

#define INPUTS_PER_FOLDER 500 /* then a fresh one, so that lists stay short */

static struct sim sim;
static char folder[64];
static struct aws_access_key access_key;
static char *bearer;

/* ---- the simulator ----------------------------------------------------------------------------
 */

static void
remove_folder (int at, const char *name)
{
  int fd = openat (at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CLEANUP_CLOSEDIR
  DIR *entries = fd < 0 ? NULL : fdopendir (fd);
  const struct dirent *entry;

  while (entries && (entry = readdir (entries)))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
        && unlinkat (fd, entry->d_name, 0) < 0)
      remove_folder (fd, entry->d_name);
  unlinkat (at, name, AT_REMOVEDIR);
}

static void
stop (void)
{
  if (!folder[0])
    return;
  sim_clear (&sim);
  remove_folder (AT_FDCWD, folder);
  free (bearer);
  bearer = NULL;
  folder[0] = '\0';
}

static void
start (void)
{
  const char *base = access ("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  CLEANUP_AZURE_APP struct azure_app app = {0};
  CLEANUP_FREE
  char *token = NULL;
  struct error err;

  snprintf (folder, sizeof folder, "%s/keyfence-fuzz-sim.XXXXXX", base);
  if (!mkdtemp (folder) || sim_init (&sim, folder, &err) < 0
      || aws_access_key_of (&sim, "user/demo", &access_key) < 0
      || azure_app_by_name (&sim, "demo", &app) < 0)
    abort ();
  token = azure_access_token (&sim, &app, "https://vault.localhost", false, time (NULL), 1000000);
  if (asprintf (&bearer, "Bearer %s", token) < 0)
    abort ();
}

static void
make_ready (void)
{
  static unsigned inputs;

  if (inputs == 0)
    atexit (stop);
  if (inputs++ % INPUTS_PER_FOLDER == 0) {
    stop ();
    start ();
  }
}

/* ---- the request ------------------------------------------------------------------------------
 */

/* Cuts the text into a request, in place. */
static bool
parse (char *text, struct request *request)
{
  char *line = strsep (&text, "\n"), *query;

  request->method = strsep (&line, " ");
  if (!line || !text)
    return false;
  query = strchr (line, '?');
  if (query)
    *query++ = '\0';
  request->path = line;
  request->query = query ? query : "";
  while (text && *text && *text != '\n' && request->header_count < REQUEST_HEADERS_MAX - 2) {
    char *value = strsep (&text, "\n");
    const char *name = strsep (&value, ":");

    request->headers[request->header_count++] =
        (struct request_header){name, value ? value + strspn (value, " ") : ""};
  }
  request->body = text && *text ? text + 1 : "";
  request->body_size = strlen (request->body);
  return true;
}

/* The time, and a signature over host and time and what else starts with x-amz-. */
static void
sign (struct request *request, const char *service, char header[512], char date[SIGV4_TIME_MAX])
{
  char signature[SIGV4_SIGNATURE_SIZE];
  struct sigv4 auth;
  CLEANUP_FREE
  char *canonical = NULL;
  CLEANUP_FREE
  char *text = NULL;
  struct request_header *authorization = NULL;

  for (size_t i = 0; i < request->header_count; i++)
    if (strcmp (request->headers[i].name, "Authorization") == 0)
      authorization = &request->headers[i];
  sigv4_format_time (time (NULL), date);
  request->headers[request->header_count++] = (struct request_header){"x-amz-date", date};
  snprintf (header, 512,
            "AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request, "
            "SignedHeaders=host;x-amz-date%s, Signature=%064d",
            access_key.id, date, service,
            request_header (request, "X-Amz-Target") ? ";x-amz-target" : "", 0);
  authorization->value = header;
  if (sigv4_parse (request, &auth) != SIGV4_OK
      || !(canonical = sigv4_canonical_request (&auth, request))
      || !(text = sigv4_string_to_sign (&auth, canonical)))
    return;
  sigv4_sign (&auth, access_key.secret, text, signature);
  memcpy (strstr (header, "Signature=") + 10, signature, SIGV4_SIGNATURE_SIZE);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  CLEANUP_FREE
  char *text = strndup ((const char *)data, size);
  struct request request = {0};
  struct reply reply = {0};
  char header[512], date[SIGV4_TIME_MAX];

  make_ready ();
  if (!text || size > REQUEST_BODY_MAX || !parse (text, &request))
    return 0;
  for (size_t i = 0; i < request.header_count; i++) {
    struct request_header *one = &request.headers[i];

    if (strcmp (one->name, "Authorization") != 0)
      continue;
    if (strcmp (one->value, "bearer") == 0)
      one->value = bearer;
    else if (strcmp (one->value, "sign kms") == 0 || strcmp (one->value, "sign sts") == 0)
      sign (&request, one->value + 5, header, date);
    break;
  }
  sim_answer (&sim, &request, &reply);
  if (reply.status == 0)
    abort ();
  reply_clear (&reply);
  return 0;
}
