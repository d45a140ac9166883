/* volume-config.c owns the reading of a volume's configuration file. */
#include "tools/volume-config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/checked.h"
#include "common/io.h"
#include "common/parse.h"
#include "common/paths.h"
#include "common/unix-socket.h"
#include "kms/outcome.h"
#include "tools/parameters.h"

#define FILE_MAX_BYTES ((size_t)64 * 1024)
#define LINE_MAX_BYTES ((size_t)4096)
#define NAME_MAX_BYTES 64

static const char suffix[] = ".conf";

/* A file while it is read. */
struct reader {
  struct config *config;
  unsigned line;            /* the current one, from 1 */
  struct config_words seen; /* names, in the order of … */
  unsigned *seen_lines;     /* … these */
};

/* ---- words ---- */

static int
out_of_memory (struct error *err)
{
  return error_set (err, ERROR_SYSTEM, "out of memory");
}

/* Takes the word, also on failure. */
static int
append (struct config_words *words, char *word, struct error *err)
{
  char **list = word ? reallocarray (words->list, words->count + 2, sizeof *list) : NULL;

  if (!list) {
    free (word);
    return out_of_memory (err);
  }
  list[words->count++] = word;
  list[words->count] = NULL;
  words->list = list;
  return 0;
}

static void
words_clear (struct config_words *words)
{
  for (size_t i = 0; i < words->count; i++)
    free (words->list[i]);
  free (words->list);
}

static int
set_text (char **where, const char *value, struct error *err)
{
  *where = strdup (value);
  return *where ? 0 : out_of_memory (err);
}

/* ---- what there is to set ---- */

/* Who starts us decides the current folder, and units have none. */
static int
check_absolute (const char *value, struct error *err)
{
  if (*value == '/')
    return 0;
  return error_set (err, ERROR_USAGE, "\"%s\" is no absolute path: begin it with a slash", value);
}

static int
set_path (struct config *config, const char *value, struct error *err)
{
  return check_absolute (value, err) < 0 ? -1 : set_text (&config->path, value, err);
}

static int
set_socket (struct config *config, const char *value, struct error *err)
{
  if (check_absolute (value, err) < 0)
    return -1;
  if (strlen (value) > UNIX_SOCKET_PATH_MAX)
    return error_set (err, ERROR_USAGE, "the path of a socket has at most %zu bytes",
                      UNIX_SOCKET_PATH_MAX);
  return set_text (&config->socket, value, err);
}

static int
set_port (struct config *config, const char *value, struct error *err)
{
  uint64_t ignored;

  return parse_uint (value, 1, 65535, &ignored, err) < 0 ? -1
                                                         : set_text (&config->port, value, err);
}

static int
set_device (struct config *config, const char *value, struct error *err)
{
  if (strncmp (value, "/dev/", 5) != 0 || !value[5])
    return error_set (err, ERROR_USAGE, "\"%s\" is not in /dev/", value);
  return set_text (&config->device, value, err);
}

static int
set_connections (struct config *config, const char *value, struct error *err)
{
  uint64_t number;

  if (parse_uint (value, 1, CONFIG_CONNECTIONS_MAX, &number, err) < 0)
    return -1;
  config->connections = (unsigned)number;
  return 0;
}

/* One word a line, so that there is nothing to quote. */
static int
add_nbdkit_option (struct config *config, const char *value, struct error *err)
{
  if (strncmp (value, "--", 2) != 0 || !value[2])
    return error_set (err, ERROR_USAGE,
                      "\"%s\" is no option of nbdkit in its long form: --NAME or --NAME=VALUE",
                      value);
  return append (&config->nbdkit_options, strdup (value), err);
}

static const struct setting {
  const char *name;
  int (*set) (struct config *config, const char *value, struct error *err);
  bool many;
} settings[] = {
    {"path", set_path},
    {"socket", set_socket},
    {"port", set_port},
    {"device", set_device},
    {"connections", set_connections},
    {"nbdkit-option", add_nbdkit_option, .many = true},
};

static const struct setting *
find_setting (const char *name)
{
  for (size_t i = 0; i < ARRAY_SIZE (settings); i++)
    if (strcmp (settings[i].name, name) == 0)
      return &settings[i];
  return NULL;
}

/* Whatever is not ours is a parameter of the plugin, which are in a table of their own. */
static int
add_parameter (struct config *config, const char *name, const char *value, struct error *err)
{
  CLEANUP_FREE char *text = NULL;
  char *added;

  if (asprintf (&text, "%s=%s", name, value) < 0) {
    text = NULL;
    return out_of_memory (err);
  }
  if (parameter_check (text, err) < 0)
    return -1;
  if (parameter_is_path (name) && strcmp (value, "none") != 0 && check_absolute (value, err) < 0)
    return error_prefix (err, "parameter %s", name);
  added = text;
  text = NULL;
  return append (&config->parameters, added, err);
}

