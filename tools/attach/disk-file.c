/* keyfence-disk-file: a served disk as a file, by FUSE, for `keyfence attach --by fuse`, which puts
 * a loop device on it.
 *
 *   keyfence-disk-file SOCKET FILE RECONNECT_SECONDS rw|ro PIDFILE CONTROL UUID
 *
 * FILE, which must exist, shows the disk of the NBD server at SOCKET until SIGTERM, and then until
 * nobody has it open any more: when a system is shut down everybody gets SIGTERM, and who looks
 * after the attached volume has then to unmount what is on it.  PIDFILE is written when it does.  A
 * request whose server went away waits for the next server, RECONNECT_SECONDS at most, and is sent
 * again; what a server answers goes to who asked, errors too.
 *
 * A server is taken for the next one only if the control socket CONTROL is of the volume UUID: what
 * was written for one disk must not come to another.
 *
 * It is sent again only when the server has closed the connection, that is when it has died or is
 * done with it: nothing of the old request can come behind the new one.
 *
 * Each thread has its own connection, and one request on it.  A flush covers all of them, since the
 * server says so (multi-conn), or else there is one thread.
 */
#define FUSE_USE_VERSION 312

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <fuse_lowlevel.h>
#include <libnbd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/io.h"
#include "common/parse.h"
#include "tools/control.h"

#define THREADS 16
#define PAUSE_MS 20
#define CONTROL_MS 5000
#define ZERO_MAX (UINT64_C (64) << 20) /* in one request: the server writes them */

static struct {
  const char *socket, *control, *uuid;
  uint64_t reconnect_ms;
  uint64_t size_bytes;
  bool read_only;
  struct fuse_session *session;
} disk;

static atomic_uint opened;       /* how many times the file is open */
static atomic_bool asked_to_end; /* before that is looked at; the last to close it looks at this */

static pthread_key_t connection_key; /* a thread's struct nbd_handle */

struct request {
  void *buf;        /* what is read; else NULL */
  const void *data; /* what is written; else NULL */
  uint64_t offset_bytes, size_bytes;
  int (*send) (struct nbd_handle *nbd, const struct request *r);
};

/* ---- connections -------------------------------------------------------------------------------
 */

static void
connection_close (void *nbd)
{
  nbd_close (nbd);
}

static struct nbd_handle *
connection_new (void)
{
  struct nbd_handle *nbd = nbd_create ();

  if (nbd && nbd_connect_unix (nbd, disk.socket) == 0)
    return nbd;
  nbd_close (nbd);
  return NULL;
}

/* Another disk than it was is none. */
static bool
is_ours (struct nbd_handle *nbd)
{
  static atomic_bool told;
  struct error error;

  if (nbd_get_size (nbd) == (int64_t)disk.size_bytes
      && control_check_volume (disk.control, disk.uuid, CONTROL_MS, &error) == 0)
    return true;
  if (!atomic_exchange (&told, true))
    warnx ("%s: another disk is there now, or its server is not at %s; it is not used", disk.socket,
           disk.control);
  return false;
}

/* This thread's; NULL when there is no server. */
static struct nbd_handle *
connection (void)
{
  struct nbd_handle *nbd = pthread_getspecific (connection_key);

  if (nbd)
    return nbd;
  nbd = connection_new ();
  if (nbd && (!is_ours (nbd) || pthread_setspecific (connection_key, nbd) != 0)) {
    nbd_close (nbd);
    return NULL;
  }
  return nbd;
}

static void
connection_drop (void)
{
  connection_close (pthread_getspecific (connection_key));
  (void)!pthread_setspecific (connection_key, NULL);
}

/* ---- requests ----------------------------------------------------------------------------------
 */

/* Whether it is the server that has answered; if not, it is gone, or about to be. */
static bool
was_answered (struct nbd_handle *nbd, int error)
{
  return !nbd_aio_is_dead (nbd) && !nbd_aio_is_closed (nbd) && error != ESHUTDOWN;
}

/* 1 when there was no answer, 0, or the answer's error. */
static int
try_request (const struct request *r, int *ret_errno)
{
  struct nbd_handle *nbd = connection ();

  if (!nbd)
    return 1;
  if (r->send (nbd, r) == 0) {
    *ret_errno = 0;
    return 0;
  }
  *ret_errno = nbd_get_errno ();
  if (was_answered (nbd, *ret_errno)) {
    if (*ret_errno == 0)
      *ret_errno = EIO;
    return 0;
  }
  connection_drop ();
  return 1;
}

