/* world.c owns the making and the running of a seed's world.
 *
 * Everything that a seed does comes out of its own random numbers.  A theme decides what may happen
 * in it: in a "healthy" one nothing ever does but slow answers, in "chaos" everything.
 */
#include "tests/simulation/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/checked.h"

#define NEVER UINT64_MAX
#define START_MS ((uint64_t)1 << 40)
#define STEPS 250

/* How a key service is for a while. */
enum mood {
  GOOD,
  DENY,       /* the owner said no */
  DENY_STALE, /* the credentials that are cached have lost the right, fresh ones have it */
  OUTAGE,
  NO_NAME,
  CREDENTIALS,
  CLOCK,
  CONFIG,
  CORRUPT,
  SILENT, /* no answer until the client gives up */
  FLAP,   /* anything, by the request */
  MOODS
};

/* How fast answers come, the caller's own delay included. */
enum pace { FAST, SLOW, SLOWEST, PACES };

static const struct theme {
  const char *name;
  uint8_t primary[MOODS], secondary[MOODS]; /* weights */
  uint8_t turning;    /* of 100 asks, how many are followed by the owner's no at once */
  uint8_t asker_late; /* of 100 asks, how many take too long */
  uint8_t sleep;      /* of 100 steps, after how many the caller sleeps */
  uint8_t operator;   /* of 100 steps, after how many the operator does something */
} themes[] = {
    {"healthy", {[GOOD] = 1}, {[GOOD] = 1}, 0, 0, 0, 0},
    {"revoked", {[GOOD] = 3, [DENY] = 2}, {[GOOD] = 1}, 12, 0, 0, 0},
    {"flapping", {[GOOD] = 2, [DENY_STALE] = 3}, {[GOOD] = 1}, 0, 0, 0, 1},
    {"outages",
     {[GOOD] = 4,
      [OUTAGE] = 2,
      [NO_NAME] = 1,
      [CREDENTIALS] = 1,
      [CLOCK] = 1,
      [CONFIG] = 1,
      [SILENT] = 1},
     {[OUTAGE] = 3, [DENY] = 1, [GOOD] = 1, [CORRUPT] = 1},
     0,
     0,
     0,
     0},
    {"failover",
     {[GOOD] = 3, [OUTAGE] = 4, [SILENT] = 2, [DENY] = 2, [NO_NAME] = 1, [CREDENTIALS] = 1},
     {[GOOD] = 4, [OUTAGE] = 2, [DENY] = 1, [CORRUPT] = 1, [SILENT] = 2, [NO_NAME] = 1, [FLAP] = 1},
     3,
     0,
     0,
     0},
    {"sleepy", {[GOOD] = 4, [DENY] = 2, [OUTAGE] = 1}, {[GOOD] = 1, [OUTAGE] = 1}, 3, 3, 6, 0},
    {"operator",
     {[GOOD] = 4, [DENY] = 2, [OUTAGE] = 1, [CORRUPT] = 1},
     {[GOOD] = 1, [OUTAGE] = 1},
     1,
     2,
     0,
     8},
    {"chaos",
     {[GOOD] = 6,
      [DENY] = 3,
      [DENY_STALE] = 1,
      [OUTAGE] = 2,
      [NO_NAME] = 1,
      [CREDENTIALS] = 1,
      [CLOCK] = 1,
      [CONFIG] = 1,
      [CORRUPT] = 1,
      [SILENT] = 1,
      [FLAP] = 2},
     {[GOOD] = 3, [DENY] = 1, [OUTAGE] = 2, [NO_NAME] = 1, [CORRUPT] = 1, [SILENT] = 1, [FLAP] = 1},
     3,
     4,
     3,
     3},
};

struct service {
  bool azure;
  enum mood mood;
  enum pace pace;
  uint64_t until_ms;
};

/* Whoever asks: one at a time. */
struct asker {
  struct fence_ask ask; /* kind NOTHING: free */
  uint64_t judged_at_ms, told_at_ms;
  const struct wire_answer *answer; /* once it is judged */
};

struct world {
  uint64_t random;
  const struct theme *theme;
  struct fence_config config;
  struct fence fence;
  struct watch *watch;
  uint64_t now_ms;
  struct service services[FENCE_WRAPS_MAX];
  struct asker asker;
  uint64_t slack_ms; /* how late the caller is now: within the margin */
  uint64_t awake_at_ms, operator_at_ms;
  bool calm; /* the end of a seed, where all is well */
  bool trace;
};

