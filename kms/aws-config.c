/* aws-config.c owns the reading of the shared config and credentials files of AWS. */
#include "kms/aws-config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "common/io.h"
#include "kms/secret-text.h"

/* A piece of a file's text. */
struct piece {
  const char *start;
  size_t length;
};

/* ---- reading ---- */

/* ~/.aws/NAME; -1 where there is no home folder. */
static int
default_path (const char *name, char *ret, size_t max)
{
  const char *home = getenv ("HOME");

  if (!home || !home[0]) {
    const struct passwd *user = getpwuid (geteuid ());

    home = user ? user->pw_dir : NULL;
  }
  if (!home)
    return -1;
  return (size_t)snprintf (ret, max, "%s/.aws/%s", home, name) < max ? 0 : -1;
}

static int
unreadable (struct kms_outcome *outcome, const char *path, const char *why)
{
  return kms_outcome_set (outcome, KMS_CREDENTIALS, "config_unreadable",
                          "can't read the AWS settings in %.200s: %s", path, why);
}

/* /dev/null: how people say "no such file". */
static bool
is_null_device (const struct stat *st)
{
  return S_ISCHR (st->st_mode) && st->st_rdev == makedev (1, 3);
}

static int
read_text (const char *path, struct secret *ret, struct kms_outcome *outcome)
{
  CLEANUP_CLOSE int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  CLEANUP_SECRET struct secret text = {0};
  struct stat st;
  int r;

  if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return 0;
  if (fd < 0 || fstat (fd, &st) < 0)
    return unreadable (outcome, path, strerrordesc_np (errno));
  if (is_null_device (&st))
    return 0;
  if (!S_ISREG (st.st_mode) || (uint64_t)st.st_size > AWS_FILE_MAX)
    return unreadable (outcome, path, "it is no file, or too large");
  if (st.st_size == 0)
    return 0;
  if (secret_init (&text, (size_t)st.st_size, NULL) < 0)
    return unreadable (outcome, path, "out of memory");
  r = read_full (fd, text.bytes, text.size, &text.size);
  if (r < 0)
    return unreadable (outcome, path, strerrordesc_np (-r));
  secret_take (ret, &text);
  return 0;
}

static int
read_file_of (const char *variable, const char *name, struct secret *ret,
              struct kms_outcome *outcome)
{
  const char *given = getenv (variable);
  char path[4096];

  if (given && given[0])
    return read_text (given, ret, outcome);
  return default_path (name, path, sizeof path) < 0 ? 0 : read_text (path, ret, outcome);
}

/* ---- lines ---- */

static struct piece
trim (struct piece p)
{
  while (p.length > 0 && isspace ((unsigned char)p.start[0])) {
    p.start++;
    p.length--;
  }
  while (p.length > 0 && isspace ((unsigned char)p.start[p.length - 1]))
    p.length--;
  return p;
}

static bool
equals (struct piece p, const char *text)
{
  return p.length == strlen (text) && strncmp (p.start, text, p.length) == 0;
}

static bool
equals_any_case (struct piece p, const char *text)
{
  return p.length == strlen (text) && strncasecmp (p.start, text, p.length) == 0;
}

static struct piece
without_comment (struct piece p)
{
  for (size_t i = 0; i < p.length; i++)
    if ((p.start[i] == '#' || p.start[i] == ';')
        && (i == 0 || isspace ((unsigned char)p.start[i - 1])))
      p.length = i;
  return p;
}

/* Takes a line off the front of *rest; false at the end. */
static bool
next_line (struct piece *rest, struct piece *ret)
{
  const char *newline;

  if (rest->length == 0)
    return false;
  newline = memchr (rest->start, '\n', rest->length);
  *ret = (struct piece){rest->start, newline ? (size_t)(newline - rest->start) : rest->length};
  rest->start += ret->length + (newline ? 1 : 0);
  rest->length -= ret->length + (newline ? 1 : 0);
  return true;
}

