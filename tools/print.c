/* print.c owns the form of what is printed. */
#include "tools/print.h"

#include <stdarg.h>
#include <stdio.h>

#define FACT_COLUMN 16

static const char *command = "?";

void
print_set_command (const char *name)
{
  command = name;
}

/* Formats and writes, without control characters (newlines stay when `lines`). */
static void print_clean (FILE *f, bool lines, const char *fmt, va_list args)
    __attribute__ ((format (printf, 3, 0)));

static void
print_clean (FILE *f, bool lines, const char *fmt, va_list args)
{
  CLEANUP_FREE char *text = NULL;

  if (vasprintf (&text, fmt, args) < 0) {
    text = NULL;
    fputs ("(out of memory)", f);
    return;
  }
  for (const char *p = text; *p; p++) {
    unsigned char c = (unsigned char)*p;

    fputc ((c < 0x20 && !(lines && c == '\n')) || c == 0x7f ? '?' : c, f);
  }
}

static void say (FILE *f, bool lines, const char *fmt, ...) __attribute__ ((format (printf, 3, 4)));

static void
say (FILE *f, bool lines, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  print_clean (f, lines, fmt, args);
  va_end (args);
}

void
print_error (const struct error *err)
{
  say (stderr, false, "keyfence: %s: %s", command, err->text);
  fputc ('\n', stderr);
}

void
print_warning (const char *fmt, ...)
{
  va_list args;

  fprintf (stderr, "keyfence: %s: warning: ", command);
  va_start (args, fmt);
  print_clean (stderr, false, fmt, args);
  va_end (args);
  fputc ('\n', stderr);
}

void
print_fact (const char *name, const char *fmt, ...)
{
  va_list args;
  int column = printf ("%s:", name);

  printf ("%*s", column < FACT_COLUMN ? FACT_COLUMN - column : 1, "");
  va_start (args, fmt);
  print_clean (stdout, false, fmt, args);
  va_end (args);
  putchar ('\n');
}

void
print_line (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  print_clean (stdout, true, fmt, args);
  va_end (args);
  putchar ('\n');
}

int
print_json (const struct json *json, struct error *err)
{
  CLEANUP_FREE char *text = json_print (json, true);

  if (!text)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  puts (text);
  return 0;
}