static int
refuse_name (const char *name, struct error *err)
{
  char list[256] = "";

  for (size_t i = 0, used = 0; i < ARRAY_SIZE (settings); i++)
    used += (size_t)snprintf (list + used, sizeof list - used, "%s%s", i > 0 ? ", " : "",
                              settings[i].name);
  return error_set (err, ERROR_USAGE,
                    "there is no setting \"%.64s\"; known are: %s, and the plugin's parameters "
                    "(keyfence serve --help)",
                    name, list);
}

static int
set (struct config *config, const char *name, const char *value, struct error *err)
{
  const struct setting *setting = find_setting (name);

  if (!setting && !parameter_exists (name))
    return refuse_name (name, err);
  if (!setting)
    return add_parameter (config, name, value, err);
  return setting->set (config, value, err) < 0 ? error_prefix (err, "%s", name) : 0;
}

/* ---- lines ---- */

static int
check_new (struct reader *reader, const char *name, struct error *err)
{
  const struct setting *setting = find_setting (name);
  unsigned *lines;

  for (size_t i = 0; i < reader->seen.count; i++)
    if (strcmp (reader->seen.list[i], name) == 0)
      return setting && setting->many
                 ? 0
                 : error_set (err, ERROR_USAGE, "%s is set a second time; it is in line %u already",
                              name, reader->seen_lines[i]);
  lines = reallocarray (reader->seen_lines, reader->seen.count + 1, sizeof *lines);
  if (!lines)
    return out_of_memory (err);
  reader->seen_lines = lines;
  lines[reader->seen.count] = reader->line;
  return append (&reader->seen, strdup (name), err);
}

