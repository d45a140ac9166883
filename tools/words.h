/* Words as others read them: shells, and NBD clients. */
#ifndef TOOLS_WORDS_H
#define TOOLS_WORDS_H

#include <stdio.h>

/* `word` between single quotes, which is one word to a shell whatever is in it. */
void words_quote (FILE *f, const char *word);

/* The NBD URI of who listens at the Unix socket `path`, as the NBD URI specification has it. */
void words_nbd_uri (FILE *f, const char *path);

#endif