/* Returns the errno of the answer. */
static int
request_do (const struct request *r)
{
  uint64_t deadline_ms = 0;
  int error;

  while (try_request (r, &error) != 0) {
    if (deadline_ms == 0)
      deadline_ms = clock_ms () + disk.reconnect_ms;
    if (clock_ms () >= deadline_ms || fuse_session_exited (disk.session))
      return EIO;
    nanosleep (&(struct timespec){.tv_nsec = PAUSE_MS * 1000000}, NULL);
  }
  return error;
}

static int
send_read (struct nbd_handle *nbd, const struct request *r)
{
  return nbd_pread (nbd, r->buf, r->size_bytes, r->offset_bytes, 0);
}

static int
send_write (struct nbd_handle *nbd, const struct request *r)
{
  return nbd_pwrite (nbd, r->data, r->size_bytes, r->offset_bytes, 0);
}

static int
send_zero (struct nbd_handle *nbd, const struct request *r)
{
  return nbd_zero (nbd, r->size_bytes, r->offset_bytes, 0);
}

static int
send_flush (struct nbd_handle *nbd, const struct request *r)
{
  (void)r;
  return nbd_flush (nbd, 0);
}

/* ---- the file ----------------------------------------------------------------------------------
 */

static bool
is_inside (off_t offset_bytes, uint64_t size_bytes)
{
  return offset_bytes >= 0 && (uint64_t)offset_bytes <= disk.size_bytes
         && size_bytes <= disk.size_bytes - (uint64_t)offset_bytes;
}

/* The kernel would hand on 12 requests of a loop device at a time, fewer than there are threads. */
static void
file_init (void *unused, struct fuse_conn_info *conn)
{
  (void)unused;
  conn->max_background = conn->congestion_threshold = 4 * THREADS;
}

static void
file_getattr (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  struct stat st = {.st_ino = ino,
                    .st_mode = S_IFREG | (disk.read_only ? 0400 : 0600),
                    .st_nlink = 1,
                    .st_uid = geteuid (),
                    .st_gid = getegid (),
                    .st_size = (off_t)disk.size_bytes,
                    .st_blksize = 4096,
                    .st_blocks = (blkcnt_t)(disk.size_bytes / 512)};

  (void)fi;
  fuse_reply_attr (req, &st, 1);
}

static void
file_open (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  (void)ino;
  if (disk.read_only && (fi->flags & O_ACCMODE) != O_RDONLY) {
    fuse_reply_err (req, EROFS);
    return;
  }
  fi->direct_io = 1; /* nothing of it in the page cache */
  atomic_fetch_add (&opened, 1);
  if (fuse_reply_open (req, fi) < 0) /* whoever opened it has gone: there is no release */
    atomic_fetch_sub (&opened, 1);
}

static void
file_release (fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
  (void)ino;
  (void)fi;
  if (atomic_fetch_sub (&opened, 1) == 1 && atomic_load (&asked_to_end))
    fuse_session_exit (disk.session);
  fuse_reply_err (req, 0);
}

static void
file_read (fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
  CLEANUP_FREE void *buf = NULL;
  struct request r = {.offset_bytes = (uint64_t)offset, .send = send_read};
  int error;

  (void)ino;
  (void)fi;
  if (offset < 0 || (uint64_t)offset >= disk.size_bytes) {
    fuse_reply_buf (req, NULL, 0);
    return;
  }
  r.size_bytes = MIN (size, disk.size_bytes - (uint64_t)offset);
  r.buf = buf = malloc (r.size_bytes);
  error = buf ? request_do (&r) : ENOMEM;
  if (error != 0)
    fuse_reply_err (req, error);
  else
    fuse_reply_buf (req, buf, r.size_bytes);
}

static void
file_write (fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
            struct fuse_file_info *fi)
{
  struct request r = {
      .data = data, .offset_bytes = (uint64_t)offset, .size_bytes = size, .send = send_write};
  int error;

  (void)ino;
  (void)fi;
  error = is_inside (offset, size) ? request_do (&r) : ENOSPC;
  if (error != 0)
    fuse_reply_err (req, error);
  else
    fuse_reply_write (req, size);
}

static void
file_fsync (fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
  struct request r = {.send = send_flush};

  (void)ino;
  (void)datasync;
  (void)fi;
  fuse_reply_err (req, request_do (&r));
}

/* A hole reads as zeros: whoever punches one (a loop device that is to write zeros) relies on it,
 * and a trim does not promise it.
 */
static void
file_fallocate (fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t length,
                struct fuse_file_info *fi)
{
  struct request r = {.offset_bytes = (uint64_t)offset, .send = send_zero};
  uint64_t left = (uint64_t)length;
  int error = 0;

