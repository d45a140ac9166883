/* Why a name does not resolve, with a resolver that is played (--wrap=getaddrinfo). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>

#include "common/checked.h"
#include "common/io.h"
#include "kms/resolve.h"

static int played;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;

int __wrap_getaddrinfo (const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **ret);
int
__wrap_getaddrinfo (const char *host, const char *service, const struct addrinfo *hints,
                    struct addrinfo **ret)
{
  (void)service;
  (void)hints;
  *ret = NULL;
  if (strcmp (host, "hangs") == 0) {
    pthread_mutex_lock (&held);
    pthread_mutex_unlock (&held);
  }
  return played;
}

static void
a_name_that_does_not_exist_is_told_from_a_resolver_that_does_not_work (void **state)
{
  static const struct {
    int answer;
    enum resolve_result result;
  } cases[] = {
      {EAI_NONAME, RESOLVE_NXDOMAIN}, {EAI_NODATA, RESOLVE_NXDOMAIN}, {EAI_AGAIN, RESOLVE_FAILED},
      {EAI_FAIL, RESOLVE_FAILED},     {EAI_SYSTEM, RESOLVE_FAILED},   {EAI_MEMORY, RESOLVE_FAILED},
  };

  (void)state;
  for (size_t i = 0; i < ARRAY_SIZE (cases); i++) {
    played = cases[i].answer;
    assert_int_equal (resolve_why ("name", 60000), cases[i].result);
  }
}

static void
a_resolver_that_hangs_is_left_behind (void **state)
{
  uint64_t start_ms = clock_ms ();

  (void)state;
  played = EAI_AGAIN;
  pthread_mutex_lock (&held);
  assert_int_equal (resolve_why ("hangs", 50), RESOLVE_TIMEOUT);
  assert_true (clock_ms () - start_ms >= 50);
  assert_int_equal (resolve_why ("name", 60000), RESOLVE_FAILED); /* while the other still hangs */
  pthread_mutex_unlock (&held);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test (a_name_that_does_not_exist_is_told_from_a_resolver_that_does_not_work),
      cmocka_unit_test (a_resolver_that_hangs_is_left_behind),
  };

  return cmocka_run_group_tests (tests, NULL, NULL);
}
