/* way.c owns the table of ways to attach. */
#include "tools/attach/way.h"

#include <string.h>

#include "common/text.h"
#include "config.h"

const struct way *const ways[] = {
#if HAVE_ATTACH_NBD
    &way_nbd,
#endif
    &way_fuse, NULL};

const struct way *
way_find (const char *name)
{
  for (size_t i = 0; ways[i]; i++)
    if (strcmp (ways[i]->name, name) == 0)
      return ways[i];
  return NULL;
}

int
way_choose (const struct way **ret_way, struct error *err)
{
  char lacking[768] = "";

  for (size_t i = 0; ways[i]; i++) {
    struct error why = {0};
    size_t used = strlen (lacking);

    if (ways[i]->available (&why) == 0) {
      *ret_way = ways[i];
      return 0;
    }
    text_print (lacking + used, sizeof lacking - used, "%s%s: %s", used > 0 ? "; " : "",
                ways[i]->name, why.text);
  }
  return error_set (err, ERROR_UNAVAILABLE, "no way to attach a disk works here: %s", lacking);
}
