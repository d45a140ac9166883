/* page.c owns the frame of the page: its head, the count of conditions, and the order of volumes.
 */
#include "tools/exporter/page.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "tools/exporter/card.h"
#include "tools/exporter/condition.h"
#include "tools/exporter/moment.h"

#define RENEW_S 10 /* without JavaScript; with it, app.js says how often */

/* The icons are told apart by their shapes, too.  One for each condition, and the program's own. */
static const char icons[] =
    "<svg class=\"icons\" aria-hidden=\"true\"><defs>"
    "<symbol id=\"i-keyfence\" viewBox=\"0 0 24 24\"><path d=\"M12 1 3 5v6c0 5.5 3.8 10.2 9 12 "
    "5.2-1.8 9-6.5 9-12V5z\"/><path class=\"hole\" d=\"M12 7a3 3 0 0 0-1.4 5.6L9.8 "
    "17h4.4l-.8-4.4A3 "
    "3 0 0 0 12 7z\"/></symbol>"
    "<symbol id=\"i-active\" viewBox=\"0 0 16 16\"><path d=\"M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 "
    "0zm-1.2 "
    "11.8L3.2 8.2l1.5-1.5 2.1 2.1 4.5-4.5 1.5 1.5z\"/></symbol>"
    "<symbol id=\"i-grace\" viewBox=\"0 0 16 16\"><path d=\"M8 .5 16 15H0zM7 6v4h2V6zm0 "
    "5.2v1.8h2v-1.8z\"/></symbol>"
    "<symbol id=\"i-fenced\" viewBox=\"0 0 16 16\"><path d=\"M4.7 0h6.6L16 4.7v6.6L11.3 16H4.7L0 "
    "11.3V4.7zM3.5 6.9v2.2h9V6.9z\"/></symbol>"
    "<symbol id=\"i-silent\" viewBox=\"0 0 16 16\"><path d=\"M3 .9 8 5.9l5-5L15.1 3l-5 5 5 5-2.1 "
    "2.1-5-5-5 5L.9 13l5-5-5-5z\"/></symbol>"
    "<symbol id=\"i-unknown\" viewBox=\"0 0 16 16\"><path d=\"M8 0a8 8 0 1 0 0 16A8 8 0 0 0 8 0zM7 "
    "11.5h2v2H7zm-2.5-6h2c0-2 3-1.8 3 0C9.5 7 7 7 7 10h2c0-2 2.5-2.3 2.5-4.5C11.5 1.5 "
    "4.5 1.5 4.5 5.5z\"/></symbol>"
    "</defs></svg>";

/* ---- counting -----------------------------------------------------------------------------------
 */

static void
count_conditions (const struct snapshot *snapshot, size_t counts[CONDITION_COUNT])
{
  memset (counts, 0, CONDITION_COUNT * sizeof counts[0]);
  for (size_t i = 0; i < snapshot->count; i++)
    counts[condition_of (&snapshot->volumes[i])]++;
}

/* "1 fenced, 2 grace, keyfence on HOST": what a tab shows. */
static void
write_title (const struct snapshot *snapshot, const char *host, struct text *text)
{
  size_t counts[CONDITION_COUNT];
  const char *separator = "";

  count_conditions (snapshot, counts);
  for (enum condition c = 0; c < CONDITION_COUNT; c++)
    if (counts[c] > 0) {
      text_format (text, "%s%zu %s", separator, counts[c], condition_word (c));
      separator = ", ";
    }
  text_put (text, snapshot->count > 0 ? " \u00b7 keyfence on " : "keyfence on ");
  text_html (text, host);
}

static void
write_counts (const struct snapshot *snapshot, struct text *text)
{
  size_t counts[CONDITION_COUNT];

  count_conditions (snapshot, counts);
  text_put (text, "<ul class=\"counts\">");
  for (enum condition c = 0; c < CONDITION_COUNT; c++)
    if (counts[c] > 0)
      text_format (text,
                   "<li class=\"s-%s\"><svg aria-hidden=\"true\"><use href=\"#i-%s\"/></svg>"
                   "<b>%zu</b> %s</li>",
                   condition_name (c), condition_name (c), counts[c], condition_word (c));
  text_put (text, "</ul>");
}

