/* What the parts of the simulator share: its state, and one exchange of request and reply.
 *
 * A service is one of the things spoken here (AWS KMS, Key Vault …).  route.c finds whose a request
 * is, applies the faults that are switched on, lets the service answer, and logs.  sim->lock is
 * held while a service works, so services need no locks of their own; delays are waited for without
 * it.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "tools/sim/faults.h"
#include "tools/sim/reply.h"
#include "tools/sim/request.h"

struct sim {
  int dir_fd;
  uint16_t port;
  pthread_mutex_t lock; /* guards the state folder, the log, and what follows */
  pthread_cond_t wake;  /* `stopping` has become true */
  bool stopping;
  struct faults faults;
  int log_fd;
};

#define EXCHANGE_KEY_MAX 512

struct exchange {
  struct sim *sim;
  const struct request *request;
  struct reply *reply;
  int64_t now_s;                 /* the simulator's clock, with the skew that is switched on */
  const struct service *service; /* NULL when nobody's */
  /* What the log says about it. */
  char operation[64];
  char key[EXCHANGE_KEY_MAX];
  char outcome[96]; /* "ok" or the service's name of the error */
  char principal[EXCHANGE_KEY_MAX];
  char request_id[37];
  const char *fault; /* the kind of the fault that was applied, or NULL */
  bool wrong_plaintext;
};

struct service {
  const char *name; /* "aws-kms" … */

  /* Whether the request is for this service; then it also sets ex->operation. */
  bool (*claims) (struct exchange *ex);

  /* The name of operation number i, from 0 and in any order; NULL past the last. */
  const char *(*operation) (size_t i);

  void (*answer) (struct exchange *ex);

  /* Answers as the real service does when this has gone wrong; false when the service has no such
   * answer (then the fault does nothing). */
  bool (*fail) (struct exchange *ex, const struct fault *fault);
};

extern const struct service aws_kms_service, aws_sts_service, aws_imds_service,
    aws_container_service, azure_vault_service, azure_entra_service, azure_imds_service;

/* All services, ending in NULL; the first that claims a request has it. */
extern const struct service *const sim_services[];

/* Whether a fault can be meant for `name`: "all", a cloud, a service, or an operation.  False: a
 * new string says which there are.
 */
bool sim_knows_operation (const char *name, char **ret_list);

/* Answers one request: everything but the web server around it.  Any number of threads. */
void sim_answer (struct sim *sim, const struct request *request, struct reply *reply);

/* Opens the state folder, and fills a new one with what a first try needs. */
int sim_init (struct sim *sim, const char *dir, struct error *err) MUST_CHECK;

/* Ends all delays, now and from now on. */
void sim_stop (struct sim *sim);

/* When no request is being answered any more; commands that still come wait until the process
 * ends. */
void sim_clear (struct sim *sim);

/* Random text: a version 4 UUID; `count` characters of `alphabet`. */
void sim_uuid (char ret[37]);
void sim_random_text (const char *alphabet, size_t count, char *ret);

/* A secret of `count` letters and digits; all of them begin with the same word, so that a search
 * for it finds where one has come that should not be there.
 */
#define SIM_SECRET_WORD "kfPlanted"
void sim_secret_text (size_t count, char *ret);

#endif
