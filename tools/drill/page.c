/* page.c owns a drill's report as a page: one HTML file that needs nothing else and runs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/sha.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/io.h"
#include "config.h"
#include "tools/drill/picture.h"
#include "tools/drill/report.h"

static const char style[] =
#include "drill-page.css.inc"
    ;

/* ---- parts ---- */

static void
write_cell (struct text *text, const char *value)
{
  text_put (text, "<td>");
  text_isolated (text, value ? value : "");
  text_put (text, "</td>");
}

static void
write_ms_cell (struct text *text, int64_t ms)
{
  text_format (text, "<td class=\"n\">%.3f s</td>", (double)ms / 1000);
}

static void
write_fact (struct text *text, const char *name, const char *value)
{
  text_format (text, "<tr><th scope=\"row\">%s</th>", name);
  write_cell (text, value);
  text_put (text, "</tr>\n");
}

static void
write_tile (struct text *text, int64_t ms, const char *name)
{
  text_put (text, "<div class=\"tile\"><strong>");
  if (ms == DRILL_NEVER)
    text_put (text, "&ndash;");
  else
    text_format (text, "%.3f s", (double)ms / 1000);
  text_format (text, "</strong><span>%s</span></div>\n", name);
}

static void
write_head (const struct drill *drill, const struct json *json, struct text *text)
{
  const char *result = report_result (drill);
  const char *label = json_get_string (drill->follow.first, "label");
  const char *name = label && *label ? label : json_get_string (drill->follow.first, "path");

  text_put (text, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "style-src 'unsafe-inline'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<title>Revocation drill: ");
  text_html (text, name ? name : "?");
  text_format (text, ", %s</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>", result, style);
  text_format (text, "<h1>Revocation drill</h1><span class=\"verdict %s\">%s</span><p>", result,
               result);
  text_isolated (text, name ? name : "?");
  text_put (text, " &middot; ");
  text_html (text, json_get_string (json, "started"));
  text_put (text, " to ");
  text_html (text, json_get_string (json, "ended"));
  text_put (text, "</p></header>\n");
}

static void
write_warning (const struct drill *drill, struct text *text)
{
  if (!drill->key_in_doubt && !drill->fenced_at_end)
    return;
  text_put (text,
            "<section class=\"loud\"><h2>The volume may still be without its key</h2><p>Restore "
            "it by hand: <code>");
  text_html (text, drill->options.restore);
  text_put (text, "</code></p></section>\n");
}

static void
write_tiles (const struct drill *drill, struct text *text)
{
  const struct figures *f = &drill->figures;

  text_put (text, "<div class=\"tiles\">\n");
  write_tile (text, f->revoke_to_last_served_ms,
              "from the revoke command to the last served request");
  write_tile (text, f->denial_to_last_served_ms,
              "from the service&rsquo;s first denial to the last served request");
  write_tile (text, f->denial_to_wipe_ms, "from the first denial until the key was wiped");
  write_tile (text, f->restore_to_first_served_ms,
              "from the restore command to the first served request");
  text_put (text, "</div>\n");
}

static void
write_picture (const struct drill *drill, struct text *text)
{
  static const struct {
    const char *class, *name;
  } legend[] = {{"served", "served; active; check passed"},
                {"refused", "refused; fenced; check denied"},
                {"s-grace", "grace; check without an answer"},
                {"lost", "connection lost"},
                {"command", "command"}};

  text_put (text, "<section><h2>Time line</h2><div class=\"scroll\">");
  picture_write (drill, text);
  text_put (text, "</div><p class=\"legend\">");
  for (size_t i = 0; i < ARRAY_SIZE (legend); i++)
    text_format (text,
                 "<span><svg viewBox=\"0 0 10 10\" aria-hidden=\"true\"><rect class=\"%s\" "
                 "width=\"10\" height=\"10\"/></svg> %s</span>",
                 legend[i].class, legend[i].name);
  text_put (text, "</p></section>\n");
}

static void
write_checks (const struct drill *drill, struct text *text)
{
  static const char *const marks[] = {
      [DRILL_PASSED] = "<td class=\"passed-mark\">&#10003; passed</td>",
      [DRILL_FAILED] = "<td class=\"failed-mark\">&#10007; failed</td>",
      [DRILL_NOT_JUDGED] = "<td class=\"none-mark\">not judged</td>",
  };

  text_put (text, "<section id=\"checks\"><h2>Checks</h2><div class=\"scroll\"><table>\n");
  for (size_t i = 0; i < drill->check_count; i++) {
    const struct drill_check *c = &drill->checks[i];

    text_format (text, "<tr><th scope=\"row\">%s</th>%s", c->name, marks[c->verdict]);
    write_cell (text, c->text);
    text_put (text, "</tr>\n");
  }
  text_put (text, "</table></div></section>\n");
}

static void
write_commands (const struct drill *drill, struct text *text)
{
  text_put (text, "<section><h2>Commands</h2><div "
                  "class=\"scroll\"><table>\n<tr><th>at</th><th>took</th><th></th>"
                  "<th>command</th><th>status</th><th>it said</th></tr>\n");
  for (size_t i = 0; i < drill->command_count; i++) {
    const struct drill_command *c = &drill->commands[i];

    text_put (text, "<tr>");
    write_ms_cell (text, c->started_ms);
    write_ms_cell (text, c->ended_ms - c->started_ms);
    text_format (text, "<td>%s</td><td><code>", c->what);
    text_html (text, c->shell.line);
    text_format (text, "</code></td><td>%d%s</td>", c->shell.exit_status,
                 c->shell.timed_out ? ", timed out" : "");
    write_cell (text, c->shell.output);
    text_put (text, "</tr>\n");
  }
  text_put (text, "</table></div></section>\n");
}

