/* plugin.c owns the face towards nbdkit: it turns callbacks into calls, and is the only file that
 * knows nbdkit's header.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "common/io.h"
#include "common/lock.h"
#include "config.h"
#include "crypto/secret.h"
#include "nbd-plugin/control.h"
#include "nbd-plugin/ending.h"
#include "nbd-plugin/fence/keymon.h"
#include "nbd-plugin/log.h"
#include "nbd-plugin/params.h"
#include "nbd-plugin/request.h"
#include "nbd-plugin/status.h"
#include "nbd-plugin/tell.h"
#include "nbd-plugin/volume.h"

/* One process serves one volume. */
static struct params params;
static struct volume *volume;
static struct header *first_header;    /* from get_ready to after_fork */
static struct keymon *volatile keymon; /* read by the signal handler */
static struct control *control;
static struct teller *teller;
static pid_t pid_before_fork;

/* ---- log.h ---- */

void
log_error (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  nbdkit_verror (fmt, args);
  va_end (args);
}

/* nbdkit knows errors and debugging only.  A server in the background has no stderr. */
void
log_notice (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  if (pid_before_fork != 0 && getpid () != pid_before_fork)
    vsyslog (LOG_NOTICE, fmt, args);
  else {
    CLEANUP_FREE char *text = NULL;

    if (vasprintf (&text, fmt, args) >= 0)
      fprintf (stderr, "nbdkit: keyfence: %s\n", text);
  }
  va_end (args);
}

/* ---- life of the process ---- */

static void
keyfence_load (void)
{
  params = params_default ();
}

/* By whoever comes first: nbdkit, or the end of a server that has clients. */
static void
stop (void)
{
  static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
  LOCK_FOR_SCOPE (&once);
  struct keymon *stopped = keymon;

  control_stop (control);
  control = NULL;
  keymon = NULL; /* before it is freed: a signal may come */
  keymon_stop (stopped);
  tell_stop (teller);
  teller = NULL;
}

static void
keyfence_cleanup (void)
{
  ending_leave_to_nbdkit ();
  stop ();
}

static void
keyfence_unload (void)
{
  ending_leave_to_nbdkit ();
  stop ();
  header_free (first_header);
  volume_free (volume);
}

/* Paths are made absolute, since nbdkit changes its folder; they live as long as the process. */
static int
keyfence_config (const char *key, const char *value)
{
  const struct param *param = params_find (key);
  struct error err = {0};

  if (param && param_is_path (param) && *value && strcmp (value, "none") != 0) {
    char *absolute = nbdkit_absolute_path (value);

    value = absolute ? nbdkit_strdup_intern (absolute) : NULL;
    free (absolute);
    if (!value)
      return -1;
  }
  if (params_set (&params, key, value, &err) < 0) {
    nbdkit_error ("%s", err.text);
    return -1;
  }
  return 0;
}

static int
keyfence_config_complete (void)
{
  struct error err = {0};

  if (params_check (&params, &err) < 0) {
    nbdkit_error ("%s", err.text);
    return -1;
  }
  if (params.ready_fd >= 0 && fcntl (params.ready_fd, F_SETFD, FD_CLOEXEC) < 0) {
    nbdkit_error ("parameter ready-fd: %d is not an open file descriptor", params.ready_fd);
    return -1;
  }
  return 0;
}

static void
keyfence_dump_plugin (void)
{
  printf ("keyfence_version=%s\n", KEYFENCE_VERSION);
  for (const struct xts_backend *const *backend = xts_backends; *backend; backend++)
    printf ("keyfence_crypto=%s\n", (*backend)->name);
}

static int
keyfence_get_ready (void)
{
  struct error err = {0};

  secret_harden_process ();
  /* A write beyond the limit on sizes of files fails, and ends nothing else. */
  signal (SIGXFSZ, SIG_IGN);
  if (volume_open (&params, &volume, &first_header, &err) < 0) {
    nbdkit_error ("%s", err.text);
    return -1;
  }
  pid_before_fork = getpid ();
  return 0;
}

