/* Why a name does not resolve: libcurl has one error for "no such name" and "nobody to ask". */
#ifndef KMS_RESOLVE_H
#define KMS_RESOLVE_H

#include <stdint.h>

enum resolve_result {
  RESOLVE_OK,
  RESOLVE_NXDOMAIN, /* a resolver that works says that there is no such name */
  RESOLVE_FAILED,   /* no resolver, or one that failed */
  RESOLVE_TIMEOUT,
};

/* Asks the system's resolver in a thread of its own, which is left behind at the time-out. */
enum resolve_result resolve_why (const char *host, uint32_t timeout_ms);

#endif
