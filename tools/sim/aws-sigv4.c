/* aws-sigv4.c owns the verification of AWS Signature Version 4. */
#include "tools/sim/aws-sigv4.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "common/checked.h"
#include "common/encode.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SHA256_SIZE 32
#define SHA256_HEX (2 * SHA256_SIZE + 1)

/* ---- time ----------------------------------------------------------------------------------- */

void
sigv4_format_time (int64_t unix_s, char ret[SIGV4_TIME_MAX])
{
  time_t t = (time_t)unix_s;
  struct tm tm;

  if (!gmtime_r (&t, &tm) || strftime (ret, SIGV4_TIME_MAX, "%Y%m%dT%H%M%SZ", &tm) == 0)
    ret[0] = '\0';
}

int
sigv4_parse_time (const char *text, int64_t *ret_unix_s)
{
  struct tm tm = {0};
  char again[SIGV4_TIME_MAX];
  int64_t t;

  if (strlen (text) != SIGV4_TIME_MAX - 1
      || sscanf (text, "%4d%2d%2dT%2d%2d%2dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
                 &tm.tm_min, &tm.tm_sec)
             != 6)
    return -1;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  t = timegm (&tm);
  sigv4_format_time (t, again);
  if (strcmp (again, text) != 0)
    return -1;
  *ret_unix_s = t;
  return 0;
}

/* ---- the Authorization header --------------------------------------------------------------- */

/* "Name=value" at the start of *text, ended by a comma or the end: the value is cut out in place.
 */
static const char *
take_field (char **text, const char *name)
{
  size_t length = strlen (name);
  char *value;

  *text += strspn (*text, " ,");
  if (strncmp (*text, name, length) != 0 || (*text)[length] != '=')
    return NULL;
  value = *text + length + 1;
  *text = value + strcspn (value, ",");
  if (**text)
    *(*text)++ = '\0';
  return *value ? value : NULL;
}

/* KEY/DATE/REGION/SERVICE/aws4_request */
static int
split_credential (char *credential, struct sigv4 *auth)
{
  const char **parts[] = {&auth->access_key, &auth->date, &auth->region, &auth->service};
  char *rest = credential;

  for (size_t i = 0; i < ARRAY_SIZE (parts); i++) {
    *parts[i] = strsep (&rest, "/");
    if (!rest || !**parts[i])
      return -1;
  }
  return strcmp (rest, "aws4_request") == 0 ? 0 : -1;
}

/* The names must be lower case and in order. */
static int
split_signed_names (char *names, struct sigv4 *auth)
{
  char *name;

  while ((name = strsep (&names, ";"))) {
    if (auth->signed_count == SIGV4_SIGNED_MAX || !*name)
      return -1;
    for (const char *c = name; *c; c++)
      if (isupper ((unsigned char)*c))
        return -1;
    if (auth->signed_count > 0 && strcmp (auth->signed_names[auth->signed_count - 1], name) >= 0)
      return -1;
    auth->signed_names[auth->signed_count++] = name;
  }
  return 0;
}

static bool
is_signed (const struct sigv4 *auth, const char *name)
{
  for (size_t i = 0; i < auth->signed_count; i++)
    if (strcasecmp (auth->signed_names[i], name) == 0)
      return true;
  return false;
}

/* The host, and whatever starts with x-amz-, must be signed. */
static bool
signs_enough (const struct sigv4 *auth, const struct request *request)
{
  if (!is_signed (auth, "host"))
    return false;
  for (size_t i = 0; i < request->header_count; i++)
    if (strncasecmp (request->headers[i].name, "x-amz-", 6) == 0
        && !is_signed (auth, request->headers[i].name))
      return false;
  return true;
}