/* ---- chance ---- */

/* SplitMix64. */
static uint64_t
number (struct world *world)
{
  uint64_t z = world->random += 0x9e3779b97f4a7c15;

  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/* 0 … below - 1 */
static uint64_t
below (struct world *world, uint64_t limit)
{
  return number (world) % limit;
}

static bool
chance (struct world *world, unsigned percent)
{
  return below (world, 100) < percent;
}

static uint64_t
one_of (struct world *world, const uint64_t *values, size_t count)
{
  return values[below (world, count)];
}
#define ONE_OF(world, ...) \
  one_of (world, (const uint64_t[]){__VA_ARGS__}, ARRAY_SIZE (((const uint64_t[]){__VA_ARGS__})))

/* ---- telling ---- */

__attribute__ ((format (printf, 2, 3))) static void
trace (const struct world *world, const char *fmt, ...)
{
  va_list args;

  if (!world->trace)
    return;
  printf ("%12.3f  ", (double)(world->now_ms - START_MS) / 1000);
  va_start (args, fmt);
  vprintf (fmt, args);
  va_end (args);
  putchar ('\n');
}

static void
trace_step (const struct world *world, const struct fence_event *event,
            const struct fence_actions *actions)
{
  static const char *const events[] = {"tick", "answer", "CHECK", "FENCE", "UNFENCE"};
  static const char *const asks[] = {"", ", asks CHECK", ", asks UNLOCK"};
  const struct fence *fence = &world->fence;

  if (!world->trace)
    return;
  trace (world, "%s -> %s%s%s (%s)%s%s%s%s %u%s", events[event->kind],
         fence_state_name (fence->state), fence->latch ? ", latched " : "",
         fence_latch_name (fence->latch), fence->reason, actions->close ? ", close" : "",
         actions->open ? ", open" : "", actions->lease ? ", lease" : "", asks[actions->ask.kind],
         actions->ask.wrap, actions->ask.fresh ? " fresh" : "");
  if (actions->lease)
    trace (world, "   lease until %.3f", (double)(fence->lease_until_ms - START_MS) / 1000);
}

/* ---- configurations ---- */

static void
make_config (struct world *world)
{
  static const struct fence_config common[] = {
      {.check_interval_ms = 30000,
       .check_timeout_ms = 5000,
       .confirm_delay_ms = 5000,
       .grace_ms = 3600000}, /* the defaults */
      {.check_interval_ms = 1000,
       .check_timeout_ms = 1000,
       .confirm_delay_ms = 1000,
       .grace_ms = 3600000}, /* the fastest */
      {.check_interval_ms = 30000, .check_timeout_ms = 5000, .confirm_delay_ms = 5000},
      {.check_interval_ms = 60000,
       .check_timeout_ms = 2000,
       .confirm_delay_ms = 0,
       .grace_ms = 90000},
  };
  struct fence_config *config = &world->config;

  if (chance (world, 50))
    *config = common[below (world, ARRAY_SIZE (common))];
  else
    *config = (struct fence_config){
        .check_interval_ms =
            ONE_OF (world, 1000, 1000 + below (world, 9000), below (world, 60000) + 1000),
        .check_timeout_ms = ONE_OF (world, 1000, 5000, 1000 + below (world, 19000)),
        .confirm_delay_ms = ONE_OF (world, 0, 1000, below (world, 60000)),
        .grace_ms = ONE_OF (world, 0, 1, below (world, 30000), below (world, 600000), 86400000)};
  config->wrap_count = chance (world, 40) ? 1 : 1 + (unsigned)below (world, FENCE_WRAPS_MAX);
  config->recover_manual = chance (world, 15);
  config->recover_window_ms =
      chance (world, 20) ? ONE_OF (world, 1, 60000, config->check_interval_ms * 3, 3600000) : 0;
  config->seed = (uint32_t)number (world);
}

/* ---- services ---- */

static enum mood
pick_mood (struct world *world, const uint8_t weights[MOODS])
{
  unsigned sum = 0, at;

  for (int i = 0; i < MOODS; i++)
    sum += weights[i];
  at = (unsigned)below (world, sum);
  for (int i = 0;; i++) {
    if (at < weights[i])
      return (enum mood)i;
    at -= weights[i];
  }
}

static void
set_mood (struct world *world, unsigned i, enum mood mood)
{
  static const char *const names[MOODS] = {
      "is good",          "denies",       "denies what is stale", "has an outage",
      "is unclear",       "wants others", "is in another time",   "finds it wrong",
      "gives wrong keys", "says nothing", "says this and that",
  };
  struct service *service = &world->services[i];
  uint64_t interval_ms = world->config.check_interval_ms;

  service->mood = mood;
  service->pace = (enum pace)below (world, PACES);
  service->until_ms =
      world->now_ms + 1
      + below (world, ONE_OF (world, interval_ms, interval_ms * 10, 2 * world->watch->bound_ms,
                              2 * world->watch->lease_ms));
  trace (world, "service %u %s until %.3f", i, names[mood],
         (double)(service->until_ms - START_MS) / 1000);
  if (i == 0)
    watch_owner (world->watch, mood == DENY);
}

static void
turn_services (struct world *world)
{
  for (unsigned i = 0; i < world->config.wrap_count; i++)
    if (world->now_ms >= world->services[i].until_ms)
      set_mood (world, i,
                world->calm
                    ? GOOD
                    : pick_mood (world, i == 0 ? world->theme->primary : world->theme->secondary));
}

static const struct wire_answer *
answer_of (struct world *world, const struct service *service, bool fresh)
{
  static const enum wire_meaning meanings[MOODS] = {
      [GOOD] = WIRE_GOOD,     [DENY] = WIRE_DENIED,     [DENY_STALE] = WIRE_DENIED,
      [OUTAGE] = WIRE_OUTAGE, [NO_NAME] = WIRE_UNCLEAR, [CREDENTIALS] = WIRE_CREDENTIALS,
      [CLOCK] = WIRE_CLOCK,   [CONFIG] = WIRE_CONFIG,   [CORRUPT] = WIRE_CORRUPT,
      [SILENT] = WIRE_OUTAGE,
  };
  enum wire_meaning meaning = meanings[service->mood];

  if (service->mood == FLAP)
    meaning = (enum wire_meaning)below (world, WIRE_MEANINGS);
  else if (service->mood == DENY_STALE && fresh)
    meaning = WIRE_GOOD;
  if (service->mood == SILENT)
    return wire_timeout (service->azure);
  return wire_pick (service->azure, meaning, (uint32_t)number (world));
}

/* ---- who asks ---- */

/* What an ask takes that is answered in time, the caller's delay before it included. */
static uint64_t
pace_ms (struct world *world, const struct service *service)
{
  uint64_t most_ms = world->config.check_timeout_ms + FENCE_MARGIN_MS - 1 - world->slack_ms;

  if (service->mood == SILENT)
    return world->config.check_timeout_ms;
  if (service->pace == FAST)
    return 1 + below (world, 50);
  return service->pace == SLOW ? 1 + below (world, most_ms) : most_ms;
}

static void
start_asking (struct world *world, const struct fence_ask *ask)
{
  struct service *service = &world->services[ask->wrap];
  struct asker *asker = &world->asker;
  uint64_t takes_ms = pace_ms (world, service);

  if (!world->calm && chance (world, world->theme->asker_late))
    takes_ms = world->config.check_timeout_ms + below (world, ONE_OF (world, 1000, 60000, 600000));
  *asker = (struct asker){.ask = *ask, .told_at_ms = world->now_ms + takes_ms};
  /* The service's mind is that of a moment between. */
  asker->judged_at_ms = world->now_ms + ONE_OF (world, 0, takes_ms - 1, below (world, takes_ms));
}

static void
judge (struct world *world)
{
  struct asker *asker = &world->asker;
  const struct service *service = &world->services[asker->ask.wrap];

  asker->answer = answer_of (world, service, asker->ask.fresh);
  asker->judged_at_ms = NEVER;
  trace (world, "   service %u: %s (%s, %s)", asker->ask.wrap, asker->answer->what,
         wire_meaning_name (asker->answer->meaning), asker->answer->outcome.reason);
  /* Nothing is worse for the bound than an owner who says no just then. */
  if (asker->ask.wrap == 0 && service->mood == GOOD && !world->calm
      && chance (world, world->theme->turning))
    set_mood (world, 0, DENY);
}

/* ---- the caller ---- */

static void
step (struct world *world, const struct fence_event *event, enum wire_meaning meaning)
{
  struct fence_actions actions;
  bool awaited =
      event->kind == FENCE_EVENT_ANSWER && fence_awaits_key (&world->fence, event->answer.ticket);
  const struct watch_step seen = {.event = event,
                                  .meaning = meaning,
                                  .awaited = awaited,
                                  .now_ms = world->now_ms,
                                  .fence = &world->fence,
                                  .actions = &actions};

  fence_step (&world->fence, event, world->now_ms, &actions);
  trace_step (world, event, &actions);
  watch_step (world->watch, &seen);
  if (actions.ask.kind != FENCE_ASK_NOTHING && !world->watch->broken)
    start_asking (world, &actions.ask);
  world->slack_ms = world->calm || chance (world, 60) ? 0 : below (world, FENCE_MARGIN_MS);
  if (!world->calm && chance (world, world->theme->sleep)) {
    world->awake_at_ms = world->now_ms
                         + below (world, ONE_OF (world, 1000, 60000, 2 * world->watch->bound_ms,
                                                 2 * world->watch->lease_ms));
    trace (world, "sleeps until %.3f", (double)(world->awake_at_ms - START_MS) / 1000);
  }
}

static void
tick (struct world *world)
{
  step (world, &(const struct fence_event){.kind = FENCE_EVENT_TICK}, WIRE_GOOD);
}

static void
tell_answer (struct world *world)
{
  const struct wire_answer *answer = world->asker.answer;
  const struct fence_event event = {.kind = FENCE_EVENT_ANSWER,
                                    .answer = {.ticket = world->asker.ask.ticket,
                                               .class = answer->outcome.class,
                                               .may_fail_over = answer->may_fail_over,
                                               .reason = answer->outcome.reason,
                                               .text = answer->outcome.text,
                                               .request_id = answer->outcome.request_id}};

  world->asker.ask.kind = FENCE_ASK_NOTHING;
  step (world, &event, answer->meaning);
}

static void
operate (struct world *world)
{
  static const enum fence_event_kind kinds[] = {FENCE_EVENT_CHECK, FENCE_EVENT_CHECK,
                                                FENCE_EVENT_FENCE, FENCE_EVENT_UNFENCE,
                                                FENCE_EVENT_UNFENCE};
  const struct fence_event event = {.kind = kinds[below (world, ARRAY_SIZE (kinds))]};

  step (world, &event, WIRE_GOOD);
}

static void
plan_operator (struct world *world)
{
  unsigned percent = world->theme->operator;

  /* Latched, nothing more would happen. */
  if (world->fence.latch != FENCE_NOT_LATCHED)
    percent = 30;
  world->operator_at_ms = NEVER;
  if (!world->calm && chance (world, percent))
    world->operator_at_ms = world->now_ms + below (world, 2 * world->config.check_interval_ms);
}

/* ---- the run ---- */

/* When the caller hears of what happens at `at_ms`. */
static uint64_t
heard_ms (const struct world *world, uint64_t at_ms)
{
  return at_ms == NEVER ? NEVER : MAX (MAX (at_ms, world->awake_at_ms), world->now_ms);
}

static uint64_t
tick_ms (const struct world *world)
{
  uint64_t wake_ms = fence_wake_ms (&world->fence);

  return heard_ms (world, wake_ms > NEVER - world->slack_ms ? NEVER : wake_ms + world->slack_ms);
}

static uint64_t
answer_ms (const struct world *world)
{
  return world->asker.ask.kind == FENCE_ASK_NOTHING ? NEVER : world->asker.told_at_ms;
}

static uint64_t
judged_ms (const struct world *world)
{
  return world->asker.ask.kind == FENCE_ASK_NOTHING ? NEVER : world->asker.judged_at_ms;
}

static uint64_t
services_turn_ms (const struct world *world)
{
  uint64_t at_ms = NEVER;

  for (unsigned i = 0; i < world->config.wrap_count; i++)
    at_ms = MIN (at_ms, world->services[i].until_ms);
  return at_ms;
}

/* Lets the next thing happen, whatever it is; not later than `end_ms`. */
static void
happen (struct world *world, uint64_t end_ms)
{
  uint64_t answered_ms = heard_ms (world, answer_ms (world)), ticks_ms = tick_ms (world);
  uint64_t operated_ms = heard_ms (world, world->operator_at_ms);
  uint64_t outside_ms = MIN (judged_ms (world), services_turn_ms (world));
  uint64_t inside_ms = MIN (MIN (answered_ms, ticks_ms), operated_ms);

  world->now_ms = MIN (MIN (outside_ms, inside_ms), end_ms);
  watch_time (world->watch, world->now_ms);
  if (world->now_ms == end_ms || world->watch->broken)
    return;
  if (judged_ms (world) == world->now_ms)
    judge (world);
  else if (services_turn_ms (world) == world->now_ms)
    turn_services (world);
  else if (operated_ms == world->now_ms) {
    operate (world);
    plan_operator (world);
  }
  else if (answered_ms == world->now_ms && (ticks_ms > world->now_ms || chance (world, 50)))
    tell_answer (world);
  else
    tick (world);
  if (world->operator_at_ms == NEVER)
    plan_operator (world);
}

static void
run_until (struct world *world, uint64_t end_ms)
{
  while (world->now_ms < end_ms && !world->watch->broken)
    happen (world, end_ms);
}

static void
must (struct world *world, bool holds, const char *sentence)
{
  if (!holds && !world->watch->broken)
    world->watch->broken = sentence;
}

/* What every seed comes to: once all is well, a volume that is not latched opens within an interval
 * and an ask, and a latched one only after it was unfenced.
 */
static void
end_well (struct world *world)
{
  const struct fence_event unfence = {.kind = FENCE_EVENT_UNFENCE};
  uint64_t well_ms =
      world->config.check_interval_ms + 3 * world->watch->ask_ms + world->config.confirm_delay_ms;
  uint64_t settled_ms;
  bool latched;

  world->calm = true;
  world->operator_at_ms = NEVER;
  for (unsigned i = 0; i < world->config.wrap_count; i++) {
    set_mood (world, i, GOOD);
    world->services[i].until_ms = NEVER;
  }
  /* Whoever sleeps or is busy is waited for. */
  settled_ms = MAX (world->awake_at_ms, world->now_ms);
  if (world->asker.ask.kind != FENCE_ASK_NOTHING)
    settled_ms = MAX (settled_ms, world->asker.told_at_ms);
  run_until (world, settled_ms + 1);
  latched = world->fence.latch != FENCE_NOT_LATCHED;
  run_until (world, world->now_ms + well_ms);
  must (world,
        latched || world->fence.latch != FENCE_NOT_LATCHED || world->fence.state == FENCE_ACTIVE,
        "recovers by itself when access is good");
  must (world, !latched || world->fence.state == FENCE_FENCED, "stays fenced while latched");
  if (world->fence.state == FENCE_ACTIVE || world->watch->broken)
    return;
  step (world, &unfence, WIRE_GOOD);
  run_until (world, world->now_ms + well_ms);
  must (world, world->fence.state == FENCE_ACTIVE, "recovers when it is unfenced");
}

void
world_run (uint64_t seed, bool with_trace, struct watch *ret_watch)
{
  struct world world = {.random = seed * 0x2545f4914f6cdd1d + 1,
                        .watch = ret_watch,
                        .now_ms = START_MS,
                        .operator_at_ms = NEVER,
                        .trace = with_trace};

  world.theme = &themes[seed % ARRAY_SIZE (themes)];
  make_config (&world);
  fence_init (&world.fence, &world.config, world.now_ms);
  watch_init (ret_watch, &world.config, world.now_ms, &world.fence);
  trace (&world,
         "theme %s, interval %" PRIu64 ", time-out %" PRIu64 ", confirmation %" PRIu64
         ", grace %" PRIu64 ", window %" PRIu64 "%s, %u wraps; bound %" PRIu64 ", lease %" PRIu64,
         world.theme->name, world.config.check_interval_ms, world.config.check_timeout_ms,
         world.config.confirm_delay_ms, world.config.grace_ms, world.config.recover_window_ms,
         world.config.recover_manual ? ", manual" : "", world.config.wrap_count,
         ret_watch->bound_ms, ret_watch->lease_ms);
  for (unsigned i = 0; i < world.config.wrap_count; i++) {
    world.services[i].azure = chance (&world, 50);
    world.services[i].until_ms = world.now_ms;
  }
  turn_services (&world);
  while (ret_watch->counts[COUNT_STEPS] < STEPS && !ret_watch->broken)
    happen (&world, NEVER);
  if (!ret_watch->broken)
    end_well (&world);
}
