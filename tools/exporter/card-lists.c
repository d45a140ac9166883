/* card-lists.c owns what folds out of a volume's card. */
#include <inttypes.h>
#include <string.h>

#include "common/checked.h"
#include "common/parse.h"
#include "tools/exporter/card-parts.h"
#include "tools/exporter/moment.h"

#define SHOWN_MAX 12 /* of transitions and operations, the latest */

/* ---- pieces -------------------------------------------------------------------------------------
 */

static void
begin_fold (const char *title, size_t count, bool open, const char *id, struct text *text)
{
  text_format (text, "<details%s data-fold=\"%s ", open ? " open" : "", title);
  text_html (text, id);
  text_format (text, "\"><summary>%s", title);
  if (count > 0)
    text_format (text, " <span class=\"n\">%zu</span>", count);
  text_put (text, "</summary>");
}

/* <TAG class="CLASS">what the member says</TAG>, or nothing. */
static void
write_member (const struct json *object, const char *member, const char *tag, const char *class,
              struct text *text)
{
  const char *string = json_get_string (object, member);

  if (!string || !*string)
    return;
  text_format (text, "<%s class=\"%s\">", tag, class);
  text_isolated (text, string);
  text_format (text, "</%s> ", tag);
}

/* The member's time as "2026-01-31 12:34:56", or what the server wrote there. */
static void
write_time (const struct json *object, const char *member, struct text *text)
{
  const char *string = json_get_string (object, member);
  char words[MOMENT_MAX];
  double at_s;

  text_put (text, "<time>");
  if (moment_parse (string, &at_s) == 0) {
    moment_words (at_s, words);
    text_put (text, words);
  }
  else
    text_isolated (text, string ? string : "?");
  text_put (text, "</time> ");
}

static void
write_state (const struct json *object, const char *member, struct text *text)
{
  const char *state = json_get_string (object, member);

  text_format (text, "<b class=\"s-%s\">", condition_name (condition_from_state (state)));
  text_isolated (text, state ? state : "?");
  text_put (text, "</b>");
}

/* ---- lists --------------------------------------------------------------------------------------
 */

typedef void item_writer (const struct json *item, struct text *text);

/* The latest elements, the latest first. */
static void
write_list (const struct json *array, const char *title, bool open, const char *id,
            item_writer *write, struct text *text)
{
  size_t count = json_is_array (array) ? json_size (array) : 0;

  if (count == 0)
    return;
  begin_fold (title, count, open, id, text);
  text_put (text, "<ol class=\"events\">");
  for (size_t i = count; i > 0 && i + SHOWN_MAX > count; i--) {
    text_put (text, "<li>");
    write (json_at (array, i - 1), text);
    text_put (text, "</li>");
  }
  if (count > SHOWN_MAX)
    text_format (text, "<li class=\"more\">and %zu before these</li>", count - SHOWN_MAX);
  text_put (text, "</ol></details>");
}

static void
write_transition (const struct json *item, struct text *text)
{
  write_time (item, "time", text);
  text_put (text, "<span class=\"change\">");
  write_state (item, "from", text);
  text_put (text, " \u2192 ");
  write_state (item, "state", text);
  text_put (text, "</span> <span class=\"what\">");
  write_member (item, "reason", "code", "reason", text);
  write_member (item, "detail", "span", "detail", text);
  write_member (item, "request_id", "small", "id", text);
  text_put (text, "</span>");
}

static void
write_operation (const struct json *item, struct text *text)
{
  const char *class = json_get_string (item, "class");
  char words[DURATION_MAX];
  double ms;

  write_time (item, "time", text);
  text_format (text, "<span class=\"change\"><b class=\"s-%s\">",
               class && strcmp (class, "ok") == 0       ? "active"
               : class && strcmp (class, "denied") == 0 ? "fenced"
                                                        : "grace");
  text_isolated (text, class ? class : "?");
  text_put (text, "</b> ");
  write_member (item, "operation", "span", "operation", text);
  if (json_get_number (item, "duration_ms", &ms) == 0 && ms >= 0) {
    duration_words (ms / 1000, words);
    text_format (text, "<small>%s</small>", words);
  }
  text_put (text, "</span> <span class=\"what\">");
  write_member (item, "reason", "code", "reason", text);
  write_member (item, "role", "small", "role", text);
  write_member (item, "key", "span", "detail", text);
  write_member (item, "request_id", "small", "id", text);
  text_put (text, "</span>");
}

void
card_transitions (const struct json *facts, bool open, const char *id, struct text *text)
{
  write_list (json_get (facts, "transitions"), "Transitions", open, id, write_transition, text);
}

void
card_operations (const struct json *facts, const char *id, struct text *text)
{
  write_list (json_get (facts, "key_operations"), "Key operations", false, id, write_operation,
              text);
}

/* ---- everything else ----------------------------------------------------------------------------
 */

static void
write_value (const struct json *value, struct text *text)
{
  CLEANUP_FREE char *printed = NULL;
  const char *string = json_string_value (value);

  if (string) {
    text_isolated (text, *string ? string : "\u2013");
    return;
  }
  printed = json_print (value, false);
  text_isolated (text, printed ? printed : "?");
}

static void
write_row (const char *name, const struct json *value, struct text *text)
{
  if (!value)
    return;
  text_put (text, "<div><dt>");
  text_isolated (text, name);
  text_put (text, "</dt><dd>");
  write_value (value, text);
  text_put (text, "</dd></div>");
}

static void
write_size (const struct json *facts, struct text *text)
{
  char size[FORMAT_SIZE_MAX];
  uint64_t bytes;

  if (json_get_uint64 (facts, "size_bytes", &bytes) < 0)
    return;
  format_size (bytes, size);
  text_format (text, "<div><dt>size</dt><dd>%s</dd></div>", size);
}

void
card_details (const struct json *facts, const char *id, struct text *text)
{
  static const char *const members[] = {"volume",        "engine", "crypto",   "cache",
                                        "memory_locked", "pid",    "agent_pid"};
  const struct json *parameters = json_get (facts, "parameters");

  begin_fold ("Details", 0, false, id, text);
  text_put (text, "<dl class=\"facts\">");
  write_size (facts, text);
  for (size_t i = 0; i < ARRAY_SIZE (members); i++)
    write_row (members[i], json_get (facts, members[i]), text);
  for (size_t i = 0; i < MIN (json_size (parameters), 64u); i++)
    write_row (json_name (json_at (parameters, i)) ? json_name (json_at (parameters, i)) : "?",
               json_at (parameters, i), text);
  text_put (text, "</dl></details>");
}
