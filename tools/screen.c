/* screen.c owns the terminal while a live view is shown: its modes, its size, its bytes. */
#include "tools/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/checked.h"
#include "common/cleanup.h"
#include "common/io.h"

/* The alternate page, no cursor, no wrapping at the right edge; and all of that back. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

#define ROWS_DEFAULT 24
#define COLUMNS_DEFAULT 80

struct screen {
  bool colours;
  unsigned rows, columns; /* of the terminal */
  unsigned row, column;   /* where the next character goes, from 0 */
  char *frame;            /* what one write shows */
  size_t frame_size;
  FILE *f; /* writes the frame; NULL between frames */
};

/* What the signal handlers put back; they read it at any time, so it is set before they are. */
static struct {
  bool keyboard; /* stdin is the terminal, and `before` its settings */
  struct termios before, ours;
} terminal;

static volatile sig_atomic_t redraw;

/* Signals that end the process: first the terminal. */
static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* ---- the terminal's modes ---- */

static void
enter (void)
{
  if (terminal.keyboard)
    (void)tcsetattr (STDIN_FILENO, TCSANOW, &terminal.ours);
  (void)!write (STDOUT_FILENO, ENTER, strlen (ENTER));
}

static void
leave (void)
{
  (void)!write (STDOUT_FILENO, LEAVE, strlen (LEAVE));
  if (terminal.keyboard)
    (void)tcsetattr (STDIN_FILENO, TCSANOW, &terminal.before);
}

/* The handler was reset by SA_RESETHAND: the signal, raised again, does what it usually does as
 * soon as we have returned.
 */
static void
leave_and_raise (int sig)
{
  int saved = errno;

  leave ();
  raise (sig);
  errno = saved;
}

static void
note_resize (int sig)
{
  (void)sig;
  redraw = 1;
}

static void
come_back (int sig)
{
  int saved = errno;

  (void)sig;
  enter ();
  redraw = 1;
  errno = saved;
}

/* Ctrl-Z: stops in here.  Where there is no shell to continue us, the kernel stops nobody. */
static void
leave_and_stop (int sig)
{
  struct sigaction usual = {.sa_handler = SIG_DFL}, ours = {.sa_handler = leave_and_stop};
  int saved = errno;
  sigset_t set;

  leave ();
  sigaction (sig, &usual, NULL);
  raise (sig);
  sigemptyset (&set);
  sigaddset (&set, sig);
  sigprocmask (SIG_UNBLOCK, &set, NULL);
  sigaction (sig, &ours, NULL);
  come_back (sig);
  errno = saved;
}

