/* error.c owns the forming of error texts. */
#include "common/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"
#include "common/text.h"

#define REASON_MAX 64 /* what a system error is called is shorter */

static const char *const class_names[] = {
    [ERROR_NONE] = "none",           [ERROR_USAGE] = "usage",   [ERROR_SYSTEM] = "system",
    [ERROR_NOT_FOUND] = "not_found", [ERROR_BUSY] = "busy",     [ERROR_FOREIGN] = "foreign",
    [ERROR_CORRUPT] = "corrupt",     [ERROR_DENIED] = "denied", [ERROR_UNAVAILABLE] = "unavailable",
};

const char *error_class_name (enum error_class class)
{
  return class_names[class];
}

enum error_class
error_class_from_name (const char *name)
{
  for (size_t i = 0; name && i < ARRAY_SIZE (class_names); i++)
    if (strcmp (name, class_names[i]) == 0)
      return (enum error_class)i;
  return ERROR_SYSTEM;
}

int
error_set (struct error *err, enum error_class class, const char *fmt, ...)
{
  if (err) {
    va_list args;

    va_start (args, fmt);
    err->class = class;
    text_vprint (err->text, sizeof err->text, fmt, args);
    va_end (args);
  }
  return -1;
}

int
error_set_errno (struct error *err, int errnum, const char *fmt, ...)
{
  if (err) {
    char what[sizeof err->text - REASON_MAX];
    va_list args;

    va_start (args, fmt);
    err->class = ERROR_SYSTEM;
    text_vprint (what, sizeof what, fmt, args);
    va_end (args);
    text_print (err->text, sizeof err->text, "%s: %s", what, strerrordesc_np (errnum));
  }
  return -1;
}

int
error_prefix (struct error *err, const char *fmt, ...)
{
  if (err) {
    char prefix[256], text[sizeof err->text];
    va_list args;

    va_start (args, fmt);
    text_vprint (prefix, sizeof prefix, fmt, args);
    va_end (args);
    memcpy (text, err->text, sizeof text);
    text_print (err->text, sizeof err->text, "%s: %s", prefix, text);
  }
  return -1;
}
