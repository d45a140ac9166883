/* card.c owns how a volume is shown: its condition and why, its key, its time line. */
#include "tools/exporter/card.h"

#include <string.h>

#include "common/checked.h"
#include "tools/exporter/card-parts.h"
#include "tools/exporter/moment.h"
#include "tools/exporter/timeline.h"

#define EXPIRY_SOON_S (14 * 86400.0)

static const char *
string_of (const struct json *facts, const char *member)
{
  const char *string = json_get_string (facts, member);

  return string ? string : "";
}

/* ---- the head of a card -------------------------------------------------------------------------
 */

static void
write_badge (enum condition condition, struct text *text)
{
  text_format (text,
               "<span class=\"badge s-%s\"><svg aria-hidden=\"true\"><use href=\"#i-%s\"/></svg>"
               "%s</span>",
               condition_name (condition), condition_name (condition), condition_word (condition));
}

/* What an operator should know before anything else, in a few words each. */
static void
write_flags (const struct json *facts, double now_s, struct text *text)
{
  const char *latch = string_of (facts, "latch"), *held_by = string_of (facts, "held_by");
  double expires_s;
  bool yes;

  if (*latch) {
    text_put (text, "<span class=\"flag bad\">latched: ");
    text_isolated (text, latch);
    text_put (text, "</span>");
  }
  if (*held_by && strcmp (held_by, "primary") != 0) {
    text_put (text, "<span class=\"flag warn\">held by ");
    text_isolated (text, held_by);
    text_put (text, " key</span>");
  }
  if (json_get_bool (facts, "memory_locked", &yes) == 0 && !yes)
    text_put (text, "<span class=\"flag bad\">memory not locked</span>");
  if (json_is_null (json_get (facts, "agent_pid")))
    text_put (text, "<span class=\"flag warn\">no agent</span>");
  if (moment_parse (json_get_string (facts, "key_expires"), &expires_s) == 0
      && expires_s - now_s < EXPIRY_SOON_S)
    text_put (text, expires_s > now_s ? "<span class=\"flag warn\">key expires soon</span>"
                                      : "<span class=\"flag bad\">key has expired</span>");
  if (json_get_bool (facts, "read_only", &yes) == 0 && yes)
    text_put (text, "<span class=\"flag\">read-only</span>");
}

static void
write_head (const struct volume *volume, double now_s, struct text *text)
{
  const char *path = string_of (volume->facts, "path");

  text_put (text, "<header>");
  write_badge (condition_of (volume), text);
  text_put (text, "<h2>");
  text_isolated (text, volume_title (volume));
  text_put (text, "</h2>");
  write_flags (volume->facts, now_s, text);
  text_put (text, "<p class=\"since\">");
  (void)card_moment_of (volume->facts, "since", "since ", now_s, text);
  text_put (text, "</p><p class=\"path\">");
  text_isolated (text, *path ? path : volume->path);
  text_put (text, "</p></header>");
}

/* Why it is not all well; for an active volume nothing. */
static void
write_why (const struct volume *volume, struct text *text)
{
  const char *reason = string_of (volume->facts, "reason");
  const char *detail = volume->facts ? string_of (volume->facts, "detail") : volume->error;
  const char *request_id = string_of (volume->facts, "request_id");

  if (!*detail && (!*reason || strcmp (reason, "ok") == 0))
    return;
  text_put (text, "<p class=\"why\">");
  if (*reason) {
    text_put (text, "<code>");
    text_isolated (text, reason);
    text_put (text, "</code> ");
  }
  text_isolated (text, detail);
  if (*request_id) {
    text_put (text, " <small>request ");
    text_isolated (text, request_id);
    text_put (text, "</small>");
  }
  text_put (text, "</p>");
}

/* ---- the key ------------------------------------------------------------------------------------
 */

static void
write_key (const struct json *facts, double now_s, struct text *text)
{
  const char *key = string_of (facts, "key"), *held_by = string_of (facts, "held_by");

  if (!*key)
    return;
  text_put (text, "<p class=\"key\"><span>Key</span> <code>");
  text_isolated (text, key);
  text_put (text, "</code> <small>");
  if (*held_by && strcmp (string_of (facts, "state"), "fenced") != 0) {
    text_put (text, "held by ");
    text_isolated (text, held_by);
    text_put (text, " ");
  }
  (void)card_moment_of (facts, "key_created", "\u00b7 wrapped ", now_s, text);
  (void)card_moment_of (facts, "key_expires", " \u00b7 expires ", now_s, text);
  text_put (text, "</small></p>");
}

/* ---- the whole ----------------------------------------------------------------------------------
 */

static void
write_facts (const struct volume *volume, double now_s, struct text *text)
{
  const struct json *facts = volume->facts;
  struct timeline timeline;

  write_key (facts, now_s, text);
  card_tiles (facts, now_s, text);
  timeline_make (facts, now_s, &timeline);
  timeline_write (&timeline, text);
  card_transitions (facts, condition_of (volume) != CONDITION_ACTIVE, volume->name, text);
  card_operations (facts, volume->name, text);
  card_details (facts, volume->name, text);
}

void
card_write (const struct volume *volume, double now_s, struct text *text)
{
  text_format (text, "\n<article class=\"s-%s\" data-volume=\"",
               condition_name (condition_of (volume)));
  text_html (text, volume->name);
  text_put (text, "\">");
  write_head (volume, now_s, text);
  write_why (volume, text);
  if (volume->facts)
    write_facts (volume, now_s, text);
  text_put (text, "</article>");
}
