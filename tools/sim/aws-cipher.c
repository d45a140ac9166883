/* aws-cipher.c owns the inside of CiphertextBlobs. */
#include "tools/sim/aws-cipher.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#define MAGIC "KFS1"
#define ID_SIZE 40 /* key ids have at most 36 characters; padded with NULs */
#define NONCE_SIZE 12
#define TAG_SIZE 16

struct blob_head {
  char magic[4];
  char key_id[ID_SIZE];
  char material_id[AWS_MATERIAL_ID_MAX - 1];
  uint8_t nonce[NONCE_SIZE];
  uint8_t tag[TAG_SIZE];
};

/* ---- the bound data ---------------------------------------------------------------------------
 */

static int
by_name (const void *a, const void *b)
{
  return strcmp (json_name (*(const struct json *const *)a),
                 json_name (*(const struct json *const *)b));
}

static void
put_text (FILE *f, const char *text)
{
  fprintf (f, "%zu:%s", strlen (text), text);
}

/* The ids and the sorted context, each text with its length; new bytes on the heap. */
static char *
bound_data (const struct blob_head *head, const struct json *context, size_t *ret_size)
{
  size_t count = json_size (context);
  CLEANUP_FREE
  const struct json **pairs = calloc (count + 1, sizeof *pairs);
  char *data = NULL;
  FILE *f = open_memstream (&data, ret_size);

  if (!pairs || !f)
    abort ();
  for (size_t i = 0; i < count; i++)
    pairs[i] = json_at (context, i);
  qsort (pairs, count, sizeof *pairs, by_name);
  fwrite (head->key_id, 1, sizeof head->key_id, f);
  fwrite (head->material_id, 1, sizeof head->material_id, f);
  for (size_t i = 0; i < count; i++) {
    put_text (f, json_name (pairs[i]));
    put_text (f, json_string_value (pairs[i]) ? json_string_value (pairs[i]) : "");
  }
  fclose (f);
  return data;
}

/* ---- AES-256-GCM ------------------------------------------------------------------------------
 */

static int
gcm (bool seal, const uint8_t *key, struct blob_head *head, const char *bound, size_t bound_size,
     const uint8_t *in, size_t size, uint8_t *out)
{
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new ();
  int n, r = -1;

  if (!context)
    abort ();
  if (EVP_CipherInit_ex (context, EVP_aes_256_gcm (), NULL, key, head->nonce, seal) == 1
      && (seal || EVP_CIPHER_CTX_ctrl (context, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, head->tag) == 1)
      && EVP_CipherUpdate (context, NULL, &n, (const unsigned char *)bound, (int)bound_size) == 1
      && EVP_CipherUpdate (context, out, &n, in, (int)size) == 1
      && EVP_CipherFinal_ex (context, out + n, &n) == 1
      && (!seal || EVP_CIPHER_CTX_ctrl (context, EVP_CTRL_GCM_GET_TAG, TAG_SIZE, head->tag) == 1))
    r = 0;
  EVP_CIPHER_CTX_free (context);
  return r;
}

/* ---- blobs ------------------------------------------------------------------------------------
 */

void
aws_seal (const struct aws_key *key, const struct json *context, const uint8_t *plaintext,
          size_t size, uint8_t *ret_blob, size_t *ret_size)
{
  const struct aws_material *material = &key->materials[key->material_count - 1];
  struct blob_head head = {0};
  CLEANUP_FREE
  char *bound = NULL;
  size_t bound_size;

  memcpy (head.magic, MAGIC, sizeof head.magic);
  memcpy (head.key_id, key->id, strnlen (key->id, sizeof head.key_id));
  memcpy (head.material_id, material->id, sizeof head.material_id);
  bound = bound_data (&head, context, &bound_size);
  if (RAND_bytes (head.nonce, sizeof head.nonce) != 1
      || gcm (true, material->bytes, &head, bound, bound_size, plaintext, size,
              ret_blob + sizeof head)
             < 0)
    abort ();
  memcpy (ret_blob, &head, sizeof head);
  *ret_size = sizeof head + size;
}

int
aws_blob_key (const uint8_t *blob, size_t size, char *ret_id, size_t max)
{
  struct blob_head head;

  if (size <= sizeof head || size - sizeof head > AWS_PLAINTEXT_MAX)
    return -1;
  memcpy (&head, blob, sizeof head);
  if (memcmp (head.magic, MAGIC, sizeof head.magic) != 0 || head.key_id[ID_SIZE - 1] != '\0'
      || strlen (head.key_id) >= max)
    return -1;
  memcpy (ret_id, head.key_id, strlen (head.key_id) + 1);
  return 0;
}

static const struct aws_material *
find_material (const struct aws_key *key, const struct blob_head *head)
{
  for (size_t i = 0; i < key->material_count; i++)
    if (memcmp (key->materials[i].id, head->material_id, sizeof head->material_id) == 0)
      return &key->materials[i];
  return NULL;
}

int
aws_open (const struct aws_key *key, const struct json *context, const uint8_t *blob, size_t size,
          uint8_t *ret, size_t *ret_size, const struct aws_material **ret_material)
{
  struct blob_head head;
  const struct aws_material *material;
  CLEANUP_FREE
  char *bound = NULL;
  size_t bound_size;

  if (size <= sizeof head || size - sizeof head > AWS_PLAINTEXT_MAX)
    return -1;
  memcpy (&head, blob, sizeof head);
  material = find_material (key, &head);
  if (!material)
    return -1;
  bound = bound_data (&head, context, &bound_size);
  if (gcm (false, material->bytes, &head, bound, bound_size, blob + sizeof head, size - sizeof head,
           ret)
      < 0)
    return -1;
  *ret_size = size - sizeof head;
  *ret_material = material;
  return 0;
}
