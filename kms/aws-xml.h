/* The few values that we need out of STS' XML answers, read where they lie.
 *
 * STS sends flat elements without attributes in well-known places; anything else is not found.
 */
#ifndef KMS_AWS_XML_H
#define KMS_AWS_XML_H

#include <stddef.h>

#include "common/cleanup.h"
#include "crypto/secret.h"

/* The text of the first element <name>, entities decoded.  -1: there is none, or it is not closed,
 * has elements in it, or an entity that XML does not define by itself.
 */
int aws_xml_secret (const char *text, size_t size, const char *name, struct secret *ret) MUST_CHECK;
int
aws_xml_string (const char *text, size_t size, const char *name, char *ret, size_t max) MUST_CHECK;

/* Whether the text is one whole element <name>: so that what was cut off is noticed. */
int aws_xml_is_whole (const char *text, size_t size, const char *name) MUST_CHECK;

#endif
