/* What the AWS services here share: who asks, and how errors are said. */
#ifndef SIM_AWS_H
#define SIM_AWS_H

#include "common/json.h"
#include "tools/sim/sim.h"

#define AWS_ACCOUNT "111122223333" /* of everything the simulator makes by itself */
#define AWS_ARN_MAX EXCHANGE_KEY_MAX
#define AWS_REGION_MAX 32

/* Who signed a request. */
struct aws_identity {
  char principal[96]; /* "user/NAME" or "role/NAME" */
  char account[13];
  char arn[AWS_ARN_MAX];           /* as GetCallerIdentity says it */
  char principal_arn[AWS_ARN_MAX]; /* of the user, or of the role behind the session */
  char user_id[160];
};

struct aws_call {
  struct exchange *ex;
  const struct json *params; /* the body of a JSON request */
  struct aws_identity identity;
  char region[AWS_REGION_MAX]; /* of the signature */
  char error_code[64];
  char error_text[768];
};

void aws_set_error (struct aws_call *call, const char *code, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4)));

/* Sets the error (call, code, fmt, ...); is -1, so that callers can return it. */
#define aws_fail(...) (aws_set_error (__VA_ARGS__), -1)

/* Verifies the signature for `service` ("kms" or "sts") and fills in identity and region. */
int aws_authenticate (struct aws_call *call, const char *service) MUST_CHECK;

/* "aws", "aws-cn", "aws-us-gov" … of a region. */
const char *aws_partition (const char *region);

#endif
