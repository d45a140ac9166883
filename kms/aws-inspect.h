/* What `keyfence check` finds out about a key in AWS KMS. */
#ifndef KMS_AWS_INSPECT_H
#define KMS_AWS_INSPECT_H

#include "kms/answer.h"
#include "kms/aws-provider.h"
#include "kms/report.h"

/* A line for each requirement, in the order in which one would look: the service, the credentials,
 * the key, the rights.
 */
void aws_inspect (const struct kms_request *request, struct kms_report *report);

/* ---- parts of it ---- */

/* Lines out of DescribeKey's KeyMetadata.  Returns the algorithm to try, or NULL when there is none
 * for such a key.
 */
const char *aws_inspect_metadata (const struct answer *metadata, struct kms_report *report);

/* The line on rotation; `rotation` is GetKeyRotationStatus' answer. */
void aws_inspect_rotation (const struct answer *rotation, struct kms_report *report);

#endif