/* Tells who started us that start-up is over: one line, then the end of the file. */
static void
say_ready (const struct error *err)
{
  CLEANUP_JSON struct json *json = NULL;
  CLEANUP_FREE char *text = NULL;

  if (params.ready_fd < 0)
    return;
  if (err) {
    json = json_object_new ();
    json_set_string (json, "error", err->text);
    json_set_string (json, "class", error_class_name (err->class));
  }
  else
    json = status_new (volume, keymon);
  text = json ? json_print (json, false) : NULL;
  if (text && write_full (params.ready_fd, text, strlen (text)) == 0
      && write_full (params.ready_fd, "\n", 1) < 0)
    log_notice ("nobody reads the descriptor of ready-fd");
  close (params.ready_fd);
  params.ready_fd = -1;
}

/* From a signal handler. */
static void
told_to_end (void)
{
  struct keymon *told = keymon;

  if (told)
    keymon_quit (told);
}

static int
start_telling (struct error *err)
{
  const struct tell_params told = {.volume = volume->info.uuid,
                                   .label = volume->info.label,
                                   .path = params.path,
                                   .audit_log = params.audit_log,
                                   .hook = params.hook,
                                   .notify_url = params.notify_url,
                                   .agent = volume->agent,
                                   .agent_socket = params.agent_socket};

  return tell_start (&told, &teller, err);
}

static int
start (struct error *err)
{
  CLEANUP_HEADER struct header *header = first_header;
  struct header *taken;
  struct keymon *started;

  first_header = NULL;
  secret_harden_process ();
  volume_lock_memory (volume);
  if (volume_lock_name_holder (volume->backing.fd, err) < 0 || start_telling (err) < 0)
    return -1;
  taken = header;
  header = NULL;
  if (keymon_start (volume, taken, teller, &started, err) < 0)
    return -1;
  keymon = started;
  /* Waiting for the key ends by signals, too. */
  if (ending_prepare (told_to_end, stop, err) < 0 || keymon_await (started, err) < 0) {
    stop ();
    return -1;
  }
  return control_start (volume, keymon, &control, err);
}

static int
keyfence_after_fork (void)
{
  struct error err = {0};

  if (start (&err) < 0) {
    nbdkit_error ("%s", err.text);
    /* Who hears of it may start another server at once: the volume's lock goes first. */
    stop ();
    volume_free (volume);
    volume = NULL;
    say_ready (&err);
    return -1;
  }
  say_ready (NULL);
  return 0;
}

/* ---- connections ---- */

static void *
keyfence_open (int readonly)
{
  struct error err = {0};
  struct connection *connection = connection_new (volume, readonly, &err);

  if (connection)
    ending_add_client ();
  else
    nbdkit_error ("%s", err.text);
  return connection;
}

static void
keyfence_close (void *handle)
{
  connection_free (handle);
  ending_remove_client ();
}

static int64_t
keyfence_get_size (void *handle)
{
  const struct connection *connection = handle;

  return (int64_t)connection->size_bytes;
}

static int
keyfence_can_write (void *handle)
{
  const struct connection *connection = handle;

  return !connection->read_only;
}

/* A flush on any connection covers all of them: one inode, and nothing is kept back here. */
static int
keyfence_can_multi_conn (void *handle)
{
  (void)handle;
  return 1;
}

static int
keyfence_can_flush (void *handle)
{
  (void)handle;
  return 1;
}

static int
keyfence_can_fua (void *handle)
{
  (void)handle;
  return NBDKIT_FUA_NATIVE;
}

static int
keyfence_can_trim (void *handle)
{
  (void)handle;
  return 1;
}

static int
keyfence_can_zero (void *handle)
{
  (void)handle;
  return 1;
}

/* Advertised, so that clients learn at once that zeros cost as much as any write. */
static int
keyfence_can_fast_zero (void *handle)
{
  (void)handle;
  return 1;
}

static int
keyfence_can_cache (void *handle)
{
  const struct connection *connection = handle;

  return connection->volume->backing.direct ? NBDKIT_CACHE_NONE : NBDKIT_CACHE_NATIVE;
}

