/* aws-arn.c owns the table of AWS partitions and the reading of its keys' names. */
#include "kms/aws-arn.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"

/* The more special prefixes come first: "us-gov-" is no region of "us-". */
static const struct aws_partition partitions[] = {
    {"aws-us-gov", "us-gov", "amazonaws.com", "api.aws"},
    {"aws-iso-b", "us-isob", "sc2s.sgov.gov", "api.aws.scloud"},
    {"aws-iso-f", "us-isof", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
    {"aws-iso-e", "eu-isoe", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
    {"aws-iso", "us-iso", "c2s.ic.gov", "api.aws.ic.gov"},
    {"aws-cn", "cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"aws-eusc", "eusc-de", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"aws", "us eu ap sa ca me af il mx", "amazonaws.com", "api.aws"},
};

/* "-WORD-DIGITS", to the end: what is behind a region's prefix. */
static bool
is_region_tail (const char *p)
{
  const char *word;

  if (*p++ != '-')
    return false;
  for (word = p; isalnum ((unsigned char)*p) || *p == '_'; p++)
    ;
  if (p == word || *p++ != '-' || !isdigit ((unsigned char)*p))
    return false;
  while (isdigit ((unsigned char)*p))
    p++;
  return *p == '\0';
}

static bool
has_region (const struct aws_partition *partition, const char *region)
{
  const char *p = partition->prefixes;

  while (*p) {
    size_t length = strcspn (p, " ");

    if (strncmp (region, p, length) == 0 && is_region_tail (region + length))
      return true;
    p += length + (p[length] == ' ');
  }
  return false;
}

const struct aws_partition *
aws_partition_of (const char *region)
{
  for (size_t i = 0; i < ARRAY_SIZE (partitions); i++)
    if (has_region (&partitions[i], region))
      return &partitions[i];
  return NULL;
}

static const struct aws_partition *
partition_named (const char *name)
{
  for (size_t i = 0; i < ARRAY_SIZE (partitions); i++)
    if (strcmp (partitions[i].name, name) == 0)
      return &partitions[i];
  return NULL;
}

/* ---- the parts ---- */

static bool
all_in (const char *text, size_t min, size_t max, const char *others)
{
  size_t length = strlen (text);

  if (length < min || length > max)
    return false;
  for (; *text; text++)
    if (!isalnum ((unsigned char)*text) && !strchr (others, *text))
      return false;
  return true;
}

static bool
is_account (const char *text)
{
  return strlen (text) == 12 && strspn (text, "0123456789") == 12;
}

static bool
is_multi_region_id (const char *id)
{
  return strncmp (id, "mrk-", 4) == 0 && strlen (id) == 36
         && strspn (id + 4, "0123456789abcdef") == 32;
}

/* Takes the text up to the next ':' out of *rest. */
static int
take_part (char **rest, const char **ret)
{
  char *colon = strchr (*rest, ':');

  if (!colon)
    return -1;
  *colon = '\0';
  *ret = *rest;
  *rest = colon + 1;
  return 0;
}

static int
malformed (struct error *err, const char *name, const char *what)
{
  return error_set (err, ERROR_USAGE,
                    "\"%.200s\" is not the name of an AWS KMS key: %s; write " AWS_KEY_FORM, name,
                    what);
}

static int
parse_resource (struct aws_key *key, const char *name, struct error *err)
{
  const char *slash = strchr (key->resource, '/');

  if (strncmp (key->resource, "alias/", 6) == 0)
    key->is_alias = true;
  else if (strncmp (key->resource, "key/", 4) != 0)
    return malformed (err, name, "it names neither a key nor an alias");
  key->is_multi_region = !key->is_alias && is_multi_region_id (slash + 1);
  if (key->is_alias && !all_in (slash + 1, 1, 250, "/_-"))
    return malformed (err, name, "an alias has letters, digits and /_- only");
  if (!key->is_alias && !is_uuid (slash + 1) && !key->is_multi_region)
    return malformed (err, name, "a key's id is a UUID, or mrk- and 32 hex digits");
  return 0;
}

static int
parse_query (struct aws_key *key, const char *name, char *query, struct error *err)
{
  static const char option[] = "grant-tokens=";
  const char *path = query + sizeof option - 1;

  if (strncmp (query, option, sizeof option - 1) != 0 || path[0] != '/'
      || strlen (path) >= sizeof key->grant_tokens)
    return malformed (err, name,
                      "behind a question mark it has grant-tokens=/ABSOLUTE/PATH and nothing else");
  snprintf (key->grant_tokens, sizeof key->grant_tokens, "%s", path);
  return 0;
}

static int
parse_place (struct aws_key *key, const char *name, const char *partition, const char *region,
             struct error *err)
{
  const struct aws_partition *other = aws_partition_of (region);

  key->partition = partition_named (partition);
  if (!key->partition)
    return error_set (err, ERROR_USAGE,
                      "\"%.200s\": there is no AWS partition \"%.30s\" that keyfence knows", name,
                      partition);
  if (!other || strlen (region) >= sizeof key->region)
    return error_set (err, ERROR_USAGE, "\"%.200s\": \"%.30s\" is not the name of an AWS region",
                      name, region);
  if (other != key->partition)
    return error_set (
        err, ERROR_USAGE,
        "\"%.200s\": the region %s is in the partition %s, not %s: copy the ARN again", name,
        region, other->name, partition);
  snprintf (key->region, sizeof key->region, "%s", region);
  return 0;
}

int
aws_key_parse (const char *name, struct aws_key *ret, struct error *err)
{
  struct aws_key key = {0};
  char parts[WRAP_KEY_MAX], *rest = parts, *query;
  const char *arn, *partition, *service, *region, *account;

  if (strlen (name) >= sizeof parts)
    return malformed (err, name, "it is too long");
  snprintf (parts, sizeof parts, "%s", name);
  query = strchr (parts, '?');
  if (query)
    *query++ = '\0';
  snprintf (key.arn, sizeof key.arn, "%s", parts);
  if (take_part (&rest, &arn) < 0 || take_part (&rest, &partition) < 0
      || take_part (&rest, &service) < 0 || take_part (&rest, &region) < 0
      || take_part (&rest, &account) < 0 || strcmp (arn, "arn") != 0
      || strcmp (service, "kms") != 0)
    return malformed (err, name, "it has other parts");
  if (parse_place (&key, name, partition, region, err) < 0)
    return -1;
  if (!is_account (account))
    return malformed (err, name, "an account has 12 digits");
  snprintf (key.account, sizeof key.account, "%s", account);
  key.resource = key.arn + (rest - parts);
  if (parse_resource (&key, name, err) < 0 || (query && parse_query (&key, name, query, err) < 0))
    return -1;
  *ret = key;
  ret->resource = ret->arn + (key.resource - key.arn);
  return 0;
}
