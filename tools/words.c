/* words.c owns the forms that words have for others. */
#include "tools/words.h"

#include <string.h>

void
words_quote (FILE *f, const char *word)
{
  fputc ('\'', f);
  for (; *word; word++) {
    if (*word == '\'')
      fputs ("'\\''", f);
    else
      fputc (*word, f);
  }
  fputc ('\'', f);
}

void
words_nbd_uri (FILE *f, const char *path)
{
  fputs ("nbd+unix:///?socket=", f);
  for (const char *p = path; *p; p++)
    fprintf (f, strchr (" %&?#+\"'\\<>", *p) ? "%%%02X" : "%c", (unsigned char)*p);
}