/* Splits "name = value". */
static bool
split (struct piece line, struct piece *ret_name, struct piece *ret_value)
{
  const char *equal = memchr (line.start, '=', line.length);

  if (!equal)
    return false;
  *ret_name = trim ((struct piece){line.start, (size_t)(equal - line.start)});
  *ret_value = (struct piece){equal + 1, line.length - (size_t)(equal - line.start) - 1};
  *ret_value = trim (without_comment (*ret_value));
  return ret_name->length > 0;
}

/* "[kind name]" or "[name]": the words between the brackets; quotes around the name go. */
static bool
parse_section (struct piece line, struct piece *ret_kind, struct piece *ret_name)
{
  struct piece p = trim (without_comment (line));
  size_t word = 0;

  if (p.length < 2 || p.start[0] != '[' || p.start[p.length - 1] != ']')
    return false;
  p = trim ((struct piece){p.start + 1, p.length - 2});
  while (word < p.length && !isspace ((unsigned char)p.start[word]))
    word++;
  *ret_kind = (struct piece){p.start, word < p.length ? word : 0};
  *ret_name = word < p.length ? trim ((struct piece){p.start + word, p.length - word}) : p;
  if (ret_name->length >= 2 && ret_name->start[0] == '"'
      && ret_name->start[ret_name->length - 1] == '"')
    *ret_name = (struct piece){ret_name->start + 1, ret_name->length - 2};
  return true;
}

/* ---- looking ---- */

/* What is looked for.  Properties below another one have `parent`. */
struct search {
  enum aws_file file; /* which of the two the text is */
  const char *kind;   /* "profile", "services" */
  const char *name;
  const char *parent, *property; /* property NULL: whether there is such a section */
};

/* [profile x] and [default] in the config file, [x] in the credentials file. */
static bool
is_wanted_section (const struct search *search, struct piece kind, struct piece name)
{
  if (!equals (name, search->name))
    return false;
  if (strcmp (search->kind, "profile") != 0)
    return equals (kind, search->kind);
  if (search->file == AWS_CREDENTIALS_FILE)
    return kind.length == 0 || equals (kind, "profile");
  return equals (kind, "profile") || (kind.length == 0 && equals (name, "default"));
}

/* Where the walk is. */
struct place {
  bool inside; /* a section that is wanted */
  bool below;  /* the property `parent` */
};

/* Whether this line has what is looked for. */
static bool
match_line (const struct search *search, struct place *place, struct piece line,
            struct piece *ret_value)
{
  bool indented = line.length > 0 && isspace ((unsigned char)line.start[0]);
  struct piece name, value;

  if (!split (line, &name, &value))
    return false;
  if (!indented)
    place->below = search->parent && value.length == 0 && equals_any_case (name, search->parent);
  if (indented != (search->parent != NULL) || (search->parent && !place->below)
      || !equals_any_case (name, search->property))
    return false;
  *ret_value = value;
  return true;
}

/* The last of all matches; false when there is none. */
static bool
find (const struct secret *text, const struct search *search, struct piece *ret)
{
  struct piece rest = {(const char *)text->bytes, text->size}, line, kind, name;
  struct place place = {0};
  bool found = false;

  while (next_line (&rest, &line)) {
    struct piece visible = trim (line);

    if (visible.length == 0 || visible.start[0] == '#' || visible.start[0] == ';')
      continue;
    if (line.start[0] == '[') {
      place = (struct place){.inside = parse_section (line, &kind, &name)
                                       && is_wanted_section (search, kind, name)};
      found = found || (place.inside && !search->property);
    }
    else if (place.inside && search->property && match_line (search, &place, line, ret))
      found = true;
  }
  return found;
}

/* In the file or files that `file` allows, the credentials first. */
static bool
find_property (const struct aws_config *config, enum aws_file file, const char *profile,
               const char *property, struct piece *ret)
{
  struct search search = {AWS_CREDENTIALS_FILE, "profile", profile, NULL, property};

  if (file != AWS_CONFIG_FILE && find (&config->credentials, &search, ret))
    return true;
  search.file = AWS_CONFIG_FILE;
  return file != AWS_CREDENTIALS_FILE && find (&config->config, &search, ret);
}

