/* The answer to a request, as it is built up. */
#ifndef SIM_REPLY_H
#define SIM_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/json.h"

#define REPLY_HEADERS_MAX 12

struct reply {
  unsigned status; /* 0: nothing has been said yet */
  char *body;      /* on the heap */
  size_t body_size;
  size_t header_count;
  struct {
    const char *name; /* a literal */
    char *value;      /* on the heap */
  } headers[REPLY_HEADERS_MAX];
  bool reset;    /* break the connection instead of answering */
  bool truncate; /* send half of the body, then break the connection */
};

/* Frees what it holds; the reply is empty afterwards. */
void reply_clear (struct reply *reply);

/* Sets the body (what was there before goes), its type and the status. */
void reply_json (struct reply *reply, unsigned status, const char *content_type,
                 const struct json *json);
void reply_text (struct reply *reply, unsigned status, const char *content_type, const char *fmt,
                 ...) __attribute__ ((format (printf, 4, 5)));
void reply_empty (struct reply *reply, unsigned status);

/* Adds a header (dropped when there are too many). */
void reply_header (struct reply *reply, const char *name, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

#endif