  (void)ino;
  (void)fi;
  if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0)
    error = EOPNOTSUPP;
  else if (length <= 0 || !is_inside (offset, left))
    error = EINVAL;
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) == 0)
    left = 0;
  while (error == 0 && left > 0) {
    r.size_bytes = MIN (left, ZERO_MAX);
    error = request_do (&r);
    r.offset_bytes += r.size_bytes;
    left -= r.size_bytes;
  }
  fuse_reply_err (req, error);
}

static const struct fuse_lowlevel_ops operations = {
    .init = file_init,
    .getattr = file_getattr,
    .open = file_open,
    .release = file_release,
    .read = file_read,
    .write = file_write,
    .fsync = file_fsync,
    .fallocate = file_fallocate,
};

/* ---- life --------------------------------------------------------------------------------------
 */

/* Asks the server what it has; returns how many threads may ask it at a time. */
static unsigned
meet_server (void)
{
  struct nbd_handle *nbd = connection_new ();
  int64_t size_bytes;
  bool many;

  if (!nbd)
    errx (1, "%s", nbd_get_error ());
  size_bytes = nbd_get_size (nbd);
  if (size_bytes < 0)
    errx (1, "%s", nbd_get_error ());
  disk.size_bytes = (uint64_t)size_bytes;
  many = nbd_can_multi_conn (nbd) == 1;
  nbd_shutdown (nbd, 0);
  nbd_close (nbd);
  return many ? THREADS : 1;
}

static void
on_sigterm (int signum)
{
  (void)signum;
  atomic_store (&asked_to_end, true);
  if (atomic_load (&opened) == 0)
    fuse_session_exit (disk.session);
}

/* FUSE's own handlers end it at once. */
static int
handle_signals (void)
{
  const struct sigaction action = {.sa_handler = on_sigterm};

  if (fuse_set_signal_handlers (disk.session) != 0)
    return -1;
  return sigaction (SIGTERM, &action, NULL);
}

static void
write_pidfile (const char *path)
{
  CLEANUP_FCLOSE FILE *f = fopen (path, "we");

  if (!f || fprintf (f, "%jd\n", (intmax_t)getpid ()) < 0 || fflush (f) != 0)
    err (1, "%s", path);
}

static int
serve (unsigned threads)
{
  struct fuse_loop_config *config;
  int r;

  if (threads == 1)
    return fuse_session_loop (disk.session);
  config = fuse_loop_cfg_create ();
  if (!config)
    errx (1, "out of memory");
  fuse_loop_cfg_set_clone_fd (config, 1);
  fuse_loop_cfg_set_max_threads (config, threads);
  fuse_loop_cfg_set_idle_threads (config,
                                  threads); /* a thread that ends takes its connection along */
  r = fuse_session_loop_mt (disk.session, config);
  fuse_loop_cfg_destroy (config);
  return r;
}

int
main (int argc, char **argv)
{
  struct fuse_args args = FUSE_ARGS_INIT (0, NULL);
  struct error error;
  unsigned threads;
  uint64_t seconds;
  int r;

  if (argc != 8 || (strcmp (argv[4], "rw") != 0 && strcmp (argv[4], "ro") != 0))
    errx (2, "usage: keyfence-disk-file SOCKET FILE RECONNECT_SECONDS rw|ro PIDFILE CONTROL UUID");
  if (parse_uint (argv[3], 1, 86400, &seconds, &error) < 0)
    errx (2, "RECONNECT_SECONDS: %s", error.text);
  disk.socket = argv[1];
  disk.control = argv[6];
  disk.uuid = argv[7];
  disk.reconnect_ms = seconds * 1000;
  disk.read_only = strcmp (argv[4], "ro") == 0;
  if (pthread_key_create (&connection_key, connection_close) != 0)
    errx (1, "pthread_key_create");
  threads = meet_server ();
  if (fuse_opt_add_arg (&args, argv[0]) != 0 || fuse_opt_add_arg (&args, "-ofsname=keyfence") != 0
      || fuse_opt_add_arg (&args, "-odefault_permissions") != 0)
    errx (1, "out of memory");
  disk.session = fuse_session_new (&args, &operations, sizeof operations, NULL);
  if (!disk.session || handle_signals () != 0 || fuse_session_mount (disk.session, argv[2]) != 0)
    return 1;
  write_pidfile (argv[5]);
  r = serve (threads);
  fuse_session_unmount (disk.session);
  fuse_remove_signal_handlers (disk.session);
  fuse_session_destroy (disk.session);
  fuse_opt_free_args (&args);
  connection_drop ();
  return r == 0 || r == SIGTERM ? 0 : 1;
}
