/* azure-arc.c owns the managed identities of machines outside Azure that Azure Arc has connected.
 * Its local service has the caller prove that it may read a file that only root and the group
 * himds can read.
 */
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/io.h"
#include "kms/azure-credential.h"
#include "kms/azure-environment.h"
#include "kms/azure-file.h"
#include "kms/azure-identity.h"
#include "kms/azure-send.h"

#define SERVICE "http://localhost:40342/metadata/identity/oauth2/token"
#define SERVICE_PROGRAM "/opt/azcmagent/bin/himds"
#define VERSION "2020-06-01"
#define SECRET_MAX ((size_t)4096)

static bool
present (void)
{
  if (azure_variable ("IDENTITY_ENDPOINT"))
    return azure_variable ("IMDS_ENDPOINT") && !azure_variable ("IDENTITY_HEADER");
  return access (SERVICE_PROGRAM, F_OK) == 0;
}

int
azure_arc_file (const char *www_authenticate, char ret[AZURE_ARC_FILE_MAX])
{
  static const char scheme[] = "Basic realm=", suffix[] = ".key";
  const char *path, *name;
  size_t length;

  if (strncasecmp (www_authenticate, scheme, strlen (scheme)) != 0)
    return -1;
  path = www_authenticate + strlen (scheme);
  length = strlen (path);
  if (length >= 2 && path[0] == '"' && path[length - 1] == '"') {
    path++;
    length -= 2;
  }
  if (length >= AZURE_ARC_FILE_MAX || strncmp (path, AZURE_ARC_FOLDER, strlen (AZURE_ARC_FOLDER)))
    return -1;
  name = path + strlen (AZURE_ARC_FOLDER);
  if (memchr (name, '/', (size_t)(path + length - name)) || path + length - name <= 4
      || strncmp (path + length - 4, suffix, 4) != 0)
    return -1;
  memcpy (ret, path, length);
  ret[length] = '\0';
  return 0;
}

/* The first request is answered by 401, with the name of the file. */
static int
get_secret (const char *url, uint64_t deadline_ms, struct secret *ret, struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  CLEANUP_SECRET struct secret secret = {0};
  char file[AZURE_ARC_FILE_MAX];
  struct http_request request = {
      .method = "GET", .url = url, .headers = {{"Metadata", NULL, "true"}}, .link_local = true};

  if (azure_send (AZURE_SERVICE_IDENTITY, AZURE_NONE, "the Azure Arc agent", deadline_ms, &request,
                  &answer, outcome)
      == 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "unexpected_answer",
                            "the Azure Arc agent answered without asking for its secret");
  if (answer.failure != HTTP_ANSWERED || answer.status != 401)
    return -1;
  if (azure_arc_file (answer.www_authenticate, file) < 0)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "arc_challenge",
                            "the Azure Arc agent named no *.key file in %s: nothing was sent",
                            AZURE_ARC_FOLDER);
  if (azure_read_file (file, SECRET_MAX, &secret, outcome) < 0)
    return -1;
  azure_trim (&secret);
  secret_take (ret, &secret);
  return 0;
}

static int
fetch (const struct azure_need *need, struct azure_token *ret, struct kms_outcome *outcome)
{
  CLEANUP_HTTP_ANSWER struct http_answer answer = {0};
  CLEANUP_SECRET struct secret secret = {0};
  const char *endpoint = azure_variable ("IDENTITY_ENDPOINT");
  char url[AZURE_IDENTITY_URL_MAX];
  struct http_request request = {
      .method = "GET", .url = url, .headers = {{"Metadata", NULL, "true"}}, .link_local = true};

  if (azure_variable ("AZURE_CLIENT_ID"))
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "arc_client_id",
                            "Azure Arc has system-assigned identities only: unset AZURE_CLIENT_ID");
  if (azure_identity_url (need, endpoint ? endpoint : SERVICE, VERSION, NULL, url, outcome) < 0
      || get_secret (url, need->deadline_ms, &secret, outcome) < 0)
    return -1;
  request.headers[1] = (struct http_header){"Authorization", "Basic ", (const char *)secret.bytes};
  if (azure_send (AZURE_SERVICE_IDENTITY, AZURE_NONE, "the Azure Arc agent", need->deadline_ms,
                  &request, &answer, outcome)
      < 0)
    return -1;
  return azure_token_from_answer (answer.body.bytes, answer.body.size, clock_ms (), ret, outcome);
}

const struct azure_credential azure_arc = {
    .name = "managed identity (Azure Arc)",
    .kind = "ManagedIdentityCredential",
    .present = present,
    .fetch = fetch,
};
