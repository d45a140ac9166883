/* handshake.c owns the use of libnbd for the connections that the kernel gets. */
#include "tools/attach/handshake.h"

#include <errno.h>
#include <fcntl.h>

#include <libnbd.h>
#include <linux/nbd.h>

#include "common/checked.h"
#include "common/io.h"

#define POLL_MS 20

static void
cleanup_nbd (struct nbd_handle **nbd)
{
  nbd_close (*nbd);
}
#define CLEANUP_NBD CLEANUP (cleanup_nbd)

static int
failed (const char *socket_path, struct error *err)
{
  const char *why = nbd_get_error ();

  return error_set (err, ERROR_UNAVAILABLE, "%s: %s", socket_path, why ? why : "no reason given");
}

static int
wait_ready (struct nbd_handle *nbd, const char *socket_path, uint64_t timeout_ms, struct error *err)
{
  uint64_t deadline_ms = clock_ms () + timeout_ms;

  while (nbd_aio_is_connecting (nbd) == 1) {
    if (clock_ms () >= deadline_ms)
      return error_set (err, ERROR_UNAVAILABLE, "%s: no answer within %g seconds", socket_path,
                        (double)timeout_ms / 1000);
    if (nbd_poll (nbd, POLL_MS) < 0)
      return failed (socket_path, err);
  }
  return nbd_aio_is_ready (nbd) == 1 ? 0 : failed (socket_path, err);
}

/* libnbd tells each flag by a call of its own. */
static uint64_t
flags_of (struct nbd_handle *nbd)
{
  static const struct {
    int (*call) (struct nbd_handle *nbd);
    uint64_t flag;
  } calls[] = {
      {nbd_is_read_only, NBD_FLAG_READ_ONLY},
      {nbd_can_flush, NBD_FLAG_SEND_FLUSH},
      {nbd_can_fua, NBD_FLAG_SEND_FUA},
      {nbd_can_trim, NBD_FLAG_SEND_TRIM},
      {nbd_can_multi_conn, NBD_FLAG_CAN_MULTI_CONN},
  };
  uint64_t flags = NBD_FLAG_HAS_FLAGS;

  for (size_t i = 0; i < ARRAY_SIZE (calls); i++)
    if (calls[i].call (nbd) == 1)
      flags |= calls[i].flag;
  return flags;
}

int
handshake (const char *socket_path, uint64_t timeout_ms, int *ret_fd, struct handshake *ret,
           struct error *err)
{
  CLEANUP_NBD struct nbd_handle *nbd = nbd_create ();
  int64_t size_bytes;
  int fd;

  if (!nbd || nbd_set_request_structured_replies (nbd, false) < 0
      || nbd_aio_connect_unix (nbd, socket_path) < 0)
    return failed (socket_path, err);
  if (wait_ready (nbd, socket_path, timeout_ms, err) < 0)
    return -1;
  size_bytes = nbd_get_size (nbd);
  if (size_bytes < 0)
    return failed (socket_path, err);
  /* The handle closes its own descriptor without a word to the server. */
  fd = fcntl (nbd_aio_get_fd (nbd), F_DUPFD_CLOEXEC, 3);
  if (fd < 0)
    return error_set_errno (err, errno, "%s", socket_path);
  *ret = (struct handshake){(uint64_t)size_bytes, flags_of (nbd)};
  *ret_fd = fd;
  return 0;
}