/* Cuts white space off both ends. */
static char *
trim (char *text)
{
  size_t length;

  text += strspn (text, " \t");
  length = strlen (text);
  while (length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'))
    length--;
  text[length] = '\0';
  return text;
}

static int
check_value (const char *value, struct error *err)
{
  if (!*value)
    return error_set (err, ERROR_USAGE, "there is no value; remove the line for the default");
  if (strstr (value, " #") || strstr (value, "\t#"))
    return error_set (err, ERROR_USAGE,
                      "a blank and # in a value: a comment has a line of its own");
  return 0;
}

/* Tabs are white space; other control characters have no meaning here. */
static int
check_text (char *line, struct error *err)
{
  CLEANUP_FREE char *copy = strdup (line);

  if (!copy)
    return out_of_memory (err);
  for (char *p = copy; *p; p++)
    if (*p == '\t')
      *p = ' ';
  if (strchr (copy, '\r'))
    return error_set (err, ERROR_USAGE,
                      "it ends as lines do on Windows: convert the file "
                      "(dos2unix)");
  if (!kms_text_clean (copy))
    return error_set (err, ERROR_USAGE, "a control character, or a byte that is not UTF-8");
  return 0;
}

static int
take_line (struct reader *reader, char *line, struct error *err)
{
  char *name = trim (line), *equals, *value;

  if (strlen (line) > LINE_MAX_BYTES)
    return error_set (err, ERROR_USAGE, "the line has more than %zu bytes", LINE_MAX_BYTES);
  if (check_text (line, err) < 0)
    return -1;
  if (!*name || *name == '#')
    return 0;
  equals = strchr (name, '=');
  if (!equals || equals == name)
    return error_set (err, ERROR_USAGE, "\"%.64s\" is no setting: they are written name = value",
                      name);
  *equals = '\0';
  name = trim (name);
  value = trim (equals + 1);
  if (check_new (reader, name, err) < 0)
    return -1;
  if (check_value (value, err) < 0)
    return error_prefix (err, "%s", name);
  return set (reader->config, name, value, err);
}

static int
check_whole (const struct config *config, struct error *err)
{
  if (!config->path)
    return error_set (err, ERROR_USAGE, "%s: there is no volume in it: add a line path = /...",
                      config->file);
  if (config->socket && config->port)
    return error_set (err, ERROR_USAGE, "%s: socket and port exclude each other: remove one",
                      config->file);
  return 0;
}

static int
take_text (struct reader *reader, char *text, struct error *err)
{
  for (char *line = text, *next; line; line = next) {
    next = strchr (line, '\n');
    if (next)
      *next++ = '\0';
    reader->line++;
    if (take_line (reader, line, err) < 0)
      return error_prefix (err, "%s:%u", reader->config->file, reader->line);
  }
  return check_whole (reader->config, err);
}

/* ---- the file ---- */

/* What is in it is done with the rights of who reads it: programs are started, devices made. */
static int
check_owner (int fd, const char *file, struct error *err)
{
  struct stat st;

  if (fstat (fd, &st) < 0)
    return error_set_errno (err, errno, "%s", file);
  if (!S_ISREG (st.st_mode))
    return error_set (err, ERROR_USAGE, "%s is not a regular file", file);
  if (st.st_uid != 0 && st.st_uid != geteuid ())
    return error_set (err, ERROR_USAGE,
                      "%s belongs to user %u: it must be root's, or of the user who runs this",
                      file, (unsigned)st.st_uid);
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return error_set (err, ERROR_USAGE, "%s can be written by others than its owner: chmod go-w %s",
                      file, file);
  return 0;
}

static int
read_text (const char *file, char **ret_text, struct error *err)
{
  CLEANUP_CLOSE int fd = open (file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  CLEANUP_FREE char *text = NULL;
  size_t size;
  int r;

  if (fd < 0 && errno == ENOENT)
    return error_set (err, ERROR_NOT_FOUND, "there is no %s: see keyfence.conf(5)", file);
  if (fd < 0)
    return error_set_errno (err, errno, "%s", file);
  if (check_owner (fd, file, err) < 0)
    return -1;
  r = read_file_fd (fd, FILE_MAX_BYTES, &text, &size);
  if (r == -EFBIG)
    return error_set (err, ERROR_USAGE, "%s has more than %zu bytes: is it the right file?", file,
                      FILE_MAX_BYTES);
  if (r < 0)
    return error_set_errno (err, -r, "%s", file);
  if (memchr (text, '\0', size))
    return error_set (err, ERROR_USAGE, "%s has NUL bytes in it: is it the right file?", file);
  *ret_text = text;
  text = NULL;
  return 0;
}

/* Such names are also those of units and devices. */
static bool
is_name (const char *text, size_t length)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  static const char all[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

  return length > 0 && length <= NAME_MAX_BYTES && strspn (text, all) >= length
         && strchr (letters, text[0]);
}

static int
refuse_file_name (const char *name, struct error *err)
{
  return error_set (err, ERROR_USAGE,
                    "%s: a configuration is called NAME, and its file NAME.conf: letters, digits, "
                    "and . _ - behind the first, at most %d",
                    name, NAME_MAX_BYTES);
}

static int
find_file (const char *name, struct config *config, struct error *err)
{
  const char *slash = strrchr (name, '/'), *base = slash ? slash + 1 : name;
  size_t length = strlen (base), suffix_length = sizeof suffix - 1;

  if (slash) {
    if (length <= suffix_length || strcmp (base + length - suffix_length, suffix) != 0)
      return refuse_file_name (name, err);
    length -= suffix_length;
  }
  if (!is_name (base, length))
    return refuse_file_name (name, err);
  config->name = strndup (base, length);
  config->file = slash ? strdup (name) : path_config (name);
  return config->name && config->file ? 0 : out_of_memory (err);
}

int
config_load (const char *name, struct config *ret, struct error *err)
{
  CLEANUP_CONFIG struct config config = {0};
  CLEANUP_FREE char *text = NULL;
  struct reader reader = {.config = &config};
  int r;

  if (find_file (name, &config, err) < 0 || read_text (config.file, &text, err) < 0)
    return -1;
  r = take_text (&reader, text, err);
  words_clear (&reader.seen);
  free (reader.seen_lines);
  if (r < 0)
    return -1;
  *ret = config;
  config = (struct config){0};
  return 0;
}

bool
config_is_meant (const char *word)
{
  CLEANUP_FREE char *file = NULL;
  struct stat st;

  if (strchr (word, '/') || !is_name (word, strlen (word))
      || (stat (word, &st) == 0 && !S_ISDIR (st.st_mode)))
    return false;
  file = path_config (word);
  return file && access (file, F_OK) == 0;
}

int
usual_socket (const char *name, bool create, const char *otherwise, char **ret_socket,
              struct error *err)
{
  char *path = path_socket (name, "nbd", create);

  if (!path)
    return error_set (err, ERROR_SYSTEM,
                      "there is no folder for sockets that can be written (KEYFENCE_RUNDIR, else "
                      "/run/keyfence, else XDG_RUNTIME_DIR/keyfence): set KEYFENCE_RUNDIR to an "
                      "absolute path of yours, for all commands, or %s",
                      otherwise);
  *ret_socket = path;
  return 0;
}

int
config_socket (const struct config *config, bool create, char **ret_socket, struct error *err)
{
  char otherwise[PATH_MAX + 64];

  if (config->socket) {
    *ret_socket = strdup (config->socket);
    return *ret_socket ? 0 : error_set (err, ERROR_SYSTEM, "out of memory");
  }
  snprintf (otherwise, sizeof otherwise, "add a line socket = /... to %s", config->file);
  return usual_socket (config->name, create, otherwise, ret_socket, err);
}

const char *
config_parameter (const struct config *config, const char *name)
{
  size_t length = strlen (name);

  for (size_t i = 0; i < config->parameters.count; i++)
    if (strncmp (config->parameters.list[i], name, length) == 0
        && config->parameters.list[i][length] == '=')
      return config->parameters.list[i] + length + 1;
  return NULL;
}

void
config_clear (struct config *config)
{
  free (config->file);
  free (config->name);
  free (config->path);
  free (config->socket);
  free (config->port);
  free (config->device);
  words_clear (&config->parameters);
  words_clear (&config->nbdkit_options);
  *config = (struct config){0};
}