/* ---- order --------------------------------------------------------------------------------------
 */

static int
worse_first (const void *a, const void *b)
{
  const struct volume *one = *(const struct volume *const *)a;
  const struct volume *other = *(const struct volume *const *)b;
  enum condition mine = condition_of (one), its = condition_of (other);
  int names;

  if (mine != its)
    return mine < its ? -1 : 1;
  names = strcmp (volume_title (one), volume_title (other));
  return names ? names : strcmp (one->name, other->name);
}

static void
write_volumes (const struct snapshot *snapshot, struct text *text)
{
  CLEANUP_FREE const struct volume **order = calloc (snapshot->count + 1, sizeof *order);

  if (!order) {
    text->failed = true;
    return;
  }
  for (size_t i = 0; i < snapshot->count; i++)
    order[i] = &snapshot->volumes[i];
  qsort (order, snapshot->count, sizeof order[0], worse_first);
  for (size_t i = 0; i < snapshot->count; i++)
    card_write (order[i], (double)snapshot->time_unix_ms / 1000, text);
}

/* ---- the frame ----------------------------------------------------------------------------------
 */

static void
write_head (const struct snapshot *snapshot, const char *host, struct text *text)
{
  text_put (text, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
  write_title (snapshot, host, text);
  text_format (text,
               "</title><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
               "<meta name=\"color-scheme\" content=\"light dark\">"
               "<noscript><meta http-equiv=\"refresh\" content=\"%d\"></noscript>"
               "<link rel=\"icon\" type=\"image/svg+xml\" href=\"/icon-%s.svg\">"
               "<link rel=\"stylesheet\" href=\"/page.css\"><script src=\"/app.js\" defer></script>"
               "</head>\n<body>",
               RENEW_S, condition_name (condition_worst (snapshot)));
  text_put (text, icons);
}

static void
write_header (const struct snapshot *snapshot, const char *host, struct text *text)
{
  double now_s = (double)snapshot->time_unix_ms / 1000;
  char now[MOMENT_MAX];

  moment_words (now_s, now);
  text_put (text, "<header class=\"top\"><h1><svg aria-hidden=\"true\"><use href=\"#i-keyfence\"/>"
                  "</svg>keyfence <small>on ");
  text_isolated (text, host);
  text_format (text,
               "</small></h1><p class=\"asof\"><span class=\"pulse\" aria-hidden=\"true\">"
               "</span>as of <time data-now=\"%.3f\">%s</time> UTC</p></header>\n"
               "<p id=\"stale\" role=\"alert\" hidden></p>\n",
               now_s, now);
}

/* What is not a volume and yet ought to be known. */
static void
write_notices (const struct snapshot *snapshot, struct text *text)
{
  if (snapshot->folder_error) {
    text_put (text, "<p class=\"notice\">The folder of control sockets, <code>");
    text_isolated (text, snapshot->folder);
    text_put (text, "</code>, can\u2019t be read: ");
    text_html (text, snapshot->folder_error);
    text_put (text, ".</p>");
  }
  else if (snapshot->count == 0) {
    text_put (text, "<p class=\"notice\">No volume is served here: there is no control socket in "
                    "<code>");
    text_isolated (text, snapshot->folder);
    text_put (text, "</code>. <code>keyfence serve</code> starts one.</p>");
  }
  if (snapshot->left_out > 0)
    text_format (text, "<p class=\"notice\">%zu more volumes are not shown.</p>",
                 snapshot->left_out);
}

void
page_write (const struct snapshot *snapshot, struct text *text)
{
  char host[256];

  if (gethostname (host, sizeof host) < 0)
    host[0] = '\0';
  host[sizeof host - 1] = '\0';
  write_head (snapshot, host, text);
  write_header (snapshot, host, text);
  text_put (text, "<main>");
  write_counts (snapshot, text);
  write_notices (snapshot, text);
  write_volumes (snapshot, text);
  text_put (text, "</main>\n<footer>keyfence " KEYFENCE_VERSION " \u00b7 <a href=\"/metrics\">"
                  "metrics for Prometheus</a></footer></body></html>\n");
}
