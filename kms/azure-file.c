/* azure-file.c owns the reading of files with credentials into secret memory. */
#include "kms/azure-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"

static int
refuse (const char *path, const char *why, struct kms_outcome *outcome)
{
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "credentials_file",
                          "the file of credentials %.200s can't be used: %s", path, why);
}

int
azure_read_file (const char *path, size_t max, struct secret *ret, struct kms_outcome *outcome)
{
  /* O_NONBLOCK: a FIFO must not keep us waiting. */
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  CLEANUP_SECRET struct secret text = {0};
  struct stat status;
  int r;

  if (fd < 0 || fstat (fd, &status) < 0)
    return refuse (path, strerror (errno), outcome);
  if (!S_ISREG (status.st_mode))
    return refuse (path, "it is no regular file", outcome);
  if (status.st_size == 0 || (uint64_t)status.st_size > max)
    return refuse (path, status.st_size ? "it is too long" : "it is empty", outcome);
  if (secret_init (&text, (size_t)status.st_size + 1, NULL) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "out of memory");
  r = pread_full (fd, text.bytes, text.size - 1, 0);
  if (r < 0)
    return refuse (path, r == -ENODATA ? "it was cut while it was read" : strerror (-r), outcome);
  secret_take (ret, &text);
  return 0;
}

void
azure_trim (struct secret *text)
{
  while (text->size > 1 && strchr (" \t\r\n", text->bytes[text->size - 2]))
    text->bytes[--text->size - 1] = '\0';
}
