/* The parts of the simulator: forms, tokens, ciphertexts, faults, files, and whole
 * requests. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/checked.h"
#include "tools/sim/aws-cipher.h"
#include "tools/sim/issuer.h"
#include "tools/sim/rsa.h"
#include "tools/sim/sim.h"
#include "tools/sim/store.h"

/* ---- a simulator in a folder of its own -------------------------------------------------------
 */

static char dir[64];

static int
setup (void **state)
{
  static struct sim sim;
  struct error err;

  snprintf (dir, sizeof dir, "/tmp/keyfence-sim-test.XXXXXX");
  if (!mkdtemp (dir) || sim_init (&sim, dir, &err) < 0)
    return -1;
  *state = &sim;
  return 0;
}

static int
remove_folder (int at, const char *name)
{
  int fd = openat (at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CLEANUP_CLOSEDIR
  DIR *entries = fdopendir (fd);
  const struct dirent *entry;

  while (entries && (entry = readdir (entries)))
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0
        && unlinkat (fd, entry->d_name, 0) < 0)
      remove_folder (fd, entry->d_name);
  return unlinkat (at, name, AT_REMOVEDIR);
}

static int
teardown (void **state)
{
  sim_clear (*state);
  return remove_folder (AT_FDCWD, dir);
}

/* The status of a request; its body goes to *ret_body. */
static unsigned
ask (struct sim *sim, const struct request *request, char **ret_body)
{
  struct reply reply = {0};
  unsigned status;

  sim_answer (sim, request, &reply);
  status = reply.status;
  *ret_body = reply.body;
  reply.body = NULL;
  reply_clear (&reply);
  return status;
}

/* ---- forms ------------------------------------------------------------------------------------
 */

static void
a_form_field_is_decoded (void **state)
{
  static const struct {
    const char *form, *value;
  } table[] = {{"a=1&b=x%20y+z%2B&c", "x y z+"},
               {"b=", ""},
               {"b", ""},
               {"bb=1", NULL},
               {"b=%4", NULL},
               {"b=%zz", NULL},
               {"b=%00", NULL},
               {"b=1&b=2", NULL},
               {"&&b=3&&", "3"},
               {"%62=4", "4"},
               {"", NULL},
               {"a=b=5", NULL}};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (table); i++) {
    CLEANUP_FREE
    char *value = form_value (table[i].form, "b");

    if (table[i].value)
      assert_string_equal (value, table[i].value);
    else
      assert_null (value);
  }
}

/* ---- files ------------------------------------------------------------------------------------
 */

static void
a_file_name_from_outside_can_not_leave_its_folder (void **state)
{
  static const char *const bad[] = {"", ".", "..", "../x", "a/b", "a\nb", ".hidden", "a\\b", "ä"};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++)
    assert_false (store_name_ok (bad[i]));
  assert_true (store_name_ok ("us-east-1,mrk-0123.x~y_z"));
}

static void
what_is_saved_is_loaded_and_private_and_a_torn_write_is_not_seen (void **state)
{
  struct sim *sim = *state;
  CLEANUP_JSON struct json *json = json_object_new ();
  CLEANUP_JSON struct json *loaded = NULL;
  char **names;
  struct stat st;
  CLEANUP_CLOSE int torn = -1;

  json_set_string (json, "a", "b");
  store_save (sim->dir_fd, "test/deep", "one", json);
  torn = openat (sim->dir_fd, "test/deep/two.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_int_equal (write (torn, "{\"a\":", 5), 5);
  loaded = store_load (sim->dir_fd, "test/deep", "one");
  assert_string_equal (json_get_string (loaded, "a"), "b");
  assert_null (store_load (sim->dir_fd, "test/deep", "two"));
  assert_int_equal (store_list (sim->dir_fd, "test/deep", &names), 1);
  store_names_free (names, 1);
  assert_int_equal (fstatat (sim->dir_fd, "test/deep/one.json", &st, 0), 0);
  assert_int_equal (st.st_mode & 0777, 0600);
  assert_true (store_remove (sim->dir_fd, "test/deep", "one"));
  assert_false (store_remove (sim->dir_fd, "test/deep", "one"));
}

static void
a_folder_that_others_can_write_to_is_refused (void **state)
{
  struct error err;
  char path[96];
  int fd;

  (void)state;
  snprintf (path, sizeof path, "%s/open", dir);
  assert_int_equal (mkdir (path, 0700), 0);
  assert_int_equal (chmod (path, 0777), 0);
  assert_int_equal (store_open (path, &fd, &err), -1);
  assert_non_null (strstr (err.text, "others can write"));
}

/* ---- ciphertexts ------------------------------------------------------------------------------
 */

