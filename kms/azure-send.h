/* One request to Azure, repeated while its class allows and there is time. */
#ifndef KMS_AZURE_SEND_H
#define KMS_AZURE_SEND_H

#include <stdint.h>

#include "common/cleanup.h"
#include "kms/azure-error.h"
#include "kms/http.h"

/* 0 with an answer of status 200, or -1 with *outcome; *answer (empty before) is the last one in
 * either case.  request->timeout_ms is set here, from the deadline (on clock_ms ()).
 */
int azure_send (enum azure_service service, enum azure_operation operation, const char *subject,
                uint64_t deadline_ms, struct http_request *request, struct http_answer *answer,
                struct kms_outcome *outcome) MUST_CHECK;

#endif
