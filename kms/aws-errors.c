/* aws-errors.c owns the reading of AWS' error answers, and what they come to. */
#include "kms/aws-errors.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/text.h"
#include "kms/answer.h"
#include "kms/aws-xml.h"

#define QUOTE_MAX 240 /* of the service's own words in ours */

/* ---- reading ---- */

/* "com.amazonaws.kms#X", "X:http://…": cut at the colon, keep what is behind the last '#'. */
static void
set_name (struct aws_error *error, const char *type)
{
  size_t length = strcspn (type, ":");
  const char *start = type;

  for (size_t i = 0; i < length; i++)
    if (type[i] == '#')
      start = type + i + 1;
  snprintf (error->name, sizeof error->name, "%.*s", (int)(length - (size_t)(start - type)), start);
}

static void
parse_json (const struct http_answer *answer, struct aws_error *error)
{
  struct answer json;
  char type[200];

  if (answer_init (&json, (const char *)answer->body.bytes, answer->body.size) < 0)
    return;
  if (answer_string (&json, "__type", type, sizeof type) == 0
      || answer_string (&json, "code", type, sizeof type) == 0)
    set_name (error, type);
  if (answer_string (&json, "message", error->message, sizeof error->message) < 0
      && answer_string (&json, "Message", error->message, sizeof error->message) < 0)
    error->message[0] = '\0';
}

static void
parse_xml (const struct http_answer *answer, struct aws_error *error)
{
  const char *text = (const char *)answer->body.bytes;
  char name[sizeof error->name];

  if (aws_xml_is_whole (text, answer->body.size, "ErrorResponse") < 0
      || aws_xml_string (text, answer->body.size, "Code", name, sizeof name) < 0)
    return;
  memcpy (error->name, name, sizeof error->name);
  if (aws_xml_string (text, answer->body.size, "Message", error->message, sizeof error->message)
      < 0)
    error->message[0] = '\0';
}

void
aws_error_parse (const struct http_answer *answer, struct aws_error *ret)
{
  *ret = (struct aws_error){0};
  if (!answer->body.bytes)
    return;
  parse_json (answer, ret);
  if (ret->name[0] == '\0')
    parse_xml (answer, ret);
  if (ret->name[0] == '\0' && answer->error_type[0])
    set_name (ret, answer->error_type);
}

/* ---- judging ---- */

static const char *
called (const struct aws_asked *asked)
{
  return strcmp (asked->service, "kms") == 0 ? "AWS KMS" : "AWS STS";
}

static bool
rule_fits (const struct aws_rule *rule, const char *service, const struct aws_error *error)
{
  return (!rule->service || strcmp (rule->service, service) == 0)
         && strcmp (rule->name, error->name) == 0
         && (!rule->hint || strcasestr (error->message, rule->hint));
}

const struct aws_rule *
aws_rule_for (const char *service, const struct aws_error *error)
{
  for (const struct aws_rule *rule = aws_rules; rule->name; rule++)
    if (rule_fits (rule, service, error))
      return rule;
  return NULL;
}

int64_t
aws_clock_skew_s (const struct http_answer *answer)
{
  return answer->date_s ? answer->date_s - (int64_t)time (NULL) : 0;
}

/* Whether what is denied may be our clock's fault: then it is not the owner who said no. */
static bool
is_skewed (const struct http_answer *answer)
{
  int64_t skew_s = aws_clock_skew_s (answer);

  return skew_s > AWS_CLOCK_SKEW_MAX_S || skew_s < -AWS_CLOCK_SKEW_MAX_S;
}

static int
unknown (const struct aws_asked *asked, const struct http_answer *answer,
         const struct aws_error *error, struct kms_outcome *outcome, unsigned *ret_advice)
{
  *ret_advice = answer->status >= 500 || answer->status == 429 ? AWS_RETRY : AWS_GIVE_UP;
  if (answer->status >= 500)
    return kms_outcome_set (outcome, KMS_OUTAGE, "service_error",
                            "%s answered %s with status %u %.90s; try again in a minute",
                            called (asked), asked->operation, answer->status, error->name);
  if (answer->status == 429)
    return kms_outcome_set (
        outcome, KMS_OUTAGE, "throttled",
        "%s answered %s with status 429 (too many requests); try again in a minute", called (asked),
        asked->operation);
  return kms_outcome_set (outcome, KMS_OUTAGE, error->name[0] ? "unknown_error" : "bad_answer",
                          "%s answered %s with status %u%s%.90s, which keyfence does not know; "
                          "find out what answers there instead of AWS (a proxy?)",
                          called (asked), asked->operation, answer->status,
                          error->name[0] ? " and the error " : " and no error name", error->name);
}

static int
skewed (const struct aws_asked *asked, const struct http_answer *answer,
        struct kms_outcome *outcome)
{
  int64_t skew_s = aws_clock_skew_s (answer);

  if (skew_s == 0)
    return kms_outcome_set (outcome, KMS_CLOCK, "clock_skew",
                            "%s refused %s: the clocks differ too much; set this machine's clock "
                            "(NTP)",
                            called (asked), asked->operation);
  return kms_outcome_set (outcome, KMS_CLOCK, "clock_skew",
                          "%s refused %s: this machine's clock is %lld s %s; set it (NTP)",
                          called (asked), asked->operation,
                          (long long)(skew_s < 0 ? -skew_s : skew_s),
                          skew_s < 0 ? "ahead" : "behind");
}

int
aws_classify (const struct aws_asked *asked, const struct http_answer *answer,
              struct kms_outcome *outcome, unsigned *ret_advice)
{
  char message[QUOTE_MAX];
  const struct aws_rule *rule;
  struct aws_error error;

  snprintf (outcome->request_id, sizeof outcome->request_id, "%s", answer->request_id);
  kms_text_clean (outcome->request_id);
  aws_error_parse (answer, &error);
  rule = aws_rule_for (asked->service, &error);
  /* A name is what decides, but a refusal that comes as a redirect or as a server's failure is
   * somebody else's than the key service's.
   */
  if (!rule || (rule->class == KMS_DENIED && (answer->status < 400 || answer->status > 499)))
    return unknown (asked, answer, &error, outcome, ret_advice);
  *ret_advice = rule->advice;
  if (rule->class == KMS_CLOCK
      || ((rule->class == KMS_DENIED || strcmp (rule->reason, "bad_signature") == 0)
          && is_skewed (answer)))
    return skewed (asked, answer, outcome);
  text_print (message, sizeof message, "%s", rule->quote ? error.message : "");
  return kms_outcome_set (outcome, rule->class, rule->reason, "%s %s %s for %.200s: %s%s%s; %s",
                          called (asked), rule->class == KMS_OUTAGE ? "could not do" : "refused",
                          asked->operation, asked->subject, error.name, *message ? ": " : "",
                          message, rule->mend);
}
