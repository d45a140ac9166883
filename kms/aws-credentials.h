/* Credentials for AWS: where they come from, how long they are good for, and when they are got
 * anew.
 *
 * They are looked for in AWS' own order, one file for each source (aws-source-*.c), and kept in
 * secret memory.  Those that expire are renewed early: from 15 minutes before the end it is tried
 * (no more than once a minute), from 10 minutes before the end each operation tries and a refusal
 * counts; where there is only no answer, what is there is used until it has really expired.
 * Credentials of the instance are used even then, since AWS may extend them (static stability):
 * KMS judges.  What does not expire and costs nothing to read (environment, files) is never kept.
 *
 * One thread.  A forked child starts with none but what its parent handed over.
 */
#ifndef KMS_AWS_CREDENTIALS_H
#define KMS_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "crypto/secret.h"
#include "kms/aws-context.h"
#include "kms/outcome.h"

#define AWS_ACCESS_KEY_MAX 129
#define AWS_SOURCE_MAX 200

struct aws_credentials {
  char access_key[AWS_ACCESS_KEY_MAX];
  struct secret secret_key;    /* texts (kms/secret-text.h) */
  struct secret session_token; /* empty: none */
  int64_t expires_s;           /* Unix time; 0: never */
  bool keep;                   /* getting them costs something: they are kept */
  bool stable;                 /* used on after they expired */
  char source[AWS_SOURCE_MAX]; /* for people: "profile prod, role arn:…" */
};

void aws_credentials_clear (struct aws_credentials *credentials);
#define CLEANUP_AWS_CREDENTIALS CLEANUP (aws_credentials_clear)
void aws_credentials_take (struct aws_credentials *dst, struct aws_credentials *src);

/* The credentials to use now; they belong to this file, until the next call.  -1 with *outcome. */
int aws_credentials_get (struct aws_context *context, const struct aws_credentials **ret,
                         struct kms_outcome *outcome) MUST_CHECK;

/* Makes the next aws_credentials_get ask for new ones (keeping the old, should that fail for want
 * of an answer): after a denial, which fresh credentials must confirm.
 */
void aws_credentials_distrust (void);

/* Forgets what is kept, so that the next aws_credentials_get has new ones or none. */
void aws_credentials_drop (void);

/* Whether credentials were got before in this process: a role that is refused now was granted. */
bool aws_credentials_worked_before (void);

/* To a child and from a parent (kms/handover.h). */
int aws_credentials_give (const struct aws_credentials *credentials, int *ret_fd) MUST_CHECK;
void aws_credentials_inherit (int fd);

/* For tests: forgets everything, and sets the clock (0: the real one); or only the latter. */
void aws_credentials_reset (int64_t now_s);
void aws_credentials_set_clock (int64_t now_s);

/* "2026-01-01T00:00:00Z", with fractions or an offset too.  -1: it is no such time. */
int aws_parse_time (const char *text, int64_t *ret_s) MUST_CHECK;

#endif
