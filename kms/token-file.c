/* token-file.c owns the reading of files that hold one token. */
#include "kms/token-file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kms/secret-text.h"

static int
failed (struct kms_outcome *outcome, const char *path, const char *variable, const char *why)
{
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "token_file",
                          "can't read the token in %.200s (%s): %s", path, variable, why);
}

static int
read_all (int fd, struct secret *text, size_t *ret_used)
{
  size_t used = 0;

  for (;;) {
    ssize_t n = read (fd, text->bytes + used, text->size - used);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    used += (size_t)n;
    if (n == 0 || used == text->size)
      break;
  }
  *ret_used = used;
  return 0;
}

int
token_file_read (const char *path, const char *variable, struct secret *ret,
                 struct kms_outcome *outcome)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  CLEANUP_SECRET struct secret text = {0};
  const char *start, *end;
  size_t used = 0;

  if (fd < 0)
    return failed (outcome, path, variable, strerrordesc_np (errno));
  if (secret_init (&text, TOKEN_FILE_MAX + 1, NULL) < 0)
    return failed (outcome, path, variable, "out of memory");
  if (read_all (fd, &text, &used) < 0)
    return failed (outcome, path, variable, strerrordesc_np (errno));
  start = (const char *)text.bytes;
  end = start + used;
  while (start < end && isspace ((unsigned char)*start))
    start++;
  while (end > start && isspace ((unsigned char)end[-1]))
    end--;
  if (start == end || used > TOKEN_FILE_MAX)
    return failed (outcome, path, variable, used ? "that is no token" : "it is empty");
  if (secret_from_text (start, (size_t)(end - start), ret) < 0)
    return failed (outcome, path, variable, "out of memory");
  return 0;
}
