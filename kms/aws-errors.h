/* What an error of KMS or STS means: one table from error names to outcome classes.
 *
 * Names decide, and where one name stands for several things, words of the message; HTTP status
 * alone decides only between "broken there" (5xx) and "unknown".  KMS sends most of its errors as
 * status 400, whatever its model says.  What is in no row is an outage: unknown answers are never
 * ok and never denied.
 */
#ifndef KMS_AWS_ERRORS_H
#define KMS_AWS_ERRORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kms/http.h"
#include "kms/outcome.h"

#define AWS_CLOCK_SKEW_MAX_S 300 /* KMS refuses signatures that are more than 5 minutes off */

enum aws_advice {
  AWS_GIVE_UP = 0,
  AWS_RETRY = 1,       /* after a pause */
  AWS_REFRESH = 2,     /* once more with fresh credentials */
  AWS_DROP_GRANTS = 4, /* once more without grant tokens */
  AWS_DISTRUST = 8,    /* the next operation gets fresh credentials: they confirm a denial */
};

struct aws_error {
  char name[96];      /* "DisabledException", without name space; "" when the answer has none */
  char message[1024]; /* of the service */
};

struct aws_rule {
  const char *service; /* "kms", "sts", or NULL for both */
  const char *name;    /* of the error */
  const char *hint;    /* a part of the message, any case; NULL: whatever it says */
  enum kms_class class;
  const char *reason;
  unsigned advice;
  bool quote; /* whether the message may be shown: some repeat what was signed, tokens included */
  const char *mend;
};

/* All rules; the first that fits counts.  Ends with a NULL name. */
extern const struct aws_rule aws_rules[];

/* The rule of an error, or NULL. */
const struct aws_rule *aws_rule_for (const char *service, const struct aws_error *error);

/* Error name and message out of an answer: KMS' JSON (with x-amzn-ErrorType), STS' XML. */
void aws_error_parse (const struct http_answer *answer, struct aws_error *ret);

struct aws_asked {
  const char *service;   /* "kms" or "sts" */
  const char *operation; /* "Decrypt" */
  const char *subject;   /* the key's or role's ARN */
};

/* Fills in *outcome, with the request id, for an answer that is no success; *ret_advice says what
 * may be tried.  Returns -1.
 */
int aws_classify (const struct aws_asked *asked, const struct http_answer *answer,
                  struct kms_outcome *outcome, unsigned *ret_advice);

/* How far this machine's clock is behind the service's (negative: ahead), by the Date header; 0
 * when it has none.
 */
int64_t aws_clock_skew_s (const struct http_answer *answer);

#endif
