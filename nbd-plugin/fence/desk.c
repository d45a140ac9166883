/* desk.c owns the operator's commands that are under way. */
#include "nbd-plugin/fence/desk.h"

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

static struct desk_place *
find_room (struct desk *desk)
{
  struct desk_place *place = desk_find (desk, DESK_FREE);

  for (size_t i = 0; i < DESK_PLACES && !place; i++)
    if (desk->places[i].forgotten && desk->places[i].stage == DESK_RUNS)
      place = &desk->places[i];
  return place;
}

uint64_t
desk_add (struct desk *desk, enum desk_command command, const char *text)
{
  struct desk_place *place = find_room (desk);

  if (!place)
    return 0;
  memset (place, 0, sizeof *place);
  place->stage = DESK_NEW;
  place->ticket = ++desk->last_ticket;
  place->result.command = command;
  snprintf (place->text, sizeof place->text, "%s", text);
  return place->ticket;
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

  place->stage = place->forgotten ? DESK_FREE : DESK_DONE;
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

void
desk_forget (struct desk *desk, uint64_t ticket)
{
  struct desk_place *place = desk_by_ticket (desk, ticket);

  if (!place)
    return;
  place->forgotten = true;
  if (place->stage == DESK_DONE)
    place->stage = DESK_FREE;
}
