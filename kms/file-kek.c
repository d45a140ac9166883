/* file-kek.c owns how a KEK file is opened, what it must be, and what is said when it isn't. */
#include "kms/file-kek.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/file-uri.h"

#define WORD_MAX 160 /* a path in a command; a longer one is written PATH */

/* ---- what the open file must be ---- */

static bool
is_regular (const struct stat *st)
{
  return S_ISREG (st->st_mode);
}

static void
say_type (const struct stat *st, char *ret, size_t max)
{
  snprintf (ret, max, "%s",
            S_ISREG (st->st_mode)    ? "a regular file"
            : S_ISDIR (st->st_mode)  ? "a folder, not a regular file"
            : S_ISFIFO (st->st_mode) ? "a FIFO, not a regular file"
                                     : "a special file, not a regular file");
}

static bool
is_private (const struct stat *st)
{
  return (st->st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static void
say_mode (const struct stat *st, char *ret, size_t max)
{
  snprintf (ret, max, "mode %04o%s", (unsigned)(st->st_mode & 07777),
            is_private (st) ? ""
                            : " lets others than its owner at the key; it must be 0600 or 0400");
}

static bool
is_ours (const struct stat *st)
{
  return st->st_uid == 0 || st->st_uid == geteuid ();
}

static void
say_owner (const struct stat *st, char *ret, size_t max)
{
  if (is_ours (st))
    snprintf (ret, max, "owned by user %u", (unsigned)st->st_uid);
  else
    snprintf (ret, max, "owned by user %u, neither root nor user %u who asks", (unsigned)st->st_uid,
              (unsigned)geteuid ());
}

static bool
is_key_sized (const struct stat *st)
{
  return st->st_size == FILE_KEK_SIZE;
}

static void
say_size (const struct stat *st, char *ret, size_t max)
{
  snprintf (ret, max, "%" PRIdMAX " bytes%s", (intmax_t)st->st_size,
            is_key_sized (st) ? "" : ", where a key has exactly 32");
}

static const struct requirement {
  const char *name, *reason;
  bool (*met) (const struct stat *st);
  void (*say) (const struct stat *st, char *ret, size_t max);
  const char *mend;
  bool mend_names_path;
} requirements[] = {
    {"regular file", "bad_key", is_regular, say_type, "name the file that holds the key", false},
    {"mode", "permission", is_private, say_mode, "chmod 600 ", true},
    {"owner", "permission", is_ours, say_owner, "chown root ", true},
    {"size", "bad_key", is_key_sized, say_size,
     "put the 32 bytes of the key there, without a line end and not as hex or base64", false},
};

static void
mend (const struct requirement *requirement, const char *path, char *ret, size_t max)
{
  char word[WORD_MAX] = "";

  if (requirement->mend_names_path)
    file_path_quote (path, word, sizeof word);
  snprintf (ret, max, "%s%s", requirement->mend, word);
}

int
file_kek_judge (const struct file_kek *kek, struct kms_outcome *outcome)
{
  for (size_t i = 0; i < ARRAY_SIZE (requirements); i++) {
    const struct requirement *requirement = &requirements[i];
    char detail[128], remedy[256];

    if (requirement->met (&kek->st))
      continue;
    requirement->say (&kek->st, detail, sizeof detail);
    mend (requirement, kek->path, remedy, sizeof remedy);
    return kms_outcome_set (outcome, KMS_DENIED, requirement->reason, "%.100s: %s (%s)", kek->path,
                            detail, remedy);
  }
  return 0;
}

/* ---- opening and reading ---- */

void
file_kek_advise (const char *path, char *ret_command, size_t max)
{
  char word[WORD_MAX];

  file_path_quote (path, word, sizeof word);
  snprintf (ret_command, max, "(umask 077; head -c 32 /dev/urandom > %s)", word);
}

static int
not_found (const char *path, enum file_kek_use use, struct kms_outcome *outcome)
{
  char command[WORD_MAX + 64];

  if (use == FILE_KEK_OLD_WRAP)
    return kms_outcome_set (outcome, KMS_DENIED, "not_found",
                            "there is no key file %.200s: put back the file that wrapped this "
                            "volume's key (a new one can't open it)",
                            path);
  file_kek_advise (path, command, sizeof command);
  return kms_outcome_set (outcome, KMS_DENIED, "not_found",
                          "there is no key file %.150s; make a key: %s", path, command);
}

static int
open_failed (const char *path, enum file_kek_use use, int errnum, struct kms_outcome *outcome)
{
  switch (errnum) {
  case ENOENT:
  case ENOTDIR:
  case ELOOP:
  case ENAMETOOLONG:
    return not_found (path, use, outcome);
  case EACCES:
  case EPERM:
    return kms_outcome_set (outcome, KMS_DENIED, "permission",
                            "user %u may not read the key file %.200s: mend its owner and mode, "
                            "and those of the folders above it",
                            (unsigned)geteuid (), path);
  case ENXIO:
  case ENODEV:
    return kms_outcome_set (outcome, KMS_DENIED, "bad_key",
                            "%.200s is not a regular file: name the file that holds the key", path);
  default:
    return kms_outcome_set (outcome, KMS_OUTAGE, "read_error", "the key file %.200s: %s", path,
                            strerrordesc_np (errnum));
  }
}

/* The descriptor names the file only, and can read it afterwards. */
static int
make_readable (int fd)
{
  CLEANUP_CLOSE int readable = reopen_fd (fd, O_RDONLY);

  if (readable < 0)
    errno = -readable;
  return readable < 0 || dup3 (readable, fd, O_CLOEXEC) < 0 ? -1 : 0;
}

int
file_kek_open (const char *uri, enum file_kek_use use, struct file_kek *ret,
               struct kms_outcome *outcome)
{
  struct file_kek kek = FILE_KEK_CLOSED;

  if (file_uri_path (uri, kek.path) < 0)
    return kms_outcome_set (outcome, KMS_CONFIG, "bad_key_name",
                            "\"%.150s\" is not the name of a key file: write %s", uri,
                            FILE_URI_FORM);
  /* The name comes from a disk's header: what it names may be a FIFO, or a device that acts when it
   * is opened.  So it is looked at first, and only a regular file is opened for real.
   */
  kek.fd = open (kek.path, O_PATH | O_CLOEXEC);
  if (kek.fd < 0)
    return open_failed (kek.path, use, errno, outcome);
  if (fstat (kek.fd, &kek.st) < 0 || (S_ISREG (kek.st.st_mode) && make_readable (kek.fd) < 0)) {
    open_failed (kek.path, use, errno, outcome);
    close (kek.fd);
    return -1;
  }
  *ret = kek;
  return 0;
}

void
file_kek_close (struct file_kek *kek)
{
  if (kek->fd >= 0)
    close (kek->fd);
  kek->fd = -1;
}

int
file_kek_read (const struct file_kek *kek, struct secret *ret_key, struct kms_outcome *outcome)
{
  CLEANUP_SECRET struct secret key = {0};
  struct error err;
  int r;

  if (secret_init (&key, FILE_KEK_SIZE, &err) < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "no_memory", "%s", err.text);
  r = pread_full (kek->fd, key.bytes, key.size, 0);
  if (r == -ENODATA)
    return kms_outcome_set (outcome, KMS_DENIED, "bad_key",
                            "%.200s has become shorter than the 32 bytes of a key", kek->path);
  if (r < 0)
    return kms_outcome_set (outcome, KMS_OUTAGE, "read_error", "the key file %.200s: %s", kek->path,
                            strerrordesc_np (-r));
  secret_take (ret_key, &key);
  return 0;
}

bool
file_kek_is_weak (const struct secret *key)
{
  uint8_t differences = 0;

  for (size_t i = 1; i < key->size; i++)
    differences |= (uint8_t)(key->bytes[i] ^ key->bytes[0]);
  return differences == 0;
}

/* ---- the report ---- */

/* Numbers from statfs(2) that linux/magic.h lacks. */
#define LUSTRE_MAGIC 0x0bd00bd0
#define GFS2_FS_MAGIC 0x01161970

static const struct {
  int64_t type;
  const char *name;
  bool network; /* else in memory */
} doubtful_file_systems[] = {
    {NFS_SUPER_MAGIC, "NFS", true},   {SMB_SUPER_MAGIC, "SMB", true},
    {CIFS_SUPER_MAGIC, "SMB", true},  {SMB2_SUPER_MAGIC, "SMB", true},
    {CEPH_SUPER_MAGIC, "Ceph", true}, {AFS_SUPER_MAGIC, "AFS", true},
    {AFS_FS_MAGIC, "AFS", true},      {CODA_SUPER_MAGIC, "Coda", true},
    {V9FS_MAGIC, "9p", true},         {FUSE_SUPER_MAGIC, "FUSE", true},
    {LUSTRE_MAGIC, "Lustre", true},   {GFS2_FS_MAGIC, "GFS2", true},
    {TMPFS_MAGIC, "tmpfs", false},    {RAMFS_MAGIC, "ramfs", false},
};

static void
report_file_system (const struct file_kek *kek, struct kms_report *report)
{
  static const char name[] = "file system";
  struct statfs fs;

  size_t i = 0;

  if (fstatfs (kek->fd, &fs) < 0) {
    kms_report_add (report, KMS_WARN, name, NULL, "unknown: %s", strerrordesc_np (errno));
    return;
  }
  while (i < ARRAY_SIZE (doubtful_file_systems)
         && (int64_t)(uint32_t)fs.f_type != doubtful_file_systems[i].type)
    i++;
  if (i == ARRAY_SIZE (doubtful_file_systems))
    kms_report_add (report, KMS_PASS, name, NULL, "local");
  else if (doubtful_file_systems[i].network)
    kms_report_add (report, KMS_WARN, name, "keep the key on a local disk",
                    "%s: the key may cross a network in the clear, whose outage takes the volume "
                    "down",
                    doubtful_file_systems[i].name);
  else
    kms_report_add (report, KMS_WARN, name,
                    "keep a copy elsewhere, unless something puts the key here at each boot",
                    "%s: in memory, lost at the next boot", doubtful_file_systems[i].name);
}

void
file_kek_report (const struct file_kek *kek, struct kms_report *report)
{
  for (size_t i = 0; i < ARRAY_SIZE (requirements); i++) {
    const struct requirement *requirement = &requirements[i];
    bool met = requirement->met (&kek->st);
    char detail[128], remedy[256];

    requirement->say (&kek->st, detail, sizeof detail);
    mend (requirement, kek->path, remedy, sizeof remedy);
    kms_report_add (report, met ? KMS_PASS : KMS_FAIL, requirement->name, met ? NULL : remedy, "%s",
                    detail);
  }
  report_file_system (kek, report);
}
