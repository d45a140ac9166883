/* The certificate that the simulator makes for itself. */
#ifndef SIM_TLS_H
#define SIM_TLS_H

#include "common/cleanup.h"
#include "common/error.h"

#define TLS_CA_FILE "ca.pem"

/* Certificate and key of the server as PEM texts on the heap, from the state folder; made there,
 * with a CA of their own (TLS_CA_FILE, whose key is thrown away), when they are missing or no
 * longer valid.  Names: localhost and everything a client reaches here by Host.
 */
int tls_load (int dir_fd, char **ret_cert, char **ret_key, struct error *err) MUST_CHECK;

#endif
