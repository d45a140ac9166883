/* The file behind a file key: opened once, judged by what was opened, read into secret memory.
 *
 * Symbolic links are followed (mounted secrets are made of them); everything is decided by fstat on
 * the open file, so that nothing can be exchanged between the check and the use.  A system call on
 * a dead network file system can take for ever: who calls must be a process that may be killed.
 */
#ifndef KMS_FILE_KEK_H
#define KMS_FILE_KEK_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/cleanup.h"
#include "common/wrap.h"
#include "crypto/secret.h"
#include "kms/outcome.h"
#include "kms/report.h"

#define FILE_KEK_SIZE 32

enum file_kek_use { FILE_KEK_OLD_WRAP, FILE_KEK_NEW_WRAP }; /* decides what advice is right */

struct file_kek {
  char path[WRAP_KEY_MAX];
  int fd;
  struct stat st;
};

/* All below return 0, or -1 with *outcome: denied (not_found, permission, bad_key) or outage
 * (read_error), or config for a malformed `uri`.  Only open fills in *ret.
 */
int file_kek_open (const char *uri, enum file_kek_use use, struct file_kek *ret,
                   struct kms_outcome *outcome) MUST_CHECK;
void file_kek_close (struct file_kek *kek);
#define CLEANUP_FILE_KEK CLEANUP (file_kek_close)
#define FILE_KEK_CLOSED ((struct file_kek){.fd = -1})

/* Type, mode, owner and size of the open file. */
int file_kek_judge (const struct file_kek *kek, struct kms_outcome *outcome) MUST_CHECK;

/* The key, into an empty secret. */
int file_kek_read (const struct file_kek *kek, struct secret *ret_key, struct kms_outcome *outcome)
    MUST_CHECK;

/* A key of one byte repeated: someone's zeros, or a disk's. */
bool file_kek_is_weak (const struct secret *key);

/* The command that makes a new key at `path`. */
void file_kek_advise (const char *path, char *ret_command, size_t max);

/* A line for each thing that file_kek_judge looks at, and one for the file system. */
void file_kek_report (const struct file_kek *kek, struct kms_report *report);

#endif
