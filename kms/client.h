/* The agent seen from outside: starting it, asking it, and living without it.
 *
 * The agent (kms/agent.c) is a process of its own that speaks to key services.  Who needs a key
 * starts one as a child with a socket pair, or connects to one that listens for it (kms/listen.h),
 * in a unit of its own.  Every call passes a fresh socket for its answer; the volume key itself
 * comes from a child of the agent that has unwrapped it, straight into secret memory here, and that
 * child then exits.
 *
 * A call never hangs: it takes its time-out and at most 250 ms more, waiting for other threads'
 * calls included, whatever the agent does.  (Starting the agent's program is the exception where
 * the file system that it lies on hangs.)  Whatever is wrong between us and the agent is
 * KMS_OUTAGE, with the reason
 *
 *   agent_timeout  no answer by the call's time-out: the agent is killed, its children too
 *   agent_died     it, or its child for this operation, ended without an answer
 *   agent_reply    the answer is no answer, or too long, or the key is short: the agent is killed
 *   agent_backoff  it ended young, and it is too early to start it again
 *   agent_start    the program can't be started, or nobody who is trusted listens at its socket
 *   agent_stuck    killed agents hang in the kernel, and their number has reached its limit
 *   agent_busy     other threads' calls left this one no time: less than a quarter of its time-out,
 *                  or 250 ms; the agent was not asked
 *   agent_io, no_memory  this process lacks descriptors or memory
 *
 * A dead agent is started again by the next call, but two starts are never closer than a backoff
 * that doubles from 100 ms to 10 s as long as agents end within 10 s of their start.
 *
 * A killed agent that has not gone at once is waited for later, by calls that come after, so that a
 * zombie may be there in the meantime.  Of an agent that listens the same holds, with "connected
 * to" for "started" and its connection closed for "killed".
 *
 * All functions but kms_client_free may be called from several threads.  Calls on one client are
 * made one after the other.  No client may be used on both sides of a fork.
 */
#ifndef KMS_CLIENT_H
#define KMS_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/wrap.h"
#include "crypto/secret.h"
#include "kms/outcome.h"
#include "kms/report.h"

struct kms_client;

/* `agent_path`: the program (common/paths.h).  Nothing is started yet. */
int kms_client_new (const char *agent_path, struct kms_client **ret_client, struct error *err)
    MUST_CHECK;

/* `socket_path`: where an agent listens.  Nobody is connected to yet. */
int kms_client_new_at (const char *socket_path, struct kms_client **ret_client, struct error *err)
    MUST_CHECK;

/* Ends the agent (closing its socket; SIGKILL if it stays more than a second), and waits for it. */
void kms_client_free (struct kms_client *client);
void cleanup_kms_client (struct kms_client **client);
#define CLEANUP_KMS_CLIENT CLEANUP (cleanup_kms_client)

/* The agent's process id, or 0 while there is none, or one that is not our child.  Never waits for
 * a call under way.
 */
pid_t kms_client_pid (struct kms_client *client);

/* A call that is under way ends at once, with agent_died; the next one starts an agent again. */
void kms_client_interrupt (struct kms_client *client);

/* Starts the agent when it is not running and the backoff allows; 0 when it runs afterwards, else
 * -1.  Waits for a call under way.
 */
int kms_client_ensure (struct kms_client *client) MUST_CHECK;

/* A file descriptor that polls POLLHUP (and POLLIN) when the agent has gone, or -1 while there is
 * none.  Valid until the next call on the client.
 */
int kms_client_fd (struct kms_client *client);

/* All of these return 0 with class KMS_OK, or -1 with *outcome filled in.
 *
 * kms_client_unwrap:   the volume key of `wrap`, into an empty secret
 * kms_client_check:    the probe of `wrap` is unwrapped and its digest compared
 * kms_client_expiry:   when the key (its version that made `wrap`) expires, as Unix time, or 0 when
 *                      it has no such date.  A denial of this says nothing about access to the key:
 *                      reading properties needs a right of its own (kms:DescribeKey, keys/get)
 *                      that serving does not.
 * kms_client_generate: a new volume key and its complete wrap (id and role are left 0) by `key`
 * kms_client_wrap:     a wrap of an existing volume key
 * kms_client_inspect:  the report on a key (0 also when lines in it fail)
 * kms_client_notify:   posts a message, in the form that kms/notify.h has; its failure is
 * KMS_OUTAGE, reason "notify"
 *
 * `fresh`: with credentials that are fetched anew, which is how a denial is confirmed: tokens and
 * sessions that the agent keeps are forgotten first, and where no new ones can be had, that is the
 * outcome.  What a cloud's own metadata service keeps is out of our reach (Azure's for up to a
 * day).
 */
int kms_client_unwrap (struct kms_client *client, const struct wrap *wrap, const char *volume,
                       bool fresh, uint32_t timeout_ms, struct secret *ret_volume_key,
                       struct kms_outcome *outcome) MUST_CHECK;
int kms_client_check (struct kms_client *client, const struct wrap *wrap, const char *volume,
                      bool fresh, uint32_t timeout_ms, struct kms_outcome *outcome) MUST_CHECK;
int kms_client_expiry (struct kms_client *client, const struct wrap *wrap, const char *volume,
                       uint32_t timeout_ms, int64_t *ret_expires_unix_s,
                       struct kms_outcome *outcome) MUST_CHECK;
int kms_client_generate (struct kms_client *client, const char *key, const char *volume,
                         uint32_t timeout_ms, struct secret *ret_volume_key, struct wrap *ret_wrap,
                         struct kms_outcome *outcome) MUST_CHECK;
int kms_client_wrap (struct kms_client *client, const char *key, const char *volume,
                     const struct secret *volume_key, uint32_t timeout_ms, struct wrap *ret_wrap,
                     struct kms_outcome *outcome) MUST_CHECK;

int kms_client_notify (struct kms_client *client, const struct secret *message, uint32_t timeout_ms,
                       struct kms_outcome *outcome) MUST_CHECK;

/* What a report is to be about. */
struct kms_inspection {
  const char *key;
  const char *region; /* of the data; NULL: not known */
  const char *volume; /* uuid: its encryption context is tried; NULL: a made-up one */
  const struct wrap
      *wrap;     /* of `volume`, by that key: its probe is unwrapped; NULL: there is none */
  bool run_only; /* nothing that is not needed to run a volume */
};

int kms_client_inspect (struct kms_client *client, const struct kms_inspection *what,
                        uint32_t timeout_ms, struct kms_report *ret_report,
                        struct kms_outcome *outcome) MUST_CHECK;

/* The outcome as an error of the right class, for programs, with the provider's request id. */
int kms_outcome_error (const struct kms_outcome *outcome, struct error *err);

#endif
