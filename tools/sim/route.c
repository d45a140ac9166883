/* route.c owns the way of a request: whose it is, the faults on it, the answer, the log. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/rand.h>

#include "common/checked.h"
#include "common/encode.h"
#include "common/io.h"
#include "tools/sim/log.h"
#include "tools/sim/sim.h"

const struct service *const sim_services[] = {
    &azure_vault_service, &azure_entra_service,   &aws_kms_service,    &aws_sts_service,
    &aws_imds_service,    &aws_container_service, &azure_imds_service, NULL,
};

/* ---- random text ------------------------------------------------------------------------------
 */

void
sim_random_text (const char *alphabet, size_t count, char *ret)
{
  size_t letters = strlen (alphabet);

  for (size_t i = 0; i < count;) {
    uint8_t byte;

    if (RAND_bytes (&byte, 1) != 1)
      abort ();
    if (byte < 256 - 256 % letters)
      ret[i++] = alphabet[byte % letters];
  }
  ret[count] = '\0';
}

void
sim_secret_text (size_t count, char *ret)
{
  static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  size_t word = strlen (SIM_SECRET_WORD);

  assert (count >= word + 16);
  memcpy (ret, SIM_SECRET_WORD, word);
  sim_random_text (alphabet, count - word, ret + word);
}

void
sim_uuid (char ret[37])
{
  uint8_t b[16];
  char hex[33];

  if (RAND_bytes (b, sizeof b) != 1)
    abort ();
  b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
  b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
  hex_encode (b, sizeof b, hex);
  snprintf (ret, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* ---- names ------------------------------------------------------------------------------------
 */

static bool
has_operation (const struct service *service, const char *name)
{
  const char *operation;

  for (size_t i = 0; (operation = service->operation (i)) != NULL; i++)
    if (strcasecmp (operation, name) == 0)
      return true;
  return false;
}

/* Whether the operation was named by a smaller number already. */
static bool
named_before (const struct service *service, size_t i)
{
  for (size_t j = 0; j < i; j++)
    if (strcmp (service->operation (i), service->operation (j)) == 0)
      return true;
  return false;
}

static char *
list_operations (void)
{
  char *text = NULL;
  size_t size;
  FILE *f = open_memstream (&text, &size);

  if (!f)
    abort ();
  fputs ("all, aws, azure, and by service:\n", f);
  for (size_t i = 0; sim_services[i]; i++) {
    const struct service *service = sim_services[i];

    fprintf (f, "  %s:", service->name);
    for (size_t j = 0; service->operation (j); j++)
      if (!named_before (service, j))
        fprintf (f, " %s", service->operation (j));
    fputc ('\n', f);
  }
  if (fclose (f) != 0)
    abort ();
  return text;
}

bool
sim_knows_operation (const char *name, char **ret_list)
{
  static const char *const wide[] = {"all", "aws", "azure"};

  for (size_t i = 0; i < ARRAY_SIZE (wide); i++)
    if (strcmp (name, wide[i]) == 0)
      return true;
  for (size_t i = 0; sim_services[i]; i++)
    if (strcmp (name, sim_services[i]->name) == 0 || has_operation (sim_services[i], name))
      return true;
  *ret_list = list_operations ();
  return false;
}

/* ---- faults -----------------------------------------------------------------------------------
 */

/* Without the lock, or until the simulator stops. */
static void
wait_ms (struct sim *sim, int64_t ms)
{
  const struct timespec until = monotonic_after ((uint64_t)ms);
  LOCK_FOR_SCOPE (&sim->lock);
  while (!sim->stopping && pthread_cond_timedwait (&sim->wake, &sim->lock, &until) == 0)
    ;
}

static void
apply_in_front (struct exchange *ex, const struct fault *fault)
{
  switch (fault->kind) {
  case FAULT_SKEW:
    ex->now_s += fault->value;
    break;
  case FAULT_RESET:
    ex->reply->reset = true;
    reply_empty (ex->reply, 500);
    break;
  case FAULT_TRUNCATE:
    ex->reply->truncate = true;
    break;
  case FAULT_WRONG_PLAINTEXT:
    ex->wrong_plaintext = true;
    break;
  case FAULT_GARBAGE:
    reply_text (ex->reply, 200, "application/json", "{\"\x01\xff garbage [[");
    break;
  case FAULT_STATUS:
    reply_text (ex->reply, (unsigned)fault->value, "text/html",
                "<html><body><h1>%u</h1><p>keyfence-kms-sim, by command</p></body></html>\n",
                (unsigned)fault->value);
    break;
  default:
    if (ex->reply->status == 0 && !ex->service->fail (ex, fault))
      return;
  }
  ex->fault = fault_name (fault->kind);
}

static void
apply_faults (struct exchange *ex, const struct fault *faults, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (faults[i].kind != FAULT_DELAY)
      apply_in_front (ex, &faults[i]);
    else if (!ex->fault)
      ex->fault = fault_name (FAULT_DELAY);
  if (ex->reply->status != 0 && !ex->outcome[0])
    snprintf (ex->outcome, sizeof ex->outcome, "fault:%s", ex->fault);
}

static int64_t
delay_of (const struct fault *faults, size_t count)
{
  int64_t ms = 0;

  for (size_t i = 0; i < count; i++)
    if (faults[i].kind == FAULT_DELAY)
      ms += faults[i].value;
  return ms;
}

/* ---- one request ------------------------------------------------------------------------------
 */

static void
find_service (struct exchange *ex)
{
  for (size_t i = 0; sim_services[i]; i++)
    if (sim_services[i]->claims (ex)) {
      ex->service = sim_services[i];
      return;
    }
}

static void
answer (struct exchange *ex)
{
  if (ex->reply->status == 0)
    ex->service->answer (ex);
  if (ex->reply->status == 0)
    reply_empty (ex->reply, 500);
  if (!ex->outcome[0])
    snprintf (ex->outcome, sizeof ex->outcome, "%s", ex->reply->status < 400 ? "ok" : "error");
}

static void
add_date (struct exchange *ex)
{
  static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  time_t now = (time_t)ex->now_s;
  struct tm tm;

  if (gmtime_r (&now, &tm))
    reply_header (ex->reply, "Date", "%s, %02d %s %d %02d:%02d:%02d GMT", days[tm.tm_wday],
                  tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                  tm.tm_sec);
}

void
sim_answer (struct sim *sim, const struct request *request, struct reply *reply)
{
  struct exchange ex = {.sim = sim, .request = request, .reply = reply, .now_s = time (NULL)};
  struct fault faults[FAULTS_MAX];
  uint64_t start_ms = clock_ms ();
  size_t count = 0;

  sim_uuid (ex.request_id);
  find_service (&ex);
  if (!ex.service) {
    reply_text (reply, 404, "text/plain",
                "keyfence-kms-sim: neither AWS KMS nor Key Vault has such a request\n");
    snprintf (ex.operation, sizeof ex.operation, "%.60s", request->path);
    snprintf (ex.outcome, sizeof ex.outcome, "no such service");
  }
  else {
    {
      LOCK_FOR_SCOPE (&sim->lock);
      count = faults_match (&sim->faults, ex.operation, ex.service->name, ex.key, faults);
    }
    if (delay_of (faults, count) > 0)
      wait_ms (sim, delay_of (faults, count));
    LOCK_FOR_SCOPE (&sim->lock);
    apply_faults (&ex, faults, count);
    answer (&ex);
  }
  add_date (&ex);
  log_exchange (&ex, clock_ms () - start_ms);
}
