/* A terminal as a screen of lines, by plain ANSI sequences: for views that are drawn anew again and
 * again.
 *
 * One at a time, by one thread.  While it is open the terminal shows its alternate page without a
 * cursor, and keys come unechoed; screen_close, and every signal that ends or stops the process,
 * puts all of that back.  Bytes that a terminal would act on are shown as "?".
 */
#ifndef TOOLS_SCREEN_H
#define TOOLS_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/error.h"

enum screen_style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GOOD, STYLE_WARN, STYLE_BAD };

enum screen_key {
  SCREEN_TIMEOUT,
  SCREEN_QUIT, /* q, Q, Ctrl-C typed as a key, or the keyboard's end */
  SCREEN_UP,
  SCREEN_DOWN,
  SCREEN_REDRAW, /* another size, or in the foreground again */
};

struct screen;

/* Whether stdout is a terminal that can do it (TERM set, and not "dumb"). */
bool screen_possible (void);

/* Without colours when NO_COLOR is set and not empty. */
int screen_open (struct screen **ret_screen, struct error *err) MUST_CHECK;
void screen_close (struct screen *screen); /* NULL is accepted */

/* A frame: begin (which asks the terminal for its size), texts and lines from the top, end.  What
 * is too wide or too low is cut off.
 */
void screen_begin (struct screen *screen);
void screen_text (struct screen *screen, enum screen_style style, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));
void screen_column (struct screen *screen, unsigned column); /* blanks up to there, from 0 */
void screen_newline (struct screen *screen);
void screen_end (struct screen *screen);

unsigned screen_columns (const struct screen *screen);
unsigned screen_rows_left (const struct screen *screen); /* the present line included */

/* Waits for a key until `until_ms` on clock_ms (). */
enum screen_key screen_wait (struct screen *screen, uint64_t until_ms);

#endif
