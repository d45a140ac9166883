/* The one error type: a class for programs, a text for people.
 *
 * Libraries fill it in and return -1; programs print it.  The text is one sentence or two that name
 * the thing, say what was expected and what to do; it never holds a secret.
 */
#ifndef COMMON_ERROR_H
#define COMMON_ERROR_H

enum error_class {
  ERROR_NONE = 0,
  ERROR_USAGE,       /* the caller's parameter is wrong: mend the command */
  ERROR_SYSTEM,      /* a system call or library failed: the text has the reason */
  ERROR_NOT_FOUND,   /* the named thing does not exist */
  ERROR_BUSY,        /* another process holds it: the text names the holder */
  ERROR_FOREIGN,     /* not a keyfence volume, or one outside the profile */
  ERROR_CORRUPT,     /* was one, and is damaged */
  ERROR_DENIED,      /* the key's owner said no */
  ERROR_UNAVAILABLE, /* the key service (or the agent) gave no answer */
};

struct error {
  enum error_class class;
  char text[1024]; /* one that is longer ends in "..." */
};

/* "usage", "denied", … for messages between our programs; and back (ERROR_SYSTEM for a name that is
 * not known, NULL included).
 */
const char *error_class_name (enum error_class class);
enum error_class error_class_from_name (const char *name);

/* Fills in *err (which may be NULL) and returns -1, so that callers can `return error_set (...)`.
 */
int error_set (struct error *err, enum error_class class, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/* The same with ": " and strerror (errnum) behind the text, class ERROR_SYSTEM. */
int error_set_errno (struct error *err, int errnum, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/* Puts "prefix: " before the text that is there.  Returns -1. */
int error_prefix (struct error *err, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

#endif
