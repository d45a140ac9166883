/* nbd.c owns the use of libnbd. */
#include "tools/drill/nbd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#include "common/checked.h"
#include "common/io.h"

#define POLL_MS 50

struct nbd_client {
  struct nbd_handle *nbd;
  uint64_t size_bytes;
  bool read_only;
  /* libnbd's until the answer is there or the handle is closed. */
  uint8_t block[NBD_BLOCK_BYTES];
};

void
nbd_client_close (struct nbd_client *client)
{
  if (!client)
    return;
  nbd_close (client->nbd);
  free (client);
}

static void
cleanup_client (struct nbd_client **client)
{
  nbd_client_close (*client);
}

static const char *
why (void)
{
  const char *text = nbd_get_error ();

  return text ? text : "no reason given";
}

static int
wait_connected (struct nbd_client *client, const char *uri, uint64_t timeout_ms, struct error *err)
{
  uint64_t deadline_ms = clock_ms () + timeout_ms;

  while (nbd_aio_is_connecting (client->nbd) == 1) {
    if (clock_ms () >= deadline_ms)
      return error_set (err, ERROR_UNAVAILABLE, "%s: no NBD connection within %g seconds", uri,
                        (double)timeout_ms / 1000);
    if (nbd_poll (client->nbd, POLL_MS) < 0)
      return error_set (err, ERROR_UNAVAILABLE, "%s: %s", uri, why ());
  }
  if (nbd_aio_is_ready (client->nbd) != 1)
    return error_set (err, ERROR_UNAVAILABLE, "%s: %s", uri, why ());
  return 0;
}

int
nbd_client_open (const char *uri, uint64_t timeout_ms, struct nbd_client **ret, struct error *err)
{
  CLEANUP (cleanup_client) struct nbd_client *client = calloc (1, sizeof *client);
  int64_t size;

  if (!client || !(client->nbd = nbd_create ()))
    return error_set (err, ERROR_SYSTEM, "out of memory");
  if (nbd_aio_connect_uri (client->nbd, uri) < 0)
    return error_set (err, ERROR_UNAVAILABLE, "%s: %s", uri, why ());
  if (wait_connected (client, uri, timeout_ms, err) < 0)
    return -1;
  size = nbd_get_size (client->nbd);
  if (size < 0)
    return error_set (err, ERROR_UNAVAILABLE, "%s: %s", uri, why ());
  client->size_bytes = (uint64_t)size;
  client->read_only = nbd_is_read_only (client->nbd) == 1;
  *ret = client;
  client = NULL;
  return 0;
}

uint64_t
nbd_client_size_bytes (const struct nbd_client *client)
{
  return client->size_bytes;
}

bool
nbd_client_read_only (const struct nbd_client *client)
{
  return client->read_only;
}

/* Whether the connection can't answer any more. */
static bool
is_gone (struct nbd_client *client)
{
  return nbd_aio_is_dead (client->nbd) == 1 || nbd_aio_is_closed (client->nbd) == 1;
}

/* The answer to request `cookie` (-1: it could not be sent). */
static int
finish (struct nbd_client *client, int64_t cookie, const atomic_bool *stop)
{
  if (cookie < 0)
    return -1;
  for (;;) {
    int r = nbd_aio_command_completed (client->nbd, (uint64_t)cookie);

    if (r == 1)
      return 0;
    if (r < 0)
      return is_gone (client) ? -1 : MAX (nbd_get_errno (), 1);
    if (atomic_load_explicit (stop, memory_order_relaxed) || nbd_poll (client->nbd, POLL_MS) < 0)
      return -1;
  }
}

int
nbd_client_read (struct nbd_client *client, uint64_t offset_bytes, void *buf,
                 const atomic_bool *stop)
{
  int r = finish (client,
                  nbd_aio_pread (client->nbd, client->block, sizeof client->block, offset_bytes,
                                 NBD_NULL_COMPLETION, 0),
                  stop);

  if (r == 0)
    memcpy (buf, client->block, sizeof client->block);
  return r;
}

int
nbd_client_write (struct nbd_client *client, uint64_t offset_bytes, const void *buf,
                  const atomic_bool *stop)
{
  memcpy (client->block, buf, sizeof client->block);
  return finish (client,
                 nbd_aio_pwrite (client->nbd, client->block, sizeof client->block, offset_bytes,
                                 NBD_NULL_COMPLETION, 0),
                 stop);
}

const char *
nbd_client_version (void)
{
  CLEANUP (cleanup_client) struct nbd_client *client = calloc (1, sizeof *client);
  const char *version = NULL;

  if (client && (client->nbd = nbd_create ()))
    version = nbd_get_version (client->nbd); /* a literal of the library's */
  return version ? version : "?";
}
