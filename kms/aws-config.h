/* The shared config and credentials files of the AWS tools: sections, properties, and which wins.
 *
 * Both files are read whole into secret memory and looked through where they lie.  Names of
 * properties are matched without regard to case, names of profiles exactly.  A later value wins
 * over an earlier one in a file, and the credentials file wins over the config file ("Configuration
 * and credential file settings", AWS CLI user guide; the format's details are those of AWS' SDKs:
 * comments begin with # or ; at the start of a line, or behind white space; indented lines below a
 * property without a value are its own properties).
 */
#ifndef KMS_AWS_CONFIG_H
#define KMS_AWS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "kms/outcome.h"

#define AWS_PROFILE_MAX 128
#define AWS_VALUE_MAX 2048
#define AWS_FILE_MAX ((size_t)256 * 1024)

struct aws_config {
  struct secret config, credentials; /* texts; empty: there is no such file */
  char profile[AWS_PROFILE_MAX];     /* $AWS_PROFILE, $AWS_DEFAULT_PROFILE or "default" */
  bool profile_given;                /* by one of these */
};

enum aws_file { AWS_ANY_FILE, AWS_CONFIG_FILE, AWS_CREDENTIALS_FILE };

/* Reads $AWS_CONFIG_FILE (~/.aws/config) and $AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials);
 * files that don't exist are empty, and so is /dev/null.  -1 with *outcome (KMS_CREDENTIALS,
 * "config_unreadable", "profile_not_found").
 */
int aws_config_load (struct aws_config *ret, struct kms_outcome *outcome) MUST_CHECK;
void aws_config_clear (struct aws_config *config);
#define CLEANUP_AWS_CONFIG CLEANUP (aws_config_clear)

bool aws_config_has_profile (const struct aws_config *config, const char *profile);

/* The value of a property, without the white space around it.  1 when it is there and not empty, 0
 * when not (or when it is longer than max - 1).
 */
int aws_config_get (const struct aws_config *config, const char *profile, const char *property,
                    char *ret, size_t max) MUST_CHECK;
/* How long the value of a property is; 0: it is not there. */
size_t
aws_config_length (const struct aws_config *config, const char *profile, const char *property);
size_t aws_config_service_length (const struct aws_config *config, const char *services,
                                  const char *service, const char *property);
int aws_config_get_secret (const struct aws_config *config, enum aws_file file, const char *profile,
                           const char *property, struct secret *ret) MUST_CHECK;

/* Below `service =` in the section [services NAME] of the config file. */
int
aws_config_get_service (const struct aws_config *config, const char *services, const char *service,
                        const char *property, char *ret, size_t max) MUST_CHECK;

#endif
