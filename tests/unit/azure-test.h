/* What the tests of Azure share: keys, a clean environment, outcomes. */
#ifndef TESTS_AZURE_TEST_H
#define TESTS_AZURE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/checked.h"
#include "kms/azure-uri.h"
#include "kms/outcome.h"

#define VAULT_KEY "https://myvault.vault.azure.net/keys/kek"
#define VERSION "0123456789abcdef0123456789abcdef"
#define TENANT "11111111-2222-3333-4444-555555555555"
#define OTHER_TENANT "99999999-2222-3333-4444-555555555555"
#define CLIENT "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

static inline void
assert_outcome (const struct kms_outcome *outcome, enum kms_class class, const char *reason)
{
  if (outcome->class != class || strcmp (outcome->reason, reason) != 0)
    fail_msg ("%s/%s instead of %s/%s: %s", kms_class_name (outcome->class), outcome->reason,
              kms_class_name (class), reason, outcome->text);
  if (class != KMS_OK)
    assert_true (strlen (outcome->text) > 10);
}

static inline struct azure_key
key_of (const char *text, const char *authority)
{
  struct azure_key key;

  if (azure_key_parse (text, authority, &key) < 0)
    fail_msg ("%s is refused", text);
  return key;
}

/* No variable of this machine takes part in a test. */
static inline int
clear_environment (void **state)
{
  static const char *const names[] = {"AZURE_AUTHORITY_HOST",
                                      "AZURE_TENANT_ID",
                                      "AZURE_CLIENT_ID",
                                      "AZURE_CLIENT_SECRET",
                                      "AZURE_CLIENT_CERTIFICATE_PATH",
                                      "AZURE_CLIENT_CERTIFICATE_PASSWORD",
                                      "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN",
                                      "AZURE_FEDERATED_TOKEN_FILE",
                                      "AZURE_POD_IDENTITY_AUTHORITY_HOST",
                                      "AZURE_ADDITIONALLY_ALLOWED_TENANTS",
                                      "AZURE_TOKEN_CREDENTIALS",
                                      "IDENTITY_ENDPOINT",
                                      "IDENTITY_HEADER",
                                      "IMDS_ENDPOINT"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (names); i++)
    unsetenv (names[i]);
  return 0;
}

#define TEST(name) cmocka_unit_test_setup (name, clear_environment)

#endif