/* A word or two, which stay in one line. */
static void
write_short_cell (struct text *text, const char *value)
{
  text_put (text, "<td class=\"short\">");
  text_isolated (text, value ? value : "");
  text_put (text, "</td>");
}

/* A table of what the server told, one column a name. */
static void
write_told (struct text *text, const char *title, const struct json *list,
            const char *const names[])
{
  text_format (text,
               "<section><h2>%s</h2><div class=\"scroll\"><table>\n<tr><th>at</th><th>time</th>",
               title);
  for (size_t n = 0; names[n]; n++) {
    text_put (text, "<th>");
    for (const char *p = names[n]; *p; p++)
      text_format (text, "%c", *p == '_' ? ' ' : *p);
    text_put (text, "</th>");
  }
  text_put (text, "</tr>\n");
  for (size_t i = 0; i < json_size (list); i++) {
    const struct json *entry = json_at (list, i);

    text_put (text, "<tr>");
    write_ms_cell (text, (int64_t)drill_number (entry, "at_ms"));
    write_short_cell (text, json_get_string (entry, "time"));
    for (size_t n = 0; names[n]; n++)
      (strcmp (names[n], "detail") == 0 ? write_cell : write_short_cell) (
          text, json_get_string (entry, names[n]));
    text_put (text, "</tr>\n");
  }
  text_put (text, "</table></div></section>\n");
}

static void
write_lists (const struct drill *drill, struct text *text)
{
  static const char *const states[] = {"from", "state", "reason", "request_id", "detail", NULL};
  static const char *const operations[] = {"operation", "role",       "class",
                                           "reason",    "request_id", NULL};

  write_told (text, "States of the volume", drill->follow.states, states);
  write_told (text, "Key operations, with the service&rsquo;s request ids",
              drill->follow.operations, operations);
}

static void
write_subject (const struct drill *drill, const struct json *json, struct text *text)
{
  const struct json *versions = json_get (json, "versions");
  const struct {
    const char *name, *value;
  } facts[] = {{"volume", json_get_string (drill->follow.first, "volume")},
               {"path", json_get_string (drill->follow.first, "path")},
               {"key", json_get_string (drill->follow.first, "key")},
               {"NBD server", drill->options.uri},
               {"host", json_get_string (json, "host")},
               {"keyfence", json_get_string (versions, "keyfence")},
               {"libnbd", json_get_string (versions, "libnbd")},
               {"kernel", json_get_string (versions, "kernel")}};

  text_put (text, "<section><h2>What was tested, and with what</h2><table>\n");
  for (size_t i = 0; i < ARRAY_SIZE (facts); i++)
    write_fact (text, facts[i].name, facts[i].value);
  text_format (
      text,
      "<tr><th scope=\"row\">requests</th><td>%zu served, %zu refused, %zu lost</td></tr>\n"
      "</table></section>\n",
      drill->figures.served, drill->figures.refused, drill->figures.lost);
}

/* Ours as a whole, but with foreign strings inside; its bytes must stay as they are. */
static void
write_raw (struct text *text, const char *string)
{
  for (const char *p = string; *p;) {
    size_t plain = strcspn (p, "&<>");

    text_format (text, "%.*s", (int)plain, p);
    p += plain;
    if (*p)
      text_put (text, *p == '&' ? "&amp;" : *p == '<' ? "&lt;" : "&gt;");
    p += *p != '\0';
  }
}

static int
write_json (const struct json *json, struct text *text)
{
  CLEANUP_FREE char *printed = json_print (json, true), *line = NULL;
  uint8_t hash[SHA256_DIGEST_LENGTH];
  char hex[2 * sizeof hash + 1];

  if (!printed || asprintf (&line, "%s\n", printed) < 0) {
    line = NULL;
    return -1;
  }
  SHA256 ((const uint8_t *)line, strlen (line), hash);
  hex_encode (hash, sizeof hash, hex);
  text_format (
      text,
      "<section><h2>The report as JSON</h2><p>SHA-256: <code id=\"sha256\">%s</code>, of "
      "the bytes below with the newline at their end, as <code>keyfence drill --json</code> "
      "prints them.</p><details><summary>show</summary><pre id=\"json\">\n",
      hex);
  write_raw (text, line);
  text_put (text, "</pre></details></section>\n");
  return 0;
}

static char *
make_page (const struct drill *drill, const struct json *json, size_t *ret_size)
{
  CLEANUP_TEXT struct text text = {0};

  write_head (drill, json, &text);
  write_warning (drill, &text);
  write_tiles (drill, &text);
  write_picture (drill, &text);
  write_checks (drill, &text);
  write_commands (drill, &text);
  write_lists (drill, &text);
  write_subject (drill, json, &text);
  if (write_json (json, &text) < 0)
    return NULL;
  text_put (&text, "</body>\n</html>\n");
  return text_take (&text, ret_size);
}

/* ---- the file ---- */

static int
write_whole (const char *path, const char *part, const char *page, size_t size)
{
  CLEANUP_CLOSE int fd =
      open (part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
  int r;

  if (fd < 0)
    return -errno;
  r = write_full (fd, page, size);
  if (r == 0 && (fsync (fd) < 0 || rename (part, path) < 0))
    r = -errno;
  if (r < 0)
    unlink (part);
  return r;
}

int
report_write_page (const struct drill *drill, const struct json *json, const char *path,
                   struct error *err)
{
  size_t size;
  CLEANUP_FREE char *page = make_page (drill, json, &size), *part = NULL;
  int r;

  if (asprintf (&part, "%s.part", path) < 0)
    part = NULL;
  if (!page || !part)
    return error_set (err, ERROR_SYSTEM, "out of memory");
  r = write_whole (path, part, page, size);
  return r < 0 ? error_set_errno (err, -r, "--report %s", path) : 0;
}
