/* issuer.c owns the simulator's signing key. */
#include "tools/sim/issuer.h"

#include <string.h>

#include "tools/sim/rsa.h"
#include "tools/sim/store.h"

#define FOLDER "issuer"
#define NAME "key"

EVP_PKEY *
issuer_key (struct sim *sim)
{
  CLEANUP_JSON struct json *stored = store_load (sim->dir_fd, FOLDER, NAME);
  CLEANUP_JSON struct json *fresh = NULL;
  CLEANUP_FREE
  char *pem = NULL;
  EVP_PKEY *key;

  if (json_get_string (stored, "pem"))
    key = rsa_from_pem (json_get_string (stored, "pem"));
  else {
    pem = rsa_new_pem ("2048");
    fresh = json_object_new ();
    if (!pem || !fresh)
      abort ();
    json_set_string (fresh, "pem", pem);
    store_save (sim->dir_fd, FOLDER, NAME, fresh);
    key = rsa_from_pem (pem);
  }
  if (!key)
    abort ();
  return key;
}

char *
issuer_sign (struct sim *sim, struct json *claims, const char *issuer, int64_t now_s,
             int64_t lifetime_s)
{
  CLEANUP_PKEY EVP_PKEY *key = issuer_key (sim);
  char *token;

  json_set_string (claims, "iss", issuer);
  json_set_number (claims, "iat", (double)now_s);
  json_set_number (claims, "nbf", (double)now_s);
  json_set_number (claims, "exp", (double)(now_s + lifetime_s));
  token = jwt_sign (key, ISSUER_KEY_ID, claims);
  if (!token)
    abort ();
  return token;
}

int
issuer_verify (struct sim *sim, const char *text, const char *issuer, struct jwt *ret)
{
  CLEANUP_PKEY EVP_PKEY *key = issuer_key (sim);
  const char *from;

  if (jwt_parse (text, ret) < 0)
    return -1;
  from = json_get_string (ret->claims, "iss");
  if (jwt_verify (ret, key) && from && (!issuer || strcmp (from, issuer) == 0))
    return 0;
  jwt_clear (ret);
  return -1;
}
