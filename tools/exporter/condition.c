/* condition.c owns the conditions' names and which of them a volume is in. */
#include "tools/exporter/condition.h"

#include <string.h>

static const struct {
  const char *word, *name, *colour;
} conditions[CONDITION_COUNT] = {
    [CONDITION_FENCED] = {"fenced", "fenced", "#d92d20"},
    [CONDITION_SILENT] = {"no answer", "silent", "#7a5af8"},
    [CONDITION_GRACE] = {"grace", "grace", "#f79009"},
    [CONDITION_UNKNOWN] = {"unknown", "unknown", "#667085"},
    [CONDITION_ACTIVE] = {"active", "active", "#12a150"},
};

enum condition
condition_from_state (const char *state)
{
  static const enum condition states[] = {CONDITION_FENCED, CONDITION_GRACE, CONDITION_ACTIVE};

  for (size_t i = 0; state && i < sizeof states / sizeof states[0]; i++)
    if (strcmp (state, conditions[states[i]].name) == 0)
      return states[i];
  return CONDITION_UNKNOWN;
}

enum condition
condition_of (const struct volume *volume)
{
  if (!volume->facts)
    return CONDITION_SILENT;
  return condition_from_state (json_get_string (volume->facts, "state"));
}

const char *
condition_word (enum condition condition)
{
  return conditions[condition].word;
}

const char *
condition_name (enum condition condition)
{
  return conditions[condition].name;
}

const char *
condition_colour (enum condition condition)
{
  return conditions[condition].colour;
}

enum condition
condition_worst (const struct snapshot *snapshot)
{
  enum condition worst = CONDITION_ACTIVE;

  for (size_t i = 0; i < snapshot->count; i++) {
    enum condition one = condition_of (&snapshot->volumes[i]);

    if (one < worst)
      worst = one;
  }
  return worst;
}
