/* One command to many control sockets at once, within a time that no server can stretch.
 *
 * Each server has ASK_EACH_MS for its answer, all of them together ASK_TOTAL_MS; an answer has at
 * most ASK_ANSWER_MAX bytes.  A server that hangs, babbles, hangs up or is dead costs its own
 * answer only.
 */
#ifndef EXPORTER_ASK_H
#define EXPORTER_ASK_H

#include <stddef.h>

#define ASK_EACH_MS 1000
#define ASK_TOTAL_MS 4000
#define ASK_ANSWER_MAX ((size_t)256 * 1024)

struct ask {
  const char *path; /* of the socket; the caller's */
  char *answer;     /* the line without its newline, a new string; NULL: there is none */
  char error[160];  /* why there is none */
};

/* Fills in `answer` or `error` of each. */
void ask_all (struct ask *asks, size_t count, const char *command);

#endif
