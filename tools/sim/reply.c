/* reply.c owns building an answer.  Running out of memory ends the simulator. */
#include "tools/sim/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
reply_clear (struct reply *reply)
{
  free (reply->body);
  for (size_t i = 0; i < reply->header_count; i++)
    free (reply->headers[i].value);
  memset (reply, 0, sizeof *reply);
}

/* Takes `body`. */
static void
set_body (struct reply *reply, unsigned status, const char *content_type, char *body)
{
  if (!body)
    abort ();
  free (reply->body);
  reply->status = status;
  reply->body = body;
  reply->body_size = strlen (body);
  if (content_type)
    reply_header (reply, "Content-Type", "%s", content_type);
}

void
reply_json (struct reply *reply, unsigned status, const char *content_type, const struct json *json)
{
  set_body (reply, status, content_type, json_print (json, false));
}

void
reply_text (struct reply *reply, unsigned status, const char *content_type, const char *fmt, ...)
{
  char *body = NULL;
  va_list args;

  va_start (args, fmt);
  if (vasprintf (&body, fmt, args) < 0)
    body = NULL;
  va_end (args);
  set_body (reply, status, content_type, body);
}

void
reply_empty (struct reply *reply, unsigned status)
{
  set_body (reply, status, NULL, strdup (""));
}

void
reply_header (struct reply *reply, const char *name, const char *fmt, ...)
{
  char *value = NULL;
  va_list args;
  size_t i = 0;

  va_start (args, fmt);
  if (vasprintf (&value, fmt, args) < 0)
    abort ();
  va_end (args);
  while (i < reply->header_count && strcmp (reply->headers[i].name, name) != 0)
    i++;
  if (i == REPLY_HEADERS_MAX) {
    free (value);
    return;
  }
  if (i == reply->header_count)
    reply->headers[reply->header_count++].name = name;
  else
    free (reply->headers[i].value);
  reply->headers[i].value = value;
}
