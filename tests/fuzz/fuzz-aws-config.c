/* Feeds the reader of AWS' shared files, as config and as credentials.  What comes out must lie in
 * what went in.
 */
#include <stdlib.h>
#include <string.h>

#include "kms/aws-config.h"
#include "kms/command.h"
#include "kms/secret-text.h"
#include "tests/fuzz/fuzz.h"

static const char *const properties[] = {
    "aws_access_key_id", "aws_secret_access_key", "role_arn", "credential_process", "region",
    "endpoint_url"};

static void
check_property (const struct aws_config *config, const char *profile, const char *property,
                const uint8_t *data, size_t size)
{
  CLEANUP_SECRET struct secret value = {0};
  char text[AWS_VALUE_MAX], buf[2 * AWS_VALUE_MAX], *words[COMMAND_WORDS_MAX + 1];
  size_t length;

  if (aws_config_get (config, profile, property, text, sizeof text)
      && command_split (text, buf, sizeof buf, words) == 0 && !words[0])
    abort ();
  if (!aws_config_get_secret (config, AWS_ANY_FILE, profile, property, &value))
    return;
  length = value.size - 1;
  if (length == 0 || length > size || !memmem (data, size, value.bytes, length)
      || memchr (value.bytes, '\n', length) || !aws_config_has_profile (config, profile))
    abort ();
}

static void
fill (struct secret *text, const uint8_t *data, size_t size)
{
  if (size > 0 && secret_init (text, size, NULL) == 0)
    memcpy (text->bytes, data, size);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char *const profiles[] = {"default", "x", "two words"};
  CLEANUP_AWS_CONFIG struct aws_config config = {0};
  char text[64];

  if (size < 1 || size > AWS_FILE_MAX)
    return 0;
  if (data[0] % 3 != 1)
    fill (&config.config, data + 1, size - 1);
  if (data[0] % 3 != 0)
    fill (&config.credentials, data + 1, size - 1);
  for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++)
    for (size_t j = 0; j < sizeof properties / sizeof properties[0]; j++)
      check_property (&config, profiles[i], properties[j], data + 1, size - 1);
  if (aws_config_get_service (&config, "x", "kms", "endpoint_url", text, sizeof text)
      && strlen (text) >= sizeof text)
    abort ();
  return 0;
}