enum sigv4_result
sigv4_parse (const struct request *request, struct sigv4 *ret)
{
  const char *header = request_header (request, "Authorization");
  const char *time = request_header (request, "X-Amz-Date");
  char *rest = ret->text;
  const char *credential, *names;
  uint8_t raw[SHA256_SIZE];

  memset (ret, 0, sizeof *ret);
  if (!header)
    return SIGV4_MISSING;
  if (strncmp (header, ALGORITHM " ", sizeof ALGORITHM) != 0 || !time
      || strlen (header) >= sizeof ret->text || strlen (time) >= sizeof ret->time)
    return SIGV4_INCOMPLETE;
  memcpy (ret->text, header, strlen (header) + 1);
  memcpy (ret->time, time, strlen (time) + 1);
  rest += sizeof ALGORITHM;
  credential = take_field (&rest, "Credential");
  names = take_field (&rest, "SignedHeaders");
  ret->signature = take_field (&rest, "Signature");
  if (!credential || !names || !ret->signature || hex_decode (ret->signature, raw, sizeof raw) < 0
      || split_credential ((char *)(uintptr_t)credential, ret) < 0
      || split_signed_names ((char *)(uintptr_t)names, ret) < 0 || !signs_enough (ret, request))
    return SIGV4_INCOMPLETE;
  return SIGV4_OK;
}

enum sigv4_result
sigv4_check_scope (const struct sigv4 *auth, const char *service, int64_t now_s, int64_t window_s)
{
  int64_t then_s;

  if (sigv4_parse_time (auth->time, &then_s) < 0)
    return SIGV4_INCOMPLETE;
  if (then_s < now_s - window_s)
    return SIGV4_EXPIRED;
  if (then_s > now_s + window_s)
    return SIGV4_EARLY;
  if (strlen (auth->date) != 8 || strncmp (auth->date, auth->time, 8) != 0
      || strcmp (auth->service, service) != 0)
    return SIGV4_SCOPE;
  return SIGV4_OK;
}

/* ---- the canonical request ------------------------------------------------------------------ */

static void
sha256_hex (const void *bytes, size_t size, char ret[SHA256_HEX])
{
  uint8_t digest[SHA256_SIZE];

  if (EVP_Digest (bytes, size, digest, NULL, EVP_sha256 (), NULL) != 1)
    abort ();
  hex_encode (digest, sizeof digest, ret);
}

/* Everything but the unreserved characters of RFC 3986 as %XX; '/' stays in a path. */
static void
put_encoded (FILE *f, const char *text, bool path)
{
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;

    if (isalnum (c) || strchr ("-._~", c) || (path && c == '/'))
      putc (c, f);
    else
      fprintf (f, "%%%02X", c);
  }
}

/* "name=value", both decoded and encoded again; a new string. */
static char *
canonical_parameter (const char *parameter, size_t size)
{
  size_t name = strcspn (parameter, "=&"), value = name < size ? name + 1 : name;
  CLEANUP_FREE
  char *plain_name = percent_decode (parameter, name, false);
  CLEANUP_FREE
  char *plain_value = percent_decode (parameter + value, size - value, false);
  char *text = NULL;
  size_t length;
  FILE *f;

  if (!plain_name || !plain_value || !(f = open_memstream (&text, &length)))
    return NULL;
  put_encoded (f, plain_name, false);
  putc ('=', f);
  put_encoded (f, plain_value, false);
  fclose (f);
  return text;
}

