/* disk.c owns which of a machine's disks is ours. */
#include "tools/machines/disk.h"

#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/checked.h"

#define NBD_PORT "10809"

/* What there is, if it fits. */
static bool
copy (const char *text, char *ret, size_t max)
{
  if (!text || strlen (text) >= max)
    return false;
  memcpy (ret, text, strlen (text) + 1);
  return true;
}

/* ---- URIs ---- */

static int
hex_digit (char c)
{
  static const char digits[] = "0123456789abcdef";
  const char *found = c ? strchr (digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

  return found ? (int)(found - digits) : -1;
}

/* `length` bytes with their %XX decoded; false when they are too many, or a NUL is among them. */
static bool
decode (const char *text, size_t length, char *ret, size_t max)
{
  size_t used = 0;

  for (size_t i = 0; i < length; i++) {
    int high = -1, low = -1;

    if (text[i] == '%' && i + 2 < length) {
      high = hex_digit (text[i + 1]);
      low = hex_digit (text[i + 2]);
    }
    if (used + 1 >= max || (high == 0 && low == 0))
      return false;
    ret[used++] = high >= 0 && low >= 0 ? (char)(high * 16 + low) : text[i];
    if (high >= 0 && low >= 0)
      i += 2;
  }
  ret[used] = '\0';
  return used > 0;
}

/* The value of "socket" in a query. */
static bool
take_socket (const char *query, struct disk_place *ret)
{
  for (const char *p = query; *p;) {
    size_t length = strcspn (p, "&");

    if (strncmp (p, "socket=", 7) == 0)
      return decode (p + 7, length - 7, ret->socket, sizeof ret->socket);
    p += length + (p[length] == '&');
  }
  return false;
}

/* HOST, HOST:PORT, [HOST] or [HOST]:PORT, up to the path. */
static bool
take_host (const char *text, struct disk_place *ret)
{
  const char *end = text + strcspn (text, "/?"), *host = text, *host_end;
  const char *port = NBD_PORT;
  size_t port_length = strlen (port);

  if (*text == '[') {
    host++;
    host_end = memchr (host, ']', (size_t)(end - host));
  }
  else
    host_end = memchr (host, ':', (size_t)(end - host));
  if (!host_end && *text == '[')
    return false;
  if (!host_end)
    host_end = end;
  text = host_end + (*host_end == ']');
  if (text < end && *text == ':') {
    port = text + 1;
    port_length = (size_t)(end - port);
  }
  return decode (host, (size_t)(host_end - host), ret->host, sizeof ret->host)
         && decode (port, port_length, ret->port, sizeof ret->port);
}

static bool
starts_with (const char **text, const char *start)
{
  size_t length = strlen (start);

  if (strncmp (*text, start, length) != 0)
    return false;
  *text += length;
  return true;
}

static bool
parse (const char *text, struct disk_place *ret)
{
  const char *query;

  if (*text == '/')
    return copy (text, ret->socket, sizeof ret->socket);
  if (starts_with (&text, "nbd+unix:") || starts_with (&text, "nbds+unix:")) {
    query = strchr (text, '?');
    return query && take_socket (query + 1, ret);
  }
  return (starts_with (&text, "nbd://") || starts_with (&text, "nbds://")) && take_host (text, ret);
}

int
disk_place_parse (const char *text, struct disk_place *ret, struct error *err)
{
  struct disk_place place = {.socket = ""};

  if (!parse (text, &place))
    return error_set (err, ERROR_USAGE,
                      "\"%s\" is not the place of an NBD disk: write nbd+unix:///?socket=PATH, "
                      "nbd://HOST:PORT, or the absolute path of the socket",
                      text);
  *ret = place;
  return 0;
}

/* ---- QEMU's block nodes ---- */

/* What QEMU calls json:{…} names: its options, as a tree or with dots. */
static const char *
option (const struct json *options, const char *dotted, const char *name)
{
  const char *text = json_get_string (options, dotted);

  return text ? text : json_get_string (json_get (options, "server"), name);
}

static bool
place_of_options (const char *text, struct disk_place *ret)
{
  CLEANUP_JSON struct json *options = json_parse (text, strlen (text));
  const char *driver = json_get_string (options, "driver");

  if (!driver || strcmp (driver, "nbd") != 0)
    return false;
  if (copy (option (options, "server.path", "path"), ret->socket, sizeof ret->socket))
    return true;
  return copy (option (options, "server.host", "host"), ret->host, sizeof ret->host)
         && copy (option (options, "server.port", "port"), ret->port, sizeof ret->port);
}

/* QEMU writes the socket's path as it is, undecoded, at the end. */
static bool
place_of_name (const char *name, struct disk_place *ret)
{
  const char *socket = strstr (name, "?socket=");

  if (strncmp (name, "json:", 5) == 0)
    return place_of_options (name + 5, ret);
  if (strncmp (name, "nbd+unix:", 9) == 0)
    return socket && copy (socket + 8, ret->socket, sizeof ret->socket);
  return parse (name, ret);
}

static bool
same_socket (const char *a, const char *b)
{
  struct stat a_stat, b_stat;

  if (!*a || !*b)
    return false;
  return strcmp (a, b) == 0
         || (stat (a, &a_stat) == 0 && stat (b, &b_stat) == 0 && a_stat.st_dev == b_stat.st_dev
             && a_stat.st_ino == b_stat.st_ino);
}

bool
disk_place_is_of (const struct disk_place *place, const struct json *node)
{
  const char *driver = json_get_string (node, "drv"), *name = json_get_string (node, "file");
  struct disk_place found = {.socket = ""};

  if (!driver || strcmp (driver, "nbd") != 0 || !name || !place_of_name (name, &found))
    return false;
  if (*place->socket)
    return same_socket (place->socket, found.socket);
  return *found.host && strcasecmp (place->host, found.host) == 0
         && strcmp (place->port, found.port) == 0;
}