/* Signals that were ignored (nohup) stay so. */
static void
handle (int sig, void (*handler) (int sig), int flags)
{
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, before;

  if (sigaction (sig, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
    sigaction (sig, &action, NULL);
}

static void
catch_signals (void)
{
  for (size_t i = 0; i < ARRAY_SIZE (fatal); i++)
    handle (fatal[i], leave_and_raise, SA_RESETHAND);
  handle (SIGTSTP, leave_and_stop, 0);
  handle (SIGCONT, come_back, 0);
  handle (SIGWINCH, note_resize, 0);
}

static void
release_signals (void)
{
  static const int others[] = {SIGTSTP, SIGCONT, SIGWINCH};

  for (size_t i = 0; i < ARRAY_SIZE (fatal); i++)
    handle (fatal[i], SIG_DFL, 0);
  for (size_t i = 0; i < ARRAY_SIZE (others); i++)
    handle (others[i], SIG_DFL, 0);
}

bool
screen_possible (void)
{
  const char *term = getenv ("TERM");

  return isatty (STDOUT_FILENO) && term && *term && strcmp (term, "dumb") != 0;
}

int
screen_open (struct screen **ret_screen, struct error *err)
{
  const char *no_color = getenv ("NO_COLOR");
  struct screen *screen = calloc (1, sizeof *screen);

  if (!screen)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  screen->colours = !no_color || !*no_color;
  terminal.keyboard = isatty (STDIN_FILENO) && tcgetattr (STDIN_FILENO, &terminal.before) == 0;
  terminal.ours = terminal.before;
  terminal.ours.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
  terminal.ours.c_cc[VMIN] = 0;
  terminal.ours.c_cc[VTIME] = 0;
  catch_signals ();
  enter ();
  *ret_screen = screen;
  return 0;
}

void
screen_close (struct screen *screen)
{
  if (!screen)
    return;
  leave ();
  release_signals ();
  if (screen->f)
    fclose (screen->f);
  free (screen->frame);
  free (screen);
}

/* ---- drawing ---- */

static void
measure (struct screen *screen)
{
  struct winsize size = {0};

  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
    size.ws_row = size.ws_col = 0;
  screen->rows = size.ws_row ? size.ws_row : ROWS_DEFAULT;
  screen->columns = size.ws_col ? size.ws_col : COLUMNS_DEFAULT;
}

/* Out of memory, a frame is not shown; the next one may be. */
static void
put (struct screen *screen, const char *text)
{
  if (screen->f)
    fputs (text, screen->f);
}

void
screen_begin (struct screen *screen)
{
  measure (screen);
  screen->row = screen->column = 0;
  screen->f = open_memstream (&screen->frame, &screen->frame_size);
  put (screen, "\033[H");
}

static const char *
style_sequence (const struct screen *screen, enum screen_style style)
{
  static const struct {
    const char *coloured, *plain;
  } sequences[] = {
      [STYLE_PLAIN] = {"", ""},
      [STYLE_BOLD] = {"\033[1m", "\033[1m"},
      [STYLE_DIM] = {"\033[2m", "\033[2m"},
      [STYLE_GOOD] = {"\033[1;32m", "\033[1m"},
      [STYLE_WARN] = {"\033[1;33m", "\033[1m"},
      [STYLE_BAD] = {"\033[1;37;41m", "\033[1;7m"},
  };

  return screen->colours ? sequences[style].coloured : sequences[style].plain;
}

/* One character of UTF-8 is taken as one column wide; what controls a terminal is shown as "?". */
static void
put_clean (struct screen *screen, const char *text)
{
  for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
    bool continues = (*p & 0xc0) == 0x80;
    bool c1 = *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;

    if (!continues && screen->column++ >= screen->columns)
      return;
    if (c1)
      p++;
    if (screen->f)
      fputc (c1 || *p < 0x20 || *p == 0x7f ? '?' : *p, screen->f);
  }
}

void
screen_text (struct screen *screen, enum screen_style style, const char *fmt, ...)
{
  CLEANUP_FREE char *text = NULL;
  const char *sequence = style_sequence (screen, style);
  va_list args;
  int n;

  va_start (args, fmt);
  n = vasprintf (&text, fmt, args);
  va_end (args);
  if (n < 0) {
    text = NULL;
    return;
  }
  if (screen->row >= screen->rows)
    return;
  put (screen, sequence);
  put_clean (screen, text);
  if (*sequence)
    put (screen, "\033[0m");
}

void
screen_column (struct screen *screen, unsigned column)
{
  while (screen->row < screen->rows && screen->column < MIN (column, screen->columns)) {
    put (screen, " ");
    screen->column++;
  }
}

void
screen_newline (struct screen *screen)
{
  if (screen->row < screen->rows)
    put (screen, "\033[K");
  screen->row++;
  screen->column = 0;
  if (screen->row < screen->rows)
    put (screen, "\r\n");
}

void
screen_end (struct screen *screen)
{
  if (screen->row < screen->rows)
    put (screen, "\033[J");
  if (!screen->f)
    return;
  if (fclose (screen->f) == 0)
    (void)!write_full (STDOUT_FILENO, screen->frame, screen->frame_size);
  free (screen->frame);
  screen->frame = NULL;
  screen->f = NULL;
}

unsigned
screen_columns (const struct screen *screen)
{
  return screen->columns;
}

unsigned
screen_rows_left (const struct screen *screen)
{
  return screen->row < screen->rows ? screen->rows - screen->row : 0;
}

/* ---- keys ---- */

static enum screen_key
read_key (void)
{
  static const struct {
    const char *bytes;
    enum screen_key key;
  } keys[] = {
      {"q", SCREEN_QUIT}, {"Q", SCREEN_QUIT},      {"\003", SCREEN_QUIT},
      {"k", SCREEN_UP},   {"\033[A", SCREEN_UP},   {"\033OA", SCREEN_UP},
      {"j", SCREEN_DOWN}, {"\033[B", SCREEN_DOWN}, {"\033OB", SCREEN_DOWN},
  };
  char bytes[16] = "";
  ssize_t n = read (STDIN_FILENO, bytes, sizeof bytes - 1);

  if (n <= 0)
    return n < 0 && (errno == EINTR || errno == EAGAIN) ? SCREEN_TIMEOUT : SCREEN_QUIT;
  for (size_t i = 0; i < ARRAY_SIZE (keys); i++)
    if (strncmp (bytes, keys[i].bytes, strlen (keys[i].bytes)) == 0)
      return keys[i].key;
  return SCREEN_TIMEOUT;
}

enum screen_key
screen_wait (struct screen *screen, uint64_t until_ms)
{
  (void)screen;
  for (;;) {
    uint64_t now_ms = clock_ms ();
    struct pollfd pollfd = {.fd = terminal.keyboard ? STDIN_FILENO : -1, .events = POLLIN};
    /* A resize between the look at the flag and the wait shows a little later. */
    int wait_ms = now_ms < until_ms ? (int)MIN (until_ms - now_ms, 250) : 0;
    enum screen_key key = SCREEN_TIMEOUT;

    if (redraw) {
      redraw = 0;
      return SCREEN_REDRAW;
    }
    if (poll (&pollfd, 1, wait_ms) > 0)
      key = read_key ();
    if (key != SCREEN_TIMEOUT || (wait_ms == 0 && !redraw))
      return key;
  }
}
