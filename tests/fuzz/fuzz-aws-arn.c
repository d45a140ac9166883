/* Feeds the readers of AWS' keys' names and of endpoints.  What is taken for a key's name must be
 * one again when it is put together.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kms/aws-arn.h"
#include "kms/aws-endpoint.h"
#include "tests/fuzz/fuzz.h"

static void
check_key (const char *text)
{
  char again[WRAP_KEY_MAX];
  struct aws_key key;
  struct error err;

  if (aws_key_parse (text, &key, &err) < 0)
    return;
  snprintf (again, sizeof again, "arn:%s:kms:%s:%s:%s", key.partition->name, key.region,
            key.account, key.resource);
  if (strcmp (again, key.arn) != 0 || aws_partition_of (key.region) != key.partition
      || strpbrk (key.arn, "\"'\\<>? \n"))
    abort ();
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  char text[1024], url[AWS_URL_MAX];
  const struct aws_endpoint_options options = {.custom = text};
  struct error err;

  if (size >= sizeof text)
    return 0;
  if (size > 0)
    memcpy (text, data, size);
  text[size] = '\0';
  check_key (text);
  if (aws_endpoint ("kms", "eu-central-1", &options, url, &err) == 0
      && url[strlen (url) - 1] != '/')
    abort ();
  return 0;
}