static void
every_changed_bit_of_a_ciphertext_is_refused (void **state)
{
  struct aws_key *key = aws_key_new ("111122223333", "us-east-1", "SYMMETRIC_DEFAULT", false, 0);
  CLEANUP_JSON struct json *context = json_object_new (), *other = json_object_new ();
  const struct aws_material *material;
  uint8_t blob[AWS_BLOB_MAX], out[AWS_PLAINTEXT_MAX], plain[64] = {1, 2, 3};
  size_t size, out_size;

  (void)state;
  json_set_string (context, "keyfence:volume", "x");
  json_set_string (other, "keyfence:volum", "ex");
  aws_seal (key, context, plain, sizeof plain, blob, &size);
  assert_int_equal (aws_open (key, context, blob, size, out, &out_size, &material), 0);
  assert_int_equal (out_size, sizeof plain);
  assert_memory_equal (out, plain, sizeof plain);
  assert_int_equal (aws_open (key, other, blob, size, out, &out_size, &material), -1);
  assert_int_equal (aws_open (key, NULL, blob, size, out, &out_size, &material), -1);
  assert_int_equal (aws_open (key, context, blob, size - 1, out, &out_size, &material), -1);
  for (size_t i = 4; i < size; i++) {
    blob[i] ^= 0x40;
    assert_int_equal (aws_open (key, context, blob, size, out, &out_size, &material), -1);
    blob[i] ^= 0x40;
  }
  assert_true (aws_key_rotate (key, 0));
  assert_int_equal (aws_open (key, context, blob, size, out, &out_size, &material), 0);
  assert_ptr_equal (material, &key->materials[0]);
  aws_key_free (key);
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

static void
a_token_that_is_changed_unsigned_or_of_another_key_is_refused (void **state)
{
  struct sim *sim = *state;
  CLEANUP_JSON struct json *claims = json_object_new ();
  CLEANUP_FREE
  char *token = NULL;
  CLEANUP_FREE
  char *pem = rsa_new_pem ("2048");
  CLEANUP_PKEY EVP_PKEY *other = rsa_from_pem (pem);
  CLEANUP_JWT struct jwt jwt = {0};
  char none[512];

  json_set_string (claims, "sub", "somebody");
  token = issuer_sign (sim, claims, "me", 1000, 60);
  assert_int_equal (issuer_verify (sim, token, "me", &jwt), 0);
  assert_true (jwt_is_current (&jwt, 1059));
  assert_false (jwt_is_current (&jwt, 1060));
  assert_true (jwt_is_current (&jwt, 700));
  assert_false (jwt_is_current (&jwt, 699));
  assert_false (jwt_verify (&jwt, other));
  jwt_clear (&jwt);
  assert_int_equal (issuer_verify (sim, token, "you", &jwt), -1);
  snprintf (none, sizeof none, "eyJhbGciOiJub25lIn0%s", strchr (token, '.'));
  assert_int_equal (issuer_verify (sim, none, "me", &jwt), -1);
  snprintf (none, sizeof none, "eyJhbGciOiJub25lIn0.eyJpc3MiOiJtZSJ9.");
  assert_int_equal (issuer_verify (sim, none, "me", &jwt), -1);
  strchr (token, '.')[1] ^= 1;
  assert_int_equal (issuer_verify (sim, token, "me", &jwt), -1);
  assert_int_equal (issuer_verify (sim, "", "me", &jwt), -1);
  assert_int_equal (issuer_verify (sim, "a.b.c", "me", &jwt), -1);
}

/* ---- faults -----------------------------------------------------------------------------------
 */

static void
add_fault (struct faults *faults, const char *words)
{
  CLEANUP_JSON struct json *json = json_parse (words, strlen (words));
  struct error err;

  assert_int_equal (faults_add (faults, json, &err), 0);
}

static void
a_fault_meets_the_requests_it_was_made_for_and_ends (void **state)
{
  struct faults faults = {0};
  struct fault met[FAULTS_MAX];

  (void)state;
  add_fault (&faults, "[\"outage\",\"--op\",\"Decrypt\",\"--count\",\"2\"]");
  assert_int_equal (faults_match (&faults, "Encrypt", "aws-kms", "k", met), 0);
  assert_int_equal (faults_match (&faults, "Decrypt", "aws-kms", "k", met), 1);
  assert_int_equal (faults_match (&faults, "decrypt", "aws-kms", "k", met), 1);
  assert_int_equal (faults_match (&faults, "Decrypt", "aws-kms", "k", met), 0);
  add_fault (&faults, "[\"delay\",\"1s\",\"--op\",\"aws\",\"--key\",\"abc\"]");
  assert_int_equal (faults_match (&faults, "Decrypt", "aws-kms", "xabcx", met), 1);
  assert_int_equal (met[0].value, 1000);
  assert_int_equal (faults_match (&faults, "Decrypt", "aws-kms", "ab", met), 0);
  assert_int_equal (faults_match (&faults, "x", "azure-vault", "abc", met), 0);
  add_fault (&faults, "[\"reset\",\"--for\",\"0\"]");
  assert_int_equal (faults_match (&faults, "x", "azure-vault", "", met), 0);
  add_fault (&faults, "[\"skew\",\"-10m\"]");
  assert_int_equal (faults_match (&faults, "x", "azure-vault", "", met), 1);
  assert_int_equal (met[0].value, -600);
}

static void
a_fault_that_makes_no_sense_is_refused (void **state)
{
  static const char *const bad[] = {"[]",
                                    "[\"no\"]",
                                    "[1]",
                                    "[\"delay\"]",
                                    "[\"delay\",\"x\"]",
                                    "[\"status\",\"99\"]",
                                    "[\"outage\",\"--count\",\"0\"]",
                                    "[\"outage\",\"--op\"]",
                                    "[\"outage\",\"--what\",\"1\"]",
                                    "[\"outage\",7,\"1\"]"};
  struct faults faults = {0};

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (bad); i++) {
    CLEANUP_JSON struct json *json = json_parse (bad[i], strlen (bad[i]));
    struct error err;

    assert_int_equal (faults_add (&faults, json, &err), -1);
  }
  assert_int_equal (faults.count, 0);
}

