/* aws-policy.c owns what IAM policy documents mean. */
#include "tools/sim/aws-policy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/checked.h"

/* ---- texts and lists --------------------------------------------------------------------------
 */

bool
aws_pattern_fits (const char *pattern, const char *text)
{
  const char *star = NULL, *retry = NULL;

  while (*text) {
    if (*pattern == '*') {
      star = pattern++;
      retry = text;
    }
    else if (*pattern == '?' || *pattern == *text) {
      pattern++;
      text++;
    }
    else if (star) {
      pattern = star + 1;
      text = ++retry;
    }
    else
      return false;
  }
  while (*pattern == '*')
    pattern++;
  return *pattern == '\0';
}

/* A member of a policy may be one value or an array of them: value number i, or NULL. */
static const struct json *
value_at (const struct json *values, size_t i)
{
  if (json_is_array (values))
    return json_at (values, i);
  return i == 0 ? values : NULL;
}

/* Whether all of them are strings, and there is one. */
static bool
are_strings (const struct json *values)
{
  const struct json *value;
  size_t i = 0;

  for (; (value = value_at (values, i)); i++)
    if (!json_string_value (value))
      return false;
  return i > 0;
}

static bool
any_fits (const struct json *patterns, const char *text, bool ignore_case)
{
  const struct json *pattern;

  for (size_t i = 0; (pattern = value_at (patterns, i)); i++) {
    const char *p = json_string_value (pattern);

    if (p && (aws_pattern_fits (p, text) || (ignore_case && strcasecmp (p, text) == 0)))
      return true;
  }
  return false;
}

/* ---- conditions -------------------------------------------------------------------------------
 */

#define CONTEXT_PREFIX "kms:EncryptionContext:"

/* What a condition's key has: no value, one, or (context keys) many. */
struct subject {
  const char *one;
  const struct json *names_of;
};

static size_t
subject_count (const struct subject *subject)
{
  return subject->names_of ? json_size (subject->names_of) : subject->one != NULL;
}

static const char *
subject_at (const struct subject *subject, size_t i)
{
  return subject->names_of ? json_name (json_at (subject->names_of, i)) : subject->one;
}

static struct subject
find_subject (const char *key, const struct policy_question *question)
{
  struct subject subject = {0};

  if (strncasecmp (key, CONTEXT_PREFIX, sizeof CONTEXT_PREFIX - 1) == 0)
    subject.one = json_get_string (question->context, key + sizeof CONTEXT_PREFIX - 1);
  else if (strcasecmp (key, "kms:EncryptionContextKeys") == 0)
    subject.names_of = question->context;
  else if (strcasecmp (key, "kms:CallerAccount") == 0
           || strcasecmp (key, "aws:PrincipalAccount") == 0)
    subject.one = question->account;
  else if (strcasecmp (key, "aws:PrincipalArn") == 0)
    subject.one = question->principal_arn;
  return subject;
}

static bool
equals (const char *wanted, const char *text)
{
  return strcmp (wanted, text) == 0;
}

static bool
equals_in_any_case (const char *wanted, const char *text)
{
  return strcasecmp (wanted, text) == 0;
}

static const struct comparison {
  const char *name;
  bool (*fits) (const char *wanted, const char *text); /* NULL: whether the key is absent */
  bool negated;
} comparisons[] = {
    {"StringEquals", equals, false},
    {"StringNotEquals", equals, true},
    {"StringEqualsIgnoreCase", equals_in_any_case, false},
    {"StringNotEqualsIgnoreCase", equals_in_any_case, true},
    {"StringLike", aws_pattern_fits, false},
    {"StringNotLike", aws_pattern_fits, true},
    {"ArnEquals", aws_pattern_fits, false},
    {"ArnNotEquals", aws_pattern_fits, true},
    {"ArnLike", aws_pattern_fits, false},
    {"ArnNotLike", aws_pattern_fits, true},
    {"Bool", equals_in_any_case, false},
    {"Null", NULL, false},
};

/* "ForAllValues:StringEqualsIfExists" taken apart. */
struct condition {
  const struct comparison *comparison;
  bool for_all, if_exists;
};

static bool
parse_operator (const char *name, struct condition *ret)
{
  size_t length;

  memset (ret, 0, sizeof *ret);
  if (strncmp (name, "ForAllValues:", 13) == 0) {
    ret->for_all = true;
    name += 13;
  }
  else if (strncmp (name, "ForAnyValue:", 12) == 0)
    name += 12;
  length = strlen (name);
  if (length > 8 && strcmp (name + length - 8, "IfExists") == 0) {
    ret->if_exists = true;
    length -= 8;
  }
  for (size_t i = 0; i < ARRAY_SIZE (comparisons); i++)
    if (strlen (comparisons[i].name) == length && strncmp (comparisons[i].name, name, length) == 0)
      ret->comparison = &comparisons[i];
  return ret->comparison != NULL;
}

static bool
value_fits (const struct comparison *comparison, const struct json *wanted, const char *text)
{
  const struct json *one;

  for (size_t i = 0; (one = value_at (wanted, i)); i++)
    if (comparison->fits (json_string_value (one), text))
      return !comparison->negated;
  return comparison->negated;
}

static bool
condition_holds (const struct condition *condition, const struct subject *subject,
                 const struct json *wanted)
{
  size_t count = subject_count (subject), fitting = 0;

  if (!condition->comparison->fits)
    return (strcasecmp (json_string_value (value_at (wanted, 0)), "true") == 0) == (count == 0);
  if (count == 0)
    return condition->for_all || condition->if_exists || condition->comparison->negated;
  for (size_t i = 0; i < count; i++)
    fitting += value_fits (condition->comparison, wanted, subject_at (subject, i));
  return condition->for_all ? fitting == count : fitting > 0;
}

