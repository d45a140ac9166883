/* token-file.c owns the reading of files that hold one token. */
#include "kms/token-file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "kms/secret-text.h"

static int
failed (struct kms_outcome *outcome, const char *path, const char *variable, const char *why)
{
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "token_file",
                          "can't read the token in %.200s (%s): %s", path, variable, why);
}

int
token_file_read (const char *path, const char *variable, struct secret *ret,
                 struct kms_outcome *outcome)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  CLEANUP_SECRET struct secret text = {0};
  const char *start, *end;
  size_t used = 0;
  int r;

  if (fd < 0)
    return failed (outcome, path, variable, strerrordesc_np (errno));
  if (secret_init (&text, TOKEN_FILE_MAX + 1, NULL) < 0)
    return failed (outcome, path, variable, "out of memory");
  r = read_full (fd, text.bytes, text.size, &used);
  if (r < 0)
    return failed (outcome, path, variable, strerrordesc_np (-r));
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
