/* The client certificate of the demo application: in the state folder, for
 * AZURE_CLIENT_CERTIFICATE_PATH. */
#ifndef SIM_CLIENT_CERT_H
#define SIM_CLIENT_CERT_H

#include "common/cleanup.h"

#define CLIENT_CERT_FILE "client.pem"

/* A new self-signed RSA certificate; writes key and certificate to `name` in the folder.  Returns
 * the certificate's PEM on the heap; NULL when it fails. */
char *client_cert_new (int dir_fd, const char *name) MUST_CHECK;

#endif