static int
keyfence_can_extents (void *handle)
{
  const struct connection *connection = handle;

  return connection->volume->backing.can_seek_hole;
}

static int
keyfence_block_size (void *handle, uint32_t *minimum, uint32_t *preferred, uint32_t *maximum)
{
  const struct connection *connection = handle;

  *minimum = 512;
  *preferred = connection->volume->unit_bytes > 4096 ? connection->volume->unit_bytes : 4096;
  *maximum = 32 * 1024 * 1024;
  return 0;
}

/* ---- data ---- */

static int
reply (int r)
{
  if (r == 0)
    return 0;
  ending_hold ();
  nbdkit_set_error (-r);
  return -1;
}

static int
keyfence_pread (void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
  (void)flags;
  return reply (request_read (handle, buf, count, offset));
}

static int
keyfence_pwrite (void *handle, const void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
  return reply (request_write (handle, buf, count, offset, flags & NBDKIT_FLAG_FUA));
}

/* NBDKIT_FLAG_MAY_TRIM allows a hole only where it reads as zeros, and ours would not. */
static int
keyfence_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  if (flags & NBDKIT_FLAG_FAST_ZERO)
    return reply (-EOPNOTSUPP);
  return reply (request_zero (handle, count, offset, flags & NBDKIT_FLAG_FUA));
}

static int
keyfence_trim (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  return reply (request_trim (handle, count, offset, flags & NBDKIT_FLAG_FUA));
}

static int
keyfence_flush (void *handle, uint32_t flags)
{
  (void)flags;
  return reply (request_flush (handle));
}

static int
keyfence_cache (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  (void)flags;
  return reply (request_cache (handle, count, offset));
}

static int
add_extent (void *opaque, uint64_t offset_bytes, uint64_t size_bytes, bool hole)
{
  if (nbdkit_add_extent (opaque, offset_bytes, size_bytes, hole ? NBDKIT_EXTENT_HOLE : 0) < 0)
    return errno ? -errno : -EIO;
  return 0;
}

static int
keyfence_extents (void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                  struct nbdkit_extents *extents)
{
  return reply (
      request_extents (handle, count, offset, flags & NBDKIT_FLAG_REQ_ONE, add_extent, extents));
}

/* ---- registration ---- */

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static struct nbdkit_plugin plugin = {
    .name = "keyfence",
    .longname = "nbdkit keyfence plugin",
    .version = KEYFENCE_VERSION,
    .description = "an encrypted disk that stops when its key does",
    .load = keyfence_load,
    .unload = keyfence_unload,
    .config = keyfence_config,
    .config_complete = keyfence_config_complete,
    .magic_config_key = "path",
    .dump_plugin = keyfence_dump_plugin,
    .get_ready = keyfence_get_ready,
    .after_fork = keyfence_after_fork,
    .cleanup = keyfence_cleanup,
    .open = keyfence_open,
    .close = keyfence_close,
    .get_size = keyfence_get_size,
    .can_write = keyfence_can_write,
    .can_multi_conn = keyfence_can_multi_conn,
    .can_flush = keyfence_can_flush,
    .can_fua = keyfence_can_fua,
    .can_trim = keyfence_can_trim,
    .can_zero = keyfence_can_zero,
    .can_fast_zero = keyfence_can_fast_zero,
    .can_cache = keyfence_can_cache,
    .can_extents = keyfence_can_extents,
    .block_size = keyfence_block_size,
    .pread = keyfence_pread,
    .pwrite = keyfence_pwrite,
    .zero = keyfence_zero,
    .trim = keyfence_trim,
    .flush = keyfence_flush,
    .cache = keyfence_cache,
    .extents = keyfence_extents,
};

/* Not a constant: it is made from the table of parameters. */
static void __attribute__ ((constructor)) make_help (void)
{
  plugin.config_help = params_help ();
}

struct nbdkit_plugin *plugin_init (void); /* which the macro defines */

NBDKIT_REGISTER_PLUGIN (plugin)
