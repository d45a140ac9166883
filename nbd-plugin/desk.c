/* desk.c owns the operator's commands that are under way. */
#include "nbd-plugin/desk.h"

#include <stdio.h>
#include <string.h>

static const char *const names[DESK_COMMANDS] = {
    [DESK_CHECK] = "check",
    [DESK_FENCE] = "fence",
    [DESK_UNFENCE] = "unfence",
    [DESK_RELOAD] = "reload",
};

const char *
desk_command_name (enum desk_command command)
{
  return names[command];
}

uint64_t
desk_add (struct desk *desk, enum desk_command command, const char *text)
{
  for (size_t i = 0; i < DESK_PLACES; i++) {
    struct desk_place *place = &desk->places[i];

    if (place->stage != DESK_FREE)
      continue;
    memset (place, 0, sizeof *place);
    place->stage = DESK_NEW;
    place->ticket = ++desk->last_ticket;
    place->result.command = command;
    snprintf (place->text, sizeof place->text, "%s", text);
    return place->ticket;
  }
  return 0;
}

struct desk_place *
desk_find (struct desk *desk, enum desk_stage stage)
{
  struct desk_place *found = NULL;

  for (size_t i = 0; i < DESK_PLACES; i++) {
    struct desk_place *place = &desk->places[i];

    if (place->stage == stage && (!found || place->ticket < found->ticket))
      found = place;
  }
  return found;
}

void
desk_done (struct desk_place *place, const char *class, const char *reason, const char *detail,
           const char *request_id)
{
  struct desk_result *result = &place->result;

  place->stage = DESK_DONE;
  snprintf (result->class, sizeof result->class, "%s", class);
  snprintf (result->reason, sizeof result->reason, "%s", reason);
  snprintf (result->detail, sizeof result->detail, "%s", detail);
  snprintf (result->request_id, sizeof result->request_id, "%s", request_id);
}

struct desk_place *
desk_by_ticket (struct desk *desk, uint64_t ticket)
{
  for (size_t i = 0; i < DESK_PLACES; i++)
    if (desk->places[i].stage != DESK_FREE && desk->places[i].ticket == ticket)
      return &desk->places[i];
  return NULL;
}

bool
desk_collect (struct desk *desk, uint64_t ticket, struct desk_result *ret)
{
  struct desk_place *place = desk_by_ticket (desk, ticket);

  if (!place || place->stage != DESK_DONE)
    return false;
  *ret = place->result;
  place->stage = DESK_FREE;
  return true;
}

/* A command that runs goes on; only its result is kept for nobody. */
void
desk_forget (struct desk *desk, uint64_t ticket)
{
  struct desk_place *place = desk_by_ticket (desk, ticket);

  if (place)
    place->stage = DESK_FREE;
}