/* ---- whole requests ---------------------------------------------------------------------------
 */

static void
without_signature_or_token_every_operation_is_refused (void **state)
{
  static const struct {
    const char *method, *path, *name, *value, *body;
    unsigned status;
    const char *text;
  } table[] = {
      {"POST", "/", "X-Amz-Target", "TrentService.Decrypt", "{}", 400,
       "MissingAuthenticationTokenException"},
      {"POST", "/", "X-Amz-Target", "TrentService.NoSuch", "{}", 400,
       "MissingAuthenticationTokenException"},
      {"POST", "/", "Accept", "*", "Action=GetCallerIdentity", 403, "MissingAuthenticationToken"},
      {"POST", "/", "Accept", "*", "Action=NoSuch", 400, "InvalidAction"},
      {"GET", "/keys/k", "Host", "demo.vault.localhost:1", "", 401, "AKV10000"},
      {"GET", "/healthstatus", "Host", "demo.vault.localhost:1", "", 200, ""},
      {"GET", "/keys/k", "Host", "other.vault.localhost:1", "", 404, "VaultNotFound"},
      {"GET", "/latest/meta-data/iam/security-credentials/", "Accept", "*", "", 401, ""},
      {"GET", "/ecs/credentials", "Authorization", "guess", "", 403, ""},
      {"GET", "/metadata/identity/oauth2/token", "Accept", "*", "", 400, "metadata"},
      {"GET", "/msi/token", "X-IDENTITY-HEADER", "guess", "", 401, ""},
      {"POST", "/x/oauth2/v2.0/token", "Accept", "*", "", 400, "AADSTS900144"},
      {"GET", "/", "Accept", "*", "", 404, "neither"},
  };

  for (size_t i = 0; i < ARRAY_SIZE (table); i++) {
    struct request request = {.method = table[i].method,
                              .path = table[i].path,
                              .query = "",
                              .header_count = 1,
                              .headers = {{table[i].name, table[i].value}},
                              .body = table[i].body,
                              .body_size = strlen (table[i].body)};
    CLEANUP_FREE
    char *body = NULL;
    unsigned status = ask (*state, &request, &body);

    if (status != table[i].status || !strstr (body, table[i].text))
      fail_msg ("%s %s: %u %s", table[i].path, table[i].value, status, body);
  }
}

static void
the_log_has_a_line_for_every_request_and_no_secret (void **state)
{
  struct sim *sim = *state;
  struct request request = {.method = "POST",
                            .path = "/x/oauth2/v2.0/token",
                            .query = "",
                            .body = "grant_type=client_credentials&client_id=c&scope=s&"
                                    "client_secret=kfPlanted",
                            .body_size = 71};
  CLEANUP_FREE
  char *body = NULL;
  char log[65536];
  CLEANUP_CLOSE int fd = -1;
  ssize_t n;

  ask (sim, &request, &body);
  fd = openat (sim->dir_fd, "requests.jsonl", O_RDONLY | O_CLOEXEC);
  n = read (fd, log, sizeof log - 1);
  assert_true (n > 0);
  log[n] = '\0';
  assert_non_null (strstr (log, "\"operation\":\"token\""));
  assert_null (strstr (log, "kfPlanted"));
  assert_null (strstr (body, "kfPlanted"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_form_field_is_decoded),
      cmocka_unit_test (a_file_name_from_outside_can_not_leave_its_folder),
      cmocka_unit_test (what_is_saved_is_loaded_and_private_and_a_torn_write_is_not_seen),
      cmocka_unit_test (a_folder_that_others_can_write_to_is_refused),
      cmocka_unit_test (every_changed_bit_of_a_ciphertext_is_refused),
      cmocka_unit_test (a_token_that_is_changed_unsigned_or_of_another_key_is_refused),
      cmocka_unit_test (a_fault_meets_the_requests_it_was_made_for_and_ends),
      cmocka_unit_test (a_fault_that_makes_no_sense_is_refused),
      cmocka_unit_test (without_signature_or_token_every_operation_is_refused),
      cmocka_unit_test (the_log_has_a_line_for_every_request_and_no_secret),
  };

  return cmocka_run_group_tests (tests, setup, teardown);
}
