/* prepare.c owns what must be so before a drill may begin. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/checked.h"
#include "tools/command.h"
#include "tools/drill/drill.h"

double
drill_number (const struct json *status, const char *name)
{
  double number;

  return json_get_number (status, name, &number) == 0 ? number : 0;
}

static int
check_state (const struct drill *drill, struct error *err)
{
  const struct json *status = drill->follow.first, *parameters = json_get (status, "parameters");
  const char *state = json_get_string (status, "state");
  const char *reason = json_get_string (status, "reason");
  const char *recover = json_get_string (parameters, "recover");
  double window_s = drill_number (parameters, "recover_window_s");

  if (!state || strcmp (state, "active") != 0)
    return error_set (err,
                      state && strcmp (state, "fenced") == 0 ? ERROR_DENIED : ERROR_UNAVAILABLE,
                      "the volume is not active but %s (%s): a drill begins with an active one",
                      state ? state : "in a state that is not known", reason ? reason : "?");
  if (recover && strcmp (recover, "manual") == 0
      && !strstr (drill->options.restore, "keyfence unfence"))
    return error_set (
        err, ERROR_USAGE,
        "the volume is served with recover=manual: give a --restore command that ends "
        "with && keyfence unfence %s",
        drill->options.volume);
  if (window_s > 0 && (double)drill->options.hold_ms / 1000 >= window_s)
    return error_set (err, ERROR_USAGE,
                      "the volume is served with recover-window=%gs, and would not come back by "
                      "itself: give a shorter --hold",
                      window_s);
  return 0;
}

/* That the NBD server is the one whose control socket it is: it counts what we read. */
static int
check_same_server (struct drill *drill, struct error *err)
{
  uint64_t size_bytes = 0;
  double before = drill_number (json_get (drill->follow.first, "io"), "reads");

  if (json_get_uint64 (drill->follow.first, "size_bytes", &size_bytes) == 0
      && size_bytes != prober_size_bytes (drill->prober))
    return error_set (err, ERROR_USAGE,
                      "%s is another disk: it has %" PRIu64 " bytes, the volume has %" PRIu64,
                      drill->options.uri, prober_size_bytes (drill->prober), size_bytes);
  if (!follow_poll (&drill->follow))
    return error_set (err, ERROR_UNAVAILABLE, "%s: the server does not answer",
                      drill->options.socket_path);
  if (drill_number (json_get (drill->follow.last, "io"), "reads") > before)
    return 0;
  return error_set (err, ERROR_USAGE,
                    "%s is another disk: the volume's server has seen none of the requests",
                    drill->options.uri);
}

int
drill_prepare (const struct drill_options *options, struct drill *ret, struct error *err)
{
  CLEANUP_DRILL struct drill drill = {.options = *options};
  struct prober_params params = {.uri = options->uri,
                                 .scratch_offset_bytes = options->scratch_offset_bytes,
                                 .scratch_bytes = options->scratch_bytes};

  if (follow_start (options->socket_path, &drill.follow, err) < 0 || check_state (&drill, err) < 0)
    return -1;
  params.start_ms = drill.follow.start_ms;
  if (prober_start (&params, &drill.prober, err) < 0 || check_same_server (&drill, err) < 0)
    return -1;
  *ret = drill;
  drill = (struct drill){0};
  return 0;
}
