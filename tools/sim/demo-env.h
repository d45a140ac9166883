/* The environment that makes keyfence, the AWS CLI and the clouds' SDKs use the simulator. */
#ifndef SIM_DEMO_ENV_H
#define SIM_DEMO_ENV_H

#include "tools/sim/sim.h"

#define DEMO_USER "user/demo"
#define DEMO_APP "demo"
#define DEMO_VAULT "demo"
#define DEMO_MACHINE "machine" /* the system-assigned identity */
#define DEMO_MACHINE_ROLE "demo-machine"
#define DEMO_WORKLOAD_ROLE "demo-workload"
#define DEMO_SUBJECT "system:serviceaccount:default:keyfence"

/* "export NAME='value'" lines for a shell, a new string.  `aws` says where AWS credentials are to
 * come from: "env", "imds", "container" or "web-identity"; `azure`: "secret", "certificate",
 * "workload", "imds", "app-service" or "arc"; NULL: the first.  The caller holds sim->lock.
 */
int demo_env (struct sim *sim, const char *aws, const char *azure, char **ret_text,
              struct error *err) MUST_CHECK;

/* What a new state folder gets: an AWS user and roles, an Azure application, a vault. */
void demo_fill (struct sim *sim);

/* A new AWS principal ("user/NAME", "role/NAME"); `subject`: of web identities that may take on the
 * role, or NULL. */
void demo_add_principal (struct sim *sim, const char *account, const char *principal,
                         const char *trusted_arn, const char *subject, const char *external_id);

/* A workload identity token; a new string. */
char *demo_workload_token (struct sim *sim, const char *subject, const char *audience,
                           int64_t now_s, int64_t lifetime_s);

#endif