static int
copy (struct piece value, char *ret, size_t max)
{
  if (value.length == 0 || value.length >= max)
    return 0;
  snprintf (ret, max, "%.*s", (int)value.length, value.start);
  return 1;
}

int
aws_config_get (const struct aws_config *config, const char *profile, const char *property,
                char *ret, size_t max)
{
  struct piece value;

  return find_property (config, AWS_ANY_FILE, profile, property, &value) ? copy (value, ret, max)
                                                                         : 0;
}

size_t
aws_config_length (const struct aws_config *config, const char *profile, const char *property)
{
  struct piece value;

  return find_property (config, AWS_ANY_FILE, profile, property, &value) ? value.length : 0;
}

int
aws_config_get_secret (const struct aws_config *config, enum aws_file file, const char *profile,
                       const char *property, struct secret *ret)
{
  struct piece value;

  if (!find_property (config, file, profile, property, &value) || value.length == 0)
    return 0;
  return secret_from_text (value.start, value.length, ret) == 0;
}

int
aws_config_get_service (const struct aws_config *config, const char *services, const char *service,
                        const char *property, char *ret, size_t max)
{
  const struct search search = {AWS_CONFIG_FILE, "services", services, service, property};
  struct piece value;

  return find (&config->config, &search, &value) ? copy (value, ret, max) : 0;
}

size_t
aws_config_service_length (const struct aws_config *config, const char *services,
                           const char *service, const char *property)
{
  const struct search search = {AWS_CONFIG_FILE, "services", services, service, property};
  struct piece value;

  return find (&config->config, &search, &value) ? value.length : 0;
}

bool
aws_config_has_profile (const struct aws_config *config, const char *profile)
{
  struct search search = {AWS_CREDENTIALS_FILE, "profile", profile, NULL, NULL};
  struct piece ignored;

  if (find (&config->credentials, &search, &ignored))
    return true;
  search.file = AWS_CONFIG_FILE;
  return find (&config->config, &search, &ignored);
}

/* ---- both files ---- */

static const char *
environment (const char *name)
{
  const char *value = getenv (name);

  return value && value[0] ? value : NULL;
}

int
aws_config_load (struct aws_config *ret, struct kms_outcome *outcome)
{
  CLEANUP_AWS_CONFIG struct aws_config config = {0};
  const char *profile = environment ("AWS_PROFILE");

  if (!profile)
    profile = environment ("AWS_DEFAULT_PROFILE");
  config.profile_given = profile != NULL;
  if (profile && strlen (profile) >= AWS_PROFILE_MAX)
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "profile_not_found",
                            "the name of the AWS profile (AWS_PROFILE) is longer than %d bytes",
                            AWS_PROFILE_MAX - 1);
  snprintf (config.profile, sizeof config.profile, "%s", profile ? profile : "default");
  if (read_file_of ("AWS_CONFIG_FILE", "config", &config.config, outcome) < 0
      || read_file_of ("AWS_SHARED_CREDENTIALS_FILE", "credentials", &config.credentials, outcome)
             < 0)
    return -1;
  if (config.profile_given && !aws_config_has_profile (&config, config.profile))
    return kms_outcome_set (outcome, KMS_CREDENTIALS, "profile_not_found",
                            "the AWS profile \"%.100s\" (AWS_PROFILE) is in neither of the shared "
                            "config and credentials files",
                            config.profile);
  *ret = (struct aws_config){.profile_given = config.profile_given};
  memcpy (ret->profile, config.profile, sizeof ret->profile);
  secret_take (&ret->config, &config.config);
  secret_take (&ret->credentials, &config.credentials);
  return 0;
}

void
aws_config_clear (struct aws_config *config)
{
  secret_clear (&config->config);
  secret_clear (&config->credentials);
}