static int
by_text (const void *a, const void *b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

/* The parameters sorted by name, then value.  -1 when one is badly encoded or there are too many.
 */
static int
put_query (FILE *f, const char *query)
{
  char *parameters[64];
  size_t count = 0;
  int r = 0;

  while (*query && r == 0) {
    size_t size = strcspn (query, "&");

    if (count == ARRAY_SIZE (parameters)
        || !(parameters[count] = canonical_parameter (query, size)))
      r = -1;
    else
      count++;
    query += size + (query[size] == '&');
  }
  qsort (parameters, count, sizeof parameters[0], by_text);
  for (size_t i = 0; i < count; i++) {
    fprintf (f, "%s%s", i > 0 ? "&" : "", parameters[i]);
    free (parameters[i]);
  }
  return r;
}

/* A header's value without white space at the ends and with one blank for each run of them. */
static void
put_trimmed (FILE *f, const char *value)
{
  bool blank = false;

  value += strspn (value, " \t");
  for (; *value; value++) {
    if (*value == ' ' || *value == '\t') {
      blank = true;
      continue;
    }
    if (blank)
      putc (' ', f);
    blank = false;
    putc (*value, f);
  }
}

/* One line a signed name; values of repeated headers joined by commas.  -1 when one isn't there. */
static int
put_headers (FILE *f, const struct sigv4 *auth, const struct request *request)
{
  for (size_t i = 0; i < auth->signed_count; i++) {
    bool found = false;

    fprintf (f, "%s:", auth->signed_names[i]);
    for (size_t j = 0; j < request->header_count; j++)
      if (strcasecmp (request->headers[j].name, auth->signed_names[i]) == 0) {
        if (found)
          putc (',', f);
        put_trimmed (f, request->headers[j].value);
        found = true;
      }
    putc ('\n', f);
    if (!found)
      return -1;
  }
  putc ('\n', f);
  for (size_t i = 0; i < auth->signed_count; i++)
    fprintf (f, "%s%s", i > 0 ? ";" : "", auth->signed_names[i]);
  putc ('\n', f);
  return 0;
}

char *
sigv4_canonical_request (const struct sigv4 *auth, const struct request *request)
{
  char hash[SHA256_HEX], *text = NULL;
  size_t length;
  FILE *f = open_memstream (&text, &length);
  int r;

  if (!f)
    return NULL;
  fprintf (f, "%s\n", request->method);
  put_encoded (f, request->path, true);
  putc ('\n', f);
  r = put_query (f, request->query);
  putc ('\n', f);
  r |= put_headers (f, auth, request);
  sha256_hex (request->body ? request->body : "", request->body_size, hash);
  fputs (hash, f);
  fclose (f);
  if (r != 0) {
    free (text);
    return NULL;
  }
  return text;
}

char *
sigv4_string_to_sign (const struct sigv4 *auth, const char *canonical_request)
{
  char hash[SHA256_HEX], *text;

  sha256_hex (canonical_request, strlen (canonical_request), hash);
  if (asprintf (&text, ALGORITHM "\n%s\n%s/%s/%s/aws4_request\n%s", auth->time, auth->date,
                auth->region, auth->service, hash)
      < 0)
    return NULL;
  return text;
}

/* ---- the signature -------------------------------------------------------------------------- */

/* key = HMAC (key, text), in place. */
static void
chain (uint8_t key[SHA256_SIZE], const char *text)
{
  uint8_t out[SHA256_SIZE];
  unsigned size = sizeof out;

  if (!HMAC (EVP_sha256 (), key, SHA256_SIZE, (const unsigned char *)text, strlen (text), out,
             &size))
    abort ();
  memcpy (key, out, sizeof out);
}

void
sigv4_sign (const struct sigv4 *auth, const char *secret_key, const char *text,
            char ret[SIGV4_SIGNATURE_SIZE])
{
  uint8_t key[SHA256_SIZE];
  unsigned size = sizeof key;
  char start[256];
  int length = snprintf (start, sizeof start, "AWS4%s", secret_key);

  if (length >= (int)sizeof start
      || !HMAC (EVP_sha256 (), start, length, (const unsigned char *)auth->date,
                strlen (auth->date), key, &size))
    abort ();
  chain (key, auth->region);
  chain (key, auth->service);
  chain (key, "aws4_request");
  chain (key, text);
  hex_encode (key, sizeof key, ret);
}

/* A client that sends the hash of its body must have hashed this body. */
static bool
declared_hash_fits (const struct request *request)
{
  const char *declared = request_header (request, "X-Amz-Content-Sha256");
  char hash[SHA256_HEX];

  if (!declared)
    return true;
  sha256_hex (request->body ? request->body : "", request->body_size, hash);
  return strcmp (declared, hash) == 0;
}

enum sigv4_result
sigv4_check_signature (const struct sigv4 *auth, const struct request *request,
                       const char *secret_key)
{
  CLEANUP_FREE
  char *canonical = sigv4_canonical_request (auth, request);
  CLEANUP_FREE
  char *text = canonical ? sigv4_string_to_sign (auth, canonical) : NULL;
  char expected[SHA256_HEX];

  if (!text || !declared_hash_fits (request))
    return SIGV4_MISMATCH;
  sigv4_sign (auth, secret_key, text, expected);
  return CRYPTO_memcmp (expected, auth->signature, sizeof expected) == 0 ? SIGV4_OK
                                                                         : SIGV4_MISMATCH;
}