static bool
conditions_hold (const struct json *conditions, const struct policy_question *question)
{
  for (size_t i = 0; i < json_size (conditions); i++) {
    const struct json *keys = json_at (conditions, i);
    struct condition condition;

    if (!parse_operator (json_name (keys), &condition))
      return false;
    for (size_t k = 0; k < json_size (keys); k++) {
      const struct json *wanted = json_at (keys, k);
      struct subject subject = find_subject (json_name (wanted), question);

      if (!condition_holds (&condition, &subject, wanted))
        return false;
    }
  }
  return true;
}

/* ---- principals -------------------------------------------------------------------------------
 */

/* How a statement's principals reach the caller: SILENT, ALLOW_ACCOUNT or ALLOW (by name). */
static enum policy_answer
principal_reach (const struct json *principal, const struct policy_question *question)
{
  const struct json *names = json_is_object (principal) ? json_get (principal, "AWS") : principal;
  const struct json *name;
  enum policy_answer reach = POLICY_SILENT;
  char root[64];

  snprintf (root, sizeof root, ":iam::%.12s:root", question->account);
  for (size_t i = 0; (name = value_at (names, i)); i++) {
    const char *text = json_string_value (name);
    const char *account_part = text ? strstr (text, ":iam::") : NULL;

    if (!text)
      continue;
    if (strcmp (text, "*") == 0 || strcmp (text, question->principal_arn) == 0
        || strcmp (text, question->session_arn) == 0)
      return POLICY_ALLOW;
    if (strcmp (text, question->account) == 0 || (account_part && strcmp (account_part, root) == 0))
      reach = POLICY_ALLOW_ACCOUNT;
  }
  return reach;
}

/* ---- statements -------------------------------------------------------------------------------
 */

static enum policy_answer
ask_statement (const struct json *statement, const struct policy_question *question, bool of_key)
{
  const char *effect = json_get_string (statement, "Effect");
  enum policy_answer reach = POLICY_ALLOW;

  if (of_key)
    reach = principal_reach (json_get (statement, "Principal"), question);
  if (reach == POLICY_SILENT || !effect
      || !any_fits (json_get (statement, "Action"), question->action, true)
      || !any_fits (json_get (statement, "Resource"), question->resource, false)
      || !conditions_hold (json_get (statement, "Condition"), question))
    return POLICY_SILENT;
  return strcmp (effect, "Deny") == 0 ? POLICY_DENY : reach;
}

enum policy_answer
aws_policy_ask (const struct json *policy, const struct policy_question *question, bool of_key)
{
  const struct json *statements = json_get (policy, "Statement"), *statement;
  enum policy_answer answer = POLICY_SILENT;

  for (size_t i = 0; (statement = value_at (statements, i)); i++) {
    enum policy_answer one = ask_statement (statement, question, of_key);

    answer = MAX (answer, one);
  }
  return answer;
}

/* ---- checking ---------------------------------------------------------------------------------
 */

static const char *
condition_trouble (const struct json *conditions)
{
  if (conditions && !json_is_object (conditions))
    return "Condition must be an object";
  for (size_t i = 0; i < json_size (conditions); i++) {
    const struct json *keys = json_at (conditions, i);
    struct condition condition;

    if (!parse_operator (json_name (keys), &condition))
      return "a Condition has an operator that keyfence-kms-sim does not know";
    if (!json_is_object (keys))
      return "a Condition's operator needs an object of keys";
    for (size_t k = 0; k < json_size (keys); k++)
      if (!are_strings (json_at (keys, k)))
        return "the values of a Condition must be strings";
  }
  return NULL;
}

static const char *
statement_trouble (const struct json *statement)
{
  static const char *const known[] = {"Sid",    "Effect",   "Principal",
                                      "Action", "Resource", "Condition"};
  const char *effect = json_get_string (statement, "Effect");

  if (!json_is_object (statement))
    return "a Statement must be an object";
  for (size_t i = 0; i < json_size (statement); i++) {
    size_t k = 0;

    while (k < ARRAY_SIZE (known) && strcmp (known[k], json_name (json_at (statement, i))) != 0)
      k++;
    if (k == ARRAY_SIZE (known))
      return "a Statement has a member that keyfence-kms-sim does not know (it knows Sid, Effect, "
             "Principal, Action, Resource, Condition)";
  }
  if (!effect || (strcmp (effect, "Allow") != 0 && strcmp (effect, "Deny") != 0))
    return "a Statement's Effect must be Allow or Deny";
  if (!are_strings (json_get (statement, "Action"))
      || !are_strings (json_get (statement, "Resource")))
    return "a Statement needs Action and Resource, strings or arrays of them";
  return condition_trouble (json_get (statement, "Condition"));
}

int
aws_policy_check (const char *text, char *ret_why, size_t size)
{
  CLEANUP_JSON struct json *policy = json_parse (text, strlen (text));
  const struct json *statements = json_get (policy, "Statement"), *statement;
  const char *trouble = json_is_object (policy) && statements ? NULL : "no policy document";

  for (size_t i = 0; !trouble && (statement = value_at (statements, i)); i++)
    trouble = statement_trouble (statement);
  if (!trouble)
    return 0;
  snprintf (ret_why, size, "%s", trouble);
  return -1;
}
